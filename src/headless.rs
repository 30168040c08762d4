//! The front end without a terminal, over the same engine.
//!
//! It walks on until a gate does not pass or needs a person. It can start what needs nobody, and
//! nothing else: it never ticks, signs, waives or confirms.

mod given;
mod stop;
mod words;

use std::sync::Arc;

pub use self::given::Given;
use self::given::flag_news;
pub(crate) use self::given::left_out;
pub(crate) use self::stop::Signals;
use self::stop::{cancel, needs_answer, stopped};
use self::words::{confirmed_by_a_person, end_of, needs_person, summary, waits_for_keys, word};
use crate::engine::{CommandError, EngineHandle, Request, Snapshot};
use crate::gate::TargetStatus;
use crate::promotion::signature::Purpose;
use crate::promotion::{Command, Event, GateRecord, GateState, Nature, RunStatus};
use crate::untrusted::clean_line;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    Text,
    /// One JSON object a line: the journal's records, then a result.
    Json,
}

/// How the walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every gate let the run through, and it is closed.
    Closed,
    /// A gate did not pass, or a person is needed.
    NotPassed,
    /// Another operator holds a target.
    Held,
    /// Whether something happened is not known yet.
    Unknown,
    /// The journal cannot be written.
    Journal,
    /// A signal asked it to stop.
    Interrupted,
}

/// What to do next.
enum Next {
    Wait,
    Send(Command),
    Ask(Request),
    /// Gives a gate the plan that the command line has for it.
    Give(String, Vec<u8>),
    /// Lets the statements of a sign-off wait for signatures.
    Issue(String),
    Stop(End, String),
}

/// Walks on. `data` takes results, `note` takes everything else.
pub async fn run(
    handle: &EngineHandle,
    given: Given,
    (report, live): (Report, bool),
    data: &mut impl FnMut(&str),
    note: &mut impl FnMut(&str),
) -> End {
    let mut walk = Walk {
        report,
        shown: first_of_this_process(&handle.snapshot()),
        retried: Vec::new(),
        asked: Vec::new(),
        given,
        folder: handle.folder().to_owned(),
    };
    let mut snapshots = handle.snapshots();
    let mut signals = Signals::new();
    let (mut said, mut noticed, mut stopping) = (0, 0, false);
    let mut asked: Option<String> = None;
    let mut flag = None;
    // What passed before may have passed on another server than the one that answers now.
    handle.ask(Request::Look).await;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        noticed = say_notices(&snapshot, noticed, note);
        flag_news(&snapshot.run, &mut flag, note);
        walk.show(&snapshot, data);
        if stopping && let Some((end, reason)) = stopped(&snapshot) {
            let question = asked.take().filter(|_| end == End::Interrupted);
            let (end, reason) = question.map_or((end, reason), |said| (End::NotPassed, said));
            return walk.end(&snapshot, end, &reason, data, note);
        }
        if !stopping && let Some(question) = needs_answer(handle, &snapshot) {
            (stopping, asked) = (true, Some(question));
            cancel(handle, &snapshot).await;
            continue;
        }
        let next = if stopping {
            Next::Wait
        } else {
            walk.next(&snapshot)
        };
        match next {
            Next::Wait => {}
            Next::Stop(end, reason) => return walk.end(&snapshot, end, &reason, data, note),
            Next::Ask(request) => handle.ask(request).await,
            Next::Send(_) | Next::Give(..) | Next::Issue(_) => {
                match carry_out(handle, next).await {
                    Ok(()) => continue,
                    Err(error) => {
                        let end = end_of(&error);
                        return walk.end(&snapshot, end, &error.to_string(), data, note);
                    }
                }
            }
        }
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() {
                return walk.end(&snapshot, End::Journal, "the engine has ended", data, note);
            },
            () = handle.feed().changed() => if live { said = say_new(handle, said, note) },
            () = signals.next() => {
                stopping = true;
                cancel(handle, &snapshot).await;
            }
        }
    }
}

