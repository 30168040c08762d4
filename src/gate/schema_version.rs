//! `schema-version`: the verified schema, written into the target as a version with its checksum and
//! the migrations that were applied by then.

use serde::{Deserialize, Serialize};

use super::query::unreachable;
use super::{Context, Evidence, Outcome, Plan, Reconciled, TargetError, Tone, drift};
use crate::expectation::{Finding, Verdict};
use crate::postgres::schema_version::{self, Versions};
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::{PostgresError, catalog, ledger};
use crate::promotion::Resolution;
use crate::runbook::{Drift, Kind, SchemaVersion};
use crate::untrusted::clean;

/// The version that stands in the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaVersionSeen {
    pub table: String,
    pub version: String,
    pub checksum: String,
    pub migrations: Vec<String>,
    /// False when the newest version said the same already.
    pub written: bool,
}

/// The drift gate that verifies the schema.
fn verifier<'a>(gate: &SchemaVersion, context: &'a Context) -> Result<&'a Drift, String> {
    let verified_by = &gate.verified_by;
    let found = context.runbook.gate(verified_by).map(|gate| &gate.kind);
    match found {
        Some(Kind::Drift(drift)) if drift.target == gate.target => Ok(drift),
        Some(Kind::Drift(drift)) => Err(format!(
            "`{verified_by}` looks at {}, and the version is of {}",
            drift.target, gate.target
        )),
        _ => Err(format!("`{verified_by}` is no drift gate")),
    }
}

pub(super) fn plan(gate: &SchemaVersion, context: &Context) -> Plan {
    let (table, verified_by) = (&gate.table, &gate.verified_by);
    let mut plan = Plan::new(
        format!("write the schema's version into {table} of {}", gate.target),
        &[&gate.target, verified_by, table],
    );
    plan.line(Tone::Plain, format!("verified by  {verified_by}"));
    plan.line(
        Tone::Plain,
        "version      the server's time, as YYYYMMDD.HHMMSS",
    );
    plan.line(
        Tone::Plain,
        "checksum     of the schema that was verified; it is read again before",
    );
    plan.line(
        Tone::Plain,
        "migrations   every file that the ledger has as applied",
    );
    plan.line(Tone::Heading, "Where the table is missing it is made");
    plan.line(Tone::Sql, schema_version::create(table));
    if let Err(reason) = verifier(gate, context) {
        plan.line(Tone::Bad, &reason);
        plan.refuses = Some(reason);
    }
    plan
}

/// Why nothing was written.
enum Failure {
    Finding(Finding),
    Target(TargetError),
    Postgres(PostgresError),
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Failure {
        Failure::Postgres(error)
    }
}

fn failed(summary: &str, cause: &str, can: &str) -> Failure {
    Failure::Finding(
        Finding::failed(summary)
            .because(clean(cause).into_owned())
            .because("nothing was written")
            .can(can),
    )
}

pub(super) async fn run(gate: &SchemaVersion, context: &Context) -> Outcome {
    match Box::pin(record(gate, context)).await {
        Ok((server, seen)) => {
            let word = if seen.written { "recorded" } else { "recorded already" };
            let files = seen.migrations.len();
            let words = format!("version {} {word}, {files} migrations", seen.version);
            Outcome::of(Finding::passed(words)).with(Evidence::SchemaVersion {
                target: gate.target.clone(),
                server,
                seen,
            })
        }
        Err(Failure::Finding(finding)) => Outcome::of(finding),
        Err(Failure::Target(error)) => unreachable(&gate.target, &error),
        Err(Failure::Postgres(error)) => Outcome::of(
            Finding::errored(format!("the version could not be written into {}", gate.table))
                .because(clean(&error.to_string()).into_owned())
                .can("mend the server or the privileges, then retry this gate: what is written already is found"),
        ),
    }
}

async fn record(
    gate: &SchemaVersion,
    context: &Context,
) -> Result<(String, SchemaVersionSeen), Failure> {
    let verifier = verifier(gate, context)
        .map_err(|reason| failed("the schema is not verified", &reason, "mend the runbook"))?;
    let verified = match context.earlier.get(&gate.verified_by).map(AsRef::as_ref) {
        Some(Evidence::Drift { seen, .. }) if seen.judge().verdict == Verdict::Passed => {
            &seen.actual_checksum
        }
        Some(Evidence::Drift { .. }) => {
            let reason = format!("`{}` found differences", gate.verified_by);
            let can = "mend them and retry that gate: what was waived is not verified";
            return Err(failed("the schema is not verified", &reason, can));
        }
        _ => {
            let reason = format!("`{}` left no evidence", gate.verified_by);
            return Err(failed(
                "the schema is not verified",
                &reason,
                "run that gate first",
            ));
        }
    };
    context
        .targets
        .hold(&gate.target)
        .await
        .map_err(Failure::Target)?;
    let opened = context
        .targets
        .open(&gate.target, &context.gate.id, SessionSettings::default());
    let (session, identity) = opened.await.map_err(Failure::Target)?;
    session.require_primary().await?;
    let options = drift::options(verifier, &context.runbook)
        .map_err(|reason| failed("the schema is not verified", &reason, "mend the runbook"))?;
    let snapshot = catalog::read(&session).await.map_err(|error| {
        let again = "mend the server or the privileges, then retry this gate";
        failed("the schema cannot be read", &error.to_string(), again)
    })?;
    let checksum = options.checksum(&snapshot);
    if checksum != *verified {
        return Err(failed(
            "the schema has changed since it was verified",
            &format!("`{}` saw another checksum", gate.verified_by),
            "run that gate again, then this one",
        ));
    }
    let seen = write(gate, &session, checksum).await?;
    session.close().await;
    Ok((identity.describe(), seen))
}

async fn write(
    gate: &SchemaVersion,
    session: &Session,
    checksum: String,
) -> Result<SchemaVersionSeen, Failure> {
    let rows = ledger::rows(session).await?;
    let applied = rows.into_iter().filter(|row| row.state.is_applied());
    let migrations: Vec<String> = applied.map(|row| row.file).collect();
    let table = gate.table.clone();
    let newest = match schema_version::newest(session, &table).await? {
        Versions::Foreign(lacking) => {
            let reason = format!("{table} is another table: it has no {}", lacking.join(", "));
            let can = "name another `table` in the runbook";
            return Err(failed("the version has no place", &reason, can));
        }
        Versions::Absent => None,
        Versions::Newest(newest) => newest,
    };
    let same = newest
        .filter(|row| row.checksum.as_ref() == Some(&checksum) && row.migrations == migrations);
    let (version, written) = match same {
        Some(row) => (row.version, false),
        None => {
            let written = schema_version::write(session, &table, &checksum, &migrations).await?;
            (written, true)
        }
    };
    Ok(SchemaVersionSeen {
        table,
        version,
        checksum,
        migrations,
        written,
    })
}

/// A row that was written is found again, so that starting again does no harm.
pub(super) fn reconcile() -> Reconciled {
    Reconciled {
        resolution: Some(Resolution::Pending),
        finding: Finding::inconclusive("nobody saw whether the version was written")
            .can("press Enter: a row that says the same is found, and none is written beside it"),
        evidence: None,
    }
}
