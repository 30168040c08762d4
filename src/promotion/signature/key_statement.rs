//! What a key signs.
//!
//! A statement names everything that it stands for: the run, the gate and its attempt, what every
//! gate before it found, the databases, and the record of the journal that issued it. So it is of no
//! use in another run, for another role, or after any of that has changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::promotion::Decision;

/// What a statement is for. Each has namespaces of its own, so that a signature for the one is none
/// for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Purpose {
    #[serde(rename = "stagegate/signoff/1")]
    Signoff,
    #[serde(rename = "stagegate/waiver/1")]
    Waiver,
    #[serde(rename = "stagegate/break-glass/1")]
    BreakGlass,
}

impl Purpose {
    /// Its word in a namespace and in names of files.
    pub fn word(self) -> &'static str {
        match self {
            Purpose::Signoff => "signoff",
            Purpose::Waiver => "waiver",
            Purpose::BreakGlass => "break-glass",
        }
    }

    /// What it is called on screens.
    pub fn title(self) -> &'static str {
        match self {
            Purpose::Signoff => "sign-off",
            Purpose::Waiver => "waiver",
            Purpose::BreakGlass => "break-glass",
        }
    }

    /// The namespace of its signatures for a role.
    pub fn namespace(self, role: &str, domain: &str) -> String {
        format!("{role}.{}.{domain}", self.word())
    }
}

/// The record that issued a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub head: String,
    pub seq: u64,
}

/// A database that the run has seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSeen {
    pub database: String,
    pub name: String,
    /// Empty where the role may not read it.
    pub system_identifier: String,
}

impl TargetSeen {
    /// The database in words.
    pub fn words(&self) -> String {
        let system = match self.system_identifier.as_str() {
            "" => "not known",
            known => known,
        };
        format!(
            "{}: database {}, system identifier {system}",
            self.name, self.database
        )
    }
}

/// One person's decision in one role, as a key signs it. The fields stand in the order of their
/// names: serialised, with a line feed behind it, this is the canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyStatement {
    #[serde(rename = "_type")]
    pub purpose: Purpose,
    pub attempt: u32,
    pub decision: Decision,
    /// Digest over what every gate before this one found.
    pub evidence: String,
    pub expires: Timestamp,
    pub gate: String,
    pub journal: Head,
    /// The namespace of the signature: the role, the purpose, and whose rules these are.
    pub namespace: String,
    /// One for a role and a person: whoever has approved cannot reject as well.
    pub nonce: String,
    /// What the signer adds. Besides the decision, this alone is the signer's to write.
    pub note: String,
    /// Digest over the plans that those gates carried out.
    pub plan: String,
    /// Why the gate is waived.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub role: String,
    pub run: String,
    pub runbook: String,
    pub signer: String,
    /// Digest of the list of keys.
    pub signers: String,
    pub target: Vec<TargetSeen>,
    pub time: Timestamp,
}

impl KeyStatement {
    /// The bytes that are signed.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a statement, whose bytes must be the canonical ones.
    ///
    /// # Errors
    /// Why they are not.
    pub fn read(bytes: &[u8]) -> Result<KeyStatement, String> {
        let statement: KeyStatement = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no statement of this version: {error}"))?;
        if statement.canonical() == bytes {
            return Ok(statement);
        }
        Err("its bytes are not the canonical ones: a blank, a line feed or the order of its fields \
             was changed"
            .to_owned())
    }

    /// The statement in one line.
    pub fn words(&self) -> String {
        let decision = match (self.purpose, self.decision) {
            (Purpose::Signoff, Decision::Approve) => "approved",
            (_, Decision::Approve) => "agreed to",
            (_, Decision::Reject) => "REJECTED",
        };
        let note = match self.note.as_str() {
            "" => String::new(),
            note => format!(": {note}"),
        };
        format!("{decision} by {} as {}{note}", self.signer, self.role)
    }

    /// The first field in which two statements differ, apart from the note, and what stands there.
    pub fn differs_from(&self, issued: &KeyStatement) -> Option<String> {
        let (mine, other) = (fields(self)?, fields(issued)?);
        let none = serde_json::Value::String(String::new());
        let names = mine
            .keys()
            .chain(other.keys())
            .filter(|name| *name != "note");
        let differing = names.filter(|name| mine.get(*name) != other.get(*name));
        let differing = differing.map(|name| {
            let of = |fields: &serde_json::Map<String, serde_json::Value>| {
                fields.get(name).unwrap_or(&none).to_string()
            };
            format!("`{name}` is {}, and {} was issued", of(&mine), of(&other))
        });
        differing.into_iter().next()
    }
}

fn fields(statement: &KeyStatement) -> Option<serde_json::Map<String, serde_json::Value>> {
    match serde_json::to_value(statement) {
        Ok(serde_json::Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::promotion::signature) fn statement() -> KeyStatement {
        let digest = |c: &str| format!("sha256:{}", c.repeat(64));
        KeyStatement {
            purpose: Purpose::Signoff,
            attempt: 1,
            decision: Decision::Approve,
            evidence: digest("a"),
            expires: "2026-11-23T03:00:00Z".parse().unwrap(),
            gate: "accept".into(),
            journal: Head {
                head: digest("b"),
                seq: 412,
            },
            namespace: "dba.signoff.stagegate@example.com".into(),
            nonce: "c".repeat(32),
            note: String::new(),
            plan: digest("d"),
            reason: String::new(),
            role: "dba".into(),
            run: "20261122-030000-abcd".into(),
            runbook: digest("e"),
            signer: "ana@example.com".into(),
            signers: digest("f"),
            target: vec![TargetSeen {
                database: "orders".into(),
                name: "production".into(),
                system_identifier: "7301442915563021845".into(),
            }],
            time: "2026-11-22T03:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn the_canonical_form_is_sorted_dense_and_ends_in_one_line_feed() {
        let bytes = statement().canonical();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(
            text.starts_with("{\"_type\":\"stagegate/signoff/1\",\"attempt\":1,"),
            "{text}"
        );
        assert!(
            text.ends_with("Z\"}\n") && !text.trim_end().contains(['\n', ' ']),
            "{text}"
        );
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sorted = serde_json::to_string(&value).unwrap();
        assert_eq!(
            format!("{sorted}\n"),
            text,
            "its keys stand in order, also further down"
        );
        assert_eq!(KeyStatement::read(&bytes).unwrap(), statement());
    }

    #[test]
    fn other_bytes_are_refused_even_where_they_mean_the_same() {
        let text = String::from_utf8(statement().canonical()).unwrap();
        let refused = |text: &str, words: &str| {
            let error = KeyStatement::read(text.as_bytes()).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        refused(text.trim_end(), "canonical");
        refused(&format!("{text}\n"), "canonical");
        refused(&text.replacen(':', ": ", 1), "canonical");
        refused(
            &text.replace("\"attempt\":1", "\"attempt\":1,\"attempt\":1"),
            "duplicate",
        );
        refused(
            &text.replace("\"attempt\":1", "\"attempt\":1,\"extra\":1"),
            "unknown field",
        );
        refused(
            &text.replace("signoff/1", "signoff/2"),
            "stagegate/signoff/2",
        );
        refused("not json", "no statement");
    }

    #[test]
    fn a_difference_is_named_and_the_note_is_none() {
        let (issued, mut handed) = (statement(), statement());
        handed.note = "seen with sam".into();
        assert_eq!(handed.differs_from(&issued), None);
        handed.gate = "other".into();
        let words = handed.differs_from(&issued).unwrap();
        assert!(
            words.contains("`gate` is \"other\", and \"accept\" was issued"),
            "{words}"
        );
    }
}
