//! Asks before every effect whether the conn is still here.

use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use super::Address;
use super::mirror::{State, Status};
use crate::postgres::control_rows;
use crate::postgres::session::Session;

/// How long an effect waits for the answer. Without one, the lock on the target is the fence.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a question without an answer none is asked for so long, so that a schema that is not
/// reached costs every file of a migration nothing.
const REST: Duration = Duration::from_secs(5);

/// What the control schema says to an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// The conn is here.
    Ours,
    /// Nobody answered, or there is no control schema: why.
    Nothing(String),
    /// The conn is somebody else's: why nothing may be done.
    Over(String),
}

/// The question. It has a session of its own, so that a slow copy never delays an effect.
pub struct Fence {
    address: Address,
    run: String,
    status: watch::Receiver<Status>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    session: Option<Session>,
    not_before: Option<(Instant, String)>,
}

impl Fence {
    /// Makes the question for a run whose mirror says this.
    pub fn new(address: Address, run: String, status: watch::Receiver<Status>) -> Fence {
        Fence {
            address,
            run,
            status,
            asked: Mutex::default(),
        }
    }

    /// Asks.
    pub async fn ask(&self) -> Says {
        let mut status = self.status.clone();
        // At the very beginning it is not known yet which epoch is ours.
        let known = status.wait_for(|status| status.state != State::Connecting);
        let status = match timeout(PATIENCE, known).await {
            Ok(Ok(status)) => status.clone(),
            _ => self.status.borrow().clone(),
        };
        let epoch = match (&status.state, status.epoch) {
            (State::Over(reason), _) => return Says::Over(reason.clone()),
            (State::Off(reason), _) => return Says::Nothing(reason.clone()),
            (State::Connecting, _) => return Says::Nothing("it does not answer".to_owned()),
            (State::Lost(reason), None) => return Says::Nothing(reason.clone()),
            (_, Some(epoch)) => epoch,
            (State::Live, None) => return Says::Nothing("it gave no epoch".to_owned()),
        };
        let mut asked = self.asked.lock().await;
        if let Some((until, reason)) = &asked.not_before
            && Instant::now() < *until
        {
            return Says::Nothing(reason.clone());
        }
        let question = self.question(&mut asked, epoch);
        let answer = match timeout(PATIENCE, question).await {
            Ok(answer) => answer,
            Err(_) => Err("it does not answer".to_owned()),
        };
        match answer {
            Ok(says) => {
                asked.not_before = None;
                says
            }
            Err(reason) => {
                asked.session = None;
                asked.not_before = Some((Instant::now() + REST, reason.clone()));
                Says::Nothing(reason)
            }
        }
    }

    async fn question(&self, asked: &mut Asked, mine: i64) -> Result<Says, String> {
        let session = match asked.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => {
                let opened = self.address.open(&format!("{} fence", self.run)).await;
                opened.map_err(|trouble| trouble.to_string())?
            }
        };
        let row = control_rows::run(&session, &self.run).await;
        let row = row.map_err(|error| error.to_string())?;
        asked.session = Some(session);
        Ok(match row {
            Some(row) if row.epoch == mine => Says::Ours,
            Some(row) if row.epoch > mine => Says::Over(format!(
                "{} has taken the conn; the epoch is {} and was {mine} here",
                crate::untrusted::clean_line(&row.holder),
                row.epoch
            )),
            // Nobody has taken it: the database was put back to an earlier time.
            Some(_) | None => Says::Nothing("it was put back to an earlier time".to_owned()),
        })
    }
}
