//! Reads a sign-off: which roles must all approve, and whether they sign with keys.

use crate::runbook::names::{Names, check_roles};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;
use crate::runbook::signing::{Signoff, needs_signatures};

const WAYS: [&str; 2] = ["ssh", "none"];

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Signoff {
    let roles = table.need_strings("roles", "[\"dba\"]");
    check_roles(&roles, &table, names);
    let distinct = table.flag("distinct", true);
    let keys = match table.string("signature") {
        Some(way) if way.value == "none" => false,
        Some(way) if way.value == "ssh" => {
            if !names.signs {
                let message = format!("{} is signed with keys", table.name);
                needs_signatures(table.findings, way.span, &message);
            }
            true
        }
        Some(way) => {
            let message = format!("`{}` is no way to sign", way.value);
            let help = choices(&way.value, &WAYS);
            table
                .findings
                .add(way.span, message, "not available", Some(help));
            false
        }
        None => {
            if !names.signs && !table.has("signature") {
                neither(&table);
            }
            names.signs
        }
    };
    table.finish();
    Signoff {
        roles: roles.into_iter().map(|r| r.value).collect(),
        distinct,
        keys,
    }
}

/// Signing by name alone is chosen in so many words, and is never what is left over.
fn neither(table: &TableReader<'_, '_>) {
    table.findings.add(
        table.span.clone(),
        format!("{} does not say how it is signed", table.name),
        "whose keys count is said nowhere, and names alone are not asked for",
        Some(
            "write [signatures] with allowed_signers = \"…\" and domain = \"…\" for signatures with \
             SSH keys, or signature = \"none\" here for names typed at the console"
                .into(),
        ),
    );
}
