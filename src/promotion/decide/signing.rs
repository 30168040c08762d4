//! Grants what is signed with keys: lets statements wait for signatures, takes what is handed in,
//! and makes void what has changed since.
//!
//! Whoever carries a signature adds nothing to it, so it may come through any front end. What is
//! refused is recorded with its reason.

use jiff::{SignedDuration, Timestamp};

use super::Decided;
use super::conditions::{definition, find, in_state, may_continue, may_move, needs_console, said};
use super::examine::{Examined, examine};
use super::people::{approved, begin_by_people, begun, rejected};
use crate::digest::digest;
use crate::promotion::signature::{
    InputRejected, Purpose, SignatureAccepted, SignaturesVoided, Signed, StatementsIssued,
    TargetSeen, WaiverSigned, evidence_digest, plan_digest, signers,
};
use crate::promotion::{
    Command, Decision, Event, GateRecord, GateState, Moment, Nature, Refusal, Run, Via,
};

pub(super) fn take(run: &Run, at: &Moment, command: &Command) -> Decided {
    if run.definition.signatures.is_none() {
        return Err(Refusal::NoKeys);
    }
    match command {
        Command::IssueStatements { .. } => issue(run, at, command),
        Command::HandIn { .. } => hand_in(run, at, command),
        Command::CheckSignatures { targets } => Ok(outdated(run, at.now, Some(targets))),
        _ => Ok(Vec::new()),
    }
}

fn issue(run: &Run, at: &Moment, command: &Command) -> Decided {
    let Command::IssueStatements {
        gate: id,
        purpose,
        reason,
        seed,
        targets,
    } = command
    else {
        return Ok(Vec::new());
    };
    let record = find(run, id)?;
    may_move(run, id)?;
    let mut events = match purpose {
        Purpose::Signoff => ask_for_signoff(run, at, record)?,
        _ => ask_for_waiver(run, at, record, (*purpose, reason))?,
    };
    if let Some(open) = record
        .signed
        .issued
        .as_ref()
        .filter(|_| record.state != GateState::Stale)
    {
        let same = open.purpose == *purpose && open.reason == said(reason);
        let changed = run.changed_since_issued(id, Some(targets));
        let why = match (changed, same) {
            (Some(why), _) => why,
            (None, _) if at.now >= open.expires => format!("they expired at {}", open.expires),
            (None, true) => return Ok(Vec::new()),
            (None, false) => "others are asked for".to_owned(),
        };
        events.push(voided(record, why));
    }
    let attempt = match events
        .iter()
        .any(|event| matches!(event, Event::GateStarted { .. }))
    {
        true => record.attempt + 1,
        false => record.attempt,
    };
    let lasts = SignedDuration::from_secs(expires_seconds(run, id, *purpose));
    let expires = at.now.checked_add(lasts).unwrap_or(Timestamp::MAX);
    let standing = run.standing(id, *purpose != Purpose::Signoff);
    events.push(Event::StatementsIssued(StatementsIssued {
        gate: id.clone(),
        attempt,
        purpose: *purpose,
        seed: seed.clone(),
        expires: Timestamp::from_second(expires.as_second()).unwrap_or(expires),
        evidence: evidence_digest(&standing),
        plan: plan_digest(&standing),
        targets: targets.clone(),
        reason: said(reason),
    }));
    Ok(events)
}

fn ask_for_signoff(run: &Run, at: &Moment, record: &GateRecord) -> Decided {
    let keys = matches!(
        definition(run, &record.id)?.nature,
        Nature::SignOff { keys: true, .. }
    );
    if !keys {
        return Err(Refusal::SignedByNames(record.id.clone()));
    }
    let record = begun(record, "signed")?;
    if at.actor.via == Via::Engine && record.state != GateState::Running {
        return Err(Refusal::NeverByItself(record.id.clone()));
    }
    Ok(begin_by_people(&record))
}

fn ask_for_waiver(
    run: &Run,
    at: &Moment,
    record: &GateRecord,
    (purpose, reason): (Purpose, &str),
) -> Decided {
    let gate = definition(run, &record.id)?;
    let rule = match purpose {
        Purpose::BreakGlass => run
            .definition
            .break_glass
            .as_deref()
            .filter(|_| gate.waivable),
        _ => gate.waiver.as_ref(),
    };
    let Some(rule) = rule else {
        return Err(match purpose {
            Purpose::BreakGlass if gate.waivable => Refusal::NoBreakGlass,
            _ => Refusal::NotWaivable(record.id.clone()),
        });
    };
    needs_console(at, || format!("waiving gate `{}`", record.id))?;
    in_state(record, "waived", GateState::may_retry)?;
    match reason.trim().chars().count() < rule.reason {
        true => Err(Refusal::ReasonTooShort(rule.reason)),
        false => Ok(Vec::new()),
    }
}

fn expires_seconds(run: &Run, id: &str, purpose: Purpose) -> i64 {
    let of_rule = match purpose {
        Purpose::Signoff => None,
        Purpose::Waiver => run.definition_of(id).and_then(|gate| gate.waiver.as_ref()),
        Purpose::BreakGlass => run.definition.break_glass.as_deref(),
    };
    let usual = run
        .definition
        .signatures
        .as_ref()
        .map(|rules| rules.expires_seconds);
    of_rule
        .map(|rule| rule.expires_seconds)
        .or(usual)
        .unwrap_or_default()
}

