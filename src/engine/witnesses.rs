//! Asks who has seen a run, before it is gone on with: a journal that was put back, or written anew,
//! is only looked at.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::open::{OpenError, OpenOptions};
use crate::control::watch::witnessed;
use crate::control::{Address, remembered};
use crate::gate::Targets;
use crate::postgres::ledger_heads::{self, LedgerHead};
use crate::postgres::session::{Session, SessionSettings};
use crate::promotion::{Behind, Event, Record, Witness, judge};
use crate::runbook::Runbook;

/// How long opening waits for a database. What answers later is found out by whoever works with it.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Compares the journal with what is remembered on this machine, in the control schema, and in the
/// ledgers of the databases.
///
/// # Errors
/// [`OpenError::Behind`] when a witness has seen more, or something else;
/// [`OpenError::HandedOver`] when the journal says that the conn is elsewhere.
pub(super) fn ask(
    runbook: &Runbook,
    run: &str,
    records: &[Arc<Record>],
    options: &OpenOptions,
) -> Result<(), OpenError> {
    if let Some(Event::ConnHandedOver { to, epoch: Some(_) }) = last_of_conn(records) {
        let (run, to) = (run.to_owned(), crate::untrusted::clean_line(to));
        return Err(OpenError::HandedOver { run, to });
    }
    let mut witnesses: Vec<Witness> = remembered::read(&options.runs_folder, run)
        .into_iter()
        .collect();
    let schema = in_schema(runbook, run, options);
    let ledgers = in_ledgers(runbook, run, options);
    witnesses.extend(schema.join().ok().flatten());
    witnesses.extend(ledgers.join().unwrap_or_default());
    let behind = judge(records, &witnesses);
    if behind.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = behind.iter().map(Behind::words).collect();
    Err(OpenError::Behind {
        run: run.to_owned(),
        words: words.join("; "),
    })
}

/// The last time that the conn went from one terminal to another.
fn last_of_conn(records: &[Arc<Record>]) -> Option<&Event> {
    let events = records.iter().rev().map(|record| &record.event);
    events.into_iter().find(|event| {
        matches!(
            event,
            Event::ConnHandedOver { .. } | Event::ConnTaken { .. }
        )
    })
}

/// Asks beside us: whoever opens a run may be inside of a runtime, where another one cannot be
/// waited for.
fn beside<T, F>(ask: F) -> JoinHandle<T>
where
    T: Default + Send + 'static,
    F: AsyncFnOnce() -> T + Send + 'static,
{
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.map_or_else(|_| T::default(), |runtime| runtime.block_on(ask()))
    })
}

fn in_schema(runbook: &Runbook, run: &str, options: &OpenOptions) -> JoinHandle<Option<Witness>> {
    let control = runbook.control.as_ref();
    let address = control.and_then(|control| Address::of(control, &options.surroundings).ok());
    let run = run.to_owned();
    beside(async move || {
        let address = address?;
        let asked = tokio::time::timeout(PATIENCE, witnessed(&address, &run));
        let (seq, hash) = asked.await.ok()?.ok()??;
        let place = format!("the control schema in {}", address.describe());
        Some(Witness { seq, hash, place })
    })
}

/// What the ledgers of the databases that the run migrates remember of it. One that does not answer
/// in time is asked again by the gate that works on it.
fn in_ledgers(runbook: &Runbook, run: &str, options: &OpenOptions) -> JoinHandle<Vec<Witness>> {
    let gates = runbook.phases.iter().flat_map(|phase| &phase.gates);
    let migrated = gates.filter(|gate| gate.kind.migrates());
    let names: BTreeSet<String> = migrated
        .filter_map(|gate| gate.kind.target().map(str::to_owned))
        .collect();
    let targets = Targets::new(run, runbook, options.surroundings.clone());
    let run = run.to_owned();
    beside(async move || {
        let mut asked = tokio::task::JoinSet::new();
        for name in names {
            let (targets, run) = (targets.clone(), run.clone());
            asked.spawn(async move {
                let heads = tokio::time::timeout(PATIENCE, remembered_by(&targets, &name, &run));
                heads.await.ok().flatten().unwrap_or_default()
            });
        }
        asked.join_all().await.concat()
    })
}

async fn remembered_by(targets: &Targets, name: &str, run: &str) -> Option<Vec<Witness>> {
    let info = targets.conninfo(name).ok()?;
    let settings = SessionSettings {
        application_name: targets.application_name("witness"),
        read_only: true,
        ..SessionSettings::default()
    };
    let session = Session::open(&info, &settings).await.ok()?;
    let heads = ledger_heads::read(&session, run).await;
    session.close().await;
    let witness = |row: LedgerHead| Witness {
        seq: row.journal_seq,
        hash: row.journal_head,
        place: format!("the ledger of {name}, at {},", row.file),
    };
    Some(heads.ok()?.into_iter().map(witness).collect())
}
