//! Takes the conn of a run at another terminal: makes its folder of the copy, takes the epoch, and
//! opens it here.

use std::path::PathBuf;
use std::time::Duration;

use super::control::{place, who};
use super::handle::EngineHandle;
use super::open::{self, OpenError, OpenOptions, Which};
use crate::control::rebuild::{RebuildError, rebuild};
use crate::control::{Address, Trouble};
use crate::gate::Targets;
use crate::postgres::PostgresError;
use crate::postgres::control_rows;
use crate::postgres::operator_lock::{OperatorLock, OperatorLockError};
use crate::promotion::{Nature, Run};
use crate::runbook;
use crate::untrusted::clean_line;

/// How long the lock on a target may take to say whether it is free.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Whose conn is taken, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// The holder has granted it; it is ours from this epoch on.
    Granted(i64),
    /// The holder is gone and did not answer; this is its epoch.
    Left(i64),
}

/// A conn that was taken.
#[derive(Debug)]
pub struct Taken {
    pub epoch: i64,
    pub from: String,
    pub unanswered: bool,
    /// Where the folder went that told another history.
    pub set_aside: Option<PathBuf>,
}

/// Why the conn was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error("{0}")]
    NotLeft(String),
    #[error("somebody else was quicker: {0} has the conn now")]
    Beaten(String),
}

impl From<PostgresError> for TakeError {
    fn from(error: PostgresError) -> TakeError {
        TakeError::Trouble(error.into())
    }
}

/// Takes the conn. Of all who try at the same time, exactly one is told `Ok`.
///
/// # Errors
/// Why it was not taken; the run goes on as it was.
pub async fn take(
    address: &Address,
    run: &str,
    taking: &Taking,
    options: &OpenOptions,
) -> Result<Taken, TakeError> {
    let session = address.open(&format!("{run} take")).await?;
    let row = control_rows::run(&session, run).await?;
    let row = row.ok_or_else(|| TakeError::NotLeft(format!("there is no run {run} there")))?;
    let (epoch, unanswered) = match taking {
        Taking::Granted(epoch) => (*epoch, false),
        Taking::Left(epoch) => (*epoch, true),
    };
    if row.epoch != epoch {
        return Err(TakeError::Beaten(clean_line(&row.holder)));
    }
    if unanswered && !row.is_left() {
        return Err(TakeError::NotLeft(format!(
            "{} is there: it was seen {} s ago",
            clean_line(&row.holder),
            row.unseen.as_secs()
        )));
    }
    let rebuilt = rebuild(&session, run, &options.runs_folder).await?;
    if unanswered {
        locks_are_free(&rebuilt.run, options).await?;
    }
    let me = who(&options.operator);
    let here = place(&options.runs_folder.join(run));
    let who = (me.as_str(), here.as_str());
    if !control_rows::take(&session, run, epoch, who, unanswered).await? {
        let now = control_rows::run(&session, run).await?;
        let holder = now.map_or_else(String::new, |row| clean_line(&row.holder));
        return Err(TakeError::Beaten(holder));
    }
    // A conn that was handed over names its taker already; it came from whoever had it before.
    let from = match unanswered {
        true => clean_line(&row.holder),
        false => clean_line(&handed_over_by(&rebuilt.run, &session).await?),
    };
    session.close().await;
    Ok(Taken {
        epoch: epoch + 1,
        from,
        unanswered,
        set_aside: rebuilt.set_aside,
    })
}

/// Who acted last before the conn was handed over.
async fn handed_over_by(
    run: &Run,
    session: &crate::postgres::session::Session,
) -> Result<String, PostgresError> {
    let last = run.seq.saturating_sub(1);
    let lines = control_rows::lines_after(session, &run.id, last, 1).await?;
    let actor = lines.first().and_then(|line| {
        let record: serde_json::Value = serde_json::from_slice(&line.bytes).ok()?;
        Some(record["actor"]["name"].as_str()?.to_owned())
    });
    Ok(actor.unwrap_or_else(|| run.operator.clone()))
}

/// Nobody may be at work on what the run acts on.
async fn locks_are_free(run: &Run, options: &OpenOptions) -> Result<(), TakeError> {
    let text = std::fs::read_to_string(options.runs_folder.join(&run.id).join("runbook.toml"));
    let runbook = text
        .ok()
        .and_then(|text| runbook::load(&run.runbook_path, &text, &run.vars).ok())
        .ok_or_else(|| TakeError::NotLeft("the run's runbook cannot be read".to_owned()))?;
    let targets = Targets::new(&run.id, &runbook, options.surroundings.clone());
    let acting = runbook.gates().filter(|gate| {
        let nature = run.definition_of(&gate.id).map(|of| &of.nature);
        nature == Some(&Nature::Acts)
    });
    let names: std::collections::BTreeSet<&str> =
        acting.filter_map(|gate| gate.kind.target()).collect();
    for name in names {
        let unknown = |reason: String| {
            let reason = clean_line(&reason);
            TakeError::NotLeft(format!("whether `{name}` is free cannot be told: {reason}"))
        };
        let info = targets.conninfo(name).map_err(|e| unknown(e.to_string()))?;
        match OperatorLock::acquire(&info, &run.id, LOCK_WAIT).await {
            Ok(lock) => lock.release().await,
            Err(OperatorLockError::Held(holder)) => {
                return Err(TakeError::NotLeft(format!(
                    "`{name}` is held: {}",
                    clean_line(&holder.to_string())
                )));
            }
            Err(error) => return Err(unknown(error.to_string())),
        }
    }
    Ok(())
}

/// Opens a run whose conn was taken; it does nothing before [`EngineHandle::begin`].
///
/// # Errors
/// Why it could not be opened.
pub fn open_taken(
    run: &str,
    taken: &Taken,
    options: &OpenOptions,
) -> Result<EngineHandle, OpenError> {
    let options = OpenOptions {
        which: Which::Named(run.to_owned()),
        ..options.clone()
    };
    open::resume(run, &options, Some(taken))
}
