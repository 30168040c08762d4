//! Signatures by keys: whose list of keys counts, and who may waive what.

use std::time::Duration;

use super::findings::{At, Findings};
use super::model::{Gate, Kind, Role};
use super::names::{Names, check_roles};
use super::reader::TableReader;

/// How long a statement may be signed when the runbook says nothing.
const STATEMENT_LASTS: Duration = Duration::from_secs(24 * 60 * 60);
const WAIVER_LASTS: Duration = Duration::from_secs(2 * 60 * 60);
/// An auditor who was not there reads the reason.
const SHORTEST_REASON: i64 = 20;
const LONGEST_REASON: i64 = 1000;

/// `[signatures]`: whose keys sign, and under which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures {
    /// The list of keys, relative to the runbook's root.
    pub allowed_signers: String,
    /// Keys that do not count any more.
    pub revoked: Option<String>,
    /// The end of every namespace, such as `stagegate@example.com`.
    pub domain: String,
    pub expires: Duration,
}

/// Roles that must all approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signoff {
    pub roles: Vec<String>,
    pub distinct: bool,
    /// They sign with their keys; otherwise by their names, at the console.
    pub keys: bool,
}

/// Whose signatures let a run go past a gate that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedWaiver {
    pub roles: Vec<String>,
    /// How many of these roles must agree.
    pub signatures: usize,
    /// How long the reason is at least.
    pub reason: usize,
    pub expires: Duration,
}

pub(super) fn read(top: &mut TableReader<'_, '_>, roles: &[Role]) -> Option<Signatures> {
    let place = top.place("signatures");
    let mut table = top.table("signatures", "`signatures`")?;
    let allowed_signers = table.need_string("allowed_signers").value;
    let revoked = table.string("revoked").map(|path| path.value);
    let domain = table.need_string("domain");
    if !domain.value.is_empty() && !is_domain(&domain.value) {
        table.findings.add(
            domain.span.clone(),
            format!("`{}` cannot be the end of a namespace", domain.value),
            "not a name and a domain",
            Some(
                "write domain = \"stagegate@example.com\", with the domain of whoever runs this"
                    .into(),
            ),
        );
    }
    let expires = lasting(&mut table, STATEMENT_LASTS);
    let findings = table.findings;
    table.finish();
    for role in roles {
        let people = role.members.iter().filter(|name| !plain(name));
        for name in std::iter::once(&role.name)
            .filter(|name| !plain(name))
            .chain(people)
        {
            findings.add(
                place.clone(),
                format!("`{name}` cannot stand in a list of keys"),
                "names that sign have no blanks, commas, quotes, `*`, `?` or `!`",
                None,
            );
        }
    }
    Some(Signatures {
        allowed_signers,
        revoked,
        domain: domain.value,
        expires,
    })
}

/// Reads `[break_glass]`: who waives a waivable gate when its own roles are not there.
pub(super) fn read_break_glass(
    top: &mut TableReader<'_, '_>,
    names: &Names,
) -> Option<SignedWaiver> {
    let place = top.place("break_glass");
    let mut table = top.table("break_glass", "`break_glass`")?;
    let signatures = table.place("signatures");
    let findings = table.findings;
    let roles = table.need_strings("roles", "[\"release\", \"security\"]");
    let rule = read_rule(&mut table, roles, names);
    table.finish();
    if !names.signs {
        needs_signatures(findings, place, "`break_glass` is signed with keys");
    }
    if rule.signatures < 2 {
        findings.add(
            signatures,
            "`break_glass` needs two signatures at least",
            "one person alone breaks no glass",
            Some("write signatures = 2, and at least two roles".into()),
        );
    }
    Some(rule)
}

