//! Verifies every signature of a journal again, with nothing but the journal.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;

use super::{KeyStatement, Purpose, verify};
use crate::expectation::Verdict;
use crate::promotion::{Decision, Event, Nature, Record, Run};

/// Between the moment at which a signature came and its record lies no more than a clock may be set.
const LONGEST_WAY: SignedDuration = SignedDuration::from_hours(2);

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

/// Verifies all signatures of a journal, each at the time at which it was received, and that nothing
/// passed or was waived by keys on fewer than it takes.
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
        suffices(&run, record).map_err(|why| (record.seq, why))?;
        run.apply(record);
    }
    Ok(audited)
}

/// Tells whether what a record lets through by keys has the signatures that it takes.
fn suffices(run: &Run, record: &Record) -> Result<(), String> {
    let (id, purpose) = match &record.event {
        Event::GateFinished { gate, finding, .. } if finding.verdict == Verdict::Passed => {
            let nature = run.definition_of(gate).map(|gate| &gate.nature);
            match nature {
                Some(Nature::SignOff { keys: true, .. }) => (gate, Purpose::Signoff),
                _ => return Ok(()),
            }
        }
        Event::GateWaived { gate, signed, .. } => {
            let definition = run.definition_of(gate);
            let definition = definition.ok_or("its gate is not in the run")?;
            if !definition.waivable {
                return Err(format!("gate `{gate}` was waived, and it is not waivable"));
            }
            match (signed, &definition.waiver) {
                (Some(signed), _) => (gate, signed.purpose),
                (None, Some(_)) => {
                    return Err(format!("gate `{gate}` was waived without signatures"));
                }
                (None, None) => return Ok(()),
            }
        }
        _ => return Ok(()),
    };
    let gate = run.gate(id).ok_or("its gate is not in the run")?;
    let (roles, needed) = run
        .signing_roles(id, purpose)
        .ok_or_else(|| format!("nobody signs gate `{id}` for that"))?;
    let signed = gate.signed.signatures.iter();
    let counts = signed.filter(|signed| {
        let statement = &signed.statement;
        statement.decision == Decision::Approve
            && statement.purpose == purpose
            && roles.contains(&statement.role)
    });
    let (mut of_roles, mut people, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for one in counts {
        of_roles.insert(&one.statement.role);
        people.insert(one.statement.signer.to_lowercase());
        keys.insert(&one.fingerprint);
    }
    let fewest = of_roles.len().min(people.len()).min(keys.len());
    if fewest < needed {
        return Err(format!(
            "gate `{id}` was let through on {fewest} of {needed} signatures"
        ));
    }
    Ok(())
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
    if event.received > statement.expires {
        return Err("it came after its statement had expired".to_owned());
    }
    let apart = record.time.duration_since(event.received).abs();
    if apart > LONGEST_WAY {
        return Err("its record is of another time than it says that it came".to_owned());
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
