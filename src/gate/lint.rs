//! `lint`: the hazards of SQL files and the writes of source files, before anything runs.
//!
//! A hazard is allowed in one file by its code, and only while a question to a target is answered
//! with exactly one true: a table that was empty when the runbook was written may be full tonight.

use super::lint_plan;
use super::lint_seen::{HazardStanding, LintSeen, LintedFile, LintedHazard, place};
use super::lint_survey::{Survey, same_path, survey};
use super::{Context, Evidence, Outcome, Plan, Tone};
use crate::postgres::ask::{self, Question};
use crate::postgres::session::SessionSettings;
use crate::runbook::{AllowedHazard, Lint, PlanSource};
use crate::sql::Script;
use crate::sql::hazard::HazardClass;
use crate::untrusted::clean_line;

pub(super) fn plan(gate: &Lint, context: &Context) -> Plan {
    let survey = survey(gate, context);
    let seen = &survey.seen;
    let mut plan = Plan::new(summary(gate, seen), &[]);
    plan.digest = survey.digest;
    for problem in &seen.problems {
        plan.line(Tone::Bad, problem);
    }
    if !gate.files.is_empty() {
        plan.line(
            Tone::Plain,
            format!("refused  {}", named_or(&gate.deny, "nothing")),
        );
    }
    for file in &seen.files {
        describe(&mut plan, file);
    }
    lint_plan::describe(gate, context, &mut plan);
    if let Some(given) = &seen.plan {
        lint_plan::lines(given, &mut plan);
        describe(&mut plan, &given.file);
    }
    for idle in &survey.idle {
        plan.line(Tone::Warning, idle);
    }
    for boundary in &gate.boundary {
        let heading = format!(
            "{} may not write {}",
            boundary.from,
            boundary.may_not_write.join(", ")
        );
        plan.line(Tone::Heading, heading);
        let crossing = seen
            .boundary
            .iter()
            .filter(|w| w.from == context.fill(&boundary.from));
        let mut any = false;
        for write in crossing {
            any = true;
            let text = format!("{}:{}: {}", write.file, write.line, write.text);
            plan.line(Tone::Bad, text);
        }
        if !any {
            plan.line(Tone::Good, "it does not, as far as its text says");
        }
    }
    if !seen.skipped.is_empty() {
        let skipped = format!(
            "not read, no text, too large or a link: {}",
            seen.skipped.join(", ")
        );
        plan.line(Tone::Muted, skipped);
    }
    plan.refuses = seen.problems.first().cloned();
    plan
}

/// The hash of the plan, from the files alone.
pub(super) fn inputs(gate: &Lint, context: &Context) -> Option<String> {
    Some(survey(gate, context).digest)
}

fn summary(gate: &Lint, seen: &LintSeen) -> String {
    let mut parts = Vec::new();
    if !gate.files.is_empty() {
        let count: usize = seen.files.iter().map(|file| file.hazards.len()).sum();
        parts.push(format!("{count} hazards in {} files", seen.files.len()));
    }
    if !gate.boundary.is_empty() {
        parts.push(format!(
            "{} writes across the boundary in {} source files",
            seen.boundary.len(),
            seen.boundary_files
        ));
    }
    match &gate.plan {
        Some(PlanSource::Paste) => parts.push("a plan that is given".to_owned()),
        Some(PlanSource::File(path)) => parts.push(format!("the plan in {path}")),
        Some(PlanSource::Program(program)) => {
            parts.push(format!("the plan that {} prints", program.argv[0]));
        }
        None => {}
    }
    format!("look for what is dangerous: {}", parts.join(", "))
}

fn named_or(names: &[String], none: &str) -> String {
    if names.is_empty() {
        none.to_owned()
    } else {
        names.join(", ")
    }
}

/// The hazards of one file, each with its line and its statement.
pub(super) fn describe(plan: &mut Plan, file: &LintedFile) {
    if file.hazards.is_empty() {
        plan.line(Tone::Muted, format!("{}: no hazards", file.file));
        return;
    }
    plan.line(Tone::Heading, &file.file);
    let mut shown = 0;
    for linted in &file.hazards {
        let (tone, word) = said(linted);
        plan.line(
            tone,
            format!(
                "{word:<9}{}:{}: {} {}",
                linted.hazard.line, linted.hazard.column, linted.hazard.code, linted.hazard.message
            ),
        );
        if let Some(function) = &linted.hazard.when_called {
            plan.line(Tone::Muted, format!("         when `{function}` is called"));
        }
        if let HazardStanding::Conditional { target, predicate } = &linted.standing {
            plan.line(Tone::Muted, format!("         if {target} answers true:"));
            plan.line(Tone::Sql, predicate);
        }
        if shown != linted.hazard.line {
            plan.line(Tone::Sql, format!("  {}", linted.hazard.statement));
            shown = linted.hazard.line;
        }
    }
}

