//! What a clone would do, and what it would destroy.

use std::collections::BTreeMap;
use std::path::Path;

use super::ends::{self, Lay, Sessions};
use super::guards::{self, Ends};
use super::masks;
use crate::gate::backup::bytes;
use crate::gate::restore::Trouble;
use crate::gate::{Context, Plan, Tone};
use crate::postgres::PostgresError;
use crate::postgres::clone_outward;
use crate::postgres::ledger::identifier;
use crate::postgres::session::Session;
use crate::postgres::tables;
use crate::runbook::{CloneDatabase, Previous};

/// How many accounts are compared; more are counted only.
const ACCOUNTS: i64 = 200_000;

pub(in crate::gate) async fn plan(gate: &CloneDatabase, context: &Context) -> Plan {
    let summary = format!(
        "everything in {} is replaced by a copy of {}",
        gate.target, gate.from
    );
    let rules: Vec<String> = gate
        .mask
        .iter()
        .map(|(column, rule)| format!("{column}={}", rule.word()))
        .collect();
    let sessions = match ends::open(gate, context).await {
        Ok(sessions) => sessions,
        Err(trouble) => {
            let mut plan = Plan::new(summary, &[&gate.from, &gate.target, &rules.join(",")]);
            refuse(&mut plan, trouble);
            return plan;
        }
    };
    let (source, destination) = (&sessions.ends.source, &sessions.ends.destination);
    let inputs = [
        gate.from.as_str(),
        &gate.target,
        &rules.join(","),
        &gate.personal.join(","),
        &source.fingerprint(),
        &destination.fingerprint(),
        if gate.rows { "rows" } else { "schema" },
    ];
    let mut plan = Plan::new(summary, &inputs);
    both(gate, &sessions.ends, &context.path(&gate.safety), &mut plan);
    if let Some(finding) = guards::refusal(&sessions.ends) {
        plan.line(Tone::Bad, format!("refuses  {}", finding.summary));
        plan.refuses = Some(finding.summary);
    }
    if let Err(error) = the_rest(gate, context, &sessions, &mut plan).await {
        refuse(&mut plan, error);
    }
    plan.with(
        Tone::Muted,
        "first    the destination is dumped, and the copy made beside it and compared by content",
    )
    .with(
        Tone::Muted,
        "then     the names change over in one transaction: the old database, or the new one",
    )
}

fn refuse(plan: &mut Plan, trouble: Trouble) {
    let reason = match trouble {
        Trouble::Target(error) => error.to_string(),
        Trouble::Finding(finding) | Trouble::Lost(finding) => {
            for cause in &finding.caused_by {
                plan.line(Tone::Warning, format!("         {cause}"));
            }
            finding.summary
        }
        Trouble::Canceled => "it was canceled".to_owned(),
    };
    plan.line(Tone::Bad, format!("refuses  {reason}"));
    plan.refuses.get_or_insert(reason);
}

fn both(gate: &CloneDatabase, ends: &Ends, safety: &Path, plan: &mut Plan) {
    plan.line(Tone::Plain, format!("from     {}", ends.source.describe()));
    plan.line(
        Tone::Warning,
        format!("into     {}", ends.destination.describe()),
    );
    if let Some(mark) = &ends.mark {
        let purpose = mark.purpose.map_or("unknown", |purpose| purpose.word());
        plan.line(
            Tone::Plain,
            format!(
                "enrolled as {purpose} by {} at {} UTC, for system identifier {}, oid {}",
                mark.made_by, mark.made_at, mark.system_identifier, mark.database_oid
            ),
        );
    }
    plan.line(
        Tone::Plain,
        match gate.previous {
            Previous::Keep => {
                "before   stays beside it, with _before_ and the run in its name".to_owned()
            }
            Previous::Drop => "before   is dropped at the end; its dump stays".to_owned(),
        },
    );
    plan.line(
        Tone::Plain,
        format!("dump     of the destination into {}", safety.display()),
    );
}

