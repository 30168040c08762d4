//! Where a person stands in something that is longer than the screen.

/// A window of `height` lines on `len` lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pager {
    pub offset: usize,
    pub len: usize,
    pub height: usize,
    /// Stays at the end as lines are added.
    pub follow: bool,
}

impl Pager {
    /// Begins at the end and stays there.
    pub fn following() -> Pager {
        Pager {
            follow: true,
            ..Pager::default()
        }
    }

    /// The largest offset.
    pub fn last(&self) -> usize {
        self.len.saturating_sub(self.height)
    }

    /// Takes a new length and height; the offset stays valid.
    pub fn fit(&mut self, len: usize, height: usize) {
        self.len = len;
        self.height = height;
        self.offset = if self.follow {
            self.last()
        } else {
            self.offset.min(self.last())
        };
    }

    /// Moves by lines.
    pub fn by(&mut self, lines: isize) {
        self.offset = self.offset.saturating_add_signed(lines).min(self.last());
        if lines < 0 {
            self.follow = false;
        }
    }

    /// Moves by pages, with two lines kept for the eye.
    pub fn page(&mut self, pages: isize) {
        let step = self.height.saturating_sub(2).max(1) as isize;
        self.by(step * pages);
    }

    /// Goes to the beginning.
    pub fn top(&mut self) {
        self.offset = 0;
        self.follow = false;
    }

    /// Goes to the end.
    pub fn bottom(&mut self) {
        self.offset = self.last();
    }

    /// Moves as little as needed to show a line.
    pub fn show(&mut self, line: usize) {
        if line < self.offset {
            self.offset = line;
        } else if self.height > 0 && line >= self.offset + self.height {
            self.offset = line + 1 - self.height;
        }
    }

    /// The lines that are visible.
    pub fn range(&self) -> std::ops::Range<usize> {
        let start = self.offset.min(self.len);
        start..(start + self.height).min(self.len)
    }

    /// Tells whether there is more below.
    pub fn more_below(&self) -> bool {
        self.offset < self.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_inside() {
        let mut pager = Pager::default();
        pager.fit(100, 10);
        pager.by(-5);
        assert_eq!(pager.offset, 0);
        pager.by(500);
        assert_eq!(pager.range(), 90..100);
        pager.fit(20, 10);
        assert_eq!(pager.offset, 10);
        pager.show(3);
        assert_eq!(pager.offset, 3);
        pager.show(15);
        assert_eq!(pager.offset, 6);
        pager.fit(0, 0);
        pager.page(1);
        assert_eq!(pager.range(), 0..0);
    }

    #[test]
    fn following_ends_with_a_step_back() {
        let mut pager = Pager::following();
        pager.fit(100, 10);
        assert_eq!(pager.offset, 90);
        pager.by(-1);
        pager.fit(200, 10);
        assert_eq!(pager.offset, 89);
    }
}
