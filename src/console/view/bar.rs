//! The bottom line: the keys that work now, or what is being searched for; and toasts above it.

use ratatui::layout::{Position, Rect};

use super::canvas::Canvas;
use super::theme::Theme;
use crate::console::keymap;
use crate::console::model::{Model, Toast, Tone};
use crate::console::screen::input::Input;
use crate::console::screen::layout::Layout;
use crate::console::screen::text::{Ink, cells, cut, wrap};

/// How many lines a toast may take.
const TOAST: usize = 4;

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    layout: &Layout,
    model: &Model,
    theme: &Theme,
) -> Option<Position> {
    let area = layout.bar;
    if let Some(input) = &model.search {
        return Some(search(canvas, area, input, theme));
    }
    let width = usize::from(area.width);
    let entries = match &model.dialog {
        Some(dialog) => dialog.sheet(width).keys,
        None => keymap::bar(model, width.saturating_sub(1)),
    };
    keys(canvas, area, &entries, theme);
    None
}

/// Draws what is being searched for; returns where the cursor stands.
pub(super) fn search(
    canvas: &mut Canvas<'_>,
    area: Rect,
    input: &Input,
    theme: &Theme,
) -> Position {
    let width = usize::from(area.width);
    let lead = " search: ";
    let x = canvas.put(area.x, area.y, lead, width, theme.key());
    let room = width.saturating_sub(cells(lead) + 1).max(1);
    let skip = (input.cursor_cells() + 1).saturating_sub(room);
    let text = cut(&input.text(), skip, room);
    canvas.put(x, area.y, &text, room, theme.ink(Ink::Strong));
    let cell = (input.cursor_cells() - skip) as u16;
    Position::new((x + cell).min(area.right() - 1), area.y)
}

/// Draws keys with their words, as many as fit.
pub(super) fn keys(canvas: &mut Canvas<'_>, area: Rect, entries: &[(&str, &str)], theme: &Theme) {
    let width = usize::from(area.width);
    let mut x = area.x + 1;
    for (key, words) in entries {
        if usize::from(x) + cells(key) + cells(words) + 1 > width {
            break;
        }
        x = canvas.put(x, area.y, key, width, theme.key());
        x = canvas.put(x + 1, area.y, words, width, theme.ink(Ink::Muted)) + 2;
    }
}

/// A message on the last lines of the body. It covers and moves nothing, and goes with the next key.
pub(super) fn said(canvas: &mut Canvas<'_>, layout: &Layout, toast: Option<&Toast>, theme: &Theme) {
    let Some(toast) = toast else {
        return;
    };
    let style = theme.toast(toast.tone);
    let width = usize::from(layout.body.width);
    let mut lines = wrap(&toast.text, width.saturating_sub(6).max(1));
    lines.truncate(TOAST);
    let height = lines.len() as u16;
    let top = layout.body.bottom().saturating_sub(height + 1);
    let area = Rect::new(0, top, layout.body.width, height + 1);
    canvas.clear(area);
    let line = "─".repeat(width);
    canvas.put(0, top, &line, width, style);
    let mark = match toast.tone {
        Tone::Info => "i",
        Tone::Good => "✓",
        Tone::Refusal => "✗",
    };
    canvas.put(1, top + 1, mark, 1, style);
    for (number, line) in lines.iter().enumerate() {
        canvas.put(
            3,
            top + 1 + number as u16,
            line,
            width,
            theme.ink(Ink::Strong),
        );
    }
}
