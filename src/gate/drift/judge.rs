//! `drift`: a target's schema against what it should be. It looks and changes nothing.

use super::history::{self, File, Recorded};
use super::seen::DriftSeen;
use super::{Compared, DriftOptions, LoadError, Surroundings, change, export, texts};
use crate::expectation::Finding;
use crate::gate::query::unreachable;
use crate::gate::{Context, Evidence, Outcome, Plan, TargetError, Tone};
use crate::postgres::catalog::{self, CatalogError};
use crate::postgres::session::SessionSettings;
use crate::postgres::{Identity, PostgresError};
use crate::runbook::{Against, Drift, Kind, Runbook};
use crate::schema::{self, IgnoreRule, Snapshot, Source};
use crate::untrusted::clean;

/// The gate's words, read.
struct Words {
    expected: Source,
    options: DriftOptions,
    files: Vec<File>,
}

impl Words {
    /// The source for people; a revision is named with the object that it is now.
    fn expected_now(&self, context: &Context) -> String {
        let surroundings = Surroundings::of_run(context.targets.surroundings(), &context.base);
        match texts::object_of(&self.expected, &surroundings) {
            Ok(Some(object)) => {
                let short: String = object.chars().take(12).collect();
                format!("{} ({short})", self.expected)
            }
            _ => self.expected.to_string(),
        }
    }
}

fn rules(texts: &[String]) -> Result<Vec<IgnoreRule>, String> {
    texts
        .iter()
        .map(|text| {
            text.parse::<IgnoreRule>()
                .map_err(|error| error.to_string())
        })
        .collect()
}

/// How a drift gate compares. The table of versions is the runbook's own, like the ledger.
pub(in crate::gate) fn options(gate: &Drift, runbook: &Runbook) -> Result<DriftOptions, String> {
    let mut ignore = rules(&gate.ignore)?;
    let mut tables: Vec<&String> = gate.version_table.iter().collect();
    tables.extend(runbook.gates().filter_map(|other| match &other.kind {
        Kind::SchemaVersion(version) if version.target == gate.target => Some(&version.table),
        _ => None,
    }));
    tables.dedup();
    for table in tables {
        ignore.extend(format!("table:{table}").parse::<IgnoreRule>());
    }
    Ok(DriftOptions {
        schemas: gate.schemas.clone(),
        ignore,
        allow: rules(&gate.allow)?,
        without_checksums: false,
    })
}

fn words(gate: &Drift, expected: &str, context: &Context) -> Result<Words, String> {
    Ok(Words {
        expected: context
            .fill(expected)
            .parse::<Source>()
            .map_err(|error| error.to_string())?,
        options: options(gate, &context.runbook)?,
        files: history::files(gate, context)?,
    })
}

/// Shows what will be compared. Its hash is over the gate's words and the files that they name.
pub(in crate::gate) fn plan(gate: &Drift, context: &Context) -> Plan {
    let expected = match &gate.against {
        Against::Schema(expected) => expected,
        Against::Change { of, reviewed } => return change::plan(gate, of, reviewed, context),
    };
    let read = words(gate, expected, context).and_then(|words| {
        let surroundings = Surroundings::of_run(context.targets.surroundings(), &context.base);
        let digest = texts::digest_of_files(&words.expected, &surroundings);
        let digest = digest.map_err(|error| error.to_string())?;
        Ok(format!("{digest}\n{}", history::digest_lines(&words.files)))
    });
    let expected = context.fill(expected);
    let (files, refuses) = match read {
        Ok(files) => (files, None),
        Err(reason) => (String::new(), Some(reason)),
    };
    let lists = [&gate.schemas, &gate.ignore, &gate.allow, &gate.migrations];
    let [schemas, ignore, allow, migrations] = lists.map(|list| list.join("\n"));
    let version = gate.version_table.as_deref().unwrap_or_default();
    let mut plan = Plan::new(
        format!("compare the schema of {} with {expected}", gate.target),
        &[
            &gate.target,
            &expected,
            &schemas,
            &ignore,
            &allow,
            &migrations,
            version,
            if gate.pending { "pending" } else { "" },
            &files,
        ],
    );
    plan.line(Tone::Plain, format!("expected  {expected}"));
    plan.line(Tone::Plain, format!("actual    {}, read only", gate.target));
    for (word, list) in ["schemas", "ignored", "allowed", "applied"]
        .iter()
        .zip(lists)
    {
        if !list.is_empty() {
            plan.line(Tone::Plain, format!("{word:<9} {}", list.join(", ")));
        }
    }
    if let Some(table) = &gate.version_table {
        plan.line(Tone::Plain, format!("recorded  {table}, its newest row"));
    }
    plan.line(
        Tone::Muted,
        "tables, columns, constraints and indexes that differ are never allowed",
    );
    if let Some(reason) = &refuses {
        plan.line(Tone::Bad, reason);
    }
    plan.refuses = refuses;
    plan
}

/// Why a target's schema could not be read.
pub(super) enum ReadError {
    Target(TargetError),
    Catalog(CatalogError),
    Records(PostgresError),
    Canceled,
}

