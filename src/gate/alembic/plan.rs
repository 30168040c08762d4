//! What an `alembic` gate would do, in words.

use super::sight::Sight;
use super::way::Way;
use crate::gate::{HazardStanding, Payload, Plan, Tone, lint};
use crate::runbook::AlembicAction;

pub(super) async fn plan(sight: &Sight<'_>) -> Plan {
    match sight.gate.action.looks() {
        true => look(sight),
        false => match sight.way().await {
            Ok(way) => describe(sight, &way),
            Err(outcome) => {
                let mut plan = Plan::new(summary(sight), &[&outcome.finding.summary]);
                plan.line(Tone::Bad, &outcome.finding.summary);
                for cause in &outcome.finding.caused_by {
                    plan.line(Tone::Bad, cause);
                }
                plan.refuses = Some(outcome.finding.summary);
                plan
            }
        },
    }
}

fn summary(sight: &Sight<'_>) -> String {
    let (word, target) = (sight.gate.action.word(), &sight.gate.target);
    match &sight.gate.reference {
        Some(reference) => format!("alembic {word}: {target} against {reference}"),
        None => format!("alembic {word} on {target}"),
    }
}

fn look(sight: &Sight<'_>) -> Plan {
    let mut plan = Plan::new(summary(sight), &[]);
    plan.digest = super::inputs_of(sight);
    project(&mut plan, sight);
    let said: &[&str] = match sight.gate.action {
        AlembicAction::Audit => {
            &["reads name, user, search path, tables and version of each database; changes nothing"]
        }
        AlembicAction::Guard => &[
            "both tracked, every revision known, the target not ahead and on no other branch",
            "in sync: the schemas are compared object by object",
            "behind: the target's schema is copied to a private server, upgraded there by Alembic, \
             and compared with the reference's",
        ],
        _ => &["the version must be the head, and the models must say what the database says"],
    };
    for line in said {
        plan.line(Tone::Plain, line);
    }
    if let Some(folder) = &sight.gate.write {
        let folder = sight.context.fill(folder);
        plan.line(
            Tone::Plain,
            format!("writes a summary for each into {folder}"),
        );
    }
    let needs_program = sight.gate.action != AlembicAction::Audit;
    if let (Err(reason), true) = (&sight.project.program, needs_program) {
        plan.refuses = Some(format!("there is no Alembic for this project: {reason}"));
    }
    plan
}

/// A path without what leads nowhere.
fn plain(path: &str) -> String {
    match path.trim_start_matches("./") {
        "" | "." => "the runbook's root".to_owned(),
        path => path.to_owned(),
    }
}

fn project(plan: &mut Plan, sight: &Sight<'_>) {
    let project = &sight.project;
    let folder = plain(&sight.context.shown(&project.folder));
    let config = project.config.display();
    plan.line(
        Tone::Plain,
        format!("project  {}, {config} in {folder}", sight.described.name),
    );
    match &project.program {
        Ok(program) => {
            let python = plain(&sight.context.shown(&program.python));
            plan.line(Tone::Plain, format!("python   {python}"));
        }
        Err(reason) => plan.line(Tone::Bad, format!("python   {reason}")),
    }
    let heads = sight.heads();
    let (tone, count) = match heads.len() {
        1 => (Tone::Plain, sight.graph().revisions().count()),
        _ => (Tone::Bad, sight.graph().revisions().count()),
    };
    let heads = heads.join(", ");
    plan.line(tone, format!("history  {count} revisions, head {heads}"));
    for trouble in &project.troubles {
        plan.line(Tone::Bad, format!("history  {trouble}"));
    }
}

