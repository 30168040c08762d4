//! Tries a way through the history on a private copy of the target's schema, revision by revision,
//! so that what each takes away is known by its effect.

use std::collections::BTreeMap;

use super::audit::differences;
use super::call::Call;
use super::seen::{DatabaseSeen, Tried};
use super::sight::Sight;
use crate::expectation::Finding;
use crate::gate::drift::DriftOptions;
use crate::gate::rehearse::{Copied, copy_of, is_of};
use crate::gate::{LintSeen, LintedHazard, change_words, lint_survey};
use crate::postgres::PostgresError;
use crate::postgres::effects::{self, Effect};
use crate::postgres::ledger::literal;
use crate::schema::Snapshot;
use crate::sql::hazard;
use crate::untrusted::clean_line;

/// What was found on a copy.
#[derive(Default)]
pub(super) struct Found {
    /// What each revision took away from what was there before all of them.
    pub(super) removed: BTreeMap<String, Vec<Effect>>,
    /// The statements that were executed for each revision, as the server logged them.
    pub(super) executed: BTreeMap<String, String>,
    /// The schema at the end.
    pub(super) after: Option<Snapshot>,
}

impl Sight<'_> {
    /// A private copy, at these versions. Its version table is that of a copy, so it may be filled.
    pub(super) async fn copy(&self, here: &DatabaseSeen) -> Result<Copied, Finding> {
        let copied = copy_of(&self.gate.target, self.context).await?;
        let versions = &here.versions;
        let table = here.relation.as_deref().unwrap_or_default();
        for version in versions {
            let sql = format!(
                "INSERT INTO {table} (version_num) VALUES ({})",
                literal(version)
            );
            if let Err(error) = copied.admin().client.batch_execute(&sql).await {
                let reason = PostgresError::from(error).to_string();
                copied.remove().await;
                return Err(Finding::errored("the private copy could not be made")
                    .because(clean_line(&reason))
                    .because("nothing was run")
                    .can("mend what it says; scratch = false goes without a copy"));
            }
        }
        let led = self.leads_elsewhere(copied.targets(), versions).await;
        let refused = match led {
            Ok(None) => match copied.log_statements().await {
                Ok(()) => return Ok(copied),
                Err(reason) => Finding::errored("the private copy could not be made")
                    .because(clean_line(&reason))
                    .because("nothing was run"),
            },
            Ok(Some(reason)) => self.elsewhere("a private copy", &reason),
            Err(finding) => finding,
        };
        copied.remove().await;
        Err(refused)
    }

    /// Upgrades a copy to `goals` and compares it with what it should be then.
    pub(super) async fn try_upgrade(
        &self,
        goals: &[&str],
        here: &DatabaseSeen,
        wanted: Option<&Snapshot>,
    ) -> Result<Tried, Finding> {
        let copied = self.copy(here).await?;
        let mut found = Found::default();
        let tried = self
            .upgrade_copy(&copied, goals, &here.versions, wanted, &mut found)
            .await;
        copied.remove().await;
        tried
    }

    /// Upgrades a copy, one revision after the other.
    pub(super) async fn upgrade_copy(
        &self,
        copied: &Copied,
        goals: &[&str],
        versions: &[String],
        wanted: Option<&Snapshot>,
        found: &mut Found,
    ) -> Result<Tried, Finding> {
        let errored = |reason: String| {
            Finding::errored("the private copy could not be read")
                .because(clean_line(&reason))
                .because("nothing was run")
        };
        let before = copied.schema().await.map_err(errored)?;
        let standing = || effects::read(copied.admin());
        let first = standing()
            .await
            .map_err(|error| errored(error.to_string()))?;
        let there: Vec<String> = goals.iter().map(|goal| (*goal).to_owned()).collect();
        let steps = match self.graph().distance(versions, &there) {
            crate::alembic::Distance::Behind(steps) => steps,
            _ => there,
        };
        let mut tried = Tried::default();
        let mut last = first.clone();
        for step in &steps {
            if let Err(reason) = self.on_copy(copied, &["upgrade", step]).await? {
                tried.failed = Some(format!("{step}: {reason}"));
                break;
            }
            let now = standing()
                .await
                .map_err(|error| errored(error.to_string()))?;
            // By its number: it may have another name by then.
            let known = |effect: &Effect| {
                let mut relations = last.relations.iter();
                let named = relations.find(|(_, relation)| relation.quoted == effect.relation());
                named.is_some_and(|(oid, _)| first.relations.contains_key(oid))
            };
            let taken = effects::between(&last, &now).into_iter().filter(|effect| {
                let takes = matches!(
                    effect,
                    Effect::Dropped { .. } | Effect::ColumnDropped { .. }
                );
                takes && known(effect)
            });
            found.removed.entry(step.clone()).or_default().extend(taken);
            let executed = copied.executed().map_err(errored)?;
            found.executed.insert(step.clone(), executed);
            last = now;
        }
        let after = copied.schema().await.map_err(errored)?;
        tried.checksum = DriftOptions::default().checksum(&after);
        let compared = DriftOptions::default().compare(&before, &after);
        tried.changes = compared.differences.iter().map(change_words).collect();
        tried.removed = found
            .removed
            .iter()
            .flat_map(|(step, effects)| {
                effects.iter().map(move |e| format!("{step}: {}", words(e)))
            })
            .collect();
        tried.differences = wanted.map(|wanted| differences(wanted, &after));
        found.after = Some(after);
        Ok(tried)
    }

    /// Takes revisions back on a copy, one after the other.
    pub(super) async fn downgrade_copy(
        &self,
        copied: &Copied,
        steps: &[String],
        found: &mut Found,
    ) -> Result<Tried, Finding> {
        let errored = |reason: String| super::guard::unreadable(reason).because("nothing was run");
        let standing = || effects::read(copied.admin());
        let mut last = standing()
            .await
            .map_err(|error| errored(error.to_string()))?;
        let mut tried = Tried::default();
        for step in steps {
            if let Err(reason) = self.on_copy(copied, &["downgrade", "-1"]).await? {
                tried.failed = Some(format!("{step}: {reason}"));
                break;
            }
            let now = standing()
                .await
                .map_err(|error| errored(error.to_string()))?;
            let taken = effects::between(&last, &now).into_iter().filter(|effect| {
                matches!(
                    effect,
                    Effect::Dropped { .. } | Effect::ColumnDropped { .. }
                )
            });
            let taken: Vec<Effect> = taken.collect();
            let said = taken
                .iter()
                .map(|effect| format!("{step}: {}", words(effect)));
            tried.removed.extend(said);
            found.removed.insert(step.clone(), taken);
            let executed = copied.executed().map_err(errored)?;
            found.executed.insert(step.clone(), executed);
            last = now;
        }
        let after = copied.schema().await.map_err(errored)?;
        tried.checksum = DriftOptions::default().checksum(&after);
        found.after = Some(after);
        Ok(tried)
    }

    /// Runs Alembic on a copy; gives why it failed there.
    pub(super) async fn on_copy(
        &self,
        copied: &Copied,
        arguments: &[&str],
    ) -> Result<Result<(), String>, Finding> {
        let call = Call {
            arguments,
            target: &self.gate.target,
            targets: copied.targets(),
            acts: true,
            quiet: false,
        };
        self.context.feed.say("on a private copy:");
        let called = self.call(&call).await?;
        Ok(match called.trouble {
            None => Ok(()),
            Some(trouble) => Err(clean_line(&trouble.words())),
        })
    }

    /// Adds what was seen to what the text says, as hazards that are refused as others are.
    pub(super) fn add_seen(&self, lint: &mut LintSeen, found: &Found) {
        let rules = self.rules();
        for (revision, executed) in &found.executed {
            self.add_executed(lint, revision, executed);
        }
        let removed = &found.removed;
        for (revision, effects) in removed {
            let Some(file) = self.graph().find(revision).map(|found| found.file.clone()) else {
                continue;
            };
            let place = lint.files.iter().position(|linted| linted.file == file);
            let place = place.unwrap_or_else(|| {
                lint.files
                    .push(lint_survey::linted(&rules, self.context, file.clone(), ""));
                lint.files.len() - 1
            });
            let Some(linted) = lint.files.get_mut(place) else {
                continue;
            };
            // Each hazard of the text speaks for one effect.
            let mut spoken: Vec<bool> = vec![false; linted.hazards.len()];
            for effect in effects {
                let (code, relation) = coded(effect);
                let of = |told: &LintedHazard| {
                    told.hazard.code == code
                        && told.hazard.when_called.is_none()
                        && is_of(&told.hazard, &relation)
                };
                let mut told = linted.hazards.iter().zip(&mut spoken);
                if let Some((_, spoken)) = told.find(|(told, spoken)| !**spoken && of(told)) {
                    *spoken = true;
                    continue;
                }
                let statement = "seen on a private copy; no statement of the plan says it";
                let Some(hazard) = hazard::seen(code, (1, 1), statement, &clean_line(&relation))
                else {
                    continue;
                };
                let standing = lint_survey::standing(&rules, self.context, &file, &hazard);
                linted.hazards.push(LintedHazard { hazard, standing });
            }
        }
    }
}