impl ReadError {
    pub(super) fn outcome(self, target: &str) -> Outcome {
        let reason = match self {
            ReadError::Target(error) => return unreachable(target, &error),
            ReadError::Canceled => {
                return Outcome::canceled("it was canceled; nothing was changed");
            }
            ReadError::Catalog(error) => error.to_string(),
            ReadError::Records(error) => error.to_string(),
        };
        Outcome::of(
            Finding::errored(format!("the schema of {target} cannot be read"))
                .because(clean(&reason).into_owned())
                .can("mend the server or the privileges, then retry this gate"),
        )
    }
}

/// Reads a target's schema, and what it says of itself.
pub(super) async fn read_target(
    gate: &Drift,
    files: &[File],
    context: &Context,
) -> Result<(Snapshot, Recorded, Identity), ReadError> {
    let mut settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    if let Some(timeout) = context.gate.timeout {
        settings.statement_timeout = timeout;
    }
    let opened = context
        .targets
        .open(&gate.target, &context.gate.id, settings);
    let (session, identity) = opened.await.map_err(ReadError::Target)?;
    let read = async {
        let snapshot = catalog::read(&session).await.map_err(ReadError::Catalog)?;
        let recorded = history::recorded(gate, files, &session);
        Ok((snapshot, recorded.await.map_err(ReadError::Records)?))
    };
    let read = tokio::select! {
        read = read => read,
        () = context.cancel.cancelled() => {
            let _ = session.canceller().cancel().await;
            return Err(ReadError::Canceled);
        }
    };
    session.close().await;
    let (snapshot, recorded) = read?;
    Ok((snapshot, recorded, identity))
}

/// A gate whose words cannot be read.
pub(super) fn misworded(reason: String) -> Outcome {
    Outcome::of(
        Finding::errored(reason).can("mend the gate or the file it names, then retry this gate"),
    )
}

pub(in crate::gate) async fn run(gate: &Drift, context: &Context) -> Outcome {
    let expected = match &gate.against {
        Against::Schema(expected) => expected,
        Against::Change { of, reviewed } => {
            return Box::pin(change::run(gate, of, reviewed, context)).await;
        }
    };
    let inputs = plan(gate, context).digest;
    let words = match words(gate, expected, context) {
        Ok(words) => words,
        Err(reason) => return misworded(reason),
    };
    if let Err(reason) = super::document(gate, context) {
        return Outcome::of(
            Finding::errored("what was decided is not in the changelog")
                .because(clean(&reason).into_owned())
                .can("make the file writable, then retry this gate: it is written then"),
        );
    }
    let (actual, recorded, identity) = match read_target(gate, &words.files, context).await {
        Ok(read) => read,
        Err(error) => return error.outcome(&gate.target),
    };
    let surroundings = Surroundings::of_run(context.targets.surroundings(), &context.base);
    let compared = super::against(
        &words.expected,
        actual,
        &words.options,
        &surroundings,
        &context.cancel,
    );
    let compared = match Box::pin(compared).await {
        Ok(compared) => compared,
        Err(LoadError::Canceled) => {
            return Outcome::canceled("it was canceled; nothing was changed");
        }
        Err(error) => {
            return Outcome::of(
                Finding::errored(format!("{} cannot be read", words.expected))
                    .because(clean(&error.to_string()).into_owned())
                    .can("mend it at that place, then retry this gate"),
            );
        }
    };
    let major = compared.actual.major();
    let seen = match seen(context, &words, compared, recorded) {
        Ok(seen) => seen,
        Err(reason) => return not_exported(reason),
    };
    let seen = match seen.judge().verdict {
        crate::expectation::Verdict::Passed => seen,
        _ => export::with_sql(gate, context, major, seen).await,
    };
    Outcome::of(seen.judge()).with(Evidence::Drift {
        target: gate.target.clone(),
        server: identity.describe(),
        inputs,
        seen: Box::new(seen),
    })
}

pub(super) fn not_exported(reason: String) -> Outcome {
    Outcome::of(
        Finding::errored("the schemas cannot be exported")
            .because(reason)
            .can("make room for the run's folder, then retry this gate"),
    )
}

fn seen(
    context: &Context,
    words: &Words,
    compared: Compared,
    recorded: Recorded,
) -> Result<DriftSeen, String> {
    let exported = [
        export::snapshot(context, "expected", &compared.expected)?,
        export::snapshot(context, "actual", &compared.actual)?,
    ];
    let sides = [&compared.expected.objects, &compared.actual.objects];
    let allowed = schema::matched(
        &compared.comparison.differences,
        &words.options.allow,
        sides,
    );
    let objects = sides.map(std::collections::BTreeMap::len);
    let [expected_checksum, actual_checksum] = compared.checksums;
    Ok(DriftSeen {
        expected: words.expected_now(context),
        expected_checksum,
        actual_checksum,
        objects,
        comparison: compared.comparison,
        allowed,
        exported: exported.to_vec(),
        history: recorded.gaps,
        version: recorded.version,
    })
}
