//! Puts text into a buffer without ever leaving it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::theme::Theme;
use crate::console::screen::text::{Span, cells, cut};

/// A buffer that is drawn on.
pub(super) struct Canvas<'a> {
    buffer: &'a mut Buffer,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(buffer: &'a mut Buffer) -> Self {
        Canvas { buffer }
    }

    /// Writes at most `width` cells of a text; what lies outside the buffer is not written.
    /// Returns the column behind it.
    pub(super) fn put(&mut self, x: u16, y: u16, text: &str, width: usize, style: Style) -> u16 {
        let area = self.buffer.area;
        if !area.contains((x, y).into()) {
            return x;
        }
        self.buffer.set_stringn(x, y, text, width, style).0
    }

    /// Writes spans into a line of `area`, from the cell `skip` of them on.
    pub(super) fn spans(&mut self, area: Rect, y: u16, spans: &[Span], skip: usize, theme: &Theme) {
        let (mut x, mut skip) = (area.x, skip);
        for span in spans {
            let width = cells(&span.text);
            if skip >= width && width > 0 {
                skip -= width;
                continue;
            }
            let room = usize::from(area.right().saturating_sub(x));
            if room == 0 {
                return;
            }
            let text = if skip > 0 {
                cut(&span.text, skip, width - skip)
            } else {
                span.text.clone()
            };
            skip = 0;
            x = self.put(x, y, &text, room, theme.ink(span.ink));
        }
    }

    /// Adds a style to a whole line.
    pub(super) fn paint(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, style);
    }

    /// Empties a rectangle.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Adds a style wherever a text stands in a line, whatever its case.
    pub(super) fn mark(&mut self, area: Rect, y: u16, wanted: &str, style: Style) {
        if wanted.is_empty() {
            return;
        }
        let symbols: Vec<String> = (area.left()..area.right())
            .filter_map(|x| self.buffer.cell((x, y)))
            .map(|cell| cell.symbol().to_lowercase())
            .collect();
        let wanted: Vec<String> = wanted.to_lowercase().chars().map(String::from).collect();
        for start in 0..symbols.len() {
            if symbols[start..].starts_with(&wanted) {
                let x = area.x + start as u16;
                self.paint(Rect::new(x, y, wanted.len() as u16, 1), style);
            }
        }
    }
}
