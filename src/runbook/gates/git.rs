//! Reads what must be true of a repository.

use crate::runbook::findings::At;
use crate::runbook::names::{Names, check_template};
use crate::runbook::reader::TableReader;
use crate::runbook::versioning::GitCheck;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> GitCheck {
    let text = |table: &mut TableReader<'_, '_>, key: &'static str| {
        let text = table.string(key)?;
        check_template(&text, table, names);
        Some(text.value)
    };
    let list = |table: &mut TableReader<'_, '_>, key: &'static str, example: &str| {
        let list: Vec<At<String>> = table.strings(key, example).unwrap_or_default();
        table.no_blanks(key, &list);
        for text in &list {
            check_template(text, table, names);
        }
        list.into_iter()
            .map(|text| text.value)
            .collect::<Vec<String>>()
    };
    let repository = text(&mut table, "repository").unwrap_or_else(|| ".".to_owned());
    let branch = text(&mut table, "branch");
    let clean = table.flag("clean", false);
    let in_sync = table.flag("in_sync", false);
    let contains = list(&mut table, "contains", "[\"abc123\"]");
    let not_behind = text(&mut table, "not_behind");
    let tag = text(&mut table, "tag");
    let signed_by = list(&mut table, "signed_by", "[\"ana@example.com\"]");
    let allowed_signers = text(&mut table, "allowed_signers");
    let reviewed = list(&mut table, "reviewed", "[\"migrations/**\"]");
    let since = text(&mut table, "reviewed_since");
    let reviewed_since = since.or_else(|| not_behind.clone().filter(|_| !reviewed.is_empty()));
    let fetch = table.flag("fetch", in_sync || not_behind.is_some());
    let check = GitCheck {
        repository,
        branch,
        clean,
        in_sync,
        fetch,
        contains,
        not_behind,
        tag,
        signed_by,
        allowed_signers,
        reviewed,
        reviewed_since,
    };
    check_use(&check, &table);
    table.finish();
    check
}

/// A check that looks for nothing would pass everywhere.
fn check_use(check: &GitCheck, table: &TableReader<'_, '_>) {
    let looks_for_nothing = ![
        "branch",
        "clean",
        "in_sync",
        "contains",
        "not_behind",
        "tag",
    ]
    .iter()
    .chain(&["signed_by", "reviewed"])
    .any(|key| table.has(key));
    if looks_for_nothing {
        table.findings.add(
            table.span.clone(),
            format!("{} looks for nothing", table.name),
            "it would pass on every repository",
            Some(
                "write at least one of branch, clean, in_sync, contains, not_behind, tag, signed_by, reviewed"
                    .into(),
            ),
        );
    }
    for pattern in &check.reviewed {
        if let Err(error) = glob::Pattern::new(pattern) {
            table.findings.add(
                table.place("reviewed"),
                format!("`{pattern}` is no pattern of files"),
                error.msg,
                Some("write for example reviewed = [\"migrations/**\"]".into()),
            );
        }
    }
    if !check.reviewed.is_empty() && check.reviewed_since.is_none() {
        table.findings.add(
            table.place("reviewed"),
            format!("`reviewed` of {} does not say since when", table.name),
            "what has changed is counted from a revision",
            Some("add reviewed_since = \"main\", or not_behind = \"main\"".into()),
        );
    }
    if check.reviewed.is_empty() && table.has("reviewed_since") {
        table.findings.add(
            table.place("reviewed_since"),
            format!(
                "`reviewed_since` of {} is looked into by nobody",
                table.name
            ),
            "no file has to be reviewed",
            Some("add reviewed = [\"migrations/**\"]".into()),
        );
    }
    if check.allowed_signers.is_some() && check.signed_by.is_empty() {
        table.findings.add(
            table.place("allowed_signers"),
            format!(
                "`allowed_signers` of {} is looked into by nobody",
                table.name
            ),
            "no signature is asked for",
            Some("add signed_by = [\"ana@example.com\"]".into()),
        );
    }
}