fn describe(sight: &Sight<'_>, way: &Way) -> Plan {
    let mut plan = Plan::new(title(sight, way), &[]);
    if sight.gate.chooses {
        let choices = way.choices.iter();
        let words = choices.map(|step| format!("{} {}", step.revision, step.message));
        plan.payload = Payload::Undoes(words.collect());
    }
    plan.digest.clone_from(&way.digest);
    project(&mut plan, sight);
    if let Some(version) = &way.seen.version {
        plan.line(Tone::Plain, format!("program  {version}"));
    }
    if let Some(here) = way.seen.here() {
        let (at, tables) = (here.at(), here.tables.len());
        plan.line(
            Tone::Plain,
            format!("target   {at}, {tables} tables, on {}", here.server),
        );
    }
    if let Some(refusal) = &way.refusal {
        plan.line(Tone::Bad, format!("refused  {}", refusal.summary));
        for cause in &refusal.caused_by {
            plan.line(Tone::Bad, format!("         {cause}"));
        }
        for can in &refusal.what_you_can_do {
            plan.line(Tone::Muted, format!("         {can}"));
        }
        plan.refuses = Some(refusal.summary.clone());
        return plan;
    }
    match sight.gate.action {
        AlembicAction::Stamp => stamp(&mut plan, sight, way),
        _ => steps(&mut plan, sight, way),
    }
    if sight.gate.scratch && !way.is_there() {
        let said = "first on a private copy of the schema, where what it takes away is seen";
        plan.line(Tone::Plain, said);
    }
    if sight.gate.models {
        plan.line(
            Tone::Plain,
            "then the models must say what the database says: alembic check",
        );
    }
    if let Some(reason) = &way.offline.unsaid {
        let said = format!("Alembic cannot say its SQL beforehand: {reason}");
        plan.line(Tone::Warning, said);
        plan.line(Tone::Warning, "only the private copy shows what it does");
    }
    hazards(&mut plan, way);
    for part in &way.offline.parts {
        plan.line(Tone::Heading, format!("{}  {}", part.revision, part.file));
        plan.line(Tone::Sql, part.sql.trim_end());
    }
    plan
}

fn title(sight: &Sight<'_>, way: &Way) -> String {
    if way.unchosen {
        return format!(
            "take back the revisions that are chosen on {}",
            sight.gate.target
        );
    }
    let (target, goal) = (&sight.gate.target, way.goal_word());
    match (sight.gate.action, way.is_there()) {
        (AlembicAction::Stamp, true) => format!("nothing to do: {target} is stamped {goal}"),
        (AlembicAction::Stamp, false) => format!("stamp {target} at {goal}"),
        (_, true) => format!("nothing to do: {target} is at {goal}"),
        (AlembicAction::Downgrade, _) => {
            format!(
                "take {} revisions back on {target}, down to {goal}",
                way.steps.len()
            )
        }
        _ => format!(
            "apply {} revisions to {target}, up to {goal}",
            way.steps.len()
        ),
    }
}

fn stamp(plan: &mut Plan, sight: &Sight<'_>, way: &Way) {
    let goal = way.goal_word();
    let words = match way.is_there() {
        true => format!(
            "{} says {goal} already; nothing is written",
            sight.gate.target
        ),
        false => format!(
            "writes {goal} into {}, and makes that table; nothing else is made, nothing is dropped",
            sight.described.version_table
        ),
    };
    plan.line(Tone::Plain, words);
    plan.line(
        Tone::Plain,
        "what an upgrade to the head would do afterwards is shown below, and refused if it destroys",
    );
}

fn steps(plan: &mut Plan, sight: &Sight<'_>, way: &Way) {
    let (lock, statement) = (sight.gate.lock_timeout, sight.gate.statement_timeout);
    plan.line(
        Tone::Plain,
        format!(
            "limits   lock_timeout {} ms, statement_timeout {} s, for every session of Alembic's",
            lock.as_millis(),
            statement.as_secs()
        ),
    );
    for step in &way.seen.steps {
        let line = format!("{}  {}", step.revision, step.message);
        plan.line(Tone::Plain, line);
        let found = sight.graph().find(&step.revision);
        let no_way = found.is_some_and(|revision| !revision.reversible);
        if no_way && sight.gate.action == AlembicAction::Upgrade {
            plan.line(
                Tone::Warning,
                "         its downgrade does nothing: no way back",
            );
        }
    }
    if sight.gate.action == AlembicAction::Downgrade && !way.steps.is_empty() {
        plan.line(
            Tone::Warning,
            "what stands in the columns and tables that these revisions made is lost",
        );
    }
}

fn hazards(plan: &mut Plan, way: &Way) {
    let Some(lint) = &way.seen.lint else { return };
    if lint.files.iter().all(|file| file.hazards.is_empty()) {
        return;
    }
    plan.line(Tone::Heading, "Hazards");
    for file in &lint.files {
        if !file.hazards.is_empty() {
            lint::describe(plan, file);
        }
    }
    let refused = lint
        .files
        .iter()
        .flat_map(|file| &file.hazards)
        .any(|hazard| matches!(hazard.standing, HazardStanding::Refused));
    if refused && plan.refuses.is_none() {
        plan.refuses = Some("it destroys, and nothing in the runbook allows that".to_owned());
    }
}
