//! The open question, over everything but the header: that must stay readable while one answers.

use ratatui::layout::{Position, Rect};

use super::canvas::Canvas;
use super::theme::Theme;
use crate::console::model::Model;
use crate::console::screen::dialog::{Dialog, Sheet};
use crate::console::screen::layout::{Layout, dialog_height, dialog_width};
use crate::console::screen::text::{Ink, clip};

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    layout: &Layout,
    model: &Model,
    theme: &Theme,
) -> Option<Position> {
    let dialog = model.dialog.as_ref()?;
    let width = dialog_width(layout.body.width);
    let sheet = dialog.sheet(usize::from(width));
    let height = (sheet.doc.lines.len() as u16).min(dialog_height(layout));
    let body = layout.body;
    let outer = Rect {
        x: body.x + body.width.saturating_sub(width + 4) / 2,
        y: body.y + body.height.saturating_sub(height + 2) / 3,
        width: width + 4,
        height: height + 2,
    };
    let inner = Rect::new(outer.x + 2, outer.y + 1, width, height);
    canvas.clear(outer);
    frame(canvas, outer, &sheet, model, theme);
    let skip = skipped(dialog, &sheet, usize::from(height));
    for line in 0..height {
        if let Some(content) = sheet.doc.lines.get(skip + usize::from(line)) {
            canvas.spans(inner, inner.y + line, &content.spans, 0, theme);
        }
    }
    let (line, cell) = sheet.cursor?;
    let line = u16::try_from(line.checked_sub(skip)?).ok()?;
    let cell = u16::try_from(cell).ok()?.min(width);
    (line < height).then(|| Position::new(inner.x + cell, inner.y + line))
}

/// How many lines are above the visible ones: where the person scrolled to, or as many as it takes
/// to see the last ones, where the answer is.
fn skipped(dialog: &Dialog, sheet: &Sheet, height: usize) -> usize {
    match dialog {
        Dialog::Help(pager) => pager.offset,
        _ => sheet.doc.lines.len().saturating_sub(height),
    }
}

fn frame(canvas: &mut Canvas<'_>, area: Rect, sheet: &Sheet, model: &Model, theme: &Theme) {
    let style = theme.border(sheet.danger);
    let width = usize::from(area.width);
    let line = "─".repeat(width.saturating_sub(2));
    let bottom = area.bottom().saturating_sub(1);
    canvas.put(area.x, area.y, &format!("╭{line}╮"), width, style);
    for y in area.y + 1..bottom {
        canvas.put(area.x, y, "│", 1, style);
        canvas.put(area.right().saturating_sub(1), y, "│", 1, style);
    }
    canvas.put(area.x, bottom, &format!("╰{line}╯"), width, style);
    let title = clip(&sheet.title, width.saturating_sub(6));
    canvas.put(area.x + 2, area.y, &format!(" {title} "), width - 4, style);
    if model.deaf {
        let words = " keys count in a moment ";
        canvas.put(area.x + 2, bottom, words, width - 4, theme.ink(Ink::Muted));
    }
}