impl Sight<'_> {
    /// Adds the hazards of what was executed that the text of the plan does not have: a revision may
    /// do something else when it is only asked for its SQL.
    fn add_executed(&self, lint: &mut LintSeen, revision: &str, executed: &str) {
        let Some(file) = self.graph().find(revision).map(|found| found.file.clone()) else {
            return;
        };
        let text = self.without_bookkeeping(executed);
        let seen = self.judged(&file, &text);
        let place = lint.files.iter().position(|linted| linted.file == file);
        let Some(linted) = place.and_then(|place| lint.files.get_mut(place)) else {
            lint.files.push(seen);
            return;
        };
        let mut spoken: Vec<bool> = vec![false; linted.hazards.len()];
        let mut hidden = Vec::new();
        for one in seen.hazards {
            let same = |told: &LintedHazard| {
                told.hazard.code == one.hazard.code && told.hazard.relation == one.hazard.relation
            };
            let mut told = linted.hazards.iter().zip(&mut spoken);
            match told.find(|(told, spoken)| !**spoken && same(told)) {
                Some((_, spoken)) => *spoken = true,
                None => hidden.push(one),
            }
        }
        linted.hazards.extend(hidden);
    }
}

fn coded(effect: &Effect) -> (&'static str, String) {
    match effect {
        Effect::Dropped { kind: 'S', name } => ("drop-sequence", name.clone()),
        Effect::Dropped { kind: 'm', name } => ("drop-materialized-view", name.clone()),
        Effect::ColumnDropped { table, column } => ("DS103", format!("{table}.{column}")),
        other => ("DS102", other.relation().to_owned()),
    }
}

fn words(effect: &Effect) -> String {
    match effect {
        Effect::ColumnDropped { table, column } => format!("column {table}.{column} is dropped"),
        other => format!("{} is dropped", other.relation()),
    }
}
