//! Verifies every signature of a journal again, with nothing but the journal.

use std::sync::Arc;

use super::{KeyStatement, Purpose, verify};
use crate::promotion::{Event, Record, Run};

/// A signature of a journal that was verified again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// The record that holds it.
    pub seq: u64,
    pub statement: KeyStatement,
    pub signature: String,
    pub fingerprint: String,
    pub from: String,
}

/// Verifies all signatures of a journal, each at the time at which it was received.
///
/// # Errors
/// The number of the first record whose signature does not verify, and why.
pub fn audit(records: &[Arc<Record>]) -> Result<Vec<Audited>, (u64, String)> {
    let mut audited = Vec::new();
    let Some(mut run) = records.first().and_then(|first| Run::begin(first)) else {
        return Ok(audited);
    };
    for record in records.iter().skip(1) {
        if let Event::SignatureAccepted(_) = &record.event {
            let one = one(&run, record).map_err(|why| (record.seq, why))?;
            audited.push(one);
        }
        run.apply(record);
    }
    Ok(audited)
}

/// Verifies one, as the run stood before it.
fn one(run: &Run, record: &Record) -> Result<Audited, String> {
    let Event::SignatureAccepted(event) = &record.event else {
        return Err("it holds no signature".to_owned());
    };
    let rules = run.definition.signatures.as_ref();
    let rules = rules.ok_or("the run names no list of keys")?;
    let statement = KeyStatement::read(event.statement.as_bytes())?;
    let gate = run
        .gate(&statement.gate)
        .ok_or("its gate is not in the run")?;
    let issued = gate
        .signed
        .issued
        .as_ref()
        .ok_or("its statement was not issued")?;
    let who = (statement.role.as_str(), statement.signer.as_str());
    let wanted = issued.statement(run, &gate.id, who, statement.decision);
    if let Some(difference) = statement.differs_from(&wanted) {
        return Err(format!("its statement was not issued: {difference}"));
    }
    let roles = run.signing_roles(&gate.id, statement.purpose);
    let signs = roles.is_some_and(|(roles, _)| roles.contains(&statement.role));
    let members = run
        .definition
        .role(&statement.role)
        .map(|role| role.members.as_slice());
    if !signs || !members.unwrap_or_default().contains(&statement.signer) {
        return Err(format!(
            "`{}` does not sign it as `{}`",
            statement.signer, statement.role
        ));
    }
    let (signers, revoked) = rules.lists();
    let namespace = Purpose::namespace(statement.purpose, &statement.role, &rules.domain);
    let who = (statement.signer.as_str(), namespace.as_str());
    let bytes = statement.canonical();
    let times = [event.received];
    let fingerprint = verify((&signers, &revoked), who, &bytes, &event.signature, &times)
        .map_err(|why| why.to_string())?;
    if fingerprint != event.fingerprint {
        return Err("another key made it than the record says".to_owned());
    }
    Ok(Audited {
        seq: record.seq,
        statement,
        signature: event.signature.clone(),
        fingerprint,
        from: event.from.clone(),
    })
}
