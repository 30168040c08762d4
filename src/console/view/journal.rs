//! The journal: one record a line, the one under the cursor in full below.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::theme::Theme;
use crate::console::model::Model;
use crate::console::screen::journal::FULL;
use crate::console::screen::text::{Doc, Ink, cells, clip, span};
use crate::console::screen::times::{clock, day};
use crate::promotion::{Record, Via};
use crate::untrusted::clean_line;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let records = &model.snapshot.records;
    let journal = &model.journal;
    let columns = Columns::of(area.width);
    let width = usize::from(area.width);
    let head = columns.line("record", "time", "by", "gate");
    let x = canvas.put(area.x, area.y, &head, width, theme.ink(Ink::Muted));
    canvas.put(x, area.y, "what", width, theme.ink(Ink::Muted));
    for (line, at) in journal.pager.range().enumerate() {
        let Some(record) = records.get(at) else { break };
        let row = Rect::new(area.x, area.y + 1 + line as u16, area.width, 1);
        record_row(canvas, row, record, &columns, model, theme);
        canvas.mark(row, row.y, &journal.pattern, theme.found());
        if at == journal.cursor {
            canvas.paint(row, theme.selected(true));
        }
    }
    let y = area.bottom().saturating_sub(FULL as u16 + 1);
    canvas.put(area.x, y, &"─".repeat(width), width, theme.rule());
    if let Some(record) = records.get(journal.cursor) {
        let below = Rect {
            y: y + 1,
            height: FULL as u16,
            ..area
        };
        full(canvas, below, record, model, theme);
    }
}

/// How wide the columns are on a screen of a width.
struct Columns {
    by: usize,
    gate: usize,
    gap: &'static str,
}

impl Columns {
    fn of(width: u16) -> Columns {
        let (by, gate, gap) = if width < 100 {
            (8, 16, " ")
        } else {
            (12, 24, "  ")
        };
        Columns { by, gate, gap }
    }

    fn line(&self, seq: &str, time: &str, by: &str, gate: &str) -> String {
        let gap = self.gap;
        let (by, gate) = (pad(by, self.by), pad(gate, self.gate));
        format!("{seq:>6}{gap}{time:<8}{gap}{by}{gap}{gate}{gap}")
    }
}

/// Cuts or fills a text to `width` cells.
fn pad(text: &str, width: usize) -> String {
    let text = clip(text, width);
    let missing = width.saturating_sub(cells(&text));
    text + &" ".repeat(missing)
}

fn record_row(
    canvas: &mut Canvas<'_>,
    row: Rect,
    record: &Record,
    columns: &Columns,
    model: &Model,
    theme: &Theme,
) {
    let hash: String = record.hash.chars().take(8).collect();
    let by = clean_line(&record.actor.name);
    let gate = clean_line(record.event.gate().unwrap_or("–"));
    let time = clock(record.time, &model.zone);
    let lead = columns.line(&record.seq.to_string(), &time, &by, &gate);
    let muted = theme.ink(Ink::Muted);
    let x = canvas.put(row.x, row.y, &lead, usize::from(row.width), muted);
    let at = row.right().saturating_sub(9);
    let room = usize::from(at.saturating_sub(x + 1));
    let words = clip(&clean_line(&record.event.words()), room);
    canvas.put(x, row.y, &words, room, theme.ink(Ink::Plain));
    canvas.put(at, row.y, &hash, 8, muted);
}

fn full(canvas: &mut Canvas<'_>, area: Rect, record: &Record, model: &Model, theme: &Theme) {
    let mut doc = Doc::new(usize::from(area.width));
    let via = match record.actor.via {
        Via::Console => "at a console",
        Via::Headless => "headless",
        Via::Engine => "by the engine",
    };
    let by = clean_line(&record.actor.name);
    let when = day(record.time, &model.zone);
    doc.text(
        Ink::Muted,
        &format!("record {}, {when}, {by} {via}", record.seq),
    );
    doc.text(Ink::Plain, &clean_line(&record.event.words()));
    doc.lines.truncate(FULL - 2);
    doc.fixed(vec![span(Ink::Muted, format!("hash   {}", record.hash))]);
    doc.fixed(vec![span(Ink::Muted, format!("before {}", record.prev))]);
    for (line, content) in doc.lines.iter().enumerate() {
        canvas.spans(area, area.y + line as u16, &content.spans, 0, theme);
    }
}
