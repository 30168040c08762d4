//! Examines what was handed in: whether it was issued here, for this, and signed by whoever may.

use jiff::Timestamp;

use super::conditions::said;
use crate::promotion::signature::{
    AllowedSigners, Issued, KeyStatement, Purpose, Reply, Revoked, SignatureFault, verify,
};
use crate::promotion::{Event, GateRecord, GateState, Nature, Run};

/// A signer's remark is read in a table.
const LONGEST_NOTE: usize = 500;

/// A signature that counts.
pub(super) struct Examined {
    pub(super) statement: KeyStatement,
    pub(super) signature: String,
    pub(super) fingerprint: String,
}

/// Why something does not count.
pub(super) struct Fault {
    pub(super) gate: Option<String>,
    pub(super) reason: String,
}

fn fault(gate: Option<&str>, reason: impl Into<String>) -> Fault {
    Fault {
        gate: gate.map(str::to_owned),
        reason: reason.into(),
    }
}

/// What examining needs to know.
struct Examiner<'a> {
    run: &'a Run,
    lists: (AllowedSigners, Revoked),
    domain: &'a str,
    /// What is about to be made void.
    outdated: &'a [Event],
    times: &'a [Timestamp],
}

/// Examines a reply at the given times: when it was received, and now.
pub(super) fn examine(
    run: &Run,
    text: &str,
    outdated: &[Event],
    times: &[Timestamp],
) -> Result<Examined, Fault> {
    let Some(rules) = &run.definition.signatures else {
        return Err(fault(None, "this run takes no signatures"));
    };
    let examiner = Examiner {
        run,
        lists: rules.lists(),
        domain: &rules.domain,
        outdated,
        times,
    };
    let reply = Reply::read(text).map_err(|why| fault(None, why))?;
    let statement = match &reply.statement {
        Some(bytes) => KeyStatement::read(bytes).map_err(|why| fault(None, why))?,
        None => examiner.signed_by_it(&reply.signature)?,
    };
    let gate = examiner.issued_here(&statement)?;
    let id = Some(gate.id.as_str());
    examiner
        .in_time(gate, &statement)
        .map_err(|why| fault(id, why))?;
    examiner
        .nobody_twice(gate, &statement)
        .map_err(|why| fault(id, why))?;
    let verified = examiner.verify(&statement, &reply.signature);
    let fingerprint = verified.map_err(|why| fault(id, why.to_string()))?;
    let people = &gate.signed.signatures;
    let other = people
        .iter()
        .find(|signed| signed.fingerprint == fingerprint);
    if let Some(other) = other.filter(|_| distinct(run, gate, statement.purpose)) {
        let (signer, role) = (&other.statement.signer, &other.statement.role);
        let why = format!("its key {fingerprint} has signed already, for {signer} as `{role}`");
        return Err(fault(id, why));
    }
    Ok(Examined {
        statement,
        signature: reply.signature,
        fingerprint,
    })
}

fn distinct(run: &Run, gate: &GateRecord, purpose: Purpose) -> bool {
    let nature = run.definition_of(&gate.id).map(|gate| &gate.nature);
    match nature {
        Some(Nature::SignOff { distinct, .. }) if purpose == Purpose::Signoff => *distinct,
        _ => true,
    }
}

