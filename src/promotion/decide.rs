//! Grants or refuses a command. The only place where that is decided.

use super::run::has_work;
use super::{
    Command, Decision, Event, GateDefinition, GateRecord, GateState, InputKind, Moment, Nature,
    Refusal, Run, RunStatus, Statement, Via,
};
use crate::expectation::Finding;

/// A waiver's reason is read by an auditor who was not there.
const SHORTEST_REASON: usize = 20;

type Decided = Result<Vec<Event>, Refusal>;

/// Decides what a command makes of a run: the events to record, or why not.
pub fn decide(run: Option<&Run>, command: &Command, at: &Moment) -> Decided {
    let run = match (run, command) {
        (None, Command::Open(opening)) => {
            return Ok(vec![Event::RunOpened {
                run: opening.run.clone(),
                version: opening.version.clone(),
                runbook_path: opening.runbook_path.clone(),
                definition: opening.definition.clone(),
            }]);
        }
        (None, _) => return Err(Refusal::NotOpened),
        (Some(_), Command::Open(_)) => return Err(Refusal::AlreadyOpened),
        (Some(run), _) => run,
    };
    if run.status.is_terminal() {
        return Err(Refusal::Ended(run.status.word().to_owned()));
    }
    match command {
        Command::Open(_) => Err(Refusal::AlreadyOpened),
        Command::Continue { version } => Ok(vec![take_up(run, version)]),
        Command::Start {
            gate,
            plan,
            typed_name,
        } => {
            let start = Starting {
                run,
                at,
                plan: plan.as_deref(),
                typed: typed_name.as_deref(),
            };
            start.decide(gate, "started", |s| {
                matches!(s, GateState::Pending | GateState::Stale)
            })
        }
        Command::Retry {
            gate,
            plan,
            typed_name,
        } => {
            let start = Starting {
                run,
                at,
                plan: plan.as_deref(),
                typed: typed_name.as_deref(),
            };
            start.decide(gate, "retried", GateState::may_retry)
        }
        Command::ConfirmItem { gate, item, value } => {
            confirm_item(run, at, gate, *item, value.as_deref())
        }
        Command::Sign { .. } => sign(run, at, command),
        Command::Waive { gate, reason } => waive(run, at, gate, reason),
        Command::Cancel { gate } => cancel(run, gate),
        Command::Hold { reason } => Ok(vec![Event::RunHeld {
            reason: reason.clone(),
        }]),
        Command::Resume => resume(run),
        Command::Note { gate, text } => note(run, gate.as_deref(), text),
        Command::HandOver { to } => hand_over(at, to),
        Command::Abandon { reason } => abandon(run, at, reason),
        Command::Close => close(run),
        Command::RecordEffect { .. } | Command::Finish { .. } | Command::Lose { .. } => {
            report(run, command)
        }
        Command::Resolve {
            gate,
            attempt,
            resolution,
            finding,
            evidence,
        } => {
            let record = find(run, gate)?;
            in_state(record, "reconciled", |s| s == GateState::InDoubt)?;
            same_attempt(record, *attempt)?;
            Ok(vec![Event::GateReconciled {
                gate: gate.clone(),
                attempt: *attempt,
                resolution: *resolution,
                finding: finding.clone(),
                evidence: evidence.clone(),
            }])
        }
        Command::Invalidate { gate, reason } => {
            in_state(find(run, gate)?, "made stale", |s| s == GateState::Passed)?;
            Ok(vec![Event::GateWentStale {
                gate: gate.clone(),
                reason: reason.clone(),
            }])
        }
    }
}

fn take_up(run: &Run, version: &str) -> Event {
    let in_doubt = run
        .gates
        .iter()
        .filter(|gate| gate.state == GateState::Running)
        .filter(|gate| run.definition_of(&gate.id).is_some_and(has_work))
        .map(|gate| gate.id.clone())
        .collect();
    Event::RunContinued {
        version: version.to_owned(),
        in_doubt,
    }
}

/// What starting a gate needs to know.
struct Starting<'a> {
    run: &'a Run,
    at: &'a Moment,
    plan: Option<&'a str>,
    typed: Option<&'a str>,
}

