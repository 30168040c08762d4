//! A statement in words, for the person who is to sign it. What is shown is all of it.

use std::fmt::Write as _;

use crate::promotion::Decision;
use crate::promotion::signature::{KeyStatement, Purpose};
use crate::untrusted::clean_line;

/// Every field of a statement, in words, cleaned of what a terminal would obey.
pub(super) fn statement(of: &KeyStatement, now: jiff::Timestamp) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<11} {}", clean_line(value));
    };
    line("decision", decision(of));
    line(
        "about",
        &format!(
            "{} of gate `{}`, attempt {}",
            of.purpose.title(),
            of.gate,
            of.attempt
        ),
    );
    if !of.reason.is_empty() {
        line("reason", &of.reason);
    }
    line("you", &format!("{}, as {}", of.signer, of.role));
    let note = match of.note.as_str() {
        "" => "none",
        note => note,
    };
    line("your note", note);
    line("run", &of.run);
    for target in &of.target {
        line("database", &target.words());
    }
    if of.target.is_empty() {
        line("database", "none was seen yet");
    }
    line("evidence", &of.evidence);
    line("plans", &of.plan);
    line("runbook", &of.runbook);
    line("keys", &of.signers);
    line(
        "journal",
        &format!("record {}, {}", of.journal.seq, of.journal.head),
    );
    line("issued", &of.time.to_string());
    let left = of.expires.duration_since(now).as_secs();
    let left = match left {
        ..=0 => "EXPIRED".to_owned(),
        left => format!("in {} h {:02} min", left / 3600, left % 3600 / 60),
    };
    line("expires", &format!("{}, {left}", of.expires));
    line("nonce", &of.nonce);
    line("namespace", &of.namespace);
    text
}

fn decision(of: &KeyStatement) -> &'static str {
    match (of.decision, of.purpose) {
        (Decision::Approve, Purpose::Signoff) => "APPROVE",
        (Decision::Approve, Purpose::Waiver) => "APPROVE that the run goes on without this gate",
        (Decision::Approve, Purpose::BreakGlass) => {
            "APPROVE breaking the glass: the run goes on without this gate and without its roles"
        }
        (Decision::Reject, Purpose::Signoff) => "REJECT: this ends the run",
        (Decision::Reject, _) => "REJECT: the gate is not waived",
    }
}

/// What another statement of the same run said otherwise, in words.
pub(super) fn changed(last: &KeyStatement, now: &KeyStatement) -> Vec<String> {
    let fields = |of: &KeyStatement| match serde_json::to_value(of) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (fields(last), fields(now));
    // These are others in every statement.
    let told =
        |name: &&String| !["journal", "nonce", "note", "time", "expires"].contains(&name.as_str());
    let mut names: Vec<&String> = before.keys().chain(after.keys()).filter(told).collect();
    names.sort();
    names.dedup();
    names.retain(|name| before.get(*name) != after.get(*name));
    let shown = |value: Option<&serde_json::Value>| {
        clean_line(&value.map(ToString::to_string).unwrap_or_default())
    };
    let words = |name: &String| {
        format!(
            "{name}: {} then, {} now",
            shown(before.get(name)),
            shown(after.get(name))
        )
    };
    names.into_iter().map(words).collect()
}
