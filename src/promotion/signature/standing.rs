//! What a signature stands on: how every gate before it came out. One pure function computes its
//! digest, when a statement is issued and whenever a signature is used.

use serde::Serialize;

use crate::digest::digest;
use crate::promotion::{GateRecord, Run, Statement};

/// How one gate stands, as a statement depends on it. The fields stand in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub attempt: u32,
    pub evidence: Option<String>,
    pub gate: String,
    /// What people said: items that they confirmed, what they signed.
    pub people: Vec<String>,
    pub plan: Option<String>,
    pub state: &'static str,
    pub summary: String,
}

impl Standing {
    fn of(gate: &GateRecord) -> Standing {
        let items = gate.items.iter().flatten();
        let mut people: Vec<String> = items
            .map(|item| format!("{} {}", item.by, item.value.as_deref().unwrap_or_default()))
            .collect();
        people.extend(gate.statements.iter().map(Statement::words));
        let signed = gate.signed.signatures.iter();
        people.extend(signed.map(|signed| signed.statement.words()));
        people.extend(
            gate.waiver
                .iter()
                .map(|waiver| format!("waived: {}", waiver.reason)),
        );
        Standing {
            attempt: gate.attempt,
            evidence: gate.evidence.clone(),
            gate: gate.id.clone(),
            people,
            plan: gate.plan.clone(),
            state: gate.state.word(),
            summary: gate
                .finding
                .as_ref()
                .map(|f| f.summary.clone())
                .unwrap_or_default(),
        }
    }

    fn words(&self) -> String {
        format!("{} at attempt {}", self.state, self.attempt)
    }
}

impl Run {
    /// How every gate before this one stands; with `own`, this one too.
    pub fn standing(&self, id: &str, own: bool) -> Vec<Standing> {
        let before = self.gates.iter().take_while(|gate| gate.id != id);
        let itself = self.gate(id).filter(|_| own);
        // What is being signed for a gate is no part of what the signature stands on.
        let itself = itself.map(|gate| Standing {
            people: Vec::new(),
            ..Standing::of(gate)
        });
        before.map(Standing::of).chain(itself).collect()
    }
}

/// The digest that a statement names as its evidence.
pub fn evidence_digest(standing: &[Standing]) -> String {
    prefixed(&serde_json::to_vec(standing).unwrap_or_default())
}

/// The digest over the plans that these gates carried out.
pub fn plan_digest(standing: &[Standing]) -> String {
    let plans: Vec<(&str, Option<&str>)> = standing
        .iter()
        .map(|gate| (gate.gate.as_str(), gate.plan.as_deref()))
        .collect();
    prefixed(&serde_json::to_vec(&plans).unwrap_or_default())
}

fn prefixed(bytes: &[u8]) -> String {
    format!("sha256:{}", digest(bytes))
}

/// The first gate that stands otherwise than it did, in words.
pub fn difference(before: &[Standing], now: &[Standing]) -> Option<String> {
    if let Some((was, is)) = before.iter().zip(now).find(|(was, is)| was != is) {
        let gate = &was.gate;
        if was.words() != is.words() {
            let (was, is) = (was.words(), is.words());
            return Some(format!("`{gate}` was {was}, and is {is} now"));
        }
        let what = match () {
            () if was.evidence != is.evidence => "its evidence",
            () if was.plan != is.plan => "its plan",
            () if was.people != is.people => "what people said of it",
            () => "what it found",
        };
        return Some(format!("`{gate}`: {what} has changed since"));
    }
    (before.len() != now.len()).then(|| "the gates before it are others now".to_owned())
}
