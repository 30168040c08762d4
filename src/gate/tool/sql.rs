//! The SQL that a tool would run: where it stands, and which part of it counts.

use std::time::{Duration, SystemTime};

use regex::Regex;

use super::call::{Call, Caller, Ran};
use super::status::StatusSeen;
use crate::digest::digest;
use crate::expectation::Finding;
use crate::gate::lint_survey::{linted, same_path};
use crate::gate::migrate_files::{expand, read_text};
use crate::gate::{Context, LintSeen};
use crate::runbook::{AllowedHazard, Lint, TOOL_ID, ToolGate, ToolPlan, ToolSql};
use crate::sql::hazard;

/// How exactly a file system knows when a file was written.
const COARSE: Duration = Duration::from_secs(1);

/// One text of SQL.
pub(super) struct SqlText {
    /// The file, or the tool's name.
    pub(super) name: String,
    /// The migration that it belongs to.
    pub(super) id: Option<String>,
    pub(super) text: String,
    /// The hash over what does not differ from call to call.
    pub(super) digest: String,
}

/// Everything that would run, and why some of it is not known.
#[derive(Default)]
pub(super) struct Sql {
    pub(super) texts: Vec<SqlText>,
    pub(super) problems: Vec<String>,
}

/// Finds out what would run.
///
/// # Errors
/// Why the tool could not be asked.
pub(super) async fn gather(
    caller: &Caller<'_>,
    plan: &ToolPlan,
    status: Option<&StatusSeen>,
) -> Result<(Sql, Option<Ran>), Finding> {
    let before = SystemTime::now();
    let ran = match plan.argv.is_empty() {
        true => None,
        false => Some(caller.run(&planning(plan)).await?),
    };
    let mut sql = Sql::default();
    if let Some(ran) = &ran {
        if let Some(end) = ran.call.bad_end(&plan.exit) {
            let mut said = format!("{} {end} when it was asked for its SQL", caller.tool.name);
            if let Some(words) = ran.call.last_words() {
                said = format!("{said}: {words}");
            }
            sql.problems.push(said);
            return Ok((sql, Some(ran_of(ran))));
        }
        if ran.too_much {
            sql.problems
                .push("its SQL is too long to be read whole".to_owned());
        }
    }
    let context = caller.context;
    match &plan.sql {
        ToolSql::Stdout => {
            let text = ran.as_ref().map_or(String::new(), |ran| ran.out.clone());
            let name = caller.tool.name.clone();
            sql.add(plan, name, None, &text);
        }
        ToolSql::File(file) => {
            let path = context.path(file);
            let fresh = |path: &std::path::Path| {
                let written = std::fs::metadata(path).and_then(|found| found.modified());
                written.is_ok_and(|written| written + COARSE >= before)
            };
            if ran.is_some() && path.exists() && !fresh(&path) {
                let shown = context.shown(&path);
                let said = format!("{shown} is older than the call that should have written it");
                sql.problems.push(said);
            } else {
                sql.read(plan, context, &path, None);
            }
        }
        ToolSql::Files(glob) => sql.files(plan, context, glob, status),
    }
    Ok((sql, ran))
}

fn ran_of(ran: &Ran) -> Ran {
    Ran {
        call: ran.call.clone(),
        out: String::new(),
        masked: String::new(),
        too_much: ran.too_much,
        well: ran.well,
    }
}

fn planning(plan: &ToolPlan) -> Call<'_> {
    Call {
        part: "plan",
        argv: &plan.argv,
        exit: &plan.exit,
        id: None,
        read_only: plan.read_only,
    }
}

impl Sql {
    fn files(
        &mut self,
        plan: &ToolPlan,
        context: &Context,
        glob: &str,
        status: Option<&StatusSeen>,
    ) {
        if !plan.is_by_id() {
            let paths = self.found(context, glob);
            for path in paths {
                self.read(plan, context, &path, None);
            }
            return;
        }
        for id in status.map(StatusSeen::pending_ids).unwrap_or_default() {
            // An id comes from a program: it names files, and is no pattern or path of its own.
            if id.contains(['/', '\\']) || id.contains("..") {
                self.problems
                    .push(format!("`{id}` can be no part of a file's name"));
                continue;
            }
            let pattern = glob.replace(TOOL_ID, &glob::Pattern::escape(&id));
            for path in self.found(context, &pattern) {
                self.read(plan, context, &path, Some(&id));
            }
        }
    }

    fn found(&mut self, context: &Context, pattern: &str) -> Vec<std::path::PathBuf> {
        let pattern = context.fill(pattern);
        let mut paths = expand(&context.base.join(&pattern));
        paths.sort();
        if paths.is_empty() {
            self.problems.push(format!("no file matches `{pattern}`"));
        }
        paths
    }

    fn read(
        &mut self,
        plan: &ToolPlan,
        context: &Context,
        path: &std::path::Path,
        id: Option<&str>,
    ) {
        let name = context.shown(path);
        match read_text(path) {
            Ok(text) => self.add(plan, name, id, &text),
            Err(reason) => self.problems.push(format!("{name}: {reason}")),
        }
    }

