//! Where the list and the page of a comparing screen stand, and whether the page holds two columns.

use ratatui::layout::Rect;

use super::layout::Layout;

/// Two columns in fewer cells cannot be read.
const BESIDE: u16 = 72;

/// Where the parts of the screen stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// None while the page has the whole body.
    pub list: Option<Rect>,
    pub page: Rect,
}

impl Areas {
    /// Gives the page the whole body where there is no list, or where somebody reads two columns
    /// that the page beside the list is too narrow for.
    pub(super) fn of(layout: &Layout, reads_two: bool, no_list: bool) -> Areas {
        let narrow = layout.detail.width < BESIDE;
        if narrow && reads_two || no_list {
            let page = Rect {
                x: layout.body.x + 1,
                width: layout.body.width.saturating_sub(2),
                ..layout.body
            };
            return Areas { list: None, page };
        }
        Areas {
            list: Some(layout.list),
            page: layout.detail,
        }
    }

    /// Tells whether two columns stand on the page; `beside` is what somebody chose.
    pub(super) fn holds_two(&self, beside: Option<bool>) -> bool {
        let fits = self.page.width >= BESIDE;
        match beside {
            Some(false) => false,
            Some(true) => fits || self.list.is_none(),
            None => fits,
        }
    }
}
