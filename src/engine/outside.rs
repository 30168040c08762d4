//! What reaches a run from outside: a plan that somebody gives, and the flag that keeps migrations
//! from running.

use std::time::Duration;

use super::actor::Engine;
use super::handle::CommandError;
use crate::digest::digest;
use crate::gate::{PLANS_GIVEN, disabled};
use crate::promotion::{Actor, Command, FlagSays, Moment, decide};
use crate::runbook::DisabledBy;
use crate::sql::elsewhere;

/// How often a file is looked at that can keep migrations from running.
const LOOK: Duration = Duration::from_secs(2);

/// The times at which the flag is looked at by itself.
pub(super) struct Looks(Option<tokio::time::Interval>);

impl Looks {
    /// The variables of a process do not change while it runs; a file does.
    pub(super) fn of(by: &DisabledBy) -> Looks {
        let changes = matches!(by, DisabledBy::Line { .. });
        Looks(changes.then(|| {
            let mut interval = tokio::time::interval(LOOK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            interval
        }))
    }

    /// Waits for the next one; for ever where there is none.
    pub(super) async fn next(&mut self) {
        match &mut self.0 {
            Some(interval) => {
                interval.tick().await;
            }
            None => std::future::pending().await,
        }
    }
}

impl Engine {
    /// Looks at the flag, and records what is news. Tells whether anything was.
    pub(super) fn look_at_flag(&mut self) -> bool {
        if self.run.status.is_terminal() || self.view.journal_error.is_some() {
            return false;
        }
        let by = &self.runbook.migrations_disabled_by;
        let vars = &self.runbook.vars;
        let says = disabled::look(by, &self.base, vars, |name| self.targets.variable(name));
        let flag = by.words();
        let known = self.run.migrations.as_ref();
        if says == *known.map_or(&FlagSays::Enabled, |known| &known.says) {
            return false;
        }
        self.record_gathered();
        self.own_command(&Command::SeeFlag { flag, says });
        // What was planned before says something else now.
        self.view.plans.clear();
        true
    }

    /// Keeps a plan that somebody gives, and records that it was given. Its text is on the disk
    /// before the journal names it.
    pub(super) fn take_plan(
        &mut self,
        gate: &str,
        text: &[u8],
        actor: &Actor,
    ) -> Result<(), CommandError> {
        if let Some(error) = &self.view.journal_error {
            return Err(CommandError::Journal(error.clone()));
        }
        elsewhere::readable(text).map_err(CommandError::Plan)?;
        let sha256 = digest(text);
        let command = Command::PastePlan {
            gate: gate.to_owned(),
            sha256: sha256.clone(),
            bytes: text.len() as u64,
        };
        let at = Moment {
            now: jiff::Timestamp::now(),
            actor: actor.clone(),
        };
        // What may not be recorded is not kept either.
        decide(Some(&self.run), &command, &at)?;
        self.store
            .put(PLANS_GIVEN, &format!("{sha256}.txt"), text)
            .map_err(|error| CommandError::Plan(format!("it cannot be kept: {error}")))?;
        crate::system::fault::point("after_plan_kept");
        self.command(&command, actor)?;
        self.view.plans.remove(gate);
        Ok(())
    }
}
