//! Verifies again what was accepted as signed: the journal holds everything that this needs.

use crate::promotion::signature::{KeyStatement, SignatureAccepted, verify};
use crate::promotion::{Event, Journal, Record, Run};

use super::verify::Checked;

/// What is wrong with a signature that a run in this state accepted, if so.
pub(super) fn wrong(run: &Run, record: &Record, accepted: &SignatureAccepted) -> Option<String> {
    let gate = &accepted.gate;
    let said = |words: &str| Some(format!("the signature for gate `{gate}` {words}"));
    let Some(rules) = &run.definition.signatures else {
        return said("was accepted, and the runbook asks for none");
    };
    let bytes = accepted.statement.as_bytes();
    let statement = match KeyStatement::read(bytes) {
        Ok(statement) => statement,
        Err(reason) => return said(&format!("is over no statement: {reason}")),
    };
    let issued = run.statements_of(gate);
    let same = |other: &KeyStatement| {
        let mut other = other.clone();
        other.note.clone_from(&statement.note);
        other == statement
    };
    if !issued.iter().any(same) {
        return said("is over a statement that was not issued at that moment");
    }
    if accepted.received > statement.expires {
        return said("came after its statement had expired");
    }
    let (signers, revoked) = rules.lists();
    let lists = (&signers, &revoked);
    let who = (statement.signer.as_str(), statement.namespace.as_str());
    match verify(lists, who, bytes, &accepted.signature, &[accepted.received]) {
        Ok(key) if key == accepted.fingerprint => None,
        Ok(key) => said(&format!(
            "is by {key}, and {} is recorded",
            accepted.fingerprint
        )),
        Err(fault) => said(&format!(
            "by {} does not verify: {fault} (record {})",
            statement.signer, record.seq
        )),
    }
}

/// Says how many signatures there are. Each was verified where the run stood when it came.
pub(super) fn counted(journal: &Journal) -> Option<Checked> {
    let signed =
        |record: &&std::sync::Arc<Record>| matches!(record.event, Event::SignatureAccepted(_));
    let count = journal.records.iter().filter(signed).count();
    (count > 0).then(|| {
        let words = format!("{count} verify: the person's key, the role, the very bytes, in time");
        Checked::good("signatures", words)
    })
}