/// Reads `waivable` of a gate: a flag, or a table that says whose signatures waive it.
pub(super) fn read_waivable(
    gate: &mut TableReader<'_, '_>,
    names: &Names,
) -> (bool, Option<SignedWaiver>) {
    let is_table = gate
        .any("waivable")
        .is_some_and(|found| found.get_ref().is_table());
    let place = gate.place("waivable");
    if !is_table {
        let waivable = gate.flag("waivable", false);
        let every = names.roles.iter().filter(|role| !role.is_empty());
        let roles: Vec<String> = every.cloned().collect();
        if !(waivable && names.signs) {
            return (waivable, None);
        }
        if roles.is_empty() {
            let message = format!("nobody could sign a waiver of {}", gate.name);
            let help = Some("describe a [[role]] with its members".into());
            gate.findings
                .add(place, message, "this runbook has no roles", help);
        }
        let rule = SignedWaiver {
            signatures: roles.len(),
            roles,
            reason: SHORTEST_REASON as usize,
            expires: WAIVER_LASTS,
        };
        return (waivable, Some(rule));
    }
    let label = format!("`waivable` of {}", gate.name);
    let Some(mut table) = gate.table("waivable", &label) else {
        return (false, None);
    };
    if !names.signs {
        needs_signatures(
            table.findings,
            place,
            &format!("{label} asks for signatures"),
        );
    }
    let roles = table.need_strings("roles", "[\"dba\", \"security\"]");
    let rule = read_rule(&mut table, roles, names);
    table.finish();
    (true, Some(rule))
}

fn read_rule(
    table: &mut TableReader<'_, '_>,
    roles: Vec<At<String>>,
    names: &Names,
) -> SignedWaiver {
    check_roles(&roles, table, names);
    let count = roles.len().max(1) as i64;
    let signatures = table
        .whole("signatures", 1..=count)
        .map_or(count, |n| n.value);
    let reason = table.whole("reason", SHORTEST_REASON..=LONGEST_REASON);
    SignedWaiver {
        roles: roles.into_iter().map(|role| role.value).collect(),
        signatures: signatures as usize,
        reason: reason.map_or(SHORTEST_REASON, |n| n.value) as usize,
        expires: lasting(table, WAIVER_LASTS),
    }
}

/// Reads `expires`, which must leave time to sign and may not be for ever.
fn lasting(table: &mut TableReader<'_, '_>, usual: Duration) -> Duration {
    let Some(given) = table.duration("expires") else {
        return usual;
    };
    let (least, most) = (
        Duration::from_secs(60),
        Duration::from_secs(90 * 24 * 60 * 60),
    );
    if !(least..=most).contains(&given.value) {
        let message = format!("`expires` of {} must be from 1m to 90d", table.name);
        table
            .findings
            .add(given.span, message, "out of range", None);
    }
    given.value
}

pub(super) fn needs_signatures(
    findings: &Findings<'_>,
    place: std::ops::Range<usize>,
    message: &str,
) {
    findings.add(
        place,
        message,
        "the runbook says nowhere whose keys count",
        Some("write [signatures] with allowed_signers = \"…\" and domain = \"…\"".into()),
    );
}

/// Without these nothing may go on, whoever would sign for it.
pub(super) fn check_waivable(path: &[Gate], names: &Names, findings: &Findings<'_>) {
    let last = path.iter().rposition(|gate| gate.kind.migrates());
    let before = last.map_or(&[][..], |last| &path[..last]);
    for gate in before {
        if gate.waivable
            && matches!(gate.kind, Kind::Drift(_))
            && let Some(span) = names.ids.get(&gate.id)
        {
            findings.add(
                span.clone(),
                format!(
                    "gate `{}` is a drift before migrations, which can never be waived",
                    gate.id
                ),
                "nothing may be migrated on a schema that is not the expected one",
                Some("leave `waivable` out".into()),
            );
        }
    }
}

fn is_domain(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty())
        && text.matches('@').count() == 1
        && plain(text)
}

fn plain(text: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || ",\"'*?!/\\#".contains(c);
    !text.contains(forbidden)
}