fn said(linted: &LintedHazard) -> (Tone, &'static str) {
    match (&linted.standing, linted.hazard.class) {
        (HazardStanding::Shown, HazardClass::CannotTell) => (Tone::Warning, "unclear"),
        (HazardStanding::Shown, HazardClass::Lock) => (Tone::Muted, "lock"),
        (HazardStanding::Shown, HazardClass::Rewrite) => (Tone::Warning, "rewrite"),
        (HazardStanding::Shown, _) => (Tone::Warning, "shown"),
        (HazardStanding::Conditional { .. }, _) => (Tone::Warning, "if"),
        (HazardStanding::Allowed { .. }, _) => (Tone::Warning, "allowed"),
        _ => (Tone::Bad, "REFUSED"),
    }
}

pub(super) async fn run(gate: &Lint, context: &Context) -> Outcome {
    let mut survey = survey(gate, context);
    ask_all(&gate.allow, &mut survey.seen.files, context).await;
    if context.cancel.is_cancelled() {
        return Outcome::canceled("the lint was canceled; nothing was changed");
    }
    take_plan(gate, context, &mut survey).await;
    if context.cancel.is_cancelled() {
        return Outcome::canceled("the lint was canceled; nothing was changed");
    }
    let plan = survey.seen.plan.iter().map(|plan| &plan.file);
    for file in survey.seen.files.iter().chain(plan) {
        for linted in &file.hazards {
            if !matches!(linted.standing, HazardStanding::Shown) {
                let line = place(file, &linted.hazard);
                context.feed.line(super::Source::Out, &line);
            }
        }
    }
    let finding = lint_plan::with_recovery(survey.seen.judge(), gate, context);
    Outcome::of(finding).with(Evidence::Lint {
        inputs: survey.digest,
        seen: survey.seen,
    })
}

/// Asks the predicates of all hazards that are allowed by one. Once it is canceled none holds.
pub(super) async fn ask_all(allow: &[AllowedHazard], files: &mut [LintedFile], context: &Context) {
    for LintedFile { file, hazards, .. } in files {
        for linted in hazards {
            if !matches!(linted.standing, HazardStanding::Conditional { .. }) {
                continue;
            }
            let allowed = allow.iter().find(|allow| {
                allow.hazard == linted.hazard.code && same_path(&context.fill(&allow.file), file)
            });
            linted.standing = match allowed {
                Some(allow) => asked(allow, context).await,
                None => HazardStanding::Refused,
            };
        }
    }
}

/// Lets the plan be printed where a program does that, and keeps the text that is judged.
async fn take_plan(gate: &Lint, context: &Context, survey: &mut Survey) {
    let seen = &mut survey.seen;
    match lint_plan::printed(gate, context).await {
        Some(Ok(plan)) => seen.plan = Some(Box::new(plan)),
        Some(Err(problem)) => seen.problems.push(problem),
        None => {}
    }
    if let Some(plan) = &seen.plan
        && let Err(problem) = lint_plan::keep_file(gate, context, plan)
    {
        seen.problems.push(problem);
    }
}

/// Asks a predicate: one row with one value, and that value true.
pub(super) async fn asked(allow: &AllowedHazard, context: &Context) -> HazardStanding {
    let predicate = allow.predicate.clone();
    let errored = |why: String| HazardStanding::PredicateErrored {
        predicate: allow.predicate.clone(),
        why: clean_line(&why),
    };
    let script = Script::read(&allow.predicate);
    if script.statements.len() != 1 || !script.problems.is_empty() {
        return errored("a predicate is one statement that can run in a transaction".to_owned());
    }
    let mut settings = SessionSettings {
        read_only: true,
        ..SessionSettings::default()
    };
    if let Some(timeout) = context.gate.timeout {
        settings.statement_timeout = timeout;
    }
    let opened = context
        .targets
        .open(&allow.target, &context.gate.id, settings)
        .await;
    let (session, identity) = match opened {
        Ok(opened) => opened,
        Err(error) => return errored(error.to_string()),
    };
    let question = Question {
        sql: script.statement(0),
        role: None,
        read_only: true,
        keep_rows: 2,
        keep_chars: 80,
    };
    let answer = tokio::select! {
        asked = ask::ask(&session, &question) => asked,
        () = context.cancel.cancelled() => {
            let _ = session.canceller().cancel().await;
            return errored("it was canceled".to_owned());
        }
    };
    let rows = match answer {
        Ok(asked) => match asked.answer {
            Ok(rows) => rows,
            Err(error) => return errored(error.to_string()),
        },
        Err(error) => return errored(error.to_string()),
    };
    let why = match (rows.total, rows.rows.first().map(Vec::as_slice)) {
        (1, Some([Some(value)])) if value == "t" => {
            return HazardStanding::Allowed {
                target: allow.target.clone(),
                server: identity.describe(),
                predicate,
                reason: allow.reason.clone(),
            };
        }
        (1, Some([Some(value)])) => format!("it is {}, not true", clean_line(value)),
        (1, Some([None])) => "it is NULL, not true".to_owned(),
        (0, _) => "it gave no row".to_owned(),
        (n, _) => format!("it gave {n} rows or more than one column, not one true"),
    };
    HazardStanding::PredicateFailed { predicate, why }
}
