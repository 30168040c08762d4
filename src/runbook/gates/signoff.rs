//! Reads a sign-off: which roles must all approve.

use crate::runbook::model::Signoff;
use crate::runbook::names::{Names, check_roles};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Signoff {
    let roles = table.need_strings("roles", "[\"dba\"]");
    check_roles(&roles, &table, names);
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
