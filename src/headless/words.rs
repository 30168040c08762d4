//! What a headless walk says when it stops.

use super::{End, Next};
use crate::engine::{CommandError, Snapshot};
use crate::promotion::signature::Purpose;
use crate::promotion::{Decision, GateRecord};

/// Why a gate is not started by itself.
pub(super) fn confirmed_by_a_person(kind: &str) -> &'static str {
    match kind {
        "clone" => "it replaces a database, which is never done without one",
        _ => "it acts on production, which a person confirms",
    }
}

pub(super) fn needs_person(gate: &GateRecord, why: &str) -> Next {
    Next::Stop(
        End::NotPassed,
        format!("gate `{}` needs a person: {why}", gate.id),
    )
}

pub(super) fn summary(gate: &GateRecord) -> String {
    let said = gate
        .finding
        .as_ref()
        .map_or("", |finding| finding.summary.as_str());
    format!("gate `{}` is {}: {said}", gate.id, gate.state.word())
}

pub(super) fn word(end: End) -> &'static str {
    match end {
        End::Closed => "closed",
        End::NotPassed => "not_passed",
        End::Held => "held",
        End::Unknown => "unknown",
        End::Journal => "error",
        End::Interrupted => "interrupted",
    }
}

/// What a sign-off by keys waits for. Statements are issued, and nothing is signed here.
pub(super) fn waits_for_keys(
    snapshot: &Snapshot,
    gate: &GateRecord,
    folder: &std::path::Path,
) -> Next {
    let now = jiff::Timestamp::now();
    let issued = gate.signed.issued.as_ref();
    if issued.is_none_or(|issued| now >= issued.expires) {
        return Next::Issue(gate.id.clone());
    }
    let run = &snapshot.run;
    let roles = run
        .signing_roles(&gate.id, Purpose::Signoff)
        .map(|(roles, _)| roles);
    let missing = roles.unwrap_or_default().iter();
    let missing = missing.filter(|role| gate.signed.of_role(role).is_none());
    let names: Vec<String> = missing.map(|role| format!("`{role}`")).collect();
    let statements = run.statements_of(&gate.id);
    let waiting = statements
        .iter()
        .filter(|of| of.decision == Decision::Approve);
    let waiting = waiting
        .filter(|of| gate.signed.of_role(&of.role).is_none())
        .count();
    let place = folder.join(crate::engine::STATEMENTS);
    needs_person(
        gate,
        &format!(
            "it waits for the keys of {}; {waiting} statements lie in {}: each is signed with \
             `stagegate sign FILE`, and goes back with `stagegate hand-in {} FILE`",
            names.join(", "),
            place.display(),
            run.id
        ),
    )
}

/// How the walk ends when something that it asked for came to nothing.
pub(super) fn end_of(error: &CommandError) -> End {
    match error {
        CommandError::Refused(_) | CommandError::Plan(_) | CommandError::Signature(_) => {
            End::NotPassed
        }
        _ => End::Journal,
    }
}
