//! The SQL that Alembic would run, without running it: one text for each revision, and its hazards.

use super::call::{Call, failed};
use super::sight::Sight;
use crate::alembic::answer::Trouble;
use crate::expectation::Finding;
use crate::gate::LintSeen;
use crate::gate::lint_survey::linted;
use crate::runbook::Lint;

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

    fn parts(&self, text: &str) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
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
            part.sql = without_bookkeeping(&part.sql, &self.described.version_table);
        }
        parts
    }

    /// Looks for hazards in it.
    pub(super) fn linted(&self, offline: &Offline) -> LintSeen {
        let rules = self.rules();
        let parts = offline.parts.iter();
        LintSeen {
            deny: self.gate.deny.clone(),
            files: parts
                .map(|part| linted(&rules, self.context, part.file.clone(), &part.sql))
                .collect(),
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

/// Takes out what Alembic writes about itself: its version table is not part of what is judged.
fn without_bookkeeping(sql: &str, table: &str) -> String {
    let own = |line: &str| {
        let line = line.trim();
        let about = |verb: &str| {
            line.strip_prefix(verb).is_some_and(|rest| {
                let named = rest.trim_start().split([' ', ';', '(']).next();
                named.is_some_and(|n| n == table || n.ends_with(&format!(".{table}")))
            })
        };
        ["BEGIN;", "COMMIT;"].contains(&line)
            || about("INSERT INTO ")
            || about("UPDATE ")
            || about("DELETE FROM ")
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
        let sql =
            "DROP TABLE t;\n\nUPDATE alembic_version SET version_num='b' WHERE 1=1;\n\nCOMMIT;\n";
        assert_eq!(
            without_bookkeeping(sql, "alembic_version"),
            "DROP TABLE t;\n"
        );
        let other = "DELETE FROM alembic_versions_of_mine;";
        assert!(without_bookkeeping(other, "alembic_version").contains(other));
    }
}