async fn carry_out(handle: &EngineHandle, next: Next) -> Result<(), CommandError> {
    match next {
        Next::Send(command) => handle.command(command).await,
        Next::Give(gate, text) => handle.give_plan(gate, text).await,
        Next::Issue(gate) => {
            handle
                .issue_statements(gate, Purpose::Signoff, String::new())
                .await
        }
        Next::Wait | Next::Ask(_) | Next::Stop(..) => Ok(()),
    }
}

/// Says what a person should know that was not said yet; returns how many have been said.
fn say_notices(snapshot: &Snapshot, said: usize, note: &mut impl FnMut(&str)) -> usize {
    for notice in snapshot.notices.iter().skip(said) {
        note(&format!("stagegate: {notice}"));
    }
    snapshot.notices.len()
}

/// Says the lines that are new; returns how many there are in all.
fn say_new(handle: &EngineHandle, said: u64, note: &mut impl FnMut(&str)) -> u64 {
    let view = handle.feed().view(usize::MAX);
    let skip = said.saturating_sub(view.dropped) as usize;
    view.lines
        .iter()
        .skip(skip)
        .for_each(|line| note(&line.text));
    view.dropped + view.lines.len() as u64
}

/// Where the records of this process begin: a run that is continued has older ones.
fn first_of_this_process(snapshot: &Snapshot) -> usize {
    let continued = |event: &Event| matches!(event, Event::RunContinued { .. });
    snapshot
        .records
        .iter()
        .rposition(|record| continued(&record.event))
        .unwrap_or(0)
}

struct Walk {
    report: Report,
    /// Records that were written already.
    shown: usize,
    /// Gates that were tried again because this process was asked to go on.
    retried: Vec<String>,
    /// Gates in doubt that were asked about again.
    asked: Vec<String>,
    /// Plans that the command line has for gates.
    given: Given,
    /// The run's folder.
    folder: std::path::PathBuf,
}

impl Walk {
    fn next(&mut self, snapshot: &Arc<Snapshot>) -> Next {
        let run = &snapshot.run;
        if let Some(error) = &snapshot.journal_error {
            return Next::Stop(
                End::Journal,
                format!("the journal cannot be written: {error}"),
            );
        }
        match &run.status {
            RunStatus::Closed => return Next::Stop(End::Closed, String::new()),
            RunStatus::Held(reason) => {
                return Next::Stop(End::NotPassed, format!("the run is held: {reason}"));
            }
            status if status.is_terminal() => {
                return Next::Stop(End::NotPassed, format!("the run is {}", status.word()));
            }
            _ => {}
        }
        if snapshot
            .targets
            .values()
            .any(|t| matches!(t, TargetStatus::NotAsked | TargetStatus::Connecting))
        {
            return Next::Wait;
        }
        if let Some((gate, text)) = self.given.take_due(run) {
            return Next::Give(gate, text);
        }
        let Some(gate) = run.current() else {
            return Next::Send(Command::Close);
        };
        let Some(definition) = run.definition_of(&gate.id) else {
            return Next::Wait;
        };
        match &definition.nature {
            Nature::Items(_) => {
                return needs_person(gate, "its items are confirmed by a person at the console");
            }
            Nature::Message(_) => {
                return needs_person(gate, "its message is read and sent by a person");
            }
            Nature::SignOff { keys: true, .. } => {
                return waits_for_keys(snapshot, gate, &self.folder);
            }
            Nature::SignOff { .. } => {
                return needs_person(gate, "it is signed by people at the console");
            }
            Nature::Looks if given::needs_plan(definition, gate) => {
                return needs_person(gate, given::NEEDS);
            }
            Nature::Acts
                if definition.typed_name.is_some()
                    && starts(gate.state)
                    && !(definition.migrates && run.migrations_disabled().is_some()) =>
            {
                return needs_person(gate, confirmed_by_a_person(&definition.kind));
            }
            Nature::Acts | Nature::Looks => {}
        }
        self.move_on(snapshot, gate, definition.nature == Nature::Acts)
    }

