//! What else goes on in the database before a migration: shown with the plan, and refused where a
//! migration would wait for it and hold everybody up.

use std::time::Duration;

use super::{Plan, Tone};
use crate::expectation::Finding;
use crate::postgres::PostgresError;
use crate::postgres::locks::{self, Beside};
use crate::postgres::session::Session;
use crate::runbook::Migrate;

/// From this age on a transaction is worth a word.
const LONG: Duration = Duration::from_secs(60);

/// Looks.
pub(super) async fn look(session: &Session) -> Result<Beside, PostgresError> {
    locks::beside(session, LONG).await
}

/// Adds what was seen to a plan.
pub(super) fn describe(plan: &mut Plan, gate: &Migrate, beside: &Beside) {
    for dump in &beside.dumps {
        let tone = if gate.beside_dumps {
            Tone::Warning
        } else {
            Tone::Bad
        };
        plan.line(tone, format!("a dump is at work: {}", dump.words()));
    }
    for one in &beside.long {
        let text = format!(
            "open for more than {}: {}, {}",
            locks::whole(LONG),
            one.words(),
            one.state
        );
        plan.line(Tone::Warning, text);
    }
    for prepared in &beside.prepared {
        let text = format!(
            "prepared transaction `{}` of {}, for {}: it keeps its locks",
            prepared.gid,
            prepared.owner,
            locks::age(prepared.age_ms)
        );
        plan.line(Tone::Warning, text);
    }
    for standby in &beside.standbys {
        plan.line(Tone::Plain, format!("standby {}", standby.words()));
    }
    if plan.refuses.is_none() {
        plan.refuses = refused(gate, beside).map(|finding| finding.summary);
    }
}

/// Why nothing is started beside what was seen, if so.
pub(super) fn refused(gate: &Migrate, beside: &Beside) -> Option<Finding> {
    if gate.beside_dumps {
        return None;
    }
    let first = beside.dumps.first()?;
    let mut finding = Finding::failed(format!(
        "a dump of the database is at work: pid {}",
        first.pid
    ));
    for dump in &beside.dumps {
        finding = finding.because(dump.words());
    }
    Some(
        finding
            .because(
                "it has a lock on every table until it ends; what waits for it holds everybody up",
            )
            .because("nothing was run")
            .can("let it end, then press r")
            .can("dumps = \"allow\" in the runbook goes on beside it; lock_timeout still holds"),
    )
}