    fn add(&mut self, plan: &ToolPlan, name: String, id: Option<&str>, text: &str) {
        let digest = digest(steady(plan, text).as_bytes());
        match part(plan, text) {
            Ok(text) => self.texts.push(SqlText {
                name,
                id: id.map(str::to_owned),
                text,
                digest,
            }),
            Err(reason) => self.problems.push(format!("{name}: {reason}")),
        }
    }
}

/// Leaves out the lines that differ from call to call.
fn steady(plan: &ToolPlan, text: &str) -> String {
    let form = plan
        .volatile
        .as_ref()
        .and_then(|form| Regex::new(form).ok());
    let Some(form) = form else {
        return text.to_owned();
    };
    let kept = text.lines().filter(|line| !form.is_match(line));
    kept.collect::<Vec<_>>().join("\n")
}

/// Every file that the SQL may stand in, whichever migrations are pending, with the part that counts.
pub(super) fn files(plan: &ToolPlan, context: &Context) -> Vec<(String, String)> {
    let ToolSql::Files(glob) = &plan.sql else {
        return Vec::new();
    };
    let pattern = context.fill(&glob.replace(TOOL_ID, "*"));
    let mut paths = expand(&context.base.join(pattern));
    paths.sort();
    let text = |path: &std::path::PathBuf| {
        let text = read_text(path).unwrap_or_default();
        (context.shown(path), part(plan, &text).unwrap_or(text))
    };
    paths.iter().map(text).collect()
}

/// Blanks the lines that do not count, so that those that do keep their numbers.
fn part(plan: &ToolPlan, text: &str) -> Result<String, String> {
    let form = |pattern: &Option<String>| pattern.as_ref().and_then(|p| Regex::new(p).ok());
    let (from, until) = (form(&plan.from), form(&plan.until));
    let mut inside = from.is_none();
    let mut begun = inside;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        if from.as_ref().is_some_and(|from| from.is_match(bare)) {
            (inside, begun) = (true, true);
            out.push('\n');
            continue;
        }
        if until.as_ref().is_some_and(|until| until.is_match(bare)) {
            inside = false;
        }
        match inside {
            true => out.push_str(line),
            false => out.push('\n'),
        }
    }
    match (begun, &plan.from) {
        (false, Some(from)) => Err(format!("no line is of the form `{from}`")),
        _ => Ok(out),
    }
}

/// Looks at the texts as a lint gate would.
pub(super) fn lint(caller: &Caller<'_>, sql: &Sql) -> LintSeen {
    let (gate, context) = (caller.gate, caller.context);
    let rules = rules(gate, context, sql);
    let mut seen = LintSeen {
        deny: gate.deny.clone(),
        ..LintSeen::default()
    };
    for text in &sql.texts {
        let mut file = linted(&rules, context, text.name.clone(), &text.text);
        // A generated text may repeat what it was told to connect with.
        for linted in &mut file.hazards {
            linted.hazard.statement = caller.masked(&linted.hazard.statement);
            linted.hazard.message = caller.masked(&linted.hazard.message);
        }
        seen.files.push(file);
    }
    for allow in &gate.allow {
        if !hazard::is_code(&allow.hazard) {
            let problem = format!("no rule has the code `{}`", allow.hazard);
            seen.problems.push(problem);
        }
    }
    seen
}

/// The gate's rules as those of a lint gate: a migration may be named by its file or by its id.
pub(super) fn rules(gate: &ToolGate, context: &Context, sql: &Sql) -> Lint {
    let allow = gate.allow.iter().flat_map(|allow| {
        let named = context.fill(&allow.file);
        let meant = sql
            .texts
            .iter()
            .filter(move |text| text.id.as_ref() == Some(&named) || same_path(&text.name, &named));
        meant.map(|text| AllowedHazard {
            file: text.name.clone(),
            ..allow.clone()
        })
    });
    Lint {
        files: Vec::new(),
        deny: gate.deny.clone(),
        allow: allow.collect(),
        boundary: Vec::new(),
        plan: None,
        recovery: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(from: Option<&str>, until: Option<&str>) -> ToolPlan {
        ToolPlan {
            argv: Vec::new(),
            exit: vec![0],
            sql: ToolSql::Stdout,
            from: from.map(Into::into),
            until: until.map(Into::into),
            volatile: None,
            read_only: true,
        }
    }

    #[test]
    fn a_half_keeps_the_numbers_of_its_lines() {
        let text = "-- up\nCREATE TABLE t ();\n-- down\nDROP TABLE t;\n";
        let up = part(&plan(Some("^-- up"), Some("^-- down")), text).unwrap();
        assert_eq!(up, "\nCREATE TABLE t ();\n\n\n");
        let down = part(&plan(Some("^-- down"), None), text).unwrap();
        assert_eq!(down, "\n\n\nDROP TABLE t;\n");
        assert_eq!(part(&plan(None, None), text).unwrap(), text);
        assert!(part(&plan(Some("^-- begin"), None), text).is_err());
    }
}
