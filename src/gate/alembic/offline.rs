//! The SQL that Alembic would run, without running it: one text for each revision, and its hazards.

use super::call::{Call, failed};
use super::sight::Sight;
use crate::alembic::answer::Trouble;
use crate::expectation::Finding;
use crate::gate::lint_survey::{linted, same_path};
use crate::gate::{HazardStanding, LintSeen, LintedFile, LintedHazard};
use crate::runbook::Lint;
use crate::sql::hazard::{Hazard, HazardClass, HazardKind, Source};

/// The code of a revision whose SQL Alembic cannot say beforehand.
const UNSAID: &str = "unsaid";
/// The rules about text that does not say what it does.
const UNTOLD: [&str; 3] = ["dynamic-sql", "foreign-language", "unreadable"];

/// Where the SQL of a revision begins.
const RUNNING: &str = "-- Running ";

/// The SQL of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) revision: String,
    /// The file of the revision.
    pub(super) file: String,
    pub(super) sql: String,
}

/// The plan of a way through the history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Offline {
    pub(super) parts: Vec<Part>,
    /// Why Alembic cannot say it: then only a private copy shows what it would do.
    pub(super) unsaid: Option<String>,
}

impl Offline {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        let parts = self.parts.iter().map(|part| part.sql.as_str());
        parts.collect::<Vec<_>>().join("\n")
    }
}

impl Sight<'_> {
    /// Asks Alembic for the SQL between two places of the history.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub(super) async fn offline(
        &self,
        verb: &str,
        from: &str,
        to: &str,
    ) -> Result<Offline, Finding> {
        let range = format!("{from}:{to}");
        let call = Call {
            arguments: &[verb, &range, "--sql"],
            target: &self.gate.target,
            targets: &self.context.targets,
            acts: false,
            quiet: true,
        };
        let called = self.call(&call).await?;
        if called.too_much {
            return Err(
                Finding::failed("the SQL of the plan is longer than can be read")
                    .because("what cannot be read whole cannot be judged")
                    .because("nothing was run")
                    .can("upgrade in smaller steps: name a revision on the way"),
            );
        }
        match called.trouble {
            // A revision that asks the database what to do has nobody to ask.
            Some(trouble @ (Trouble::Broken { .. } | Trouble::Database(_))) => Ok(Offline {
                parts: Vec::new(),
                unsaid: Some(trouble.words()),
            }),
            Some(trouble) => {
                Err(failed("Alembic makes no plan", &trouble).because("nothing was run"))
            }
            None => Ok(Offline {
                parts: self.parts(&called.out),
                unsaid: None,
            }),
        }
    }

    /// The text of each revision. What comes before the first of them is env.py's.
    fn parts(&self, text: &str) -> Vec<Part> {
        let mut parts: Vec<Part> = vec![Part {
            revision: String::new(),
            file: "env.py".to_owned(),
            sql: String::new(),
        }];
        for line in text.lines() {
            if let Some(words) = line.strip_prefix(RUNNING) {
                let revision = named(words).unwrap_or_default();
                let file = self.graph().find(&revision).map(|found| found.file.clone());
                parts.push(Part {
                    file: file.unwrap_or_else(|| revision.clone()),
                    revision,
                    sql: String::new(),
                });
            } else if let Some(part) = parts.last_mut() {
                part.sql.push_str(line);
                part.sql.push('\n');
            }
        }
        for part in &mut parts {
            part.sql = self.without_bookkeeping(&part.sql);
        }
        parts.retain(|part| !part.revision.is_empty() || !part.sql.trim().is_empty());
        parts
    }

    /// Takes out what Alembic writes about itself: its version table is not part of what is judged.
    pub(super) fn without_bookkeeping(&self, sql: &str) -> String {
        let table = &self.described.version_table;
        let table = table.rsplit('.').next().unwrap_or(table);
        without_bookkeeping(sql, table, |id| self.graph().find(id).is_some())
    }

    /// Looks for hazards in a text of a revision. What cannot be told refuses here, too: a private
    /// copy has no rows, so nobody would see what it does to them.
    pub(super) fn judged(&self, file: &str, sql: &str) -> LintedFile {
        let rules = self.rules();
        let mut linted = linted(&rules, self.context, file.to_owned(), sql);
        for one in &mut linted.hazards {
            if UNTOLD.contains(&one.hazard.code.as_str()) && self.refuses_untold() {
                one.standing = self.standing_of(&one.hazard.code, file);
            }
        }
        linted
    }

    /// In a rehearsal the rows are there, and what becomes of them is seen.
    fn refuses_untold(&self) -> bool {
        !self.gate.deny.is_empty() && !self.context.traced
    }

    /// What becomes of something that refuses unless the runbook allows it in that file.
    fn standing_of(&self, code: &str, file: &str) -> HazardStanding {
        let mut allowed = self.gate.allow.iter();
        let allowed = allowed
            .find(|allow| allow.hazard == code && same_path(&self.context.fill(&allow.file), file));
        match allowed {
            Some(allow) => HazardStanding::Conditional {
                target: allow.target.clone(),
                predicate: allow.predicate.clone(),
            },
            None => HazardStanding::Refused,
        }
    }

    /// Checks that the text covers the way: a plan that says less than what runs is none.
    pub(super) fn covered(&self, offline: &mut Offline, steps: &[String]) {
        let lacking = steps.iter().filter(|step| {
            let mut parts = offline.parts.iter();
            !parts.any(|part| part.revision == **step)
        });
        let lacking: Vec<&str> = lacking.map(String::as_str).collect();
        if offline.unsaid.is_none() && !lacking.is_empty() {
            offline.unsaid = Some(format!(
                "what it says has nothing of {}",
                lacking.join(", ")
            ));
        }
    }

    /// A revision that does not say its SQL is refused like a hazard, for what it does may depend on
    /// rows that no copy has. It is allowed by its file, with hazard = "unsaid".
    fn unsaid(&self, offline: &Offline, steps: &[String]) -> Vec<LintedFile> {
        let Some(reason) = &offline.unsaid else {
            return Vec::new();
        };
        let told = |step: &&String| offline.parts.iter().any(|part| part.revision == **step);
        let steps = steps.iter().filter(|step| !told(step));
        steps
            .filter_map(|step| self.graph().find(step))
            .filter(|revision| !revision.empty)
            .map(|revision| LintedFile {
                file: revision.file.clone(),
                sha256: String::new(),
                statements: 0,
                hazards: vec![LintedHazard {
                    standing: match self.refuses_untold() {
                        false => HazardStanding::Shown,
                        true => self.standing_of(UNSAID, &revision.file),
                    },
                    hazard: Hazard {
                        class: HazardClass::CannotTell,
                        kind: HazardKind::HasUntrackableDependencies,
                        code: UNSAID.to_owned(),
                        message: format!("Alembic cannot say its SQL: {reason}"),
                        instead:
                            "write the revision so that `alembic upgrade --sql` can say it, or \
                                  allow it by its file with hazard = \"unsaid\""
                                .to_owned(),
                        line: 1,
                        column: 1,
                        statement: format!("revision {}", revision.id),
                        relation: None,
                        when_called: None,
                        source: Source::Text,
                    },
                }],
            })
            .collect()
    }

    /// Looks for hazards in it.
    pub(super) fn linted(&self, offline: &Offline, steps: &[String]) -> LintSeen {
        let parts = offline.parts.iter();
        let mut files: Vec<LintedFile> = parts
            .map(|part| self.judged(&part.file, &part.sql))
            .collect();
        files.extend(self.unsaid(offline, steps));
        LintSeen {
            deny: self.gate.deny.clone(),
            files,
            ..LintSeen::default()
        }
    }

    /// What refuses and what is allowed, as a lint knows it.
    pub(super) fn rules(&self) -> Lint {
        Lint {
            files: Vec::new(),
            deny: self.gate.deny.clone(),
            allow: self.gate.allow.clone(),
            boundary: Vec::new(),
            plan: None,
            recovery: Vec::new(),
        }
    }
}

