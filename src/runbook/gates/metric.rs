//! Reads metrics: where a number comes from, its bands, and how much is tolerated.

use std::time::Duration;

use super::argv::read_argv;
use crate::expectation::{Condition, ConditionError, Statistic};
use crate::runbook::findings::At;
use crate::runbook::names::{BUILT_IN, Names, check_template};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;
use crate::runbook::template::is_name;
use crate::runbook::watching::{Metric, MetricSource};

/// More than anybody can read on one screen.
const MOST: usize = 8;
/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);

/// What the metrics of a gate may have.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// A gate may keep a number for later ones, and a metric may have no bands.
    pub(super) captures: bool,
    /// The gate names a target.
    pub(super) target: bool,
}

pub(super) fn read_every(table: &mut TableReader<'_, '_>) -> Duration {
    let Some(given) = table.duration("every") else {
        if !table.has("every") {
            table.missing("every", "write every = \"10s\"");
        }
        return Duration::from_secs(10);
    };
    if given.value < SHORTEST {
        let message = format!("`every` of {} must be at least 100ms", table.name);
        table
            .findings
            .add(given.span, message, "too often to be of use", None);
        return SHORTEST;
    }
    given.value
}

pub(super) fn read_metrics(
    table: &mut TableReader<'_, '_>,
    header: &str,
    rules: Rules,
    names: &mut Names,
) -> Vec<Metric> {
    if !table.has("metrics") {
        let help = format!("write [[{header}]] for each metric");
        table.missing("metrics", help);
    }
    let mut metrics: Vec<Metric> = Vec::new();
    for (span, inner) in table.tables("metrics", header) {
        let mut reader = TableReader::new("a metric", span, inner, table.findings);
        let name = reader.need_string("name");
        if !name.value.is_empty() {
            reader.name = format!("metric `{}`", name.value);
        }
        if metrics.iter().any(|metric| metric.name == name.value) {
            let message = format!("two metrics of {} are called `{}`", table.name, name.value);
            let label = "a name tells metrics apart";
            table.findings.add(name.span.clone(), message, label, None);
        }
        metrics.push(read_metric(reader, name.value, rules, names));
    }
    if metrics.len() > MOST {
        let message = format!("{} has more than {MOST} metrics", table.name);
        let place = table.place("metrics");
        table
            .findings
            .add(place, message, "more than fit on a screen", None);
    }
    metrics
}

fn read_metric(
    mut table: TableReader<'_, '_>,
    name: String,
    rules: Rules,
    names: &mut Names,
) -> Metric {
    let unit = table.string("unit").map(|unit| unit.value);
    let source = read_source(&mut table, rules, names);
    let success = read_condition(&mut table, "success", names);
    let failure = read_condition(&mut table, "failure", names);
    let banded = table.has("success") || table.has("failure");
    if !banded && !rules.captures {
        table.missing("success", "write success = \"<= 0.5\", or give `failure`");
    }
    let mut count = |key: &'static str, least: i64, default: u32| {
        table
            .whole(key, least..=1_000_000)
            .map_or(default, |n| n.value as u32)
    };
    let min_samples = count("min_samples", 1, 3);
    let failures_allowed = count("failures_allowed", 0, 0);
    let errors_allowed = count("errors_allowed", 0, 3);
    let inconclusive_allowed = count("inconclusive_allowed", 0, 2);
    let (capture, statistic) = if rules.captures {
        (read_capture(&mut table, names), read_statistic(&mut table))
    } else {
        (None, Statistic::default())
    };
    table.finish();
    Metric {
        name,
        unit,
        source,
        success,
        failure,
        min_samples,
        failures_allowed,
        errors_allowed,
        inconclusive_allowed,
        capture,
        statistic,
    }
}

fn read_source(table: &mut TableReader<'_, '_>, rules: Rules, names: &Names) -> MetricSource {
    let sql = table.string("sql");
    table.any("argv");
    let argv = table.has("argv").then(|| read_argv(table, "argv", names));
    match (sql, argv) {
        (Some(sql), Some(_)) => {
            let message = format!("{} gives both `sql` and `argv`", table.name);
            let label = "a number comes from one of the two";
            table.findings.add(sql.span, message, label, None);
            MetricSource::Sql(sql.value)
        }
        (Some(sql), None) => {
            if !rules.target {
                let message = format!("{} asks a target, and its gate names none", table.name);
                let help = Some("write target = \"…\" in the gate".to_owned());
                table
                    .findings
                    .add(sql.span, message, "asked of whom?", help);
            }
            MetricSource::Sql(sql.value)
        }
        (None, Some(argv)) => MetricSource::Argv(argv),
        (None, None) => {
            if !table.has("sql") {
                table.missing("sql", "write sql = \"SELECT …\", or argv = [\"…\"]");
            }
            MetricSource::Sql(String::new())
        }
    }
}

fn read_condition(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
    names: &Names,
) -> Option<Condition> {
    let found = table.string(key)?;
    match found.value.parse::<Condition>() {
        Ok(condition) => {
            let at = At {
                value: condition.written.clone(),
                span: found.span,
            };
            check_template(&at, table, names);
            Some(condition)
        }
        Err(error) => {
            let message = format!("`{key}` of {} is not a condition", table.name);
            let label = match error {
                ConditionError::Comparison(_) => "an operator and a limit are needed",
                ConditionError::Arithmetic(_) => "the limit is not understood",
            };
            let help = "such as \"<= 0.5\" or \"<= {p95_before} * 1.1\"; operators: = != < <= > >=";
            table
                .findings
                .add(found.span, message, label, Some(help.into()));
            None
        }
    }
}

fn read_capture(table: &mut TableReader<'_, '_>, names: &mut Names) -> Option<String> {
    let capture = table.string("capture")?;
    let label = if !is_name(&capture.value) {
        "a name is a letter, then letters, digits, `_`, `.` or `-`"
    } else if BUILT_IN.contains(&capture.value.as_str()) {
        "stagegate fills this name in itself"
    } else if names.vars.contains(&capture.value) {
        "a variable has this name"
    } else if !names.captures.insert(capture.value.clone()) {
        "something else is captured under this name"
    } else {
        return Some(capture.value);
    };
    let message = format!("`{}` cannot name a capture", capture.value);
    table.findings.add(capture.span, message, label, None);
    None
}

fn read_statistic(table: &mut TableReader<'_, '_>) -> Statistic {
    let Some(given) = table.string("statistic") else {
        return Statistic::default();
    };
    let words = Statistic::ALL.map(Statistic::word);
    let found = Statistic::ALL
        .into_iter()
        .find(|statistic| statistic.word() == given.value);
    found.unwrap_or_else(|| {
        let message = format!("`{}` is no statistic", given.value);
        let help = Some(choices(&given.value, &words));
        table.findings.add(given.span, message, "not known", help);
        Statistic::default()
    })
}
