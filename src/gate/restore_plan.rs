//! What a `restore` gate would do, and what it would lose.

use super::backup::bytes;
use super::restore::{good_backup, own_prefix};
use super::{Context, Plan, TargetError, Tone};
use crate::postgres::PostgresError;
use crate::postgres::dump::Manifest;
use crate::postgres::identity::Identity;
use crate::postgres::restore;
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::swap::{self, SwapNames};
use crate::runbook::{Restore, RestoreMode, Sessions};

pub(super) async fn plan(gate: &Restore, context: &Context) -> Plan {
    let mode = match gate.mode {
        RestoreMode::Swap => "into a new database, then change the names over",
        RestoreMode::InPlace => "over the database itself, in one transaction",
    };
    let (manifest, server) = match good_backup(gate, context) {
        Ok(backup) => backup,
        Err(finding) => {
            let mut plan = Plan::new(format!("restore {}", gate.target), &[&gate.target]);
            plan.refuses = Some(finding.summary);
            return plan;
        }
    };
    let summary = format!("restore {} {mode}", gate.target);
    let inputs = [
        gate.target.as_str(),
        mode,
        &manifest.path,
        &manifest.taken_at,
    ];
    let mut plan = Plan::new(summary, &inputs)
        .with(Tone::Plain, format!("of       {server}"))
        .with(
            Tone::Plain,
            format!(
                "backup   {}, {}, {} tables, taken {}",
                manifest.path,
                bytes(manifest.bytes),
                manifest.tables,
                manifest.taken_at
            ),
        )
        .with(
            Tone::Warning,
            "lost     everything written since the backup was taken",
        );
    match survey(gate, context, &manifest).await {
        Err(error) => {
            let reason = format!("{} cannot be asked: {error}", gate.target);
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
        }
        Ok(survey) => survey.describe(gate, context, &mut plan),
    }
    plan.with(
        Tone::Muted,
        "first    the target's identity and the backup's SHA-256 are proved again",
    )
    .with(
        Tone::Muted,
        "then     every table's rows are added up and compared with the backup's",
    )
}

/// What stands in the way of a restore, or behind it.
struct Survey {
    identity: Identity,
    others: Vec<swap::OtherSession>,
    changed: Vec<String>,
    newer: Vec<String>,
}

impl Survey {
    fn describe(&self, gate: &Restore, context: &Context, plan: &mut Plan) {
        plan.line(
            Tone::Plain,
            format!("into     {}", self.identity.describe()),
        );
        if gate.mode == RestoreMode::Swap {
            let names = SwapNames::new(&self.identity.database, &context.run, &context.gate.id);
            plan.line(
                Tone::Plain,
                format!("kept     today's database stays as {}", names.kept),
            );
        }
        if gate.mode == RestoreMode::InPlace && !self.newer.is_empty() {
            let list = self.newer.join(", ");
            let text = format!("newer    not in the backup, stays as it is: {list}");
            plan.line(Tone::Warning, text);
            if !gate.keep_newer {
                plan.refuses = Some(newer_words(&self.newer));
            }
        }
        for line in self.changed.iter().take(20) {
            plan.line(Tone::Plain, format!("differs  {line}"));
        }
        for other in &self.others {
            plan.line(Tone::Warning, format!("session  {other}"));
        }
        let (count, word) = (self.others.len(), "sessions of others");
        match (count, gate.sessions) {
            (0, _) => plan.line(Tone::Plain, "sessions nobody else is connected"),
            (_, Sessions::End) => plan.line(Tone::Warning, format!("sessions {count} {word} end")),
            (_, Sessions::Refuse) => {
                plan.refuses = Some(format!("{count} {word} are connected"));
            }
        }
    }
}

pub(super) fn newer_words(newer: &[String]) -> String {
    let (count, list) = (newer.len(), newer.join(", "));
    format!("{count} newer than the backup, which would stay or be in the way: {list}")
}

async fn survey(
    gate: &Restore,
    context: &Context,
    manifest: &Manifest,
) -> Result<Survey, TargetError> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let (session, identity) = context
        .targets
        .open(&gate.target, &context.gate.id, settings)
        .await?;
    let own = own_prefix(context);
    let others = swap::other_sessions(&session, &identity.database, &own).await?;
    let newer = restore::newer_objects(&session, manifest).await?;
    let found = row_counts(&session, manifest).await?;
    Ok(Survey {
        identity,
        others,
        changed: found,
        newer,
    })
}

/// Where the numbers of rows differ from the backup's, by the server's own estimate: exact counts
/// are taken after the restore.
async fn row_counts(session: &Session, manifest: &Manifest) -> Result<Vec<String>, PostgresError> {
    let mut lines = Vec::new();
    for (table, content) in &manifest.contents {
        let sql = format!(
            "SELECT reltuples::bigint FROM pg_catalog.pg_class WHERE oid = to_regclass({})",
            crate::postgres::ledger::literal(table)
        );
        let row = session.client.query_typed_opt(&sql, &[]).await?;
        match row.map(|row| row.get::<_, i64>(0)) {
            None => lines.push(format!(
                "{table} is gone; the backup has {} rows",
                content.rows
            )),
            Some(estimate) if estimate >= 0 && estimate.unsigned_abs() != content.rows => {
                lines.push(format!(
                    "{table} about {estimate} rows, the backup {}",
                    content.rows
                ));
            }
            Some(_) => {}
        }
    }
    Ok(lines)
}
