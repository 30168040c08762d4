//! Grants what only people do: confirm, sign, waive.

use std::borrow::Cow;

use super::Decided;
use super::conditions::{definition, find, in_state, may_move, needs_console, said};
use crate::expectation::Finding;
use crate::promotion::{
    Command, Decision, Event, GateRecord, GateState, InputKind, Moment, Nature, Refusal, Run,
    Statement,
};

/// A waiver's reason is read by an auditor who was not there.
const SHORTEST_REASON: usize = 20;

pub(super) fn confirm_item(
    run: &Run,
    at: &Moment,
    id: &str,
    item: usize,
    value: Option<&str>,
) -> Decided {
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
    let record = &begun(record, "confirmed")?;
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
        events.push(confirmed(record, items.len()));
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
        (Some(InputKind::Text), Some(text)) => Ok(Some(said(text))),
        (Some(InputKind::Text), None) => refuse("a text"),
        (Some(InputKind::Number), Some(text)) => match text.parse::<bigdecimal::BigDecimal>() {
            Ok(_) => Ok(Some(said(text))),
            Err(_) => refuse("a number, such as 12.5"),
        },
        (Some(InputKind::Number), None) => refuse("a number, such as 12.5"),
    }
}

pub(super) fn sign(run: &Run, at: &Moment, command: &Command) -> Decided {
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
    let Nature::SignOff {
        roles,
        distinct,
        keys,
    } = &gate.nature
    else {
        return Err(Refusal::WrongState {
            gate: id.clone(),
            state: record.state,
            asked: "signed",
        });
    };
    if *keys {
        return Err(Refusal::SignedWithKeys(id.clone()));
    }
    needs_console(at, || format!("signing gate `{id}`"))?;
    may_move(run, id)?;
    let record = &begun(record, "signed")?;
    if *decision == Decision::Reject
        && let Some(busy) = run.at_work()
    {
        // A run that has ended takes no reports, and this one must still be heard out.
        return Err(Refusal::Busy(busy.id.clone()));
    }
    may_sign(run, record, roles, *distinct, role, person)?;
    let statement = Statement {
        decision: *decision,
        gate: id.clone(),
        journal_head: run.head.clone(),
        journal_seq: run.seq,
        note: said(note),
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
        events.extend(rejected(record, said));
    } else if record.statements.len() + 1 == roles.len() {
        events.push(approved(record, roles.len()));
    }
    Ok(events)
}

/// The end of a run by a rejection.
pub(super) fn rejected(record: &GateRecord, said: String) -> Vec<Event> {
    let finding = Finding::failed(said.clone())
        .because("a rejection is final for this run")
        .can("mend what it names, then open a new run");
    let gate = record.id.clone();
    vec![
        finished(record, finding),
        Event::RunRejected { gate, reason: said },
    ]
}

/// The end of a sign-off that every role has approved.
pub(super) fn approved(record: &GateRecord, roles: usize) -> Event {
    finished(record, Finding::passed(format!("{roles} roles approved")))
}

/// The end of a checklist every item of which is confirmed.
pub(super) fn confirmed(record: &GateRecord, items: usize) -> Event {
    finished(record, Finding::passed(format!("{items} items confirmed")))
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
    // One mailbox in two spellings is one person.
    let same = |other: &str| other.to_lowercase() == person.to_lowercase();
    if distinct && let Some(other) = record.statements.iter().find(|s| same(&s.person)) {
        return Err(Refusal::PersonSigned {
            person: person.to_owned(),
            role: other.role.clone(),
        });
    }
    Ok(())
}

