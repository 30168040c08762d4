//! Reads an `alembic` gate: which project, what is done, to which database.

use std::time::Duration;

use super::lint::{read_allowed_list, read_deny};
use crate::runbook::findings::At;
use crate::runbook::names::{Names, check_template, need_target};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;
use crate::runbook::revising::{AlembicAction, AlembicGate};

const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// What an audit may say.
const DIAGNOSES: [&str; 3] = ["OK", "MISMATCH", "MISSING"];
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> AlembicGate {
    let project = read_project(&mut table, names);
    let words = AlembicAction::ALL.map(AlembicAction::word);
    if !table.has("action") {
        let help = format!("write action = \"…\" with one of {}", words.join(", "));
        table.missing("action", help);
    }
    let word = table.one_of("action", &words);
    let action = AlembicAction::ALL.into_iter().find(|a| a.word() == word);
    let action = action.unwrap_or(AlembicAction::Audit);
    let target = need_target(&mut table, names);
    let mut gate = AlembicGate {
        project,
        action,
        target,
        reference: None,
        write: None,
        accept: vec!["OK".to_owned()],
        revision: None,
        chooses: false,
        deny: Vec::new(),
        allow: Vec::new(),
        lock_timeout: LOCK_TIMEOUT,
        statement_timeout: STATEMENT_TIMEOUT,
        models: action == AlembicAction::Upgrade,
        scratch: !matches!(action, AlembicAction::Audit | AlembicAction::Check),
    };
    let acts = !action.looks();
    if matches!(action, AlembicAction::Audit | AlembicAction::Guard) {
        gate.reference = read_reference(&mut table, &gate, names);
    }
    if action == AlembicAction::Audit {
        read_accept(&mut table, &mut gate);
    }
    if action == AlembicAction::Audit
        && let Some(folder) = table.string("write")
    {
        check_template(&folder, &table, names);
        gate.write = Some(folder.value);
    }
    if acts {
        read_revision(&mut table, &mut gate, names);
        gate.deny = read_deny(&mut table);
        gate.allow = read_allowed_list(&mut table, "alembic", names);
        if let Some(given) = table.span_of_time("lock_timeout") {
            gate.lock_timeout = given.value;
        }
        if let Some(given) = table.span_of_time("statement_timeout") {
            gate.statement_timeout = given.value;
        }
    }
    if action == AlembicAction::Upgrade {
        gate.models = table.flag("models", true);
    }
    if !matches!(action, AlembicAction::Audit | AlembicAction::Check) {
        gate.scratch = table.flag("scratch", true);
    }
    table.finish();
    gate
}

/// A project is named, unless there is only one.
fn read_project(table: &mut TableReader<'_, '_>, names: &Names) -> String {
    let valid: Vec<&str> = names.projects.iter().map(String::as_str).collect();
    let Some(given) = table.string("project") else {
        if table.has("project") {
            return String::new();
        }
        return match valid.as_slice() {
            [only] => (*only).to_owned(),
            [] => {
                table.missing("project", "describe one as [alembic.NAME] first");
                String::new()
            }
            several => {
                let help = format!("write project = \"…\" with one of {}", several.join(", "));
                table.missing("project", help);
                String::new()
            }
        };
    };
    if !names.projects.contains(&given.value) {
        let help = match valid.as_slice() {
            [] => format!("describe it as [alembic.{}] first", given.value),
            valid => choices(&given.value, valid),
        };
        let message = format!("there is no project `{}`", given.value);
        let label = "not a project of this runbook";
        table.findings.add(given.span, message, label, Some(help));
    }
    given.value
}

fn read_accept(table: &mut TableReader<'_, '_>, gate: &mut AlembicGate) {
    let Some(given) = table.strings("accept", "[\"OK\", \"MISSING\"]") else {
        return;
    };
    for word in &given {
        if !DIAGNOSES.contains(&word.value.as_str()) {
            let message = format!("`{}` is no diagnosis", word.value);
            let help = Some(choices(&word.value, &DIAGNOSES));
            let findings = table.findings;
            findings.add(word.span.clone(), message, "not known", help);
        }
    }
    gate.accept = given.into_iter().map(|word| word.value).collect();
}

fn read_reference(
    table: &mut TableReader<'_, '_>,
    gate: &AlembicGate,
    names: &Names,
) -> Option<String> {
    if gate.action == AlembicAction::Guard && !table.has("reference") {
        let help = "write reference = \"…\" with the target that the other one is compared with";
        table.missing("reference", help);
    }
    let given = table.string("reference")?;
    let valid: Vec<&str> = names.targets.iter().map(String::as_str).collect();
    let trouble = match &given.value {
        name if !names.targets.contains(name) => Some(format!("there is no target `{name}`")),
        name if *name == gate.target => Some(format!("`{name}` is compared with itself")),
        _ => None,
    };
    if let Some(message) = trouble {
        let others: Vec<&str> = valid.into_iter().filter(|t| *t != gate.target).collect();
        let help = choices(&given.value, &others);
        let label = "the other database is needed here";
        table.findings.add(given.span, message, label, Some(help));
    }
    Some(given.value)
}

fn read_revision(table: &mut TableReader<'_, '_>, gate: &mut AlembicGate, names: &Names) {
    let Some(given) = table.string("revision") else {
        return;
    };
    check_template(&given, table, names);
    if given.value == "choose" {
        gate.chooses = true;
        if gate.action != AlembicAction::Downgrade {
            refuse(table, &given, "only a way back is chosen", "an id, or head");
        } else if !names.going_back {
            let label = "whoever starts a way back chooses; nobody is asked here";
            refuse(
                table,
                &given,
                label,
                "an id or -1, or put it into a [[rollback]]",
            );
        }
        return;
    }
    let back = given.value.starts_with('-') || given.value == "base";
    match gate.action {
        AlembicAction::Downgrade if given.value == "head" || given.value.starts_with('+') => {
            refuse(
                table,
                &given,
                "that is no way back",
                "-1, an id, base, or choose",
            );
        }
        AlembicAction::Upgrade | AlembicAction::Stamp if back => {
            refuse(table, &given, "that leads back", "an id, or head");
        }
        _ => {}
    }
    gate.revision = Some(given.value);
}

fn refuse(table: &TableReader<'_, '_>, given: &At<String>, label: &str, help: &str) {
    let message = format!("`revision` of {} is `{}`", table.name, given.value);
    let help = Some(format!("write {help}"));
    table.findings.add(given.span.clone(), message, label, help);
}
