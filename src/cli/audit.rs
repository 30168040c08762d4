//! `audit`: what databases that Alembic tracks say of themselves, side by side, and a diagnosis.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arguments::Format;
use super::audit_arguments::AuditArguments;
use super::audit_report::{self, Audited};
use super::{Exit, address, interruptible, plan, say};
use crate::engine::OpenError;
use crate::expectation::{Finding, Verdict};
use crate::gate::{self, Context, Diagnosis, Evidence, Plan, Targets};
use crate::postgres::environment::Environment as Surroundings;
use crate::runbook::{self, AlembicAction, AlembicGate, Environment, Gate, Kind, Runbook};
use crate::schema::Source;

/// The gate's id where the runbook has none.
const ID: &str = "audit";
/// Where the summaries are when nobody says otherwise.
const WRITTEN: &str = "ops/db_audit";
const DEV: &str = "env:DATABASE_URL";
const PROD: &str = "DATABASE_URL_PROD";

/// What is audited.
struct Opened {
    runbook: Arc<Runbook>,
    targets: Targets,
    base: PathBuf,
}

pub(super) fn run(arguments: &AuditArguments) -> Exit {
    let opened = match &arguments.runbook {
        Some(path) => plan::open(path, arguments.vars.clone(), ID).map(|opened| {
            let (runbook, targets, base) = opened;
            Opened {
                runbook,
                targets,
                base,
            }
        }),
        None => without_runbook(arguments),
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let gates = match gates(&opened.runbook, arguments) {
        Ok(gates) => gates,
        Err(what) => return trouble(what, "see: stagegate audit --help", Exit::Usage),
    };
    let worked = interruptible::run(|cancel| async move {
        let mut audited = Vec::new();
        for gate in gates {
            let mut context = plan::context(&opened.runbook, &gate, &opened.targets, &opened.base);
            context.run = ID.to_owned();
            // The summaries are of no run.
            context.values.insert("run.id".to_owned(), String::new());
            context.cancel = cancel.clone();
            audited.push(audit(&context).await?);
            if cancel.is_cancelled() {
                return Err(trouble(
                    "it was interrupted",
                    "run it again",
                    Exit::Interrupted,
                ));
            }
        }
        Ok(audited)
    });
    let audited = match worked {
        Ok(Ok(audited)) => audited,
        Ok(Err(exit)) | Err(exit) => return exit,
    };
    match arguments.format {
        Format::Text => say::data(&audit_report::text(&audited)),
        Format::Json => say::data(&audit_report::json(&audited)),
    }
    let unwritten = audited
        .iter()
        .find(|one| one.finding.verdict == Verdict::Errored);
    match unwritten {
        Some(one) => not_done(&one.finding),
        None if audited.iter().all(|one| one.diagnosis == Diagnosis::Ok) => Exit::Well,
        None => Exit::Differs,
    }
}

/// Lets one gate look.
async fn audit(context: &Context) -> Result<Audited, Exit> {
    if let Kind::Alembic(gate) = &context.gate.kind
        && let Some(project) = context.runbook.projects.get(&gate.project)
    {
        let config = context
            .path(&project.folder)
            .join(context.fill(&project.config));
        if project.versions.is_empty() && !config.is_file() {
            return Err(trouble(
                format!("there is no {}", config.display()),
                "name the project: --folder and --config, or `folder` and `config` in the runbook",
                Exit::Config,
            ));
        }
    }
    let outcome = gate::run(context, &Plan::new("", &[])).await;
    match outcome.evidence {
        Some(Evidence::Alembic { seen, .. }) => Ok(Audited {
            gate: context.gate.id.clone(),
            diagnosis: Diagnosis::of(&seen),
            seen: *seen,
            finding: outcome.finding,
        }),
        _ => Err(not_done(&outcome.finding)),
    }
}

/// The audits of a runbook, each pair once.
fn gates(runbook: &Runbook, arguments: &AuditArguments) -> Result<Vec<Gate>, String> {
    let names = || runbook.projects.keys().map(String::as_str);
    let projects: Vec<&str> = match &arguments.project {
        Some(project) if runbook.projects.contains_key(project) => vec![project],
        Some(project) => {
            let known: Vec<&str> = names().collect();
            return Err(format!(
                "there is no project `{project}`; there are: {}",
                known.join(", ")
            ));
        }
        None => names().collect(),
    };
    if projects.is_empty() {
        return Err("the runbook describes no [alembic.NAME]".to_owned());
    }
    let mut found: Vec<Gate> = Vec::new();
    let mut pairs = BTreeSet::new();
    for project in projects {
        let written = |gate: &Gate| match &gate.kind {
            Kind::Alembic(audit) => {
                audit.action == AlembicAction::Audit && audit.project == project
            }
            _ => false,
        };
        let mut gates: Vec<Gate> = runbook.gates().filter(|g| written(g)).cloned().collect();
        if gates.is_empty() {
            gates = of_all(runbook, project);
        }
        for mut gate in gates {
            let Kind::Alembic(audit) = &mut gate.kind else {
                continue;
            };
            if audit.reference.is_none() {
                let others = databases(runbook, project);
                audit.reference = reference(runbook, &others).filter(|r| *r != audit.target);
            }
            audit.accept = vec![Diagnosis::Ok.word().to_owned()];
            match &arguments.out {
                Some(out) => audit.write = Some(absolute(out)),
                None if audit.write.is_none() => audit.write = Some(WRITTEN.to_owned()),
                None => {}
            }
            let pair = (project, audit.target.clone(), audit.reference.clone());
            if pairs.insert(pair) {
                found.push(gate);
            }
        }
    }
    Ok(found)
}

/// The databases on which a project works; every one of the runbook where no gate says that.
fn databases(runbook: &Runbook, project: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for gate in runbook.gates() {
        if let Kind::Alembic(gate) = &gate.kind
            && gate.project == project
        {
            for target in std::iter::once(&gate.target).chain(&gate.reference) {
                if !found.contains(target) {
                    found.push(target.clone());
                }
            }
        }
    }
    match found.is_empty() {
        true => runbook.targets.keys().cloned().collect(),
        false => found,
    }
}

/// The database that the others are compared with: development, or the first.
fn reference(runbook: &Runbook, databases: &[String]) -> Option<String> {
    let is_development = |name: &&String| {
        let target = runbook.targets.get(*name);
        target.is_some_and(|target| target.environment == Environment::Development)
    };
    let found = databases.iter().find(is_development);
    found.or(databases.first()).cloned()
}

/// Audits of everything that a project works on, for a runbook that has none.
fn of_all(runbook: &Runbook, project: &str) -> Vec<Gate> {
    let databases = databases(runbook, project);
    let reference = reference(runbook, &databases);
    let several = databases.len() > 1;
    let targets = databases.iter();
    let targets = targets.filter(|name| !several || Some(*name) != reference.as_ref());
    targets.map(|target| looking(project, target)).collect()
}

fn looking(project: &str, target: &str) -> Gate {
    let audit = AlembicGate {
        project: project.to_owned(),
        action: AlembicAction::Audit,
        target: target.to_owned(),
        reference: None,
        write: None,
        accept: Vec::new(),
        revision: None,
        chooses: false,
        deny: Vec::new(),
        allow: Vec::new(),
        lock_timeout: std::time::Duration::ZERO,
        statement_timeout: std::time::Duration::ZERO,
        models: false,
        scratch: false,
    };
    Gate {
        id: ID.to_owned(),
        title: "Audit".to_owned(),
        help: None,
        waivable: false,
        waiver: None,
        timeout: None,
        retry: None,
        kind: Kind::Alembic(Box::new(audit)),
    }
}

/// The runbook that the arguments say, so that a gate looks here as it does in a run.
fn without_runbook(arguments: &AuditArguments) -> Result<Opened, Exit> {
    let surroundings = Surroundings::of_process();
    let development = arguments.dev.clone().unwrap_or_else(|| DEV.to_owned());
    let production = match &arguments.prod {
        Some(address) => Some(address.clone()),
        None => surroundings.variable(PROD).map(|_| format!("env:{PROD}")),
    };
    let mut text = String::from(
        "format = 1\ntitle = \"Audit\"\n[vars]\nfolder = \".\"\nconfig = \"alembic.ini\"\n\
         [alembic.app]\nfolder = \"{folder}\"\nconfig = \"{config}\"\nurl_env = \"DATABASE_URL\"\n\
         [[phase]]\nid = \"look\"\ntitle = \"Audit\"\n[[phase.gate]]\nid = \"audit\"\n\
         title = \"Audit\"\n[phase.gate.alembic]\naction = \"audit\"\n",
    );
    text.push_str(match production {
        Some(_) => "target = \"production\"\nreference = \"development\"\n",
        None => "target = \"development\"\n",
    });
    let sides = [
        ("development", "--dev", Some(development)),
        ("production", "--prod", production),
    ];
    for (name, option, given) in sides {
        let Some(given) = given else {
            say::note(&format!(
                "stagegate: {PROD} is not set and --prod is not given: only development is looked at"
            ));
            continue;
        };
        check(&given, option)?;
        let url = toml::Value::String(given);
        text.push_str(&format!(
            "[target.{name}]\nurl = {url}\nenvironment = \"{name}\"\n"
        ));
    }
    let path = |given: &Option<PathBuf>, usual: &str| match given {
        Some(path) => path.display().to_string(),
        None => usual.to_owned(),
    };
    let vars: BTreeMap<String, String> = BTreeMap::from([
        ("folder".to_owned(), path(&arguments.folder, ".")),
        ("config".to_owned(), path(&arguments.config, "alembic.ini")),
    ]);
    let runbook = runbook::load_bytes("the arguments", text.as_bytes(), &vars)
        .map_err(|problems| say::open_error(&OpenError::Runbook(Box::new(problems))))?;
    let base = std::env::current_dir().map_err(|error| {
        let what = format!("this folder cannot be read: {error}");
        trouble(what, "run it in another folder", Exit::Error)
    })?;
    Ok(Opened {
        targets: Targets::new(ID, &runbook, surroundings),
        runbook: Arc::new(runbook),
        base,
    })
}

/// An address that cannot be resolved is told with its option.
fn check(given: &str, option: &str) -> Result<(), Exit> {
    let Err(error) = address::resolve(given) else {
        return Ok(());
    };
    let exit = match given.parse::<Source>() {
        Ok(Source::Database(_)) => Exit::Config,
        _ => Exit::Usage,
    };
    let what = format!("the address of {option}: {error}");
    let next =
        format!("set what it names, or write {option} env:NAME, service:NAME or postgresql://…");
    Err(trouble(what, next, exit))
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    let absolute = absolute.unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

/// What a gate says that could not look.
fn not_done(finding: &Finding) -> Exit {
    let causes = finding.caused_by.iter().map(|cause| format!(": {cause}"));
    let what = format!("{}{}", finding.summary, causes.collect::<String>());
    let next = finding.what_you_can_do.first();
    let next = next.map_or("run it again", String::as_str);
    let next = next.replace("then retry this gate", "then run it again");
    trouble(what, next, Exit::Error)
}

fn trouble(what: impl Into<String>, next: impl Into<String>, exit: Exit) -> Exit {
    say::Trouble {
        what: what.into(),
        untouched: "no database was changed; they are only read",
        next: next.into(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}
