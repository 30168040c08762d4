//! Reads a merge: which branch goes into which, how, and to which remote.

use crate::runbook::names::{Names, check_template};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;
use crate::runbook::versioning::{Merge, MergeMode};

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> Merge {
    let text = |table: &mut TableReader<'_, '_>, key: &'static str| {
        let text = table.string(key)?;
        check_template(&text, table, names);
        Some(text.value)
    };
    let repository = text(&mut table, "repository").unwrap_or_else(|| ".".to_owned());
    let from = table.need_string("from");
    let into = table.need_string("into");
    check_template(&from, &table, names);
    check_template(&into, &table, names);
    if !into.value.is_empty() && from.value == into.value {
        table.findings.add(
            into.span.clone(),
            format!("{} goes from `{}` into itself", table.name, from.value),
            "another branch is needed",
            None,
        );
    }
    let mode = read_mode(&mut table);
    let message = text(&mut table, "message");
    if message.is_some() && mode == MergeMode::FastForward {
        table.findings.add(
            table.place("message"),
            format!("`message` of {} is written nowhere", table.name),
            "a fast-forward makes no commit",
            Some("leave it out, or write mode = \"merge-commit\"".into()),
        );
    }
    let push = table.flag("push", true);
    let remote = text(&mut table, "remote");
    if remote.is_some() && !push {
        table.findings.add(
            table.place("remote"),
            format!("`remote` of {} is talked to by nobody", table.name),
            "`push = false` stays here",
            Some("leave one of the two out".into()),
        );
    }
    let reviewed = text(&mut table, "reviewed");
    table.finish();
    Merge {
        repository,
        from: from.value,
        into: into.value,
        mode,
        message,
        push,
        remote: remote.unwrap_or_else(|| "origin".to_owned()),
        reviewed,
    }
}

fn read_mode(table: &mut TableReader<'_, '_>) -> MergeMode {
    let Some(mode) = table.string("mode") else {
        if !table.has("mode") {
            table.missing("mode", "write mode = \"fast-forward\" or \"merge-commit\"");
        }
        return MergeMode::MergeCommit;
    };
    match mode.value.as_str() {
        "fast-forward" => MergeMode::FastForward,
        "merge-commit" => MergeMode::MergeCommit,
        other => {
            let message = format!("`{other}` is no mode of a merge");
            let help = choices(other, &["fast-forward", "merge-commit"]);
            table
                .findings
                .add(mode.span, message, "not known here", Some(help));
            MergeMode::MergeCommit
        }
    }
}
