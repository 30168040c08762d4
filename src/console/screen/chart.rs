//! A small chart in text: a series in braille dots, with the lines of its limits and its baseline.
//!
//! It says everything without colour: a limit is a dashed line with its words at the end, the
//! baseline a dotted one.

use super::text::{Ink, Span, cells, span};
use crate::expectation::{Number, Point, Verdict};
use crate::gate::SeenMetric;

/// How many cells the numbers at the left take.
const SCALE: usize = 8;
/// How many cells the words at the right take at most.
const WORDS: usize = 11;

/// Which dot of a cell a place is: two columns, four rows.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// A line across the chart.
struct Line {
    at: f64,
    sign: char,
    words: String,
    ink: Ink,
}

/// Draws a metric's series in `rows` lines of at most `width` cells.
pub fn chart(metric: &SeenMetric, width: usize, rows: usize) -> Vec<Vec<Span>> {
    let lines = limits(metric);
    let room = width.saturating_sub(SCALE + WORDS + 2).clamp(8, 60);
    let Some((low, high)) = range(&metric.series.points, &lines) else {
        return Vec::new();
    };
    let mut plot = Plot::new(room, rows, low, high);
    plot.draw(metric);
    (0..rows)
        .map(|row| plot.row(row, &lines, (low, high)))
        .collect()
}

fn limits(metric: &SeenMetric) -> Vec<Line> {
    let rule = &metric.rule;
    let mut lines = Vec::new();
    let banded = [
        (&rule.success, "", Ink::Good),
        (&rule.failure, "fails ", Ink::Bad),
    ];
    for (band, word, ink) in banded {
        if let Some(band) = band {
            lines.push(Line {
                at: band.limit.to_f64(),
                sign: '╌',
                words: format!("{word}{band}"),
                ink,
            });
        }
    }
    if let Some(baseline) = &metric.baseline {
        lines.push(Line {
            at: baseline.to_f64(),
            sign: '·',
            words: format!("was {}", baseline.short()),
            ink: Ink::Muted,
        });
    }
    lines
}

/// The lowest and the highest value that must be seen; `None` when there is none.
fn range(points: &[Point], lines: &[Line]) -> Option<(f64, f64)> {
    let seen = points
        .iter()
        .flat_map(|point| [&point.low, &point.high])
        .flatten()
        .map(Number::to_f64);
    let all: Vec<f64> = seen.chain(lines.iter().map(|line| line.at)).collect();
    let low = all.iter().copied().reduce(f64::min)?;
    let high = all.iter().copied().reduce(f64::max)?;
    // A flat line needs room above and below it.
    let pad = if (high - low).abs() < f64::EPSILON {
        (high.abs() * 0.1).max(1.0)
    } else {
        0.0
    };
    Some((low - if low > 0.0 { pad } else { 0.0 }, high + pad))
}

struct Plot {
    width: usize,
    rows: usize,
    low: f64,
    high: f64,
    cells: Vec<u8>,
    bad: Vec<bool>,
}

impl Plot {
    fn new(width: usize, rows: usize, low: f64, high: f64) -> Plot {
        Plot {
            width,
            rows,
            low,
            high,
            cells: vec![0; width * rows],
            bad: vec![false; width * rows],
        }
    }

    /// The row of dots of a value, from the top.
    fn dot_of(&self, value: f64) -> usize {
        let dots = self.rows * 4 - 1;
        let share = (value - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE);
        let from_bottom = (share.clamp(0.0, 1.0) * dots as f64).round() as usize;
        dots - from_bottom.min(dots)
    }

    fn draw(&mut self, metric: &SeenMetric) {
        let points = &metric.series.points;
        let columns = self.width * 2;
        let skip = points.len().saturating_sub(columns);
        let shown = &points[skip..];
        let mut before: Option<(usize, usize)> = None;
        for (number, point) in shown.iter().enumerate() {
            let (Some(low), Some(high)) = (&point.low, &point.high) else {
                // What is missing is a gap.
                before = None;
                continue;
            };
            let column = match shown.len() {
                0 | 1 => 0,
                // A few points are spread out, so that they can be told apart.
                count => number * (columns - 1) / (count - 1).max(columns / 4),
            };
            let judged = [low, high].map(|value| {
                let reading = crate::expectation::Reading::Value(value.clone());
                metric.rule.judge(&reading)
            });
            let bad = judged.contains(&Verdict::Failed);
            let (top, bottom) = (self.dot_of(high.to_f64()), self.dot_of(low.to_f64()));
            if let Some((from, dot)) = before {
                self.connect((from, dot), (column, bottom), bad);
            }
            for dot in top..=bottom {
                self.set(column, dot, bad);
            }
            before = Some((column, bottom));
        }
    }

