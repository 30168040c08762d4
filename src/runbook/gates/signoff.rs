//! Reads a sign-off: which roles must all approve.

use crate::runbook::model::Signoff;
use crate::runbook::names::Names;
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Signoff {
    let roles = table.need_strings("roles", "[\"dba\"]");
    let named = names.roles.iter().filter(|role| !role.is_empty());
    let valid: Vec<&str> = named.map(String::as_str).collect();
    for (index, role) in roles.iter().enumerate() {
        if !names.roles.contains(&role.value) {
            table.findings.add(
                role.span.clone(),
                format!("there is no role `{}`", role.value),
                "not a role of this runbook",
                Some(match valid.as_slice() {
                    [] => "describe it as [[role]] first, with its members".to_owned(),
                    valid => choices(&role.value, valid),
                }),
            );
        } else if roles[..index].iter().any(|r| r.value == role.value) {
            let message = format!("role `{}` stands here twice", role.value);
            table
                .findings
                .add(role.span.clone(), message, "once is enough", None);
        }
    }
    let distinct = table.flag("distinct", true);
    if let Some(signature) = table.string("signature")
        && signature.value != "none"
    {
        let help = choices(&signature.value, &["none"]);
        let message = format!(
            "`{}` is no signature that this version makes",
            signature.value
        );
        table
            .findings
            .add(signature.span, message, "not available", Some(help));
    }
    table.finish();
    Signoff {
        roles: roles.into_iter().map(|r| r.value).collect(),
        distinct,
    }
}
