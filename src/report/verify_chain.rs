//! Checks the records among themselves, and what they say against what folding them gives.

use std::sync::Arc;

use super::verify::Checked;
use crate::engine::Snapshot;
use crate::expectation::Verdict;
use crate::gate::Evidence;
use crate::promotion::signature::audit;
use crate::promotion::{Event, GateState, Journal, Nature, Record, Run, Tail};

/// Says how long the chain is; reading it has checked every hash.
pub(super) fn chain(journal: &Journal) -> Checked {
    let (seq, head) = journal.last();
    match journal.tail {
        Tail::Torn(bytes) => {
            let words = format!("{bytes} bytes behind it belong to no whole record");
            Checked::wrong("journal", words).at(seq + 1)
        }
        Tail::Clean | Tail::MissingLineFeed => {
            let head = &head[..12];
            Checked::good(
                "journal",
                format!("{seq} records, each follows the one before; head {head}"),
            )
        }
    }
}

/// Folds the records one by one: the run may never have gone where it must not.
pub(super) fn fold(journal: &Journal) -> Checked {
    let records = &journal.records;
    let Some(mut run) = Run::fold(&records[..records.len().min(1)]) else {
        return Checked::wrong("run", "the journal opens no run").at(1);
    };
    for record in records.iter().skip(1) {
        if let Some(words) = impossible(&run, record) {
            return Checked::wrong("run", words).at(record.seq);
        }
        run.apply(record);
    }
    let (through, gates) = run.progress();
    let status = run.status.word();
    Checked::good(
        "run",
        format!("{status}, {through} of {gates} gates let it through"),
    )
}

/// What a record says that cannot have been, if so.
fn impossible(run: &Run, record: &Arc<Record>) -> Option<String> {
    let late = run.status.is_terminal() && !run.rejected_may_go_back();
    match &record.event {
        Event::RunOpened { .. } => Some("the run is opened a second time".to_owned()),
        Event::GateStarted { gate, .. } => {
            if late {
                return Some(format!("gate `{gate}` starts after the run has ended"));
            }
            let blocking = run.blocking(gate)?;
            let word = blocking.state.word();
            Some(format!(
                "gate `{gate}` starts while `{}` before it is {word}",
                blocking.id
            ))
        }
        Event::GateFinished { gate, finding, .. } => {
            let state = run.gate(gate)?.state;
            let began = matches!(state, GateState::Running);
            let passed = finding.verdict == Verdict::Passed;
            if passed && !began {
                return Some(format!("gate `{gate}` passes, and it was {}", state.word()));
            }
            passed.then(|| unfinished(run, gate)).flatten()
        }
        Event::RunClosed => {
            let open = run.current()?;
            let word = open.state.word();
            Some(format!(
                "the run is closed while gate `{}` is {word}",
                open.id
            ))
        }
        _ => None,
    }
}

/// What people had not said yet at a gate that passes.
fn unfinished(run: &Run, gate: &str) -> Option<String> {
    let record = run.gate(gate)?;
    match &run.definition_of(gate)?.nature {
        Nature::SignOff {
            roles, keys: false, ..
        } => {
            let said = |role: &&String| record.statements.iter().any(|said| said.role == **role);
            let missing = roles.iter().find(|role| !said(role))?;
            Some(format!(
                "gate `{gate}` passes, and `{missing}` has not signed"
            ))
        }
        Nature::Items(items) => {
            let confirmed = record.items.iter().filter(|item| item.is_some()).count();
            (confirmed < items.len()).then(|| {
                format!(
                    "gate `{gate}` passes on {confirmed} of {} items",
                    items.len()
                )
            })
        }
        _ => None,
    }
}

/// Verifies every signature that counted, as the run stood when it came.
pub(super) fn signatures(journal: &Journal) -> Option<Checked> {
    let what = "signatures";
    match audit(&journal.records) {
        Ok(signed) if signed.is_empty() => None,
        Ok(signed) => {
            let words = "verify: the person's key, the role, the very bytes, in time";
            Some(Checked::good(what, format!("{} {words}", signed.len())))
        }
        Err((seq, why)) => Some(Checked::wrong(what, why).at(seq)),
    }
}

/// Judges what can be judged again from the evidence alone.
pub(super) fn verdicts(snapshot: &Snapshot) -> Checked {
    let mut judged = 0;
    for gate in &snapshot.run.gates {
        let evidence = snapshot.evidence.get(&gate.id).map(AsRef::as_ref);
        let (Some(Evidence::Query { expect, answer, .. }), Some(said)) = (evidence, &gate.finding)
        else {
            continue;
        };
        if gate.state != GateState::Passed {
            continue;
        }
        judged += 1;
        let now = expect.judge(answer).verdict;
        if now != said.verdict {
            let words = format!(
                "gate `{}` passed, and its evidence says {}",
                gate.id,
                now.word()
            );
            return Checked::wrong("verdicts", words);
        }
    }
    Checked::good(
        "verdicts",
        format!("{judged} were judged again from their evidence, and agree"),
    )
}
