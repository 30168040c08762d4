//! What a file did to what was there before, as hazards: by effect, whatever its text says.

use std::collections::BTreeMap;

use super::seen::SeenHazard;
use crate::gate::backup::bytes;
use crate::gate::lint_survey::same_path;
use crate::gate::migrate_plan::PlannedFile;
use crate::gate::{AppliedFile, Context, TracedStatement};
use crate::postgres::effects::{Effect, Standing};
use crate::runbook::{Kind, Rehearse};
use crate::sql::hazard::{self, Hazard};
use crate::untrusted::clean_line;

/// Words of statements whose text does not say what they do.
const OPAQUE: [&str; 4] = ["do", "call", "select", "execute"];

/// The lock that nobody can work beside.
const STOPS_ALL: &str = "AccessExclusiveLock";
/// A lock that is held shorter than this is told with its statement, and is no hazard.
const FELT_MS: u64 = 100;

/// A hazard before its place in the file is known.
pub(super) struct Found {
    code: &'static str,
    relation: String,
    extent: String,
    /// Nothing was lost by it.
    harmless: bool,
}

/// Turns effects into hazards. What an earlier file of the same rehearsal made is nobody's loss.
pub(super) fn of_effects(
    effects: &[Effect],
    rows: &BTreeMap<String, u64>,
    known: impl Fn(&str) -> bool,
) -> Vec<Found> {
    let mut found = Vec::new();
    for effect in effects.iter().filter(|effect| known(effect.relation())) {
        let held = rows.get(effect.relation()).copied();
        let extent = held.map_or_else(|| "rows not counted".to_owned(), count_words);
        let empty = held == Some(0);
        let one = |code, relation: String, extent, harmless| Found {
            code,
            relation,
            extent,
            harmless,
        };
        found.extend(match effect {
            Effect::Dropped { kind, name } => {
                let (code, extent) = match kind {
                    'S' => ("drop-sequence", String::new()),
                    'm' => ("drop-materialized-view", String::new()),
                    'p' => ("DS102", "partitioned".to_owned()),
                    _ => ("DS102", extent),
                };
                Some(one(code, name.clone(), extent, empty))
            }
            Effect::ColumnDropped { table, column } => {
                Some(one("DS103", format!("{table}.{column}"), extent, empty))
            }
            Effect::Emptied { table } => Some(one("truncate", table.clone(), extent, empty)),
            Effect::Deleted { table, rows } if held.is_some_and(|held| *rows >= held) => Some(one(
                "delete-without-where",
                table.clone(),
                count_words(*rows),
                false,
            )),
            Effect::Rewritten { table, bytes: size } => {
                let extent = format!("{extent}, {}", bytes(*size));
                Some(one("rewrites-table", table.clone(), extent, empty))
            }
            Effect::Deleted { .. } | Effect::Updated { .. } => None,
        });
    }
    found
}

fn count_words(rows: u64) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

/// Locks that stop everybody, where they were held for long enough to be felt. They are held until
/// the transaction ends.
pub(super) fn of_locks(
    traced: &[TracedStatement],
    rows: &BTreeMap<String, u64>,
    base: &Standing,
) -> Vec<Found> {
    let mut found = Vec::new();
    for (place, statement) in traced.iter().enumerate() {
        let held: u64 = traced[place..].iter().map(|one| one.trace.took_ms).sum();
        let strong = statement
            .trace
            .locks
            .iter()
            .filter(|lock| lock.mode == STOPS_ALL);
        for lock in strong.filter(|_| held >= FELT_MS) {
            let mut tables = base.relations.values();
            let table = tables.find(|r| r.quoted == lock.relation && r.kind != 'S');
            let Some(table) = table else { continue };
            let rows = rows
                .get(&lock.relation)
                .map_or(String::new(), |rows| format!(", {}", count_words(*rows)));
            found.push(Found {
                code: "held-lock",
                relation: lock.relation.clone(),
                extent: format!("{held} ms{rows}, {}", bytes(table.bytes)),
                harmless: false,
            });
        }
    }
    found
}

/// How long a file's own statements took: what was asked in between to trace them is no part of it.
pub(super) fn worked_ms(file: &AppliedFile) -> u64 {
    match file.traces.as_slice() {
        [] => file.duration_ms,
        traced => traced.iter().map(|one| one.trace.took_ms).sum(),
    }
}

/// What was done to rows, in words.
pub(super) fn row_words(effects: &[Effect]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Deleted { table, rows } => {
                Some(format!("{} of {table} deleted", count_words(*rows)))
            }
            Effect::Updated { table, rows } => {
                Some(format!("{} of {table} updated", count_words(*rows)))
            }
            Effect::Emptied { table } => Some(format!("{table} emptied")),
            Effect::Rewritten { table, bytes: size } => {
                Some(format!("{table} written anew, {}", bytes(*size)))
            }
            Effect::Dropped { .. } | Effect::ColumnDropped { .. } => None,
        })
        .map(|words| clean_line(&words))
        .collect()
}