    /// Draws the line between two points.
    fn connect(&mut self, (x0, y0): (usize, usize), (x1, y1): (usize, usize), bad: bool) {
        let steps = x1.abs_diff(x0).max(y1.abs_diff(y0)).max(1);
        for step in 1..=steps {
            let between = |a: usize, b: usize| {
                let (a, b) = (a as f64, b as f64);
                (a + (b - a) * step as f64 / steps as f64).round() as usize
            };
            self.set(between(x0, x1), between(y0, y1), bad);
        }
    }

    fn set(&mut self, column: usize, dot: usize, bad: bool) {
        let at = (dot / 4) * self.width + column / 2;
        if let Some(cell) = self.cells.get_mut(at) {
            *cell |= DOTS[column % 2][dot % 4];
            self.bad[at] |= bad;
        }
    }

    fn row(&self, row: usize, lines: &[Line], (low, high): (f64, f64)) -> Vec<Span> {
        let scale = match row {
            0 => short(high),
            last if last + 1 == self.rows => short(low),
            _ => String::new(),
        };
        let mut spans = vec![span(
            Ink::Muted,
            format!("{scale:>width$} ", width = SCALE - 1),
        )];
        let line = lines.iter().find(|line| self.dot_of(line.at) / 4 == row);
        for column in 0..self.width {
            let at = row * self.width + column;
            let dots = self.cells[at];
            let (sign, ink) = if dots > 0 {
                let sign = char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ');
                (sign, if self.bad[at] { Ink::Bad } else { Ink::Accent })
            } else {
                line.map_or((' ', Ink::Plain), |line| (line.sign, line.ink))
            };
            match spans.last_mut() {
                Some(last) if last.ink == ink && column > 0 => last.text.push(sign),
                _ => spans.push(span(ink, sign.to_string())),
            }
        }
        if let Some(line) = line {
            let words: String = line.words.chars().take(WORDS).collect();
            spans.push(span(line.ink, format!(" {words}")));
        }
        spans
    }
}

fn short(value: f64) -> String {
    let text = Number::near(value).map_or_else(String::new, |number| number.short());
    if cells(&text) < SCALE {
        return text;
    }
    format!("{value:.1e}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::expectation::{Condition, MetricRule, Series, Tally};

    fn metric(values: &[Option<i64>]) -> SeenMetric {
        let condition: Condition = "<= 10".parse().unwrap();
        let mut series = Series::default();
        for (at, value) in values.iter().enumerate() {
            let number = value.map(|value| value.to_string().parse().unwrap());
            series.push(at as u64, number.as_ref());
        }
        SeenMetric {
            rule: MetricRule {
                name: "errors".into(),
                unit: None,
                success: condition.band(&BTreeMap::new()).ok(),
                failure: None,
                min_samples: 1,
                failures_allowed: 0,
                errors_allowed: 0,
                inconclusive_allowed: 0,
            },
            tally: Tally::default(),
            last: None,
            baseline: "5".parse().ok(),
            series,
        }
    }

    fn text(lines: &[Vec<Span>]) -> Vec<String> {
        let line = |spans: &Vec<Span>| spans.iter().map(|span| span.text.as_str()).collect();
        lines.iter().map(line).collect()
    }

    #[test]
    fn limits_and_baseline_are_said_in_words() {
        let drawn = text(&chart(&metric(&[Some(1), Some(4), Some(20)]), 44, 4)).join("\n");
        assert!(
            drawn.contains("<= 10") && drawn.contains("was 5"),
            "{drawn}"
        );
        assert!(drawn.contains('╌') && drawn.contains('·'), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_outside_of_its_width() {
        for count in [0, 1, 2, 7, 239, 500] {
            let values: Vec<Option<i64>> = (0..count).map(|n| Some(n * 7 % 13)).collect();
            for (width, rows) in [(8, 1), (30, 3), (44, 4), (200, 6)] {
                let drawn = text(&chart(&metric(&values), width, rows));
                assert!(
                    drawn.iter().all(|line| cells(line) <= width.max(30)),
                    "{drawn:?}"
                );
            }
        }
        let holes = text(&chart(&metric(&[None, None]), 44, 3));
        assert_eq!(
            holes.len(),
            3,
            "limits are shown before anything was measured"
        );
    }
}
