//! Grants that the conn goes from one person to another.

use super::Decided;
use super::conditions::{needs_console, said};
use crate::promotion::{Command, Event, Moment, Refusal, Run};

/// Hands the conn over, or takes it.
pub(super) fn pass_on(run: &Run, at: &Moment, command: &Command) -> Decided {
    match command {
        Command::HandOver { to, epoch } => hand_over(run, at, to, *epoch),
        Command::TakeConn {
            from,
            epoch,
            unanswered,
        } => take_conn(at, from, *epoch, *unanswered),
        _ => Ok(Vec::new()),
    }
}

/// Gives the conn to somebody else; to another terminal only while nothing is at work here.
fn hand_over(run: &Run, at: &Moment, to: &str, epoch: Option<u64>) -> Decided {
    needs_console(at, || "handing over the conn".to_owned())?;
    if let Some(busy) = run.at_work().filter(|_| epoch.is_some()) {
        return Err(Refusal::Busy(busy.id.clone()));
    }
    if to.trim().is_empty() {
        return Err(Refusal::ReasonTooShort(1));
    }
    Ok(vec![Event::ConnHandedOver {
        to: said(to),
        epoch,
    }])
}

/// Takes the conn up; that it may be taken was decided by the epoch.
fn take_conn(at: &Moment, from: &str, epoch: u64, unanswered: bool) -> Decided {
    needs_console(at, || "taking the conn".to_owned())?;
    Ok(vec![Event::ConnTaken {
        from: said(from),
        epoch,
        unanswered,
    }])
}