    fn move_on(&mut self, snapshot: &Snapshot, gate: &GateRecord, acts: bool) -> Next {
        let id = gate.id.clone();
        match gate.state {
            GateState::Running => Next::Wait,
            GateState::Pending | GateState::Stale => self.start(snapshot, gate, acts, false),
            GateState::InDoubt => {
                if snapshot.reconciling.is_some() {
                    return Next::Wait;
                }
                match snapshot.doubts.get(&id) {
                    Some(finding) if self.asked.contains(&id) => Next::Stop(
                        End::Unknown,
                        format!("`{id}` is in doubt: {}", finding.summary),
                    ),
                    _ => {
                        self.asked.push(id.clone());
                        Next::Ask(Request::Reconcile { gate: id })
                    }
                }
            }
            _ if snapshot
                .retrying
                .as_ref()
                .is_some_and(|(gate, _)| *gate == id) =>
            {
                Next::Wait
            }
            _ if snapshot.held.as_deref() == Some(&id) => Next::Stop(End::Held, summary(gate)),
            // A gate that this process did not start was left by another; going on was asked for.
            state if state.may_retry() && !self.retried.contains(&id) => {
                self.start(snapshot, gate, acts, true)
            }
            _ => Next::Stop(End::NotPassed, summary(gate)),
        }
    }

    fn start(&mut self, snapshot: &Snapshot, gate: &GateRecord, acts: bool, again: bool) -> Next {
        let id = gate.id.clone();
        let plan = snapshot.plans.get(&id).map(|plan| plan.digest.clone());
        if acts && plan.is_none() {
            if snapshot.planning.contains(&id) {
                return Next::Wait;
            }
            return Next::Ask(Request::Plan { gate: id });
        }
        self.retried.push(id.clone());
        let typed_name = None;
        Next::Send(if again {
            Command::Retry {
                gate: id,
                plan,
                typed_name,
            }
        } else {
            Command::Start {
                gate: id,
                plan,
                typed_name,
            }
        })
    }

    /// Writes the records that are new.
    fn show(&mut self, snapshot: &Snapshot, data: &mut impl FnMut(&str)) {
        for record in snapshot.records.iter().skip(self.shown) {
            let line = match self.report {
                Report::Text => {
                    let time = record.time.strftime("%H:%M:%SZ");
                    let gate = record.event.gate().unwrap_or("-");
                    format!("{time}  {gate:<32} {}\n", clean_line(&record.event.words()))
                }
                Report::Json => format!(
                    "{}\n",
                    serde_json::json!({
                        "seq": record.seq,
                        "time": record.time,
                        "actor": record.actor,
                        "event": record.event,
                    })
                ),
            };
            data(&line);
        }
        self.shown = snapshot.records.len();
    }

    fn end(
        &self,
        snapshot: &Snapshot,
        end: End,
        reason: &str,
        data: &mut impl FnMut(&str),
        note: &mut impl FnMut(&str),
    ) -> End {
        let run = &snapshot.run;
        let (through, all) = run.progress();
        if self.report == Report::Json {
            let current = run.current();
            let result = serde_json::json!({
                "result": word(end),
                "run": run.id,
                "through": through,
                "gates": all,
                "current": current.map(|gate| &gate.id),
                "state": current.map(|gate| gate.state),
                "reason": reason,
                "left_out": run.left_out().map(|gate| &gate.id).collect::<Vec<_>>(),
            });
            data(&format!("{result}\n"));
        }
        if let Some(words) = left_out(run) {
            note(&format!("stagegate: {words}"));
        }
        if end == End::Closed {
            return end;
        }
        note(&format!("stagegate: {}", clean_line(reason)));
        if let Some(finding) = run.current().and_then(|gate| gate.finding.as_ref()) {
            for line in &finding.caused_by {
                note(&format!("  caused by: {line}"));
            }
            for line in &finding.what_you_can_do {
                note(&format!("  you can:   {line}"));
            }
        }
        end
    }
}

fn starts(state: GateState) -> bool {
    matches!(state, GateState::Pending | GateState::Stale) || state.may_retry()
}