/// Keeps count of rows from one look to the next.
pub(super) fn count(rows: &mut BTreeMap<String, u64>, before: &Standing, now: &Standing) {
    let mut counted = BTreeMap::new();
    for (oid, relation) in &now.relations {
        let was = before.relations.get(oid);
        let held = was.map_or(Some(0), |was| rows.get(&was.quoted).copied());
        let Some(held) = held else { continue };
        let inserted = relation.inserted - was.map_or(0, |was| was.inserted);
        let deleted = relation.deleted - was.map_or(0, |was| was.deleted);
        let held = held
            .saturating_add_signed(inserted.max(0))
            .saturating_sub(deleted.max(0) as u64);
        counted.insert(relation.quoted.clone(), held);
    }
    *rows = counted;
}

/// Says which hazards refuse.
pub(super) struct Judge<'a> {
    pub(super) gate: &'a Rehearse,
    pub(super) context: &'a Context,
    pub(super) file: &'a PlannedFile,
}

impl Judge<'_> {
    pub(super) fn judge(&self, found: Found) -> Option<SeenHazard> {
        let told = hazard::hazards(&self.file.script.text);
        let same = told
            .iter()
            .find(|told| told.code == found.code && is_of(told, &found.relation));
        let hidden = same.is_none();
        let (place, statement) = match same {
            Some(told) => ((told.line, told.column), told.statement.clone()),
            None => self.likely(),
        };
        let relation = clean_line(&found.relation);
        let hazard = hazard::seen(found.code, place, &statement, &relation)?;
        let denied = self
            .gate
            .deny
            .iter()
            .any(|class| class == hazard.class.word());
        let allowed = self.allowed(found.code);
        Some(SeenHazard {
            refused: denied && allowed.is_none() && !found.harmless,
            extent: found.extent,
            hidden,
            allowed,
            hazard,
        })
    }

    /// Why the runbook allows a hazard in this file: here, or in a lint gate.
    fn allowed(&self, code: &str) -> Option<String> {
        let context = self.context;
        let is_this = |file: &str| same_path(&context.fill(file), &self.file.name);
        let here = self.gate.allow.iter();
        let here = here.filter(|allow| allow.hazard == code && is_this(&allow.file));
        let lints = context.runbook.gates().filter_map(|gate| match &gate.kind {
            Kind::Lint(lint) => Some(lint.allow.iter()),
            _ => None,
        });
        let lints = lints.flatten();
        let there = lints.filter(|allow| allow.hazard == code && is_this(&allow.file));
        here.map(|allow| allow.reason.clone())
            .chain(there.map(|allow| allow.reason.clone()))
            .next()
    }

    /// The statement that most likely did what no text says.
    fn likely(&self) -> ((usize, usize), String) {
        let script = &self.file.script;
        let statements = 0..script.statements.len();
        let opaque = |index: &usize| {
            let first = script.statement(*index).split_whitespace().next();
            first.is_some_and(|word| OPAQUE.iter().any(|o| word.eq_ignore_ascii_case(o)))
        };
        let index = statements.clone().find(opaque).unwrap_or(0);
        let line = script.statements.get(index).map_or(1, |s| s.line);
        let statement = match script.statements.is_empty() {
            true => String::new(),
            false => crate::untrusted::clip(&clean_line(script.statement(index)), 200),
        };
        ((line, 1), statement)
    }
}

/// Tells whether a hazard of the text is about that relation, which the text may name in part.
pub(in crate::gate) fn is_of(told: &Hazard, relation: &str) -> bool {
    let plain = |name: &str| name.replace('"', "").to_lowercase();
    let Some(named) = &told.relation else {
        return false;
    };
    let (named, relation) = (plain(named), plain(relation));
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    relation == named
        || relation.ends_with(&format!(".{named}"))
        || last(&named) == last(&relation)
        // A column's hazard names its table.
        || relation.rsplit_once('.').is_some_and(|(table, _)| last(table) == last(&named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(name: &str) -> Effect {
        Effect::Dropped {
            kind: 'r',
            name: name.to_owned(),
        }
    }

    #[test]
    fn what_was_there_before_is_a_loss_and_what_was_just_made_is_none() {
        let rows = BTreeMap::from([("app.t".to_owned(), 7), ("app.e".to_owned(), 0)]);
        let effects = [dropped("app.t"), dropped("app.e"), dropped("app.new")];
        let found = of_effects(&effects, &rows, |name| name != "app.new");
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].code, found[0].extent.as_str()),
            ("DS102", "7 rows")
        );
        assert!(!found[0].harmless);
        assert!(found[1].harmless, "nothing is lost with an empty table");
    }

    #[test]
    fn deleting_all_is_a_hazard_and_deleting_some_is_told() {
        let rows = BTreeMap::from([("app.t".to_owned(), 7)]);
        let deleted = |rows| Effect::Deleted {
            table: "app.t".to_owned(),
            rows,
        };
        assert_eq!(of_effects(&[deleted(7)], &rows, |_| true).len(), 1);
        assert!(of_effects(&[deleted(6)], &rows, |_| true).is_empty());
        assert_eq!(row_words(&[deleted(1)]), ["1 row of app.t deleted"]);
    }

    #[test]
    fn a_hazard_of_the_text_is_matched_by_name() {
        let told = &hazard::hazards("DROP TABLE t; ALTER TABLE app.u DROP COLUMN c;");
        assert!(is_of(&told[0], "app.t"));
        assert!(!is_of(&told[0], "app.other"));
        assert!(
            told.iter()
                .any(|t| t.code == "DS103" && is_of(t, "app.u.c"))
        );
    }
}
