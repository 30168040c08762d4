//! Finds out what became of a tool that nobody saw end: waits until nothing of it works any more,
//! then asks its status and the catalog.

use super::act::{aftermath, step};
use super::call::Caller;
use super::intent::Intent;
use super::seen::ToolSeen;
use crate::expectation::{Finding, Verdict};
use crate::gate::drift::{DriftOptions, DriftSeen};
use crate::gate::{Context, Evidence, Made, Reconciled};
use crate::postgres::catalog;
use crate::postgres::session::SessionSettings;
use crate::promotion::Resolution;
use crate::schema::Snapshot;
use crate::untrusted::clean_line;

pub(super) async fn reconcile(caller: &Caller<'_>) -> Reconciled {
    let intent = match Intent::read(caller.context) {
        Ok(Some(intent)) => intent,
        Ok(None) => return not_started(),
        Err(reason) => return unknown(caller, &reason),
    };
    let context = caller.context;
    if let Err(error) = context.targets.hold(&caller.gate.target).await {
        return unknown(caller, &error.to_string());
    }
    let mut seen = ToolSeen {
        tool: intent.tool,
        action: intent.action,
        version: intent.version,
        exit: step(caller).map_or_else(Vec::new, |step| step.exit.clone()),
        before: intent.before,
        wanted: intent.wanted,
        ours: intent.ours,
        unseen: true,
        ..ToolSeen::default()
    };
    if let Err(finding) = aftermath(caller, &mut seen).await {
        return Reconciled {
            resolution: None,
            finding,
            evidence: None,
        };
    }
    let server = match compare(context, &caller.gate.target).await {
        Ok((server, made)) => {
            seen.made = made.map(Box::new);
            server
        }
        Err(reason) => return unknown(caller, &reason),
    };
    let Some(became) = seen.became() else {
        return unknown(caller, "its status was not asked");
    };
    seen.note_ours(&became.done);
    let (resolution, finding) = match seen.judge() {
        passed if passed.verdict == Verdict::Passed => {
            let said = format!("{}, says its status", passed.summary);
            (Resolution::Passed, Finding::passed(said))
        }
        failed => {
            let name = &seen.tool;
            match became.done.is_empty() && became.changed == Some(false) {
                true => {
                    let said = format!("{name} left nothing behind, say its status and the schema");
                    let finding = Finding::inconclusive(said)
                        .because("nothing of it is at work any more")
                        .can("press Enter to start it again");
                    (Resolution::Pending, finding)
                }
                // Which statement it had come to is not known: a person looks first.
                false => (Resolution::Failed, failed),
            }
        }
    };
    Reconciled {
        resolution: Some(resolution),
        finding,
        evidence: Some(Evidence::Tool {
            target: caller.gate.target.clone(),
            server,
            seen: Box::new(seen),
        }),
    }
}

fn not_started() -> Reconciled {
    Reconciled {
        resolution: Some(Resolution::Pending),
        finding: Finding::inconclusive("its program was not started")
            .because("what it was about to do would have been written down first")
            .can("press Enter to start it"),
        evidence: None,
    }
}

fn unknown(caller: &Caller<'_>, reason: &str) -> Reconciled {
    let target = &caller.gate.target;
    Reconciled {
        resolution: None,
        finding: Finding::inconclusive(format!("{target} cannot be asked yet"))
            .because(clean_line(reason))
            .can("when it answers again, press Enter: the tool's status is asked"),
        evidence: None,
    }
}

/// The server, and what came of its schema since before the program was started.
async fn compare(context: &Context, target: &str) -> Result<(String, Option<Made>), String> {
    let settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    let opened = context.targets.open(target, &context.gate.id, settings);
    let (session, identity) = opened.await.map_err(|error| error.to_string())?;
    let (gate, attempt) = (&context.gate.id, context.attempt);
    let name = format!("outputs/{gate}-{attempt}-before.json");
    let before = std::fs::read_to_string(context.folder.join(&name)).ok();
    let before = before.and_then(|text| Snapshot::from_json(&text).ok());
    let made = match before {
        None => None,
        Some(before) => {
            let after = catalog::read(&session).await;
            let after = after.map_err(|error| error.to_string())?;
            let options = DriftOptions::default();
            Some(Made {
                seen: DriftSeen {
                    expected: "the schema before".to_owned(),
                    expected_checksum: options.checksum(&before),
                    actual_checksum: options.checksum(&after),
                    objects: [before.objects.len(), after.objects.len()],
                    comparison: options.compare(&before, &after),
                    allowed: Vec::new(),
                    exported: vec![name],
                    history: Vec::new(),
                    version: None,
                },
                files: Vec::new(),
                notes: Vec::new(),
            })
        }
    };
    session.close().await;
    Ok((identity.describe(), made))
}
