//! The run as one HTML file that loads nothing from anywhere.

use minijinja::{AutoEscape, Environment, Value, context};

use super::chart::svg;
use super::facts::{Facts, GateFacts};
use crate::untrusted::clean_line;

const TEMPLATE: &str = include_str!("../../assets/report/report.html");
/// Records that the page lists; more of them are in the journal.
const LISTED: usize = 2_000;

/// Writes the run as HTML.
///
/// # Errors
/// When the template has a defect.
pub fn html(facts: &Facts) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("duration", duration);
    environment.add_filter("clean", |text: String| clean_line(&text));
    environment.add_filter("short", |text: String| {
        text.chars().take(12).collect::<String>()
    });
    environment.add_filter("slug", |text: String| text.replace(' ', "-"));
    environment.add_filter("moment", moment);
    environment.add_template("report", TEMPLATE)?;
    let bars = bars(facts);
    let charts = charts(facts);
    let from = facts.timeline.len().saturating_sub(LISTED);
    environment.get_template("report")?.render(context! {
        run => facts.run,
        targets => facts.targets,
        phases => facts.phases,
        signatures => facts.signatures,
        waivers => facts.waivers,
        decisions => facts.decisions,
        messages => facts.messages,
        notes => facts.notes,
        timeline => facts.timeline[from..],
        left_out => from,
        missing => facts.missing,
        bars => bars,
        charts => charts,
    })
}

/// A gate's place on the time line, in per cent of the run.
#[derive(serde::Serialize)]
struct Bar {
    gate: String,
    title: String,
    state: String,
    left: f64,
    width: f64,
    took_ms: u64,
    expected_ms: Option<u64>,
}

fn bars(facts: &Facts) -> Vec<Bar> {
    let (first, last) = (facts.run.opened, facts.run.updated);
    let span = last.duration_since(first).as_millis().max(1) as f64;
    let mut bars = Vec::new();
    for gate in facts.phases.iter().flat_map(|phase| &phase.gates) {
        let Some(started) = gate.attempts.first().map(|attempt| attempt.started) else {
            continue;
        };
        let ended = gate.attempts.last().and_then(|attempt| attempt.ended);
        let at = started.duration_since(first).as_millis() as f64;
        let lasted = ended.unwrap_or(last).duration_since(started).as_millis() as f64;
        bars.push(Bar {
            gate: gate.id.clone(),
            title: gate.title.clone(),
            state: gate.state.clone(),
            left: (at / span * 100.0).clamp(0.0, 99.5),
            width: (lasted / span * 100.0).clamp(0.5, 100.0),
            took_ms: gate.took_ms.unwrap_or(0),
            expected_ms: gate.planned.as_ref().map(|plan| plan.ms),
        });
    }
    bars
}

/// The pictures of each gate, which are markup of our own.
fn charts(facts: &Facts) -> Value {
    let gates = facts.phases.iter().flat_map(|phase| &phase.gates);
    let drawn = gates.filter(|gate| !gate.charts.is_empty()).map(|gate| {
        let charts: Vec<Value> = drawn(gate);
        (gate.id.clone(), charts)
    });
    Value::from(drawn.collect::<std::collections::BTreeMap<String, Vec<Value>>>())
}

fn drawn(gate: &GateFacts) -> Vec<Value> {
    let charts = gate.charts.iter().filter_map(|chart| {
        let picture = Value::from_safe_string(svg(chart)?);
        Some(context! {
            name => chart.name, unit => chart.unit, rules => chart.rules, picture => picture,
        })
    });
    charts.collect()
}

/// A moment to the second, in UTC.
pub(super) fn second(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn moment(text: String) -> String {
    text.parse::<jiff::Timestamp>().map_or(text, second)
}

/// A duration of milliseconds in words.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..=59 => format!("{:.1} s", ms as f64 / 1000.0),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Text in which nothing is markup.
pub(super) fn escape(text: &str) -> String {
    let value = minijinja::HtmlEscape(text).to_string();
    clean_line(&value)
}