/// What is lost, who is there, what is hidden, what reaches out.
async fn the_rest(
    gate: &CloneDatabase,
    context: &Context,
    sessions: &Sessions,
    plan: &mut Plan,
) -> Result<(), Trouble> {
    let lay = ends::lay(gate, context, sessions).await?;
    lost(gate, &lay, plan);
    if let Some(finding) = lay.refusal(gate) {
        for cause in &finding.caused_by {
            plan.line(Tone::Warning, format!("         {cause}"));
        }
        plan.line(Tone::Bad, format!("refuses  {}", finding.summary));
        plan.refuses.get_or_insert(finding.summary);
    }
    for line in clone_outward::left_behind(&sessions.source).await? {
        plan.line(Tone::Warning, format!("reaches  {line}"));
    }
    for call in &gate.may_call {
        plan.line(Tone::Warning, format!("calls    {call}, as may_call says"));
    }
    if let Some(users) = &gate.users {
        for line in accounts(users, &sessions.source, &sessions.destination).await? {
            plan.line(Tone::Warning, format!("users    {line}"));
        }
    }
    let found = tables::read(&sessions.source).await?;
    let above = masks::above(&sessions.source).await?;
    let masked = masks::decide(gate, &found, &above, "")?;
    if gate.rows {
        let size: u64 = masked.plans.iter().map(|plan| plan.bytes).sum();
        plan.line(
            Tone::Plain,
            format!(
                "copies   {} tables, {}, {} sequences",
                masked.plans.len(),
                bytes(size),
                found.sequences.len()
            ),
        );
    } else {
        plan.line(Tone::Plain, "copies   the schema alone, no rows");
    }
    if lay.large_objects > 0 {
        let what = match gate.large_objects {
            Some(false) => "are left empty",
            _ => "are copied as they are",
        };
        plan.line(
            Tone::Warning,
            format!("objects  {} large objects {what}", lay.large_objects),
        );
    }
    for line in &masked.said {
        plan.line(Tone::Plain, format!("hides    {line}"));
    }
    for line in &masked.left {
        plan.line(Tone::Muted, format!("leaves   {line}, an extension's own"));
    }
    Ok(())
}

fn lost(gate: &CloneDatabase, lay: &Lay, plan: &mut Plan) {
    for (schema, tables, rows, size) in &lay.dropped {
        let allowed = match gate.may_drop.contains(schema) {
            true => ", as may_drop says",
            false => "",
        };
        plan.line(
            Tone::Warning,
            format!(
                "lost     {schema}: {tables} {}, about {rows} rows, {}{allowed}",
                if *tables == 1 { "table" } else { "tables" },
                bytes(size.unsigned_abs())
            ),
        );
    }
    for (table, rows) in &lay.tables {
        plan.line(Tone::Plain, format!("         {table} about {rows} rows"));
    }
    for other in &lay.others {
        plan.line(Tone::Warning, format!("session  {other}"));
    }
    if lay.others.is_empty() {
        plan.line(
            Tone::Plain,
            "sessions nobody else is connected to the destination",
        );
    }
}

/// How the accounts of the destination are replaced by those of the source.
async fn accounts(
    table: &str,
    source: &Session,
    destination: &Session,
) -> Result<Vec<String>, PostgresError> {
    let (from, into) = (read(table, source).await?, read(table, destination).await?);
    let (Some(from), Some(into)) = (from, into) else {
        return Ok(vec![format!("{table} is not at both ends")]);
    };
    if from.len() as i64 >= ACCOUNTS || into.len() as i64 >= ACCOUNTS {
        return Ok(vec![format!(
            "{table}: too many to compare; all are replaced"
        )]);
    }
    let by_address: BTreeMap<&str, &str> = from
        .iter()
        .filter_map(|(id, address)| Some((address.as_deref()?, id.as_str())))
        .collect();
    let conflicting = into
        .iter()
        .filter(|(id, address)| {
            let there = address
                .as_deref()
                .and_then(|address| by_address.get(address));
            there.is_some_and(|there| there != id)
        })
        .count();
    let unknown = into.keys().filter(|id| !from.contains_key(*id)).count();
    Ok(vec![
        format!("{table}: {} are replaced by {}", into.len(), from.len()),
        format!("{conflicting} of them have an address that the source has under another id"),
        format!("{unknown} of them are not at the source; they stay in the dump alone"),
    ])
}

/// The accounts by their first column, with a hash of their address, if they have one.
async fn read(
    table: &str,
    session: &Session,
) -> Result<Option<BTreeMap<String, Option<String>>>, PostgresError> {
    let parts: Vec<String> = table.split('.').map(identifier).collect();
    let quoted = parts.join(".");
    let there = format!(
        "SELECT a.attname::text FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY a.attnum",
        crate::postgres::ledger::literal(&quoted)
    );
    let rows = session.client.query_typed(&there, &[]).await?;
    let columns: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let Some(first) = columns.first() else {
        return Ok(None);
    };
    let key = match columns.iter().any(|column| column == "id") {
        true => "id",
        false => first,
    };
    let address = match columns.iter().any(|column| column == "email") {
        true => "pg_catalog.md5(lower(email::text))",
        false => "NULL::text",
    };
    let sql = format!(
        "SELECT {}::text, {address} FROM {quoted} LIMIT {ACCOUNTS}",
        identifier(key)
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    Ok(Some(
        rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
    ))
}
