//! `rehearse`: a runbook's gates on a private copy of the database, without a run.

use super::arguments::Format;
use super::interruptible::{self, Ticker};
use super::rehearse_arguments::{RehearseArguments, TakeWord};
use super::{Exit, plan, rehearse_report, say};
use crate::gate::{self, Context, Evidence, Feed, Outcome};
use crate::runbook::{
    AlembicAction, Environment, Gate, Kind, RehearsalOf, Rehearse, RolesInScratch, Runbook, Take,
    ToolAction,
};
use crate::system::durable::make_private_folder;

/// The gate's id where the runbook has none.
const ID: &str = "rehearse";
const WITHIN: std::time::Duration = std::time::Duration::from_secs(30 * 60);

pub(super) fn run(arguments: &RehearseArguments) -> Exit {
    let opened = plan::open(&arguments.runbook, arguments.vars.clone(), ID);
    let (runbook, targets, base) = match opened {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let gate = match gate_of(&runbook, arguments) {
        Ok(gate) => gate,
        Err(what) => return usage(what),
    };
    let folder = match tempfile::Builder::new().prefix("stagegate-").tempdir() {
        Ok(folder) => folder,
        Err(error) => return no_folder(&error),
    };
    if let Err(error) = make_private_folder(&folder.path().join("outputs")) {
        return no_folder(&error);
    }
    let feed = Feed::default();
    let mut context = plan::context(&runbook, &gate, &targets, &base);
    context.run = ID.to_owned();
    context.folder = folder.path().to_owned();
    context.feed = feed.clone();
    let worked = interruptible::run(|cancel| async move {
        context.cancel = cancel;
        Box::pin(followed(&context, &feed)).await
    });
    let outcome = match worked {
        Ok(outcome) => outcome,
        Err(exit) => return exit,
    };
    let seen = match &outcome.evidence {
        Some(Evidence::Rehearse { rehearsed, .. }) => Some(rehearsed.as_ref()),
        _ => None,
    };
    match arguments.format {
        Format::Text => say::data(&rehearse_report::text(&outcome.finding, seen)),
        Format::Json => say::data(&rehearse_report::json(&outcome.finding, seen)),
    }
    rehearse_report::exit(&outcome.finding, outcome.canceled)
}

/// Does the work, and says how far it is on a terminal.
async fn followed(context: &Context, feed: &Feed) -> Outcome {
    let ticker = Ticker::new();
    let plan = gate::plan(context).await;
    let mut work = std::pin::pin!(gate::run(context, &plan));
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            () = feed.changed() => {
                if let Some(progress) = feed.view(0).progress {
                    let detail = match progress.detail.as_str() {
                        "" => String::new(),
                        detail => format!(" — {detail}"),
                    };
                    ticker.tell(&format!("{}{detail}", progress.label));
                }
            }
        }
    }
}

/// The rehearsal of the runbook, or one of everything; of a dump that is taken now in both cases.
fn gate_of(runbook: &Runbook, arguments: &RehearseArguments) -> Result<Gate, String> {
    let found = runbook.gates().find_map(|gate| match &gate.kind {
        Kind::Rehearse(rehearse) => Some((gate.clone(), (**rehearse).clone())),
        _ => None,
    });
    let (gate, mut rehearse) = match found {
        Some((gate, rehearse)) => (Some(gate), rehearse),
        None => (None, everything(String::new())),
    };
    if let Some(from) = &arguments.from {
        if !runbook.targets.contains_key(from) {
            let names: Vec<&str> = runbook.targets.keys().map(String::as_str).collect();
            return Err(format!(
                "there is no target `{from}`; there are {}",
                names.join(", ")
            ));
        }
        rehearse.target.clone_from(from);
    } else if rehearse.target.is_empty() {
        rehearse.target = migrated(runbook)?;
    }
    let take = match (arguments.take, &rehearse.of) {
        (Some(TakeWord::Full), _) => Take::Full,
        (Some(TakeWord::Schema), _) => Take::Schema,
        (Some(TakeWord::Sample), _) => Take::Sample(arguments.sample.max(1)),
        (None, RehearsalOf::Target(take)) => *take,
        (None, RehearsalOf::Backup(_)) => Take::Full,
    };
    rehearse.of = RehearsalOf::Target(take);
    if let Some(within) = arguments.within {
        rehearse.within = within;
    }
    rehearse.down &= !arguments.no_down;
    let kind = Kind::Rehearse(Box::new(rehearse));
    Ok(match gate {
        Some(gate) => Gate { kind, ..gate },
        None => Gate {
            id: ID.to_owned(),
            title: "Rehearse".to_owned(),
            help: None,
            waivable: false,
            waiver: None,
            timeout: None,
            retry: None,
            kind,
        },
    })
}

fn everything(target: String) -> Rehearse {
    Rehearse {
        target,
        of: RehearsalOf::Target(Take::Full),
        gates: None,
        down: true,
        jobs: 2,
        within: WITHIN,
        space: None,
        roles: RolesInScratch::Make,
        missing: Vec::new(),
        deny: vec!["data-loss".to_owned(), "host-level".to_owned()],
        allow: Vec::new(),
        may_leave: Vec::new(),
        keep_superusers: false,
        may_call: Vec::new(),
    }
}

/// The target that the runbook migrates: production where it migrates several.
fn migrated(runbook: &Runbook) -> Result<String, String> {
    let mut targets: Vec<&str> = runbook
        .gates()
        .filter(|gate| match &gate.kind {
            Kind::Migrate(_) => true,
            Kind::Tool(tool) => tool.action == ToolAction::Apply,
            Kind::Alembic(alembic) => alembic.action == AlembicAction::Upgrade,
            _ => false,
        })
        .filter_map(|gate| gate.kind.target())
        .collect();
    targets.sort_unstable();
    targets.dedup();
    let production = |name: &&&str| {
        let target = runbook.targets.get(**name);
        target.is_some_and(|target| target.environment == Environment::Production)
    };
    match (targets.as_slice(), targets.iter().find(production)) {
        ([only], _) => Ok((*only).to_owned()),
        (_, Some(production)) => Ok((*production).to_owned()),
        ([], None) => Err("the runbook migrates nothing; name a target with --from".to_owned()),
        (several, None) => Err(format!(
            "the runbook migrates {}; name one of them with --from",
            several.join(", ")
        )),
    }
}

fn usage(what: String) -> Exit {
    say::Trouble {
        what,
        untouched: "nothing was started",
        next: "see: stagegate rehearse --help".to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    Exit::Usage
}

fn no_folder(error: &std::io::Error) -> Exit {
    say::Trouble {
        what: format!("there is no folder to work in: {error}"),
        untouched: "nothing was started",
        next: "make room, or set TMPDIR to a folder that can be written".to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    Exit::Error
}
