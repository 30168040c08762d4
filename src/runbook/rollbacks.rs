//! Reads the ways back: procedures whose gates stand aside until a person starts one.

use super::gates::read_gates;
use super::going_back::{Rollback, Scope};
use super::model::{Gate, Kind};
use super::names::{Names, need_gate, optional_gate};
use super::problem::choices;
use super::reader::TableReader;

pub(super) fn read_rollbacks(
    top: &mut TableReader<'_, '_>,
    names: &mut Names,
    path: &[Gate],
) -> Vec<Rollback> {
    // Every gate of the run stands before a way back, so what it captures is known there.
    names.captures.extend(names.all_captures.iter().cloned());
    let tables = top.tables("rollback", "rollback");
    let mut rollbacks = Vec::new();
    for (span, table) in tables {
        let mut reader = TableReader::new("a rollback", span, table, top.findings);
        let id = reader.need_string("id");
        names.claim(&id, "a rollback", reader.findings);
        if !id.value.is_empty() {
            reader.name = format!("rollback `{}`", id.value);
        }
        let title = reader.need_string("title").value;
        let help = reader.string("help").map(|help| help.value);
        let scope = read_scope(&mut reader);
        let valid_from = need_gate(&mut reader, "valid_from", names);
        let valid_until = optional_gate(&mut reader, "valid_until", names);
        check_order(&reader, path, &valid_from, valid_until.as_deref());
        let expected = reader.duration("expect_duration");
        if expected.is_none() && !reader.has("expect_duration") {
            let help = "write expect_duration = \"10m\": the last safe moment follows from it";
            reader.missing("expect_duration", help);
        }
        names.going_back = true;
        let gates = read_gates(&mut reader, "rollback.gate", names);
        names.going_back = false;
        if gates.is_empty() && !reader.has("gate") {
            reader.missing(
                "gate",
                "write [[rollback.gate]] for each gate of the way back",
            );
        }
        reader.finish();
        rollbacks.push(Rollback {
            id: id.value,
            title,
            help,
            scope,
            valid_from,
            valid_until,
            expect_duration: expected.map(|d| d.value).unwrap_or_default(),
            gates,
        });
    }
    rollbacks
}

fn read_scope(reader: &mut TableReader<'_, '_>) -> Scope {
    let Some(given) = reader.string("scope") else {
        if !reader.has("scope") {
            reader.missing(
                "scope",
                "write scope = \"immediate\" or scope = \"partial\"",
            );
        }
        return Scope::Immediate;
    };
    match given.value.as_str() {
        "immediate" => Scope::Immediate,
        "partial" => Scope::Partial,
        other => {
            reader.findings.add(
                given.span,
                format!("`{other}` is no scope of a rollback"),
                "not known",
                Some(choices(other, &["immediate", "partial"])),
            );
            Scope::Immediate
        }
    }
}

/// A way that closes before it opens could never be gone.
fn check_order(reader: &TableReader<'_, '_>, path: &[Gate], from: &str, until: Option<&str>) {
    let place = |id: &str| path.iter().position(|gate| gate.id == id);
    if let Some(until) = until
        && let (Some(opens), Some(closes)) = (place(from), place(until))
        && closes < opens
    {
        reader.findings.add(
            reader.place("valid_until"),
            format!("`valid_until` of {} comes before `valid_from`", reader.name),
            "this way would never be open",
            None,
        );
    }
}

impl Rollback {
    /// Tells whether whoever starts it says which applied files go back.
    pub fn chooses(&self) -> bool {
        self.gates.iter().any(|gate| match &gate.kind {
            Kind::Migrate(migrate) => !migrate.undoes.is_empty(),
            Kind::Alembic(alembic) => alembic.chooses,
            _ => false,
        })
    }
}