impl Starting<'_> {
    fn decide(&self, id: &str, asked: &'static str, from: fn(GateState) -> bool) -> Decided {
        let record = find(self.run, id)?;
        let gate = definition(self.run, id)?;
        may_move(self.run, id)?;
        if !has_work(gate) {
            return Err(Refusal::MovedByPeople(id.to_owned()));
        }
        in_state(record, asked, from)?;
        if let Some(busy) = self.run.at_work() {
            return Err(Refusal::Busy(busy.id.clone()));
        }
        if gate.nature == Nature::Acts {
            self.may_act(gate)?;
        }
        Ok(vec![Event::GateStarted {
            gate: id.to_owned(),
            attempt: record.attempt + 1,
            plan: self.plan.map(str::to_owned),
            typed_name: self.typed.map(str::to_owned),
        }])
    }

    fn may_act(&self, gate: &GateDefinition) -> Result<(), Refusal> {
        let window = self.run.definition.window.as_ref();
        if let Some(reason) = window.and_then(|w| w.refuses_start(self.at.now)) {
            return Err(Refusal::OutsideWindow(reason));
        }
        if self.plan.is_none() {
            return Err(Refusal::NoPlan(gate.id.clone()));
        }
        let Some(name) = &gate.typed_name else {
            return Ok(());
        };
        needs_console(self.at, || {
            format!("gate `{}`, which acts on `{name}`,", gate.id)
        })?;
        if self.typed != Some(name.as_str()) {
            return Err(Refusal::NameNotTyped {
                gate: gate.id.clone(),
                name: name.clone(),
            });
        }
        Ok(())
    }
}

fn confirm_item(run: &Run, at: &Moment, id: &str, item: usize, value: Option<&str>) -> Decided {
    let record = find(run, id)?;
    let gate = definition(run, id)?;
    let Nature::Items(items) = &gate.nature else {
        return Err(Refusal::UnknownItem {
            gate: id.to_owned(),
            item: item + 1,
        });
    };
    needs_console(at, || format!("item {} of gate `{id}`", item + 1))?;
    may_move(run, id)?;
    in_state(record, "confirmed", |s| {
        matches!(s, GateState::Pending | GateState::Running)
    })?;
    let wanted = items.get(item).ok_or_else(|| Refusal::UnknownItem {
        gate: id.to_owned(),
        item: item + 1,
    })?;
    if record.items.get(item).is_some_and(Option::is_some) {
        return Err(Refusal::ItemConfirmed {
            gate: id.to_owned(),
            item: item + 1,
        });
    }
    let value = check_input(item, wanted.input, value)?;
    let mut events = begin_by_people(record);
    events.push(Event::ItemConfirmed {
        gate: id.to_owned(),
        item,
        value,
    });
    let open = record.items.iter().filter(|slot| slot.is_none()).count();
    if open == 1 {
        events.push(finished(
            record,
            Finding::passed(format!("{} items confirmed", items.len())),
        ));
    }
    Ok(events)
}

fn check_input(
    item: usize,
    input: Option<InputKind>,
    value: Option<&str>,
) -> Result<Option<String>, Refusal> {
    let given = value.map(str::trim).filter(|text| !text.is_empty());
    let refuse = |wanted: &str| {
        Err(Refusal::BadInput {
            item: item + 1,
            wanted: wanted.to_owned(),
            given: given.unwrap_or_default().to_owned(),
        })
    };
    match (input, given) {
        (None, _) => Ok(None),
        (Some(InputKind::Text), Some(text)) => Ok(Some(text.to_owned())),
        (Some(InputKind::Text), None) => refuse("a text"),
        (Some(InputKind::Number), Some(text)) => match text.parse::<bigdecimal::BigDecimal>() {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(_) => refuse("a number, such as 12.5"),
        },
        (Some(InputKind::Number), None) => refuse("a number, such as 12.5"),
    }
}

