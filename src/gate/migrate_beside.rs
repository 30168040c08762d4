//! What else goes on in the database before a migration: shown with the plan, and refused where a
//! migration would wait for it and hold everybody up.

use std::time::Duration;

use super::migrate_adopt;
use super::migrate_plan::MigrationPlan;
use super::query::unreachable;
use super::{Context, Outcome, Plan, TargetError, Tone};
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::foreign_ledger::ForeignLedger;
use crate::postgres::ledger::{self, LedgerRow};
use crate::postgres::locks::{self, Beside};
use crate::postgres::session::{Session, SessionSettings};
use crate::runbook::Migrate;

/// From this age on a transaction is worth a word.
const LONG: Duration = Duration::from_secs(60);

/// Looks.
async fn look(session: &Session) -> Result<Beside, PostgresError> {
    locks::beside(session, LONG).await
}

/// Adds what was seen to a plan.
pub(super) fn describe(plan: &mut Plan, gate: &Migrate, beside: &Beside) {
    for dump in &beside.dumps {
        let tone = if gate.queueing.beside_dumps {
            Tone::Warning
        } else {
            Tone::Bad
        };
        plan.line(tone, format!("a dump is at work: {}", dump.words()));
    }
    for one in &beside.long {
        let text = format!(
            "open for more than {}: {}, {}",
            locks::whole(LONG),
            one.words(),
            one.state
        );
        plan.line(Tone::Warning, text);
    }
    for prepared in &beside.prepared {
        let text = format!(
            "prepared transaction `{}` of {}, for {}: it keeps its locks",
            prepared.gid,
            prepared.owner,
            locks::age(prepared.age_ms)
        );
        plan.line(Tone::Warning, text);
    }
    for standby in &beside.standbys {
        plan.line(Tone::Plain, format!("standby {}", standby.words()));
    }
    if plan.refuses.is_none() {
        plan.refuses = refused(gate, beside).map(|finding| finding.summary);
    }
}

/// Looks once more before anything is run; gives why nothing is.
pub(super) async fn check(
    gate: &Migrate,
    session: &Session,
    migration: &MigrationPlan,
) -> Option<Outcome> {
    migration.pending().next()?;
    match look(session).await {
        Err(error) => Some(unreachable(&gate.target, &error.into())),
        Ok(beside) => refused(gate, &beside).map(Outcome::of),
    }
}

/// Why nothing is started beside what was seen, if so.
fn refused(gate: &Migrate, beside: &Beside) -> Option<Finding> {
    if gate.queueing.beside_dumps {
        return None;
    }
    let first = beside.dumps.first()?;
    let mut finding = Finding::failed(format!(
        "a dump of the database is at work: pid {}",
        first.pid
    ));
    for dump in &beside.dumps {
        finding = finding.because(dump.words());
    }
    Some(
        finding
            .because(
                "it has a lock on every table until it ends; what waits for it holds everybody up",
            )
            .because("nothing was run")
            .can("let it end, then press r")
            .can("dumps = \"allow\" in the runbook goes on beside it; lock_timeout still holds"),
    )
}

/// What the database says of the files that were applied.
pub(super) struct Records {
    pub(super) rows: Vec<LedgerRow>,
    /// What other tools have recorded, where that counts.
    pub(super) foreign: Vec<ForeignLedger>,
}

/// Asks for the ledger.
pub(super) async fn ask(
    gate: &Migrate,
    context: &Context,
) -> Result<(Records, Session), TargetError> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let (session, _) = context
        .targets
        .open(&gate.target, &context.gate.id, settings)
        .await?;
    let rows = ledger::rows(&session).await?;
    let foreign = migrate_adopt::read(gate, context, &session, &rows).await?;
    Ok((Records { rows, foreign }, session))
}

/// Asks what else goes on in the database, where so many files are not all in the ledger.
pub(super) async fn beside(
    gate: &Migrate,
    session: &Session,
    records: &Records,
    files: usize,
) -> Result<Beside, PostgresError> {
    match records.rows.len() < files || !gate.undoes.is_empty() {
        true => look(session).await,
        false => Ok(Beside::default()),
    }
}
