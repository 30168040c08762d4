//! Grants or refuses a command. The only place where that is decided.

mod back;
mod conditions;
mod conn;
mod course;
mod examine;
mod locks;
mod outside;
mod people;
mod reports;
mod review;
mod signing;
mod start;

use self::start::Starting;
use super::{Command, Event, Moment, Opening, Refusal, Run, RunStatus};

type Decided = Result<Vec<Event>, Refusal>;

/// Going back is what is left of a rejected run, in whichever process.
fn granted_after_the_end(run: &Run, command: &Command) -> bool {
    match command {
        Command::RollBack { .. } => matches!(run.status, RunStatus::Rejected(_)),
        Command::Continue { .. } | Command::TakeConn { .. } => run.rejected_may_go_back(),
        _ => false,
    }
}

fn not_ended(run: &Run, command: &Command) -> Result<(), Refusal> {
    if run.status.is_terminal() && !granted_after_the_end(run, command) {
        return Err(Refusal::Ended(run.status.word().to_owned()));
    }
    Ok(())
}

/// Decides what a command makes of a run: the events to record, or why not.
pub fn decide(run: Option<&Run>, command: &Command, at: &Moment) -> Decided {
    let run = match (run, command) {
        (None, Command::Open(opening)) => return Ok(vec![opened(opening)]),
        (None, _) => return Err(Refusal::NotOpened),
        (Some(_), Command::Open(_)) => return Err(Refusal::AlreadyOpened),
        (Some(run), _) => run,
    };
    not_ended(run, command)?;
    match command {
        Command::Open(_) => Err(Refusal::AlreadyOpened),
        Command::Continue { version } => Ok(course::go_on(run, version)),
        Command::Start {
            gate,
            plan,
            typed_name,
        } => Starting::new(run, at, plan.as_deref(), typed_name.as_deref()).first(gate),
        Command::Retry {
            gate,
            plan,
            typed_name,
        } => Starting::new(run, at, plan.as_deref(), typed_name.as_deref()).again(gate),
        Command::ConfirmItem { gate, item, value } => {
            people::confirm_item(run, at, gate, *item, value.as_deref())
        }
        Command::Sign { .. } => people::sign(run, at, command),
        Command::Waive { gate, reason } => people::waive(run, at, gate, reason),
        Command::DecideRemedy { .. } => people::decide_remedy(run, at, command),
        Command::ReviewFile { .. } | Command::WithdrawReview { .. } => {
            review::review(run, at, command)
        }
        Command::IssueStatements { .. }
        | Command::HandIn { .. }
        | Command::CheckSignatures { .. } => signing::take(run, at, command),
        Command::Cancel { gate } => start::cancel(run, gate),
        Command::Choose {
            gate,
            question,
            choice,
        } => start::choose(run, at, gate, *question, choice),
        Command::SignalBlocker { .. } => locks::signal(run, at, command),
        Command::Hold { reason } => Ok(vec![Event::RunHeld {
            reason: conditions::said(reason),
        }]),
        Command::Resume => course::resume(run),
        Command::Note { gate, text } => course::note(run, gate.as_deref(), text),
        Command::HandOver { .. } | Command::TakeConn { .. } => conn::pass_on(run, at, command),
        Command::RollBack {
            rollback,
            reason,
            typed_name,
            choices,
        } => back::start(run, at, rollback, (reason, typed_name.as_deref()), choices),
        Command::SayMessage {
            message,
            gate,
            how,
            text,
        } => people::say_message(run, at, (message, gate.as_deref()), how, text),
        Command::PastePlan { .. } | Command::SeeFlag { .. } => outside::take(run, at, command),
        Command::Abandon { reason } => course::abandon(run, at, reason),
        Command::Close => course::close(run),
        Command::RecordEffect { .. }
        | Command::RecordSignal { .. }
        | Command::Finish { .. }
        | Command::Lose { .. }
        | Command::Resolve { .. }
        | Command::Invalidate { .. }
        | Command::RecordTimeline { .. } => reports::report(run, command, at),
    }
}

fn opened(opening: &Opening) -> Event {
    Event::RunOpened {
        run: opening.run.clone(),
        version: opening.version.clone(),
        runbook_path: opening.runbook_path.clone(),
        base: opening.base.clone(),
        vars: opening.vars.clone(),
        definition: Box::new(opening.definition.clone()),
        nonce: Some(opening.nonce.clone()),
    }
}