fn sign(run: &Run, at: &Moment, command: &Command) -> Decided {
    let Command::Sign {
        gate: id,
        role,
        person,
        decision,
        note,
    } = command
    else {
        return Ok(Vec::new());
    };
    let record = find(run, id)?;
    let gate = definition(run, id)?;
    let Nature::SignOff { roles, distinct } = &gate.nature else {
        return Err(Refusal::WrongState {
            gate: id.clone(),
            state: record.state,
            asked: "signed",
        });
    };
    needs_console(at, || format!("signing gate `{id}`"))?;
    may_move(run, id)?;
    in_state(record, "signed", |s| {
        matches!(s, GateState::Pending | GateState::Running)
    })?;
    may_sign(run, record, roles, *distinct, role, person)?;
    let statement = Statement {
        decision: *decision,
        gate: id.clone(),
        journal_head: run.head.clone(),
        journal_seq: run.seq,
        note: note.trim().to_owned(),
        person: person.clone(),
        role: role.clone(),
        run: run.id.clone(),
        runbook_digest: run.definition.runbook_digest.clone(),
        time: at.now,
    };
    let mut events = begin_by_people(record);
    let said = statement.words();
    events.push(Event::SignedOff { statement });
    if *decision == Decision::Reject {
        let finding = Finding::failed(said.clone())
            .because("a rejection is final for this run")
            .can("mend what it names, then open a new run");
        events.push(finished(record, finding));
        events.push(Event::RunRejected {
            gate: id.clone(),
            reason: said,
        });
    } else if record.statements.len() + 1 == roles.len() {
        events.push(finished(
            record,
            Finding::passed(format!("{} roles approved", roles.len())),
        ));
    }
    Ok(events)
}

fn may_sign(
    run: &Run,
    record: &GateRecord,
    roles: &[String],
    distinct: bool,
    role: &str,
    person: &str,
) -> Result<(), Refusal> {
    if !roles.iter().any(|valid| valid == role) {
        return Err(Refusal::WrongRole {
            gate: record.id.clone(),
            role: role.to_owned(),
            valid: roles.join(", "),
        });
    }
    let members = run
        .definition
        .role(role)
        .map(|r| r.members.as_slice())
        .unwrap_or_default();
    if !members.iter().any(|member| member == person) {
        return Err(Refusal::NotAMember {
            person: person.to_owned(),
            role: role.to_owned(),
            members: members.join(", "),
        });
    }
    if record.statements.iter().any(|s| s.role == role) {
        return Err(Refusal::RoleSigned(role.to_owned()));
    }
    if distinct && let Some(other) = record.statements.iter().find(|s| s.person == person) {
        return Err(Refusal::PersonSigned {
            person: person.to_owned(),
            role: other.role.clone(),
        });
    }
    Ok(())
}

fn waive(run: &Run, at: &Moment, id: &str, reason: &str) -> Decided {
    let record = find(run, id)?;
    let gate = definition(run, id)?;
    needs_console(at, || format!("waiving gate `{id}`"))?;
    may_move(run, id)?;
    if !gate.waivable {
        return Err(Refusal::NotWaivable(id.to_owned()));
    }
    in_state(record, "waived", GateState::may_retry)?;
    if reason.trim().chars().count() < SHORTEST_REASON {
        return Err(Refusal::ReasonTooShort(SHORTEST_REASON));
    }
    Ok(vec![Event::GateWaived {
        gate: id.to_owned(),
        reason: reason.trim().to_owned(),
    }])
}

fn cancel(run: &Run, id: &str) -> Decided {
    let record = find(run, id)?;
    if !has_work(definition(run, id)?) {
        return Err(Refusal::MovedByPeople(id.to_owned()));
    }
    in_state(record, "canceled", |s| s == GateState::Running)?;
    if record.cancel_requested {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CancelRequested {
        gate: id.to_owned(),
        attempt: record.attempt,
    }])
}

fn resume(run: &Run) -> Decided {
    match run.status {
        RunStatus::Held(_) => Ok(vec![Event::RunResumed]),
        _ => Ok(Vec::new()),
    }
}

fn note(run: &Run, gate: Option<&str>, text: &str) -> Decided {
    if let Some(id) = gate {
        find(run, id)?;
    }
    if text.trim().is_empty() {
        return Err(Refusal::ReasonTooShort(1));
    }
    Ok(vec![Event::Noted {
        gate: gate.map(str::to_owned),
        text: text.trim().to_owned(),
    }])
}

fn hand_over(at: &Moment, to: &str) -> Decided {
    needs_console(at, || "handing over the conn".to_owned())?;
    if to.trim().is_empty() {
        return Err(Refusal::ReasonTooShort(1));
    }
    Ok(vec![Event::ConnHandedOver {
        to: to.trim().to_owned(),
    }])
}

fn abandon(run: &Run, at: &Moment, reason: &str) -> Decided {
    needs_console(at, || "abandoning a run".to_owned())?;
    if let Some(busy) = run.at_work() {
        return Err(Refusal::Busy(busy.id.clone()));
    }
    if reason.trim().is_empty() {
        return Err(Refusal::ReasonTooShort(1));
    }
    Ok(vec![Event::RunAbandoned {
        reason: reason.trim().to_owned(),
    }])
}

