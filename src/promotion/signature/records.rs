//! What the journal says of a gate's statements and signatures.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::standing::{Standing, difference};
use super::{Head, InputRejected, KeyStatement, Purpose, StatementsIssued, TargetSeen};
use crate::digest::digest;
use crate::promotion::{Decision, Event, Nature, Record, Run};

/// How many refused inputs of a gate are kept for the screen; the journal has all of them.
const REFUSED_KEPT: usize = 12;

/// Statements that wait for signatures. Each one's bytes follow from this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    pub purpose: Purpose,
    pub attempt: u32,
    pub seed: String,
    pub expires: Timestamp,
    pub evidence: String,
    pub plan: String,
    pub targets: Vec<TargetSeen>,
    /// Why the gate is waived.
    pub reason: String,
    /// The record that issued them.
    pub head: Head,
    pub time: Timestamp,
    /// How the gates stood then.
    pub standing: Vec<Standing>,
}

/// A signature that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub statement: KeyStatement,
    pub fingerprint: String,
    pub received: Timestamp,
    /// How it came, in words.
    pub from: String,
}

/// Statements and signatures that count no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voided {
    pub reason: String,
    pub issued: Issued,
    pub signatures: Vec<Signed>,
}

/// Something that was handed in and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedInput {
    pub reason: String,
    pub at: Timestamp,
    pub from: String,
}

/// Everything that keys have to do with one gate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignedGate {
    pub issued: Option<Issued>,
    pub signatures: Vec<Signed>,
    pub voided: Vec<Voided>,
    pub refused: Vec<RefusedInput>,
}

impl SignedGate {
    /// The signature of a role.
    pub fn of_role(&self, role: &str) -> Option<&Signed> {
        self.signatures
            .iter()
            .find(|signed| signed.statement.role == role)
    }

    /// How many have agreed.
    pub fn approvals(&self) -> usize {
        let approve = |signed: &&Signed| signed.statement.decision == Decision::Approve;
        self.signatures.iter().filter(approve).count()
    }

    /// What is taken again needs signatures of its own.
    pub(in crate::promotion) fn forget(&mut self) {
        self.void("the gate was taken again");
    }

    fn void(&mut self, reason: &str) {
        let Some(issued) = self.issued.take() else {
            return;
        };
        self.voided.push(Voided {
            reason: reason.to_owned(),
            issued,
            signatures: std::mem::take(&mut self.signatures),
        });
    }
}

impl Issued {
    /// The statement of one person in one role, as it was issued.
    pub fn statement(
        &self,
        run: &Run,
        gate: &str,
        who: (&str, &str),
        decision: Decision,
    ) -> KeyStatement {
        let (role, signer) = who;
        let drawn = [self.seed.as_str(), self.purpose.word(), gate, role, signer].join("\n");
        let rules = run.definition.signatures.as_ref();
        let signers = rules.map(|rules| rules.allowed_signers.sha256.as_str());
        let domain = rules.map(|rules| rules.domain.as_str()).unwrap_or_default();
        KeyStatement {
            purpose: self.purpose,
            attempt: self.attempt,
            decision,
            evidence: self.evidence.clone(),
            expires: self.expires,
            gate: gate.to_owned(),
            journal: self.head.clone(),
            namespace: self.purpose.namespace(role, domain),
            nonce: digest(drawn.as_bytes())[..32].to_owned(),
            note: String::new(),
            plan: self.plan.clone(),
            reason: self.reason.clone(),
            role: role.to_owned(),
            run: run.id.clone(),
            runbook: format!("sha256:{}", run.definition.runbook_digest),
            signer: signer.to_owned(),
            signers: format!("sha256:{}", signers.unwrap_or_default()),
            target: self.targets.clone(),
            time: self.time,
        }
    }

    /// A waiver is about its own gate too: what it found is what is waived.
    fn own(&self) -> bool {
        self.purpose != Purpose::Signoff
    }
}

impl Run {
    /// How many of which roles sign a gate for a purpose.
    pub fn signing_roles(&self, gate: &str, purpose: Purpose) -> Option<(&[String], usize)> {
        let gate = self.definition_of(gate)?;
        match purpose {
            Purpose::Signoff => match &gate.nature {
                Nature::SignOff {
                    roles, keys: true, ..
                } => Some((roles, roles.len())),
                _ => None,
            },
            Purpose::Waiver => gate
                .waiver
                .as_ref()
                .map(|r| (r.roles.as_slice(), r.signatures)),
            Purpose::BreakGlass => {
                let rule = self
                    .definition
                    .break_glass
                    .as_ref()
                    .filter(|_| gate.waivable);
                rule.map(|rule| (rule.roles.as_slice(), rule.signatures))
            }
        }
    }

