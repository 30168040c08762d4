//! What keys have to do with a gate: who may sign, who has, what is void, and what was refused.

use crate::console::model::Model;
use crate::console::screen::text::{Doc, Ink, span};
use crate::console::screen::times::{clock, watch};
use crate::engine::STATEMENTS;
use crate::promotion::signature::{Issued, Purpose, Signed, Voided};
use crate::promotion::{Decision, GateRecord};
use crate::untrusted::{clean, clean_line};

/// How many refused inputs are shown; the journal has all.
const REFUSED_SHOWN: usize = 3;

/// Who signs a gate for a purpose, and what has come of it.
pub(super) fn page(doc: &mut Doc, model: &Model, gate: &GateRecord, purpose: Purpose) {
    let Some((roles, needed)) = model.run().signing_roles(&gate.id, purpose) else {
        return;
    };
    let done = gate.signed.approvals();
    let title = match purpose {
        Purpose::Signoff => format!("Signatures by key, {done} of {needed}"),
        other => format!("Signatures for the {}, {done} of {needed}", other.title()),
    };
    doc.heading(&title);
    voided(doc, gate);
    just_refused(doc, gate);
    let issued = gate
        .signed
        .issued
        .as_ref()
        .filter(|issued| issued.purpose == purpose);
    if let Some(issued) = issued.filter(|issued| !issued.reason.is_empty() && gate.waiver.is_none())
    {
        doc.text(Ink::Plain, &clean(&issued.reason));
        doc.blank();
    }
    for name in roles {
        let role = model.run().definition.role(name);
        let title = role.map_or(name.clone(), |role| clean_line(&role.title));
        match gate.signed.of_role(name) {
            Some(said) => signed(doc, model, &title, said),
            None => {
                doc.hanging(&[span(Ink::Muted, "[ ] ")], Ink::Plain, &title);
                let members = role.map_or(String::new(), |role| role.members.join(", "));
                let state = match issued {
                    Some(_) => "waits for the key of",
                    None => "may be signed by",
                };
                let text = format!("{state} {}", clean_line(&members));
                doc.hanging(&[span(Ink::Muted, "    ")], Ink::Muted, &text);
            }
        }
    }
    if let Some(issued) = issued {
        waiting(doc, model, gate, issued);
    }
    refused(doc, model, gate);
    if purpose == Purpose::Signoff {
        doc.blank();
        let text = "each role by another person and another key; one rejection ends the run";
        doc.text(Ink::Muted, text);
    }
}

/// The signatures of a waiver: while they are asked for, and after.
pub(super) fn waiver(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    let issued = gate.signed.issued.as_ref();
    match issued.map(|issued| issued.purpose) {
        Some(purpose @ (Purpose::Waiver | Purpose::BreakGlass)) => page(doc, model, gate, purpose),
        // Those of a sign-off stand on its own page.
        Some(Purpose::Signoff) => {}
        None if super::super::signing::by_keys(model) => {}
        None => {
            voided(doc, gate);
            refused(doc, model, gate);
        }
    }
}

fn signed(doc: &mut Doc, model: &Model, title: &str, said: &Signed) {
    let (mark, ink, word) = match said.statement.decision {
        Decision::Approve => ("[x] ", Ink::Good, "signed"),
        Decision::Reject => ("[✗] ", Ink::Bad, "REJECTED"),
    };
    doc.hanging(&[span(ink, mark)], Ink::Plain, title);
    let by = clean_line(&said.statement.signer);
    let at = clock(said.received, &model.zone);
    let indent = || [span(Ink::Muted, "    ")];
    doc.hanging(&indent(), ink, &format!("{word} by {by} at {at}"));
    doc.hanging(&indent(), Ink::Muted, &format!("key {}", said.fingerprint));
    if !said.statement.note.is_empty() {
        doc.hanging(&indent(), Ink::Plain, &clean(&said.statement.note));
    }
}

fn waiting(doc: &mut Doc, model: &Model, gate: &GateRecord, issued: &Issued) {
    if gate.state.advances() {
        return;
    }
    doc.blank();
    let left = issued.expires.duration_since(model.now);
    let until = clock(issued.expires, &model.zone);
    if left <= jiff::SignedDuration::ZERO {
        let text = format!("the statements expired at {until}; s asks for new ones");
        doc.hanging(&[span(Ink::Warning, "! ")], Ink::Warning, &text);
        return;
    }
    let text = format!("to be signed until {until}, for another {}", watch(left));
    doc.text(Ink::Muted, &text);
    let place = format!("{}/{STATEMENTS}", model.folder);
    doc.text(Ink::Muted, "the statements lie in");
    doc.text(Ink::Plain, &clean_line(&place));
    doc.hanging(
        &[span(Ink::Accent, "→ ")],
        Ink::Plain,
        "each is signed with: stagegate sign FILE; paste what comes back here, or press s",
    );
    doc.hanging(
        &[span(Ink::Muted, "  ")],
        Ink::Muted,
        "sign on your own machine: an agent forwarded to this one signs for whoever rules it",
    );
}

fn voided(doc: &mut Doc, gate: &GateRecord) {
    let Some(last) = gate.signed.voided.last() else {
        return;
    };
    let Voided {
        reason, signatures, ..
    } = last;
    let what = match signatures.len() {
        0 => "statements are void".to_owned(),
        1 => "1 signature is void".to_owned(),
        count => format!("{count} signatures are void"),
    };
    let text = format!("{what}: {}", clean_line(reason));
    doc.hanging(&[span(Ink::Warning, "↻ ")], Ink::Warning, &text);
    for signed in signatures {
        let (signer, role) = (&signed.statement.signer, &signed.statement.role);
        let text = clean_line(&format!("{signer} as {role}"));
        doc.hanging(&[span(Ink::Muted, "  – ")], Ink::Muted, &text);
    }
}

/// What was refused since the last signature was taken.
fn just_refused(doc: &mut Doc, gate: &GateRecord) {
    let taken = gate.signed.signatures.iter();
    let taken = taken.map(|signed| signed.received).max();
    let last = gate.signed.refused.last();
    if let Some(last) = last.filter(|last| taken.is_none_or(|taken| taken <= last.at)) {
        let text = format!("REFUSED: {}", clean_line(&last.reason));
        doc.hanging(&[span(Ink::Bad, "✗ ")], Ink::Bad, &text);
    }
}

fn refused(doc: &mut Doc, model: &Model, gate: &GateRecord) {
    let refused = &gate.signed.refused;
    if refused.is_empty() {
        return;
    }
    doc.heading("Refused");
    for input in refused.iter().rev().take(REFUSED_SHOWN) {
        let at = clock(input.at, &model.zone);
        let text = clean_line(&format!("{at}, {}: {}", input.from, input.reason));
        doc.hanging(&[span(Ink::Bad, "✗ ")], Ink::Plain, &text);
    }
    let more = refused.len().saturating_sub(REFUSED_SHOWN);
    if more > 0 {
        doc.text(Ink::Muted, &format!("{more} more stand in the journal"));
    }
}