fn close(run: &Run) -> Decided {
    may_continue(run)?;
    match run.current() {
        Some(gate) => Err(Refusal::NotAllPassed(gate.id.clone())),
        None => Ok(vec![Event::RunClosed]),
    }
}

/// A report counts only for the attempt it is about, and only while that is at work.
fn report(run: &Run, command: &Command) -> Decided {
    let (gate, attempt) = match command {
        Command::RecordEffect { gate, attempt, .. }
        | Command::Finish { gate, attempt, .. }
        | Command::Lose { gate, attempt, .. } => (gate, *attempt),
        _ => return Ok(Vec::new()),
    };
    let record = find(run, gate)?;
    in_state(record, "reported on", |s| s == GateState::Running)?;
    same_attempt(record, attempt)?;
    let gate = gate.clone();
    Ok(match command {
        Command::RecordEffect { effect, .. } => {
            vec![Event::EffectRecorded {
                gate,
                attempt,
                effect: effect.clone(),
            }]
        }
        Command::Finish {
            finding,
            evidence,
            captures,
            canceled,
            ..
        } => {
            let (finding, evidence) = (finding.clone(), evidence.clone());
            vec![if *canceled {
                Event::GateCanceled {
                    gate,
                    attempt,
                    finding,
                    evidence,
                }
            } else {
                Event::GateFinished {
                    gate,
                    attempt,
                    finding,
                    evidence,
                    captures: captures.clone(),
                }
            }]
        }
        Command::Lose { finding, .. } => {
            vec![Event::GateInDoubt {
                gate,
                attempt,
                finding: finding.clone(),
            }]
        }
        _ => Vec::new(),
    })
}

fn find<'a>(run: &'a Run, id: &str) -> Result<&'a GateRecord, Refusal> {
    run.gate(id)
        .ok_or_else(|| Refusal::UnknownGate(id.to_owned()))
}

fn definition<'a>(run: &'a Run, id: &str) -> Result<&'a GateDefinition, Refusal> {
    run.definition_of(id)
        .ok_or_else(|| Refusal::UnknownGate(id.to_owned()))
}

/// A gate moves only when the run is not held and every gate before it lets the run through.
fn may_move(run: &Run, id: &str) -> Result<(), Refusal> {
    may_continue(run)?;
    match run.blocking(id) {
        Some(gate) => Err(Refusal::Blocked {
            blocking: gate.id.clone(),
            state: gate.state,
        }),
        None => Ok(()),
    }
}

fn may_continue(run: &Run) -> Result<(), Refusal> {
    match &run.status {
        RunStatus::Held(reason) => Err(Refusal::Held(reason.clone())),
        _ => Ok(()),
    }
}

fn in_state(
    record: &GateRecord,
    asked: &'static str,
    valid: impl Fn(GateState) -> bool,
) -> Result<(), Refusal> {
    if valid(record.state) {
        return Ok(());
    }
    Err(Refusal::WrongState {
        gate: record.id.clone(),
        state: record.state,
        asked,
    })
}

fn same_attempt(record: &GateRecord, reported: u32) -> Result<(), Refusal> {
    if record.attempt == reported {
        return Ok(());
    }
    Err(Refusal::StaleReport {
        gate: record.id.clone(),
        reported,
        current: record.attempt,
    })
}

fn needs_console(at: &Moment, what: impl FnOnce() -> String) -> Result<(), Refusal> {
    if at.actor.via == Via::Console {
        return Ok(());
    }
    Err(Refusal::NeedsPerson { what: what() })
}

fn begin_by_people(record: &GateRecord) -> Vec<Event> {
    if record.state != GateState::Pending {
        return Vec::new();
    }
    vec![Event::GateStarted {
        gate: record.id.clone(),
        attempt: record.attempt + 1,
        plan: None,
        typed_name: None,
    }]
}

fn finished(record: &GateRecord, finding: Finding) -> Event {
    let attempt = match record.state {
        GateState::Pending => record.attempt + 1,
        _ => record.attempt,
    };
    Event::GateFinished {
        gate: record.id.clone(),
        attempt,
        finding,
        evidence: None,
        captures: std::collections::BTreeMap::new(),
    }
}
