//! The signatures of a run as files that `ssh-keygen` verifies, made from the journal alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::promotion::signature::KeyStatement;
use crate::promotion::{Event, Record, Run};

/// The lists of keys as they were pinned, and for every accepted signature what was signed, the
/// signature, and when it came.
pub(super) fn files(run: &Run, records: &[Arc<Record>]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    if let Some(rules) = &run.definition.signatures {
        let text = rules.allowed_signers.text.clone();
        files.insert("signers/allowed_signers".to_owned(), text.into_bytes());
        if let Some(revoked) = &rules.revoked {
            let text = revoked.text.clone();
            files.insert("signers/revoked".to_owned(), text.into_bytes());
        }
    }
    for record in records {
        let Event::SignatureAccepted(accepted) = &record.event else {
            continue;
        };
        let Ok(statement) = KeyStatement::read(accepted.statement.as_bytes()) else {
            continue;
        };
        // What the runbook calls gate and role is an id, and so fit for the name of a file.
        let stem = format!(
            "signatures/{:05}-{}.{}",
            record.seq, accepted.gate, statement.role
        );
        let moment = accepted.received.strftime("%Y%m%d%H%M%SZ").to_string();
        files.insert(
            format!("{stem}.json"),
            accepted.statement.clone().into_bytes(),
        );
        files.insert(
            format!("{stem}.sig"),
            accepted.signature.clone().into_bytes(),
        );
        files.insert(format!("{stem}.time"), format!("{moment}\n").into_bytes());
    }
    files
}
