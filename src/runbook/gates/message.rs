//! Reads a gate that waits until a message was sent.

use crate::runbook::going_back::MessageGate;
use crate::runbook::names::Names;
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> MessageGate {
    let message = table.need_string("send");
    if !message.value.is_empty() && !names.messages.contains(&message.value) {
        let valid: Vec<&str> = names.messages.iter().map(String::as_str).collect();
        table.findings.add(
            message.span,
            format!("there is no message `{}`", message.value),
            "not a message of this runbook",
            Some(match valid.as_slice() {
                [] => "write it as [[message]] first".to_owned(),
                valid => choices(&message.value, valid),
            }),
        );
    }
    table.finish();
    MessageGate {
        message: message.value,
    }
}
