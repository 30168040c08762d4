//! Where everything stands on a screen of a size; shared by drawing and by the mouse.

use ratatui::layout::Rect;

/// The smallest screen that the console works on.
pub const SMALLEST: (u16, u16) = (60, 16);

/// The places of one screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub header: Rect,
    /// The line between header and body, which holds the panes' titles.
    pub rule: Rect,
    pub list: Rect,
    /// The column between the panes.
    pub divider: Rect,
    pub detail: Rect,
    /// The whole body, for screens without panes.
    pub body: Rect,
    pub bar: Rect,
}

impl Layout {
    /// Tells whether a screen is too small to work on.
    pub fn is_too_small(size: (u16, u16)) -> bool {
        size.0 < SMALLEST.0 || size.1 < SMALLEST.1
    }

    /// Divides a screen whose header has `more` lines than usual; `None` when it is too small to
    /// work on.
    pub fn of(size: (u16, u16), more: u16) -> Option<Layout> {
        Layout::below(size, 3 + more)
    }

    /// Divides a screen below a header of so many lines.
    pub fn below(size: (u16, u16), header: u16) -> Option<Layout> {
        let (width, height) = size;
        if Layout::is_too_small(size) {
            return None;
        }
        let top = header + 1;
        let body = Rect::new(0, top, width, height - top - 1);
        let list_width = list_width(width);
        let right = list_width + 1;
        Some(Layout {
            header: Rect::new(0, 0, width, header),
            rule: Rect::new(0, header, width, 1),
            list: Rect::new(0, top, list_width, body.height),
            divider: Rect::new(list_width, top, 1, body.height),
            detail: Rect::new(right + 1, top, width - right - 2, body.height),
            body,
            bar: Rect::new(0, height - 1, width, 1),
        })
    }
}

/// How many cells a dialog's lines have on a screen of a width.
pub fn dialog_width(width: u16) -> u16 {
    width.saturating_sub(8).min(72)
}

/// How many lines a dialog may have inside its border.
pub fn dialog_height(layout: &Layout) -> u16 {
    layout.body.height.saturating_sub(2)
}

/// Wide enough for titles, and never more than the half that the detail needs.
fn list_width(width: u16) -> u16 {
    match width {
        0..=79 => width * 2 / 5,
        80..=99 => 34,
        _ => (width * 3 / 10).clamp(38, 52),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lie_inside_the_screen() {
        for width in 0..=210 {
            for height in 0..=70 {
                let screen = Rect::new(0, 0, width, height);
                for more in 0..=3 {
                    let Some(layout) = Layout::of((width, height), more) else {
                        assert!(width < SMALLEST.0 || height < SMALLEST.1);
                        continue;
                    };
                    for place in [layout.header, layout.list, layout.detail, layout.bar] {
                        assert_eq!(place.intersection(screen), place);
                        assert!(!place.is_empty());
                    }
                }
            }
        }
    }
}