    /// Every statement that a gate waits for and nobody has signed: by role, person, decision.
    pub fn statements_of(&self, id: &str) -> Vec<KeyStatement> {
        let issued = self.gate(id).and_then(|gate| gate.signed.issued.as_ref());
        issued
            .map(|issued| self.all_of(id, issued))
            .unwrap_or_default()
    }

    pub(in crate::promotion) fn all_of(&self, id: &str, issued: &Issued) -> Vec<KeyStatement> {
        let Some((roles, _)) = self.signing_roles(id, issued.purpose) else {
            return Vec::new();
        };
        let roles = roles.iter().filter_map(|role| self.definition.role(role));
        let people = roles.flat_map(|role| role.members.iter().map(move |m| (&role.name, m)));
        people
            .flat_map(|(role, member)| {
                [Decision::Approve, Decision::Reject]
                    .map(|decision| issued.statement(self, id, (role, member), decision))
            })
            .collect()
    }

    /// What has changed since a gate's statements were issued, in words.
    pub fn changed_since_issued(&self, id: &str, targets: Option<&[TargetSeen]>) -> Option<String> {
        let gate = self.gate(id)?;
        let issued = gate.signed.issued.as_ref()?;
        if gate.attempt != issued.attempt {
            return Some(format!("gate `{id}` is at attempt {} now", gate.attempt));
        }
        // A gate that its signatures have waived stands otherwise because of them.
        let own = issued.own() && gate.waiver.is_none();
        let now = self.standing(id, own);
        let before = &issued.standing[..issued.standing.len() - usize::from(issued.own() && !own)];
        if let Some(what) = difference(before, &now) {
            return Some(what);
        }
        let seen: BTreeMap<&str, &TargetSeen> = targets
            .into_iter()
            .flatten()
            .map(|t| (t.name.as_str(), t))
            .collect();
        let moved = |was: &&TargetSeen| {
            let now = seen.get(was.name.as_str());
            now.is_some_and(|now| {
                let known = !now.system_identifier.is_empty() && !was.system_identifier.is_empty();
                now.database != was.database
                    || (known && now.system_identifier != was.system_identifier)
            })
        };
        let was = issued.targets.iter().find(moved)?;
        let now = seen
            .get(was.name.as_str())
            .map(|now| now.words())
            .unwrap_or_default();
        Some(format!(
            "target {}; it is another one now: {now}",
            was.words()
        ))
    }

    /// What names no gate is shown at the one that is to be signed now.
    fn take_refused(&mut self, event: &InputRejected, at: Timestamp) {
        let current = self.current().map(|gate| gate.id.clone());
        let Some(id) = event.gate.clone().or(current) else {
            return;
        };
        if let Some(gate) = self.gate_mut(&id) {
            let refused = &mut gate.signed.refused;
            refused.push(RefusedInput {
                reason: event.reason.clone(),
                at,
                from: event.from.clone(),
            });
            let over = refused.len().saturating_sub(REFUSED_KEPT);
            refused.drain(..over);
        }
    }

    /// Folds what is about keys.
    pub(in crate::promotion) fn take_signing(&mut self, record: &Record) {
        match &record.event {
            Event::StatementsIssued(event) => {
                let standing = self.standing(&event.gate, event.purpose != Purpose::Signoff);
                if let Some(gate) = self.gate_mut(&event.gate) {
                    gate.signed.issued = Some(issued(event, record, standing));
                    gate.signed.signatures.clear();
                }
            }
            Event::SignatureAccepted(event) => {
                let Ok(statement) = KeyStatement::read(event.statement.as_bytes()) else {
                    return;
                };
                self.nonces.insert(statement.nonce.clone());
                if let Some(gate) = self.gate_mut(&event.gate) {
                    gate.signed.signatures.push(Signed {
                        statement,
                        fingerprint: event.fingerprint.clone(),
                        received: event.received,
                        from: event.from.clone(),
                    });
                }
            }
            Event::SignaturesVoided(event) => {
                if let Some(gate) = self.gate_mut(&event.gate) {
                    gate.signed.void(&event.reason);
                }
            }
            Event::InputRejected(event) => self.take_refused(event, record.time),
            _ => {}
        }
    }
}

fn issued(event: &StatementsIssued, record: &Record, standing: Vec<Standing>) -> Issued {
    Issued {
        purpose: event.purpose,
        attempt: event.attempt,
        seed: event.seed.clone(),
        expires: event.expires,
        evidence: event.evidence.clone(),
        plan: event.plan.clone(),
        targets: event.targets.clone(),
        reason: event.reason.clone(),
        head: Head {
            head: format!("sha256:{}", record.hash),
            seq: record.seq,
        },
        time: record.time,
        standing,
    }
}
