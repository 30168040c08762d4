//! Documents: the selected gate, the log, the closing page.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::theme::Theme;
use crate::console::model::{Focus, Model};
use crate::console::screen::pager::Pager;
use crate::console::screen::text::{Doc, Ink, cells};

pub(super) fn detail(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let doc = &model.detail;
    lines(canvas, area, doc, model.pager, model.sideways, theme);
    if !model.has_items() {
        return;
    }
    for (line, at) in model.pager.range().enumerate() {
        if doc
            .lines
            .get(at)
            .is_some_and(|l| l.item == Some(model.item))
        {
            let row = Rect::new(area.x, area.y + line as u16, area.width, 1);
            canvas.paint(row, theme.selected(model.focus == Focus::Detail));
        }
    }
}

pub(super) fn log(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let log = &model.log;
    lines(canvas, area, &log.doc, log.pager, 0, theme);
    for y in area.top()..area.bottom() {
        canvas.mark(area, y, &log.pattern, theme.found());
    }
    if log.pager.follow {
        let word = " following ";
        let x = area.right().saturating_sub(cells(word) as u16 + 1);
        canvas.put(
            x,
            area.y.saturating_sub(1),
            word,
            cells(word),
            theme.title(true),
        );
    }
}

/// Draws the visible lines of a document; says at the edge where there is more.
pub(super) fn lines(
    canvas: &mut Canvas<'_>,
    area: Rect,
    doc: &Doc,
    pager: Pager,
    sideways: usize,
    theme: &Theme,
) {
    let edge = area.right().saturating_sub(1);
    for (line, at) in pager.range().enumerate() {
        let Some(content) = doc.lines.get(at) else {
            break;
        };
        let y = area.y + line as u16;
        let skip = if content.fixed { sideways } else { 0 };
        canvas.spans(area, y, &content.spans, skip, theme);
        let width: usize = content.spans.iter().map(|span| cells(&span.text)).sum();
        if content.fixed && width > skip + usize::from(area.width) {
            canvas.put(edge, y, "…", 1, theme.ink(Ink::Muted));
        }
    }
    let more = pager.len.saturating_sub(pager.range().end);
    if more > 0 && pager.height > 0 {
        let word = format!(" ↓ {more} more ");
        let x = area.right().saturating_sub(cells(&word) as u16);
        let y = area.bottom().saturating_sub(1);
        canvas.put(x, y, &word, cells(&word), theme.key());
    }
}