fn hand_in(run: &Run, at: &Moment, command: &Command) -> Decided {
    let Command::HandIn {
        text,
        from,
        received,
        targets,
    } = command
    else {
        return Ok(Vec::new());
    };
    // What is handed in to a held run is not looked at, so it is not used up either.
    may_continue(run)?;
    let mut events = outdated(run, at.now, Some(targets));
    let from = said(from);
    match examine(run, text, &events, &[*received, at.now]) {
        Ok(examined) => events.extend(accept(run, at, examined, (*received, from))?),
        Err(fault) => events.push(Event::InputRejected(InputRejected {
            gate: fault.gate,
            reason: fault.reason,
            sha256: digest(text.as_bytes()),
            from,
        })),
    }
    Ok(events)
}

/// What a signature that counts makes of its gate.
fn accept(
    run: &Run,
    at: &Moment,
    examined: Examined,
    (received, from): (Timestamp, String),
) -> Decided {
    let statement = examined.statement;
    let record = find(run, &statement.gate)?;
    // Not while the run goes back, and not past a gate that has not passed.
    may_move(run, &record.id)?;
    let words = statement.words();
    let (purpose, decision, expires) = (statement.purpose, statement.decision, statement.expires);
    let needed = run
        .signing_roles(&record.id, purpose)
        .map_or(usize::MAX, |(_, needed)| needed);
    let bytes = statement.canonical();
    let accepted = SignatureAccepted {
        gate: record.id.clone(),
        attempt: record.attempt,
        statement: String::from_utf8_lossy(&bytes).into_owned(),
        signature: examined.signature,
        fingerprint: examined.fingerprint.clone(),
        received,
        from: from.clone(),
    };
    let mut events = vec![Event::SignatureAccepted(accepted)];
    let last = record.signed.approvals() + 1 == needed;
    match (purpose, decision) {
        (Purpose::Signoff, Decision::Reject) => {
            if let Some(busy) = run.at_work() {
                return Err(Refusal::Busy(busy.id.clone()));
            }
            events.extend(rejected(record, words));
        }
        (_, Decision::Reject) => events.push(voided(record, words)),
        (Purpose::Signoff, Decision::Approve) if last => events.push(approved(record, needed)),
        (_, Decision::Approve) if last => {
            let reason = statement.reason.clone();
            let mut signed = record.signed.signatures.clone();
            signed.push(Signed {
                statement,
                fingerprint: examined.fingerprint,
                received: at.now,
                from,
            });
            events.push(waived(record, reason, &signed, (purpose, expires)));
        }
        (_, Decision::Approve) => {}
    }
    Ok(events)
}

fn waived(
    record: &GateRecord,
    reason: String,
    signed: &[Signed],
    (purpose, expires): (Purpose, Timestamp),
) -> Event {
    Event::GateWaived {
        gate: record.id.clone(),
        reason,
        signed: Some(WaiverSigned {
            by: signers(signed),
            purpose,
            expires,
        }),
    }
}

fn voided(record: &GateRecord, reason: String) -> Event {
    Event::SignaturesVoided(SignaturesVoided {
        gate: record.id.clone(),
        attempt: record.attempt,
        reason,
    })
}

/// What was signed and has changed since, or was never used in its time: it is void, and a gate that
/// it let through has to be taken again.
pub(super) fn outdated(run: &Run, now: Timestamp, targets: Option<&[TargetSeen]>) -> Vec<Event> {
    let mut events = Vec::new();
    for record in run.course() {
        let changed = run.changed_since_issued(&record.id, targets);
        let Some(reason) = changed.or_else(|| expired_unused(run, record, now)) else {
            continue;
        };
        let advances = record.state.advances();
        events.push(voided(record, reason.clone()));
        if advances {
            events.push(Event::GateWentStale {
                gate: record.id.clone(),
                reason: format!("its signatures are void: {reason}"),
            });
        }
    }
    events
}

/// A gate that signatures let through counts only if something is started on it in time.
fn expired_unused(run: &Run, record: &GateRecord, now: Timestamp) -> Option<String> {
    let issued = record
        .signed
        .issued
        .as_ref()
        .filter(|issued| now >= issued.expires)?;
    let ended = record.ended.filter(|_| record.state.advances())?;
    let mut after = run
        .course()
        .iter()
        .skip_while(|gate| gate.id != record.id)
        .skip(1);
    let used = after.any(|gate| gate.started.is_some_and(|started| started >= ended));
    (!used).then(|| {
        format!(
            "they expired at {}, and nothing was started before",
            issued.expires
        )
    })
}

/// What signatures imply and a crash kept from being recorded.
pub(super) fn left_unsaid(run: &Run) -> Vec<Event> {
    let Some(record) = run.current() else {
        return Vec::new();
    };
    let signed = &record.signed;
    let Some(issued) = &signed.issued else {
        return Vec::new();
    };
    let reject = signed
        .signatures
        .iter()
        .find(|s| s.statement.decision == Decision::Reject);
    let needed = run
        .signing_roles(&record.id, issued.purpose)
        .map_or(usize::MAX, |(_, n)| n);
    match (issued.purpose, reject) {
        (Purpose::Signoff, _) if record.state != GateState::Running => Vec::new(),
        (Purpose::Signoff, Some(reject)) => rejected(record, reject.statement.words()),
        (_, Some(reject)) => vec![voided(record, reject.statement.words())],
        (_, None) if signed.approvals() < needed => Vec::new(),
        (Purpose::Signoff, None) => vec![approved(record, needed)],
        (purpose, None) if record.state.may_retry() => {
            let reason = issued.reason.clone();
            vec![waived(
                record,
                reason,
                &signed.signatures,
                (purpose, issued.expires),
            )]
        }
        (_, None) => Vec::new(),
    }
}
