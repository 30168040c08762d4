//! The journal: one record a line, the one under the cursor in full below.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::theme::Theme;
use crate::console::model::Model;
use crate::console::screen::journal::FULL;
use crate::console::screen::text::{Doc, Ink, clip, span};
use crate::console::screen::times::{clock, day};
use crate::promotion::{Record, Via};
use crate::untrusted::clean_line;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let records = &model.snapshot.records;
    let journal = &model.journal;
    let head = format!(
        "{:>6}  {:<8}  {:<12}  {:<24}  {}",
        "record", "time", "by", "gate", "what"
    );
    let width = usize::from(area.width);
    canvas.put(
        area.x,
        area.y,
        &clip(&head, width),
        width,
        theme.ink(Ink::Muted),
    );
    for (line, at) in journal.pager.range().enumerate() {
        let Some(record) = records.get(at) else { break };
        let row = Rect::new(area.x, area.y + 1 + line as u16, area.width, 1);
        record_row(canvas, row, record, model, theme);
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

fn record_row(canvas: &mut Canvas<'_>, row: Rect, record: &Record, model: &Model, theme: &Theme) {
    let hash: String = record.hash.chars().take(8).collect();
    let by = clip(&clean_line(&record.actor.name), 12);
    let gate = clip(&clean_line(record.event.gate().unwrap_or("–")), 24);
    let time = clock(record.time, &model.zone);
    let lead = format!("{:>6}  {time:<8}  ", record.seq);
    let spans = [
        span(Ink::Muted, lead),
        span(Ink::Plain, pad(&by, 12)),
        span(Ink::Muted, pad(&gate, 24)),
    ];
    let narrow = Rect {
        width: row.width.saturating_sub(10),
        ..row
    };
    canvas.spans(narrow, row.y, &spans, 0, theme);
    let x = row.x + 8 + 10 + 14 + 26;
    let room = usize::from(narrow.right().saturating_sub(x));
    let words = clip(&clean_line(&record.event.words()), room);
    canvas.put(x, row.y, &words, room, theme.ink(Ink::Plain));
    let at = row.right().saturating_sub(9);
    canvas.put(at, row.y, &hash, 8, theme.ink(Ink::Muted));
}

fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(crate::console::screen::text::cells(text));
    format!("{text}{}  ", " ".repeat(missing))
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