/// Records a message that a person sent; a gate that waits for it has passed.
pub(super) fn say_message(
    run: &Run,
    at: &Moment,
    (message, gate): (&str, Option<&str>),
    how: &str,
    text: &str,
) -> Decided {
    needs_console(at, || format!("message `{message}`"))?;
    if !run.definition.messages.iter().any(|m| m.id == message) {
        return Err(Refusal::UnknownMessage(message.to_owned()));
    }
    let sent = Event::MessageSent {
        message: message.to_owned(),
        gate: gate.map(str::to_owned),
        how: said(how),
        text: text.to_owned(),
    };
    let Some(id) = gate else {
        return Ok(vec![sent]);
    };
    let record = find(run, id)?;
    match &definition(run, id)?.nature {
        Nature::Message(wanted) if wanted == message => {}
        _ => return Err(Refusal::UnknownMessage(message.to_owned())),
    }
    may_move(run, id)?;
    let record = &begun(record, "sent")?;
    let mut events = begin_by_people(record);
    events.push(sent);
    let words = format!("`{message}` {}", said(how));
    events.push(finished(record, Finding::passed(words)));
    Ok(events)
}

pub(super) fn waive(run: &Run, at: &Moment, id: &str, reason: &str) -> Decided {
    let record = find(run, id)?;
    let gate = definition(run, id)?;
    needs_console(at, || format!("waiving gate `{id}`"))?;
    may_move(run, id)?;
    if !gate.waivable {
        return Err(Refusal::NotWaivable(id.to_owned()));
    }
    if gate.waiver.is_some() {
        return Err(Refusal::WaivedWithKeys(id.to_owned()));
    }
    in_state(record, "waived", GateState::may_retry)?;
    if reason.trim().chars().count() < SHORTEST_REASON {
        return Err(Refusal::ReasonTooShort(SHORTEST_REASON));
    }
    Ok(vec![Event::GateWaived {
        gate: id.to_owned(),
        reason: said(reason),
        signed: None,
    }])
}

/// A decision is about a difference that was found, and names the person who approved it.
pub(super) fn decide_remedy(run: &Run, at: &Moment, command: &Command) -> Decided {
    let Command::DecideRemedy {
        gate: id,
        remedy,
        approved_by,
        reason,
    } = command
    else {
        return Ok(Vec::new());
    };
    let record = find(run, id)?;
    let Some(roles) = &definition(run, id)?.approvers else {
        return Err(Refusal::NothingToDecide(id.clone()));
    };
    needs_console(at, || format!("deciding about gate `{id}`"))?;
    may_move(run, id)?;
    in_state(record, "decided about", |state| state == GateState::Failed)?;
    let person = approved_by.trim();
    if person.is_empty() {
        return Err(Refusal::NobodyApproved);
    }
    let members: Vec<&String> = roles
        .iter()
        .filter_map(|role| run.definition.role(role))
        .flat_map(|role| &role.members)
        .collect();
    let same = |member: &&&String| member.to_lowercase() == person.to_lowercase();
    if !roles.is_empty() && !members.iter().any(|member| same(&member)) {
        let members: Vec<&str> = members.iter().map(|member| member.as_str()).collect();
        return Err(Refusal::NotAnApprover {
            person: person.to_owned(),
            roles: roles.join(", "),
            members: members.join(", "),
        });
    }
    if reason.trim().chars().count() < SHORTEST_REASON {
        return Err(Refusal::ReasonTooShort(SHORTEST_REASON));
    }
    Ok(vec![Event::RemedyDecided {
        gate: id.clone(),
        attempt: record.attempt,
        remedy: *remedy,
        approved_by: said(person),
        reason: said(reason),
    }])
}

/// The record as people find it: what they said before a gate went stale counts no longer.
pub(super) fn begun<'a>(
    record: &'a GateRecord,
    asked: &'static str,
) -> Result<Cow<'a, GateRecord>, Refusal> {
    in_state(record, asked, |s| {
        matches!(
            s,
            GateState::Pending | GateState::Running | GateState::Stale
        )
    })?;
    if record.state != GateState::Stale {
        return Ok(Cow::Borrowed(record));
    }
    let mut fresh = record.clone();
    fresh.forget_people();
    Ok(Cow::Owned(fresh))
}

pub(super) fn begin_by_people(record: &GateRecord) -> Vec<Event> {
    if record.state == GateState::Running {
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
        GateState::Running => record.attempt,
        _ => record.attempt + 1,
    };
    Event::GateFinished {
        gate: record.id.clone(),
        attempt,
        finding,
        evidence: None,
        captures: std::collections::BTreeMap::new(),
        files: std::collections::BTreeMap::new(),
    }
}
