//! Asks the databases of a run whether their ledgers remember the same journal.

use std::collections::BTreeSet;

use super::verify::Checked;
use crate::control::Address;
use crate::control::watch::witnessed;
use crate::engine::Snapshot;
use crate::gate::{Evidence, FileState, Targets};
use crate::postgres::environment::Environment;
use crate::postgres::ledger_heads::{self, LedgerHead};
use crate::postgres::session::SessionSettings;
use crate::promotion::{Record, Witness, judge};
use crate::runbook::Control;

/// Compares the ledger of every target that the run migrated with the journal. A database that
/// cannot be asked from here is said, and does not count.
pub async fn ask_databases(snapshot: &Snapshot, surroundings: Environment) -> Vec<Checked> {
    let run = &snapshot.run;
    let runbook = &snapshot.runbook;
    let migrated: BTreeSet<&str> = run
        .definition
        .gates()
        .filter(|gate| gate.migrates)
        .filter_map(|gate| runbook.gate(&gate.id)?.kind.target())
        .collect();
    let mut checks = Vec::new();
    if let Some(control) = &runbook.control {
        checks.push(copied(control, snapshot, &surroundings).await);
    }
    let targets = Targets::new(&run.id, runbook, surroundings);
    for target in migrated {
        let what = format!("ledger of {target}");
        let asked = async {
            let settings = SessionSettings::default();
            let (session, _) = targets.open(target, "verify", settings).await?;
            let heads = ledger_heads::read(&session, &run.id).await;
            session.close().await;
            Ok::<_, crate::gate::TargetError>(heads?)
        };
        match asked.await {
            Ok(heads) => checks.push(compare(&what, target, &heads, snapshot)),
            Err(error) => checks.push(Checked::unchecked(&what, format!("not asked: {error}"))),
        }
    }
    checks
}

/// Compares the copy in the control schema with the journal: it may be behind, and never ahead.
async fn copied(control: &Control, snapshot: &Snapshot, surroundings: &Environment) -> Checked {
    let what = "control schema";
    let address = match Address::of(control, surroundings) {
        Ok(address) => address,
        Err(trouble) => return Checked::unchecked(what, format!("not asked: {trouble}")),
    };
    let place = address.describe();
    match witnessed(&address, &snapshot.run.id).await {
        Err(trouble) => Checked::unchecked(what, format!("not asked: {trouble}")),
        Ok(None) => Checked::unchecked(what, format!("nothing of this run is in {place}")),
        Ok(Some((seq, hash))) => {
            let witness = Witness {
                seq,
                hash,
                place: format!("the control schema in {place}"),
            };
            match judge(&snapshot.records, &[witness]).first() {
                Some(behind) => Checked::wrong(what, behind.words()).at(seq),
                None => Checked::good(
                    what,
                    format!("{place} has seen record {seq} of this journal"),
                ),
            }
        }
    }
}

fn compare(what: &str, target: &str, heads: &[LedgerHead], snapshot: &Snapshot) -> Checked {
    let records: &[std::sync::Arc<Record>] = &snapshot.records;
    let witnesses: Vec<Witness> = heads
        .iter()
        .map(|row| Witness {
            seq: row.journal_seq,
            hash: row.journal_head.clone(),
            place: format!("the ledger of {target} at {}", row.file),
        })
        .collect();
    if let Some(behind) = judge(records, &witnesses).into_iter().next() {
        return Checked::wrong(what, behind.words()).at(behind.witness.seq);
    }
    let restored = restored(target, snapshot);
    for (file, nonce, checksum) in applied(target, snapshot) {
        let row = heads.iter().find(|row| row.nonce == nonce);
        match row {
            None if restored => {}
            None => {
                let words = format!("{file} was applied by this run, and its row is not there");
                return Checked::wrong(what, words);
            }
            Some(row) if row.checksum != checksum => {
                let words = format!(
                    "{file} was applied with {checksum}, its row says {}",
                    row.checksum
                );
                return Checked::wrong(what, words);
            }
            Some(_) => {}
        }
    }
    let words = match heads.len() {
        0 if restored => "the run brought an earlier state back, with an earlier ledger".to_owned(),
        0 => "it has no row of this run".to_owned(),
        rows => format!("{rows} rows remember this journal"),
    };
    Checked::good(what, words)
}

/// Tells whether the run replaced the target as a whole, and its ledger with it.
fn restored(target: &str, snapshot: &Snapshot) -> bool {
    let replaced = |evidence: &Evidence| match evidence {
        Evidence::Restore { target: of, .. } | Evidence::Clone { target: of, .. } => of == target,
        _ => false,
    };
    let gates = snapshot.run.gates.iter();
    gates.filter(|gate| gate.state.advances()).any(|gate| {
        let evidence = snapshot.evidence.get(&gate.id);
        evidence.is_some_and(|evidence| replaced(evidence))
    })
}

/// The files that the run's evidence says were applied to a target: name, key, checksum.
fn applied<'a>(
    target: &'a str,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    let files = snapshot
        .evidence
        .values()
        .filter_map(move |evidence| match evidence.as_ref() {
            Evidence::Migrate {
                target: of, files, ..
            } if of == target => Some(files),
            _ => None,
        });
    files
        .flatten()
        .filter(|file| file.state == FileState::Applied)
        .map(|file| {
            (
                file.file.as_str(),
                file.nonce.as_str(),
                file.checksum.as_str(),
            )
        })
}
