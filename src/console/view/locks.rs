//! The screen of the locks: one page, and the one in the way that is selected.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::page;
use super::theme::Theme;
use crate::console::model::Model;
use crate::console::screen::layout::Layout;

/// Where the page stands.
pub(in crate::console) fn area(layout: &Layout) -> Rect {
    Rect {
        x: layout.body.x + 1,
        width: layout.body.width.saturating_sub(2),
        ..layout.body
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, layout: &Layout, model: &Model, theme: &Theme) {
    let area = area(layout);
    let locks = &model.locks;
    page::lines(canvas, area, &locks.page, locks.pager, 0, theme);
    for (line, at) in locks.pager.range().enumerate() {
        let y = area.y + line as u16;
        let item = locks.page.lines.get(at).and_then(|line| line.item);
        if item == Some(locks.cursor) {
            canvas.paint(Rect::new(area.x, y, area.width, 1), theme.selected(true));
        }
        canvas.mark(area, y, &locks.pattern, theme.found());
    }
}