impl Examiner<'_> {
    fn verify(&self, of: &KeyStatement, signature: &str) -> Result<String, SignatureFault> {
        let namespace = of.purpose.namespace(&of.role, self.domain);
        let (signers, revoked) = &self.lists;
        let who = (of.signer.as_str(), namespace.as_str());
        verify(
            (signers, revoked),
            who,
            &of.canonical(),
            signature,
            self.times,
        )
    }

    /// A signature that comes alone: which of the statements that wait, or have waited, it signs.
    fn signed_by_it(&self, signature: &str) -> Result<KeyStatement, Fault> {
        let mut closest: Option<(SignatureFault, String)> = None;
        let mut last = None;
        for gate in &self.run.gates {
            let waiting = gate.signed.issued.iter();
            let gone = gate.signed.voided.iter().map(|voided| &voided.issued);
            for issued in waiting.chain(gone) {
                for statement in self.run.all_of(&gate.id, issued) {
                    match self.verify(&statement, signature) {
                        Ok(_) => return Ok(statement),
                        // It fits, and the reason will be told when it is asked for again.
                        Err(SignatureFault::NotValid { .. } | SignatureFault::NoTouch) => {
                            last = Some(statement);
                        }
                        Err(why) => {
                            let closer =
                                |(known, _): &(SignatureFault, String)| why.rank() > known.rank();
                            if closest.as_ref().is_none_or(closer) {
                                closest = Some((why, gate.id.clone()));
                            }
                        }
                    }
                }
            }
        }
        match (last, closest) {
            (Some(statement), _) => Ok(statement),
            (None, Some((SignatureFault::Namespace { found, .. }, gate))) => {
                let why = "it was made in the namespace";
                let why = format!("{why} `{found}`, in which no statement here is signed");
                Err(fault(Some(&gate), why))
            }
            (None, Some((why, gate))) => Err(fault(Some(&gate), why.to_string())),
            (None, None) => Err(fault(None, "no statement waits for a signature")),
        }
    }

    /// The statement must be, byte by byte, one that this run issued and that still counts; only the
    /// note is the signer's.
    fn issued_here(&self, statement: &KeyStatement) -> Result<&GateRecord, Fault> {
        let run = self.run;
        if statement.run != run.id {
            let why = format!(
                "it is for run {}; this is run {}",
                said(&statement.run),
                run.id
            );
            return Err(fault(None, why));
        }
        let Some(gate) = run.gate(&statement.gate) else {
            let why = format!(
                "it is for a gate `{}`, which is not here",
                said(&statement.gate)
            );
            return Err(fault(None, why));
        };
        let refuse = |why: String| Err(fault(Some(&gate.id), why));
        if run.nonces.contains(&statement.nonce) {
            return refuse("it was handed in before; a statement counts once".to_owned());
        }
        let gone = gate.signed.voided.iter();
        let mut gone = gone.filter(|voided| voided.issued.head == statement.journal);
        if let Some(voided) = gone.next() {
            return refuse(format!("it is stale: {}", voided.reason));
        }
        let same = |issued: &&Issued| issued.purpose == statement.purpose;
        let Some(issued) = gate.signed.issued.as_ref().filter(same) else {
            let what = statement.purpose.title();
            return refuse(format!(
                "no statement of a {what} waits for a signature there"
            ));
        };
        let waits = match issued.purpose {
            Purpose::Signoff => gate.state == GateState::Running,
            _ => gate.state.may_retry(),
        };
        if !waits {
            return refuse(format!(
                "the gate is {}; nothing is signed there",
                gate.state.word()
            ));
        }
        if let Err(why) = self.may_sign(gate, statement) {
            return refuse(why);
        }
        let who = (statement.role.as_str(), statement.signer.as_str());
        let wanted = issued.statement(run, &gate.id, who, statement.decision);
        if let Some(difference) = statement.differs_from(&wanted) {
            return refuse(format!("it was not issued here: {difference}"));
        }
        let note = &statement.note;
        if said(note) != *note || note.chars().count() > LONGEST_NOTE {
            return refuse(format!(
                "its note holds control characters, or is longer than {LONGEST_NOTE}"
            ));
        }
        Ok(gate)
    }

    fn may_sign(&self, gate: &GateRecord, statement: &KeyStatement) -> Result<(), String> {
        let roles = self.run.signing_roles(&gate.id, statement.purpose);
        let roles = roles.map(|(roles, _)| roles).unwrap_or_default();
        let (role, signer) = (said(&statement.role), said(&statement.signer));
        if !roles.contains(&statement.role) {
            return Err(format!(
                "role `{role}` does not sign it; roles: {}",
                roles.join(", ")
            ));
        }
        let members = self
            .run
            .definition
            .role(&statement.role)
            .map(|role| role.members.as_slice());
        let members = members.unwrap_or_default();
        match members.contains(&statement.signer) {
            true => Ok(()),
            false => Err(format!(
                "`{signer}` is not a member of role `{role}`; members: {}",
                members.join(", ")
            )),
        }
    }

    fn in_time(&self, gate: &GateRecord, statement: &KeyStatement) -> Result<(), String> {
        if self.times.iter().any(|time| *time >= statement.expires) {
            return Err(format!(
                "it expired at {}; let new ones be issued",
                statement.expires
            ));
        }
        let void = |event: &Event| match event {
            Event::SignaturesVoided(voided) if voided.gate == gate.id => {
                Some(voided.reason.clone())
            }
            _ => None,
        };
        match self.outdated.iter().find_map(void) {
            Some(reason) => Err(format!("it is stale: {reason}")),
            None => Ok(()),
        }
    }

    fn nobody_twice(&self, gate: &GateRecord, statement: &KeyStatement) -> Result<(), String> {
        if gate.signed.of_role(&statement.role).is_some() {
            return Err(format!("role `{}` has signed already", statement.role));
        }
        let same = |name: &str| name.to_lowercase() == statement.signer.to_lowercase();
        let mut others = gate.signed.signatures.iter();
        let other = others.find(|signed| same(&signed.statement.signer));
        match other.filter(|_| distinct(self.run, gate, statement.purpose)) {
            Some(other) => Err(format!(
                "`{}` has signed already, as `{}`; distinct people are wanted",
                statement.signer, other.statement.role
            )),
            None => Ok(()),
        }
    }
}
