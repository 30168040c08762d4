//! Before and after another program works on a target: nothing of it works there any more.

use super::{Context, TargetError};
use crate::postgres::session::SessionSettings;
use crate::postgres::settle;
use crate::system::children;

/// Waits until no session and no program of that name is left, and says which server takes changes.
///
/// # Errors
/// What still works there, or why the server cannot be asked.
pub(super) async fn quiet(
    context: &Context,
    target: &str,
    name: &str,
) -> Result<String, TargetError> {
    let settings = SessionSettings::default();
    let id = &context.gate.id;
    let (session, identity) = context.targets.open(target, id, settings).await?;
    session.require_primary().await?;
    let still = |what: String| Err(TargetError::Lock(what));
    // A session that lingers is ended, and its program with it; a program may have opened another
    // one meanwhile.
    for _ in 0..2 {
        let left = settle::wait_until_gone(&session, name, |line| context.feed.say(line)).await?;
        if let Some(left) = left.first() {
            let pid = left.pid;
            return still(format!("its session still works there, as process {pid}"));
        }
        if let Some(pid) = children::wait_until_gone("PGAPPNAME", name).await.first() {
            return still(format!("its program still runs here, as process {pid}"));
        }
    }
    session.close().await;
    Ok(identity.describe())
}