/// The revision that a line such as `upgrade a -> b` leads through: on the way back it is the first.
fn named(words: &str) -> Option<String> {
    let back = words.starts_with("downgrade");
    let (_, way) = words.split_once(' ')?;
    let (from, to) = way.split_once("->")?;
    let id = if back { from } else { to };
    let id = id.split([',', ' ']).find(|word| !word.is_empty())?;
    Some(id.to_owned())
}

/// Takes out the lines that are, from end to end, what Alembic writes into its version table.
fn without_bookkeeping(sql: &str, table: &str, known: impl Fn(&str) -> bool) -> String {
    let table = format!(r#"(?:"?\w+"?\.)?"?{}"?"#, regex::escape(table));
    let forms = [
        format!(
            r"INSERT INTO {table} \(version_num\) VALUES \('([^']+)'\)(?: RETURNING {table}\.version_num)?"
        ),
        format!(r"UPDATE {table} SET version_num='([^']+)' WHERE {table}\.version_num = '([^']+)'"),
        format!(r"DELETE FROM {table} WHERE {table}\.version_num = '([^']+)'"),
    ];
    let form = regex::Regex::new(&format!("^(?:{});?$", forms.join("|"))).ok();
    let own = |line: &str| {
        let line = line.trim();
        ["BEGIN;", "COMMIT;"].contains(&line)
            || form
                .as_ref()
                .and_then(|form| form.captures(line))
                .is_some_and(|found| {
                    let mut ids = found.iter().skip(1).flatten();
                    ids.all(|id| known(id.as_str()))
                })
    };
    let kept: Vec<&str> = sql.lines().filter(|line| !own(line)).collect();
    format!("{}\n", kept.join("\n").trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_revision_that_is_applied_or_taken_back() {
        let named = |words: &str| named(words).unwrap();
        assert_eq!(named("upgrade  -> aaaa"), "aaaa");
        assert_eq!(named("upgrade aaaa -> bbbb"), "bbbb");
        assert_eq!(named("upgrade aaaa, bbbb -> cccc, words"), "cccc");
        assert_eq!(named("downgrade bbbb -> aaaa"), "bbbb");
        assert_eq!(named("downgrade aaaa -> "), "aaaa");
    }

    #[test]
    fn alembics_own_rows_are_no_hazard() {
        let without = |sql: &str| without_bookkeeping(sql, "alembic_version", |id| id.len() == 4);
        for own in [
            "UPDATE alembic_version SET version_num='bbbb' WHERE alembic_version.version_num = 'aaaa';",
            "INSERT INTO alembic_version (version_num) VALUES ('aaaa') RETURNING alembic_version.version_num;",
            "INSERT INTO meta.alembic_version (version_num) VALUES ('aaaa');",
            "DELETE FROM alembic_version WHERE alembic_version.version_num = 'aaaa';",
            "COMMIT;",
        ] {
            let text = format!("DROP TABLE t;\n\n{own}\n");
            assert_eq!(without(&text), "DROP TABLE t;\n", "{own}");
        }
        for other in [
            "DELETE FROM alembic_versions_of_mine;",
            "DELETE FROM alembic_version WHERE false; DELETE FROM agents;",
            "DELETE FROM alembic_version;",
            "UPDATE alembic_version SET version_num='other' WHERE alembic_version.version_num = 'aaaa';",
        ] {
            assert!(without(other).contains(other), "{other}");
        }
    }
}
