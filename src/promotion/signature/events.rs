//! What happens about statements and signatures, as the journal holds it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{KeyStatement, Purpose, Signed, TargetSeen};

/// Statements wait for signatures. With the record's own hash and the first record of the run, the
/// bytes of each of them follow from this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementsIssued {
    pub gate: String,
    pub attempt: u32,
    pub purpose: Purpose,
    /// Drawn for these statements alone; every nonce comes from it.
    pub seed: String,
    pub expires: Timestamp,
    pub evidence: String,
    pub plan: String,
    pub targets: Vec<TargetSeen>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A signature that was verified: all that is needed to verify it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureAccepted {
    pub gate: String,
    pub attempt: u32,
    /// The bytes that were signed, which are text.
    pub statement: String,
    pub signature: String,
    pub fingerprint: String,
    pub received: Timestamp,
    /// How it came, in words.
    pub from: String,
}

/// Statements and signatures of a gate that count no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignaturesVoided {
    pub gate: String,
    pub attempt: u32,
    pub reason: String,
}

/// Something that was handed in and does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRejected {
    /// The gate that it was for, where it says one of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    pub reason: String,
    /// SHA-256 of all that was handed in.
    pub sha256: String,
    pub from: String,
}

/// Who waived a gate by signing, and for how long that counts if nothing is started on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverSigned {
    pub by: Vec<String>,
    pub purpose: Purpose,
    pub expires: Timestamp,
}

impl StatementsIssued {
    pub(in crate::promotion) fn words(&self) -> String {
        let reason = match self.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let (what, until) = (self.purpose.title(), self.expires);
        format!("statements issued for the {what}, to be signed until {until}{reason}")
    }
}

impl SignatureAccepted {
    pub(in crate::promotion) fn words(&self) -> String {
        let read = KeyStatement::read(self.statement.as_bytes());
        let said = read.map_or_else(|_| "signed".to_owned(), |statement| statement.words());
        format!("{said} (key {}; {})", self.fingerprint, self.from)
    }
}

/// Who has signed, for the record of a waiver.
pub(in crate::promotion) fn signers(signed: &[Signed]) -> Vec<String> {
    let who = |signed: &Signed| format!("{} as {}", signed.statement.signer, signed.statement.role);
    signed.iter().map(who).collect()
}

/// A waiver in words.
pub(in crate::promotion) fn waived(reason: &str, signed: Option<&WaiverSigned>) -> String {
    match signed {
        None => format!("waived: {reason}"),
        Some(signed) => {
            let glass = match signed.purpose {
                Purpose::BreakGlass => " by BREAK-GLASS",
                _ => "",
            };
            format!(
                "waived{glass}, signed by {}: {reason}",
                signed.by.join(", ")
            )
        }
    }
}
