//! Asks who has seen a run, before it is gone on with: a journal that was put back, or written anew,
//! is only looked at.

use std::sync::Arc;
use std::time::Duration;

use super::open::{OpenError, OpenOptions};
use crate::control::watch::witnessed;
use crate::control::{Address, remembered};
use crate::promotion::{Behind, Event, Record, Witness, judge};
use crate::runbook::Runbook;

/// How long opening waits for the control schema. What answers later is found out by the copy.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Compares the journal with what is remembered on this machine and in the control schema.
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
    witnesses.extend(in_schema(runbook, run, options));
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

fn in_schema(runbook: &Runbook, run: &str, options: &OpenOptions) -> Option<Witness> {
    let address = Address::of(runbook.control.as_ref()?, &options.surroundings).ok()?;
    let (place, run) = (address.describe(), run.to_owned());
    // Whoever opens a run may be inside of a runtime, where another one cannot be waited for.
    let asked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        runtime.block_on(async {
            let asked = tokio::time::timeout(PATIENCE, witnessed(&address, &run));
            asked.await.ok()?.ok()?
        })
    });
    let (seq, hash) = asked.join().ok()??;
    let place = format!("the control schema in {place}");
    Some(Witness { seq, hash, place })
}
