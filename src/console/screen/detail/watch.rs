//! A gate that looks again and again: its question, its steps, the time that counts, its metrics.

use jiff::SignedDuration;

use crate::console::model::Model;
use crate::console::screen::chart::chart;
use crate::console::screen::text::{Doc, Ink, Span, cells, clip, span};
use crate::console::screen::times::{clock, watch};
use crate::expectation::{Reading, Verdict};
use crate::gate::{Asked, Rung, RungState, SeenMetric, Watched};
use crate::untrusted::clean_line;

/// The most lines of a chart.
const HIGHEST: usize = 6;
/// The lines of a chart where the page is read by scrolling.
const ON_PAGE: usize = 3;
/// What a metric's name and counts take.
const AROUND: usize = 2;

/// Adds what a gate at work asks and sees; the charts take what is left of `height` lines.
pub(super) fn live(doc: &mut Doc, model: &Model, height: usize) {
    let asked = &model.feed.asked;
    question(doc, model, asked);
    if let Some(watched) = &asked.watched {
        seen(doc, watched, height);
    }
}

/// Adds the open question and what may be chosen.
fn question(doc: &mut Doc, model: &Model, asked: &Asked) {
    if let Some(question) = &asked.question {
        doc.blank();
        let lead = span(Ink::Warning, "? ");
        doc.hanging(&[lead], Ink::Warning, &clean_line(&question.text));
        for cause in question.causes.iter().filter(|cause| !cause.is_empty()) {
            doc.hanging(&[span(Ink::Bad, "• ")], Ink::Plain, &clean_line(cause));
        }
        let since = clock(question.since, &model.zone);
        doc.text(Ink::Muted, &format!("asked at {since}; looking goes on"));
    }
    if asked.question.is_none() {
        // What is always offered stands on the bar.
        return;
    }
    for (_, choice) in asked.choices() {
        let key = span(Ink::Accent, format!("{} ", choice.key));
        doc.hanging(&[key], Ink::Plain, &clean_line(&choice.label));
    }
    let key = span(Ink::Accent, "c ");
    doc.hanging(&[key], Ink::Plain, "cancel: the flag stays where it is");
}

/// Adds everything that was seen.
pub(super) fn seen(doc: &mut Doc, watched: &Watched, height: usize) {
    if !watched.ladder.is_empty() {
        ladder(doc, watched);
    }
    soak(doc, watched);
    let count = watched.metrics.len().max(1);
    let left = height.saturating_sub(doc.lines.len()) / count;
    // Where there is little room, an empty line is worth less than a line of a chart.
    let airy = height == 0 || left > AROUND + 2;
    let rows = match height {
        0 => ON_PAGE,
        _ => left
            .saturating_sub(AROUND + usize::from(airy))
            .clamp(1, HIGHEST),
    };
    for metric in &watched.metrics {
        if airy {
            doc.blank();
        }
        one_metric(doc, metric, rows);
    }
}

/// The steps, each with a sign and a word, and what the flag was read as.
fn ladder(doc: &mut Doc, watched: &Watched) {
    doc.heading("Steps");
    let mut line: Vec<Span> = Vec::new();
    let mut width = 0;
    for (number, rung) in watched.ladder.iter().enumerate() {
        let arrow = if number > 0 { " → " } else { "" };
        let text = words(rung);
        if width + cells(arrow) + cells(&text) > doc.width() && width > 0 {
            doc.fixed(std::mem::take(&mut line));
            width = 0;
        }
        width += cells(arrow) + cells(&text);
        line.push(span(Ink::Muted, arrow));
        line.push(span(ink(rung.state), text));
    }
    doc.fixed(line);
    match watched.flag {
        Some(flag) => doc.text(Ink::Strong, &format!("the flag reads {flag} %")),
        None => doc.text(Ink::Warning, "! the flag cannot be read"),
    }
}

fn words(rung: &Rung) -> String {
    format!(
        "{} {} % {}",
        rung.state.glyph(),
        rung.percent,
        rung.state.word()
    )
}

fn ink(state: RungState) -> Ink {
    match state {
        RungState::Ahead => Ink::Muted,
        RungState::Soaking => Ink::Accent,
        RungState::Held | RungState::Left | RungState::Stands => Ink::Warning,
        RungState::Done => Ink::Good,
    }
}

/// How much of the wanted time was observed, and why time does not count just now.
fn soak(doc: &mut Doc, watched: &Watched) {
    doc.blank();
    let time = |ms: u64| watch(SignedDuration::from_millis(ms.min(i64::MAX as u64) as i64));
    if watched.wanted_ms > 0 {
        let observed = watched.observed_ms.min(watched.wanted_ms);
        let share = observed as f64 / watched.wanted_ms as f64;
        let after = format!(
            " {} of {} observed",
            time(observed),
            time(watched.wanted_ms)
        );
        let room = doc.columns().saturating_sub(cells(&after)).clamp(4, 30);
        let full = (share * room as f64).floor() as usize;
        doc.fixed(vec![
            span(Ink::Accent, "█".repeat(full)),
            span(Ink::Muted, "░".repeat(room - full)),
            span(Ink::Plain, after),
        ]);
    }
    if let Some(why) = &watched.stalled {
        let lead = span(Ink::Warning, "‖ ");
        let text = format!("time does not count: {}", clean_line(why));
        doc.hanging(&[lead], Ink::Warning, &text);
    }
}

fn one_metric(doc: &mut Doc, metric: &SeenMetric, rows: usize) {
    let rule = &metric.rule;
    let name = span(Ink::Strong, format!("{}  ", clean_line(&rule.name)));
    let unit = rule
        .unit
        .as_ref()
        .map_or_else(String::new, |unit| format!(" {}", clean_line(unit)));
    let (ink, told) = match &metric.last {
        None => (Ink::Muted, "nothing yet".to_owned()),
        Some(reading) => {
            let verdict = rule.judge(reading);
            let told = match reading {
                Reading::Value(value) => {
                    let banded = rule.success.is_some() || rule.failure.is_some();
                    let word = if banded { word(verdict) } else { "measured" };
                    format!("{}{unit}  {word}", value.short())
                }
                Reading::NoData(why) => format!("? no data: {}", clean_line(why)),
                Reading::Error(why) => format!("! error: {}", clean_line(why)),
            };
            (of_verdict(verdict), told)
        }
    };
    doc.hanging(&[name], ink, &told);
    for line in chart(metric, doc.columns(), rows) {
        doc.fixed(line);
    }
    let tally = &metric.tally;
    let mut text = format!(
        "good {}, failed {} of {}, errors {}, unclear {}",
        tally.passed, tally.failed, rule.failures_allowed, tally.errors, tally.inconclusive
    );
    if tally.passed < rule.min_samples {
        text = format!("{} samples needed; {text}", rule.min_samples);
    }
    let text = clip(&text, doc.columns());
    doc.fixed(vec![span(Ink::Muted, text)]);
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓ in its band",
        Verdict::Failed => "✗ out of its band",
        Verdict::Errored => "! error",
        Verdict::Inconclusive => "? between its bands",
    }
}

fn of_verdict(verdict: Verdict) -> Ink {
    match verdict {
        Verdict::Passed => Ink::Good,
        Verdict::Failed | Verdict::Errored => Ink::Bad,
        Verdict::Inconclusive => Ink::Warning,
    }
}
