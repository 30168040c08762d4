//! `drift`: a target's schema against what it should be. It looks and changes nothing.

use super::seen::DriftSeen;
use super::source::Source;
use super::{Compared, DriftOptions, LoadError, Surroundings, load};
use crate::expectation::Finding;
use crate::gate::query::unreachable;
use crate::gate::{Context, Evidence, Outcome, Plan, Tone};
use crate::postgres::catalog;
use crate::postgres::session::SessionSettings;
use crate::runbook::Drift;
use crate::schema::{self, IgnoreRule, Snapshot};
use crate::system::durable;
use crate::untrusted::clean;

/// The gate's words, read.
struct Words {
    expected: Source,
    options: DriftOptions,
    allow: Vec<IgnoreRule>,
}

fn words(gate: &Drift, context: &Context) -> Result<Words, String> {
    let rules = |texts: &[String]| -> Result<Vec<IgnoreRule>, String> {
        texts
            .iter()
            .map(|text| {
                text.parse::<IgnoreRule>()
                    .map_err(|error| error.to_string())
            })
            .collect()
    };
    Ok(Words {
        expected: context
            .fill(&gate.expected)
            .parse::<Source>()
            .map_err(|error| error.to_string())?,
        options: DriftOptions {
            schemas: gate.schemas.clone(),
            ignore: rules(&gate.ignore)?,
        },
        allow: rules(&gate.allow)?,
    })
}

/// Shows what will be compared. Its hash is over the gate's words and the files that they name.
pub(in crate::gate) fn plan(gate: &Drift, context: &Context) -> Plan {
    let read = words(gate, context).and_then(|words| {
        let digest = load::digest_of_files(&words.expected, &context.base);
        digest.map_err(|error| error.to_string())
    });
    let expected = context.fill(&gate.expected);
    let (files, refuses) = match read {
        Ok(files) => (files, None),
        Err(reason) => (String::new(), Some(reason)),
    };
    let [schemas, ignore, allow] = [&gate.schemas, &gate.ignore, &gate.allow].map(|l| l.join("\n"));
    let mut plan = Plan::new(
        format!("compare the schema of {} with {expected}", gate.target),
        &[&gate.target, &expected, &schemas, &ignore, &allow, &files],
    );
    plan.line(Tone::Plain, format!("expected  {expected}"));
    plan.line(Tone::Plain, format!("actual    {}, read only", gate.target));
    for (word, list) in [
        ("schemas", &gate.schemas),
        ("ignored", &gate.ignore),
        ("allowed", &gate.allow),
    ] {
        if !list.is_empty() {
            plan.line(Tone::Plain, format!("{word:<9} {}", list.join(", ")));
        }
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

pub(in crate::gate) async fn run(gate: &Drift, context: &Context) -> Outcome {
    let inputs = plan(gate, context).digest;
    let words = match words(gate, context) {
        Ok(words) => words,
        Err(reason) => {
            return Outcome::of(
                Finding::errored(reason).can("mend the gate in the runbook, then open a new run"),
            );
        }
    };
    let mut settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    if let Some(timeout) = context.gate.timeout {
        settings.statement_timeout = timeout;
    }
    let opened = context
        .targets
        .open(&gate.target, &context.gate.id, settings)
        .await;
    let (session, identity) = match opened {
        Ok(opened) => opened,
        Err(error) => return unreachable(&gate.target, &error),
    };
    let read = tokio::select! {
        read = catalog::read(&session) => read,
        () = context.cancel.cancelled() => {
            let _ = session.canceller().cancel().await;
            return Outcome::canceled("it was canceled; nothing was changed");
        }
    };
    session.close().await;
    let actual = match read {
        Ok(actual) => actual,
        Err(error) => {
            return Outcome::of(
                Finding::errored(format!("the schema of {} cannot be read", gate.target))
                    .because(clean(&error.to_string()).into_owned())
                    .can("mend the server or the privileges, then retry this gate"),
            );
        }
    };
    let surroundings = Surroundings::of_run(context.targets.surroundings(), &context.base);
    let compared = super::against(
        &words.expected,
        actual,
        &words.options,
        &surroundings,
        &context.cancel,
    );
    match Box::pin(compared).await {
        Ok(compared) => judged(gate, context, &words, compared, identity.describe(), inputs),
        Err(LoadError::Canceled) => Outcome::canceled("it was canceled; nothing was changed"),
        Err(error) => Outcome::of(
            Finding::errored(format!("{} cannot be read", words.expected))
                .because(clean(&error.to_string()).into_owned())
                .can("mend it at that place, then retry this gate"),
        ),
    }
}

fn judged(
    gate: &Drift,
    context: &Context,
    words: &Words,
    compared: Compared,
    server: String,
    inputs: String,
) -> Outcome {
    let mut exported = Vec::new();
    for (side, snapshot) in [
        ("expected", &compared.expected),
        ("actual", &compared.actual),
    ] {
        match export(context, side, snapshot) {
            Ok(name) => exported.push(name),
            Err(reason) => {
                return Outcome::of(
                    Finding::errored(format!("the {side} schema cannot be exported"))
                        .because(reason)
                        .can("make room for the run's folder, then retry this gate"),
                );
            }
        }
    }
    let sides = [&compared.expected.objects, &compared.actual.objects];
    let allowed = schema::matched(&compared.comparison.differences, &words.allow, sides);
    let seen = DriftSeen {
        expected: words.expected.to_string(),
        expected_checksum: compared.expected.checksum(),
        actual_checksum: compared.actual.checksum(),
        objects: sides.map(std::collections::BTreeMap::len),
        comparison: compared.comparison,
        allowed,
        exported,
    };
    Outcome::of(seen.judge()).with(Evidence::Drift {
        target: gate.target.clone(),
        server,
        inputs,
        seen: Box::new(seen),
    })
}

/// Writes one side into the run's folder, where it can be compared again by anybody.
fn export(context: &Context, side: &str, snapshot: &Snapshot) -> Result<String, String> {
    let (gate, attempt) = (&context.gate.id, context.attempt);
    let name = format!("outputs/{gate}-{attempt}-{side}.json");
    let text = snapshot.to_json().map_err(|error| error.to_string())?;
    durable::write_whole(&context.folder.join(&name), text.as_bytes())
        .map_err(|error| format!("{name}: {error}"))?;
    Ok(name)
}
