//! Reads a ramp: the flag, its steps, and the metrics that are watched meanwhile.

use std::time::Duration;

use regex::Regex;

use super::argv::read_argv;
use super::metric::{Rules, read_every, read_metrics};
use super::pattern::check_regex;
use crate::runbook::findings::At;
use crate::runbook::names::{Names, check_template, optional_target};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;
use crate::runbook::template::placeholders;
use crate::runbook::watching::{FlagWay, OnBreach, Ramp, RampStep};

/// The name that a set command fills the value in for.
const PERCENT: &str = "percent";
const WAYS: &str = "give `set_sql` and `read_sql`, or `set` and `read`, or `file` and `pattern`";

pub(super) fn read(mut table: TableReader<'_, '_>, names: &mut Names) -> Ramp {
    let target = optional_target(&mut table, names);
    let flag = read_flag(&mut table, target.is_some(), names);
    let steps = read_steps(&mut table);
    let every = read_every(&mut table);
    let on_breach = read_on_breach(&mut table);
    let rules = Rules {
        captures: false,
        target: target.is_some(),
    };
    let metrics = read_metrics(&mut table, "phase.gate.ramp.metrics", rules, names);
    table.finish();
    Ramp {
        target,
        flag,
        steps,
        every,
        on_breach,
        metrics,
    }
}

fn read_flag(table: &mut TableReader<'_, '_>, target: bool, names: &mut Names) -> FlagWay {
    let ways = [
        ["set_sql", "read_sql"],
        ["set", "read"],
        ["file", "pattern"],
    ];
    let given: Vec<[&'static str; 2]> = ways
        .into_iter()
        .filter(|keys| keys.iter().any(|key| table.has(key)))
        .collect();
    if given.len() > 1 {
        let message = format!("{} sets its flag in more than one way", table.name);
        let place = table.place(given[1][0]);
        table
            .findings
            .add(place, message, "there is one flag", Some(WAYS.to_owned()));
    }
    if given.is_empty() {
        table.missing("set_sql", WAYS);
    }
    let mut with_percent = names.clone();
    with_percent.captures.insert(PERCENT.to_owned());
    // Every way is read, so that no key of another one is called unknown.
    let sql = (table.string("set_sql"), table.string("read_sql"));
    table.any("set");
    table.any("read");
    let set = table
        .has("set")
        .then(|| read_argv(table, "set", &with_percent));
    let read = table.has("read").then(|| read_argv(table, "read", names));
    let file = (table.string("file"), table.string("pattern"));
    match given.first() {
        Some(["set_sql", _]) => sql_way(table, target, sql),
        Some(["set", _]) => argv_way(table, set, read),
        _ => file_way(table, given.is_empty(), file, names),
    }
}

fn needs(table: &TableReader<'_, '_>, key: &'static str) {
    if !table.has(key) {
        table.missing(key, WAYS);
    }
}

fn sql_way(
    table: &TableReader<'_, '_>,
    target: bool,
    (set, read): (Option<At<String>>, Option<At<String>>),
) -> FlagWay {
    needs(table, "set_sql");
    needs(table, "read_sql");
    if let Some(set) = &set {
        absolute(table, "set_sql", &placeholders(&set.value), set);
        if !target {
            let message = format!("{} asks a target, and names none", table.name);
            let help = Some("write target = \"…\"".to_owned());
            table
                .findings
                .add(set.span.clone(), message, "asked of whom?", help);
        }
    }
    FlagWay::Sql {
        set: set.map(|at| at.value).unwrap_or_default(),
        read: read.map(|at| at.value).unwrap_or_default(),
    }
}

fn argv_way(
    table: &TableReader<'_, '_>,
    set: Option<Vec<String>>,
    read: Option<Vec<String>>,
) -> FlagWay {
    needs(table, "set");
    needs(table, "read");
    if let Some(set) = &set {
        let names: Vec<String> = set.iter().flat_map(|part| placeholders(part)).collect();
        let at = At {
            value: String::new(),
            span: table.place("set"),
        };
        absolute(table, "set", &names, &at);
    }
    FlagWay::Argv {
        set: set.unwrap_or_default(),
        read: read.unwrap_or_default(),
    }
}

/// A value is set, never changed by so much: setting it twice must do what setting it once does.
fn absolute(table: &TableReader<'_, '_>, key: &str, names: &[String], at: &At<String>) {
    if !names.iter().any(|name| name == PERCENT) {
        let message = format!("`{key}` of {} does not say the value", table.name);
        let label = "`{percent}` is missing: the value itself is set, never a difference";
        table.findings.add(at.span.clone(), message, label, None);
    }
}

fn file_way(
    table: &TableReader<'_, '_>,
    silent: bool,
    (path, pattern): (Option<At<String>>, Option<At<String>>),
    names: &Names,
) -> FlagWay {
    if !silent {
        needs(table, "file");
        needs(table, "pattern");
    }
    if let Some(path) = &path {
        check_template(path, table, names);
    }
    if let Some(pattern) = &pattern {
        check_regex(pattern, table);
        if Regex::new(&pattern.value).is_ok_and(|regex| regex.captures_len() != 2) {
            let message = format!("`pattern` of {} must have one group", table.name);
            let help = Some("such as 'PERCENTAGE = (\\d+);'".to_owned());
            let label = "the group is the number";
            table
                .findings
                .add(pattern.span.clone(), message, label, help);
        }
    }
    FlagWay::File {
        path: path.map(|at| at.value).unwrap_or_default(),
        pattern: pattern.map(|at| at.value).unwrap_or_default(),
    }
}

fn read_steps(table: &mut TableReader<'_, '_>) -> Vec<RampStep> {
    if !table.has("steps") {
        table.missing("steps", "write steps = [{ percent = 10, soak = \"30m\" }]");
    }
    let mut steps: Vec<RampStep> = Vec::new();
    for (span, inner) in table.tables("steps", "phase.gate.ramp.steps") {
        let mut reader = TableReader::new("a step", span, inner, table.findings);
        if !reader.has("percent") {
            reader.missing("percent", "write percent = 10");
        }
        let percent = reader.whole("percent", 1..=100);
        if let (Some(percent), Some(last)) = (&percent, steps.last())
            && percent.value <= i64::from(last.percent)
        {
            let message = format!("the steps of {} do not rise", table.name);
            let label = format!("not more than the {} % before it", last.percent);
            reader
                .findings
                .add(percent.span.clone(), message, label, None);
        }
        let soak = reader
            .duration("soak")
            .map_or(Duration::ZERO, |at| at.value);
        let confirm = reader.flag("confirm", false);
        reader.finish();
        steps.push(RampStep {
            percent: percent.map_or(0, |at| at.value as u8),
            soak,
            confirm,
        });
    }
    steps
}

fn read_on_breach(table: &mut TableReader<'_, '_>) -> OnBreach {
    let Some(given) = table.string("on_breach") else {
        return OnBreach::Hold;
    };
    match given.value.as_str() {
        "hold" => OnBreach::Hold,
        "step-back" => OnBreach::StepBack,
        other => {
            let message = format!("`{other}` is nothing that can follow a breach");
            let help = Some(choices(other, &["hold", "step-back"]));
            table.findings.add(given.span, message, "not known", help);
            OnBreach::Hold
        }
    }
}
