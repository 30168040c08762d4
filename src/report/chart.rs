//! What a gate measured over time, as numbers and as a picture that needs no script.

use std::fmt::Write as _;

use super::facts::{ChartFacts, LimitFacts, PointFacts};
use crate::expectation::{Band, MetricRule, Number};
use crate::gate::Evidence;

/// The picture's size in its own units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 140.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 18.0;

/// The metrics that evidence holds.
pub(super) fn charts(evidence: &Evidence) -> Vec<ChartFacts> {
    let Evidence::Watched { watched, .. } = evidence else {
        return Vec::new();
    };
    let charts = watched.metrics.iter().map(|metric| {
        let rule = &metric.rule;
        let success = rule.success.iter().map(|band| format!("passes {band}"));
        let failure = rule.failure.iter().map(|band| format!("fails {band}"));
        ChartFacts {
            name: rule.name.clone(),
            unit: rule.unit.clone(),
            points: metric
                .series
                .points
                .iter()
                .map(|point| PointFacts {
                    at_ms: point.at_ms,
                    low: point.low.as_ref().map(Number::to_f64),
                    high: point.high.as_ref().map(Number::to_f64),
                })
                .collect(),
            rules: success.chain(failure).collect(),
            limits: limits(rule),
        }
    });
    charts.collect()
}

fn limits(rule: &MetricRule) -> Vec<LimitFacts> {
    let limit = |word: &str, band: &Band| LimitFacts {
        means: word.to_owned(),
        at: band.limit.to_f64(),
    };
    let passes = rule.success.iter().map(|band| limit("passes", band));
    let fails = rule.failure.iter().map(|band| limit("fails", band));
    passes.chain(fails).collect()
}

/// The lowest and the highest value that a chart shows: what was measured, its limits, and a little
/// room. `None` when nothing was measured.
fn range(chart: &ChartFacts) -> Option<(f64, f64)> {
    let measured = chart
        .points
        .iter()
        .filter_map(|point| Some((point.low?, point.high?)));
    let (mut low, mut high) = measured.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    for limit in &chart.limits {
        low = low.min(limit.at);
        high = high.max(limit.at);
    }
    let room = match high - low {
        span if span > 0.0 => span * 0.08,
        _ => (high.abs() * 0.1).max(0.5),
    };
    (low.is_finite() && high.is_finite()).then_some((low - room, high + room))
}

/// Draws a chart as SVG: a bar from the lowest to the highest value of each point, a gap where
/// nothing was measured. `None` when there is nothing to draw.
pub(super) fn svg(chart: &ChartFacts) -> Option<String> {
    let (low, high) = range(chart)?;
    let first = chart.points.first()?.at_ms;
    let last = chart.points.last()?.at_ms.max(first + 1);
    let span = (last - first) as f64;
    let room = WIDTH - LEFT - 6.0;
    let x = |at: u64| LEFT + (at.saturating_sub(first)) as f64 / span * room;
    let y = |value: f64| 6.0 + (1.0 - (value - low) / (high - low)) * (HEIGHT - BOTTOM - 6.0);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" class=\"chart\">\
         <line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\" class=\"axis\"/>",
        y(low)
    );
    for (value, at) in [(high, y(high) + 9.0), (low, y(low))] {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{at:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            short(value)
        );
    }
    for limit in &chart.limits {
        let _ = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\" class=\"{1}\"/>",
            y(limit.at),
            limit.means
        );
    }
    let width = (room / chart.points.len() as f64).clamp(1.0, 6.0);
    for point in &chart.points {
        if let (Some(from), Some(to)) = (point.low, point.high) {
            let (top, bottom) = (y(to), y(from));
            let _ = write!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
                x(point.at_ms).min(WIDTH - width),
                top - 1.0,
                (bottom - top + 2.0).max(2.0)
            );
        }
    }
    let _ = write!(
        out,
        "<text x=\"{LEFT}\" y=\"{0:.1}\">0</text>\
         <text x=\"{WIDTH}\" y=\"{0:.1}\" text-anchor=\"end\">{1}</text></svg>",
        HEIGHT - 4.0,
        super::html::duration(last - first)
    );
    Some(out)
}

fn short(value: f64) -> String {
    let text = match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    super::html::escape(&text)
}
