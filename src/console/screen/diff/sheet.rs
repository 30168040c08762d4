//! The page on the right: lines of words, and texts compared, in one column or in two.
//!
//! It knows nothing of schemas: whoever has two texts to show makes a sheet of them. Lines are
//! measured when the sheet is made; they are coloured when they are drawn.

use std::ops::Range;
use std::sync::Arc;

use unicode_width::UnicodeWidthChar;

use crate::console::screen::sql_ink::coloured;
use crate::console::screen::text::{Doc, DocLine, Ink, Span, span};
use crate::textdiff::{self, Options, Pair, Piece, Row, TextDiff};

/// Lines that are kept around a change.
const CONTEXT: usize = 3;
/// A longer line is drawn without colours: looking at all of it for every frame takes too long.
const COLOURED: usize = 4_096;

/// How texts are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    pub width: usize,
    /// Two columns.
    pub beside: bool,
    pub ignore_whitespace: bool,
    /// Lines far from a change are shown too.
    pub all_lines: bool,
}

/// A part of a line of a text, as wide as its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The row of the comparison.
    pub row: usize,
    pub bytes: Range<usize>,
    /// Only the first part of a line has its number.
    pub first: bool,
}

/// A line of the sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SheetLine {
    Words(DocLine),
    Unified {
        text: usize,
        part: Part,
    },
    Beside {
        text: usize,
        left: Option<Part>,
        right: Option<Part>,
    },
    /// So many lines are alike and not shown.
    Folded(usize),
}

/// Two texts of the sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub diff: Arc<TextDiff>,
    /// How many digits a line number takes; none for texts of one line.
    pub digits: usize,
    sql: bool,
}

/// The sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    pub texts: Vec<Text>,
    pub lines: Vec<SheetLine>,
    /// The lines at which changes begin.
    pub changes: Vec<usize>,
    pub look: Look,
}

/// One side of a comparison, for drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Old,
    New,
}

impl Sheet {
    pub fn new(look: Look) -> Sheet {
        Sheet {
            look,
            ..Sheet::default()
        }
    }

    /// How many cells a column of text has without its number and sign.
    pub fn room(&self, digits: usize) -> usize {
        let (width, numbers) = if self.look.beside {
            (self.column(), if digits > 0 { digits + 1 } else { 0 })
        } else {
            let numbers = if digits > 0 { 2 * digits + 2 } else { 0 };
            (self.look.width, numbers)
        };
        width.saturating_sub(numbers + 2).max(4)
    }

    /// How many cells one of two columns has; the line between them takes three.
    pub fn column(&self) -> usize {
        self.look.width.saturating_sub(3) / 2
    }

    /// Adds words.
    pub fn words(&mut self, write: impl FnOnce(&mut Doc)) {
        let mut doc = Doc::new(self.look.width);
        write(&mut doc);
        self.lines
            .extend(doc.lines.into_iter().map(SheetLine::Words));
    }

    /// Adds an empty line.
    pub fn blank(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(SheetLine::Words(DocLine::default()));
        }
    }

    /// Adds two texts, compared. Tells whether they differ as they are compared.
    pub fn compare(&mut self, old: &str, new: &str, sql: bool) -> bool {
        let options = Options {
            ignore_whitespace: self.look.ignore_whitespace,
        };
        self.show(Arc::new(textdiff::compare(old, new, options)), sql)
    }

    /// Adds two texts that were compared. Tells whether they differ as they were compared.
    pub fn show(&mut self, diff: Arc<TextDiff>, sql: bool) -> bool {
        let longest = diff.lines().into_iter().max().unwrap_or_default();
        let digits = match longest {
            0 | 1 => 0,
            lines => lines.to_string().len(),
        };
        let differs = diff.rows.iter().any(Row::is_change);
        self.texts.push(Text { diff, digits, sql });
        let text = self.texts.len() - 1;
        if self.look.beside {
            self.add_beside(text);
        } else {
            self.add_unified(text);
        }
        differs
    }

    fn context(&self) -> Option<usize> {
        (!self.look.all_lines).then_some(CONTEXT)
    }

    fn add_unified(&mut self, text: usize) {
        let room = self.room(self.texts[text].digits);
        let mut in_change = false;
        for piece in self.texts[text].diff.unified(self.context()) {
            let row = match piece {
                Piece::Shown(row) => row,
                Piece::Folded(rows) => {
                    in_change = false;
                    self.lines.push(SheetLine::Folded(rows));
                    continue;
                }
            };
            let changed = self.texts[text].diff.rows[row].is_change();
            self.note_change(changed, &mut in_change);
            for part in parts(&self.texts[text].diff, row, Side::New, room) {
                self.lines.push(SheetLine::Unified { text, part });
            }
        }
    }

    fn add_beside(&mut self, text: usize) {
        let room = self.room(self.texts[text].digits);
        let mut in_change = false;
        for piece in self.texts[text].diff.side_by_side(self.context()) {
            let Pair { left, right } = match piece {
                Piece::Shown(pair) => pair,
                Piece::Folded(rows) => {
                    in_change = false;
                    self.lines.push(SheetLine::Folded(rows));
                    continue;
                }
            };
            let diff = &self.texts[text].diff;
            let rows = &diff.rows;
            let changed = left.or(right).is_some_and(|row| rows[row].is_change());
            let laid = |row: Option<usize>, side| {
                row.map_or_else(Vec::new, |row| parts(diff, row, side, room))
            };
            let (left, right) = (laid(left, Side::Old), laid(right, Side::New));
            self.note_change(changed, &mut in_change);
            let (mut left, mut right) = (left.into_iter(), right.into_iter());
            loop {
                let (left, right) = (left.next(), right.next());
                if left.is_none() && right.is_none() {
                    break;
                }
                self.lines.push(SheetLine::Beside { text, left, right });
            }
        }
    }

    fn note_change(&mut self, changed: bool, in_change: &mut bool) {
        if changed && !*in_change {
            self.changes.push(self.lines.len());
        }
        *in_change = changed;
    }

    /// The row of a part.
    pub fn row(&self, text: usize, part: &Part) -> Option<&Row> {
        self.texts.get(text)?.diff.rows.get(part.row)
    }

    /// The spans of a part, and for each whether its words changed.
    pub fn spans(&self, text: usize, part: &Part, side: Side) -> Vec<(Span, bool)> {
        let Some(row) = self.row(text, part) else {
            return Vec::new();
        };
        let diff = &self.texts[text].diff;
        let line = row_text(diff, row, side).to_owned();
        let sql = self.texts[text].sql && line.len() <= COLOURED;
        let inks = if sql {
            coloured(&line)
        } else {
            vec![span(Ink::Plain, line.clone())]
        };
        let mut marks = Vec::new();
        let mut at = 0;
        for segment in diff.segments(part.row) {
            at += segment.text.len();
            marks.push((at, segment.emphasised));
        }
        painted(&line, &inks, &marks, &part.bytes)
    }

    /// A line as text, for a search.
    pub fn plain(&self, line: usize) -> String {
        let whole = |text: usize, part: &Part, side| {
            let row = self.row(text, part);
            let diff = &self.texts[text].diff;
            row.map_or_else(String::new, |row| row_text(diff, row, side).to_owned())
        };
        match self.lines.get(line) {
            Some(SheetLine::Words(line)) => line.plain(),
            Some(SheetLine::Unified { text, part }) => whole(*text, part, Side::New),
            Some(SheetLine::Beside { text, left, right }) => {
                let left = left.as_ref().map(|part| whole(*text, part, Side::Old));
                let right = right.as_ref().map(|part| whole(*text, part, Side::New));
                format!(
                    "{}\n{}",
                    left.unwrap_or_default(),
                    right.unwrap_or_default()
                )
            }
            Some(SheetLine::Folded(_)) | None => String::new(),
        }
    }
}

fn row_text<'a>(diff: &'a TextDiff, row: &Row, side: Side) -> &'a str {
    match side {
        Side::Old => diff.old_text(row),
        Side::New => diff.text(row),
    }
}

/// Cuts inks and marks to a range of the line.
fn painted(
    line: &str,
    inks: &[Span],
    marks: &[(usize, bool)],
    bytes: &Range<usize>,
) -> Vec<(Span, bool)> {
    let mut out: Vec<(Span, bool)> = Vec::new();
    let (mut ink_end, mut start, mut at) = (0, 0, 0);
    for ink in inks {
        ink_end += ink.text.len();
        while start < ink_end {
            while marks.get(at).is_some_and(|(end, _)| *end <= start) {
                at += 1;
            }
            let (mark_end, emphasised) = marks.get(at).copied().unwrap_or((ink_end, false));
            let end = ink_end.min(mark_end);
            let (from, to) = (start.max(bytes.start), end.min(bytes.end));
            if from < to
                && let Some(text) = line.get(from..to)
            {
                out.push((span(ink.ink, text), emphasised));
            }
            start = end;
        }
    }
    out
}

/// Parts a line so that each part fits its column: behind a space where there is one.
fn parts(diff: &TextDiff, at: usize, side: Side, room: usize) -> Vec<Part> {
    let Some(row) = diff.rows.get(at) else {
        return Vec::new();
    };
    let line = row_text(diff, row, side);
    let mut out = Vec::new();
    let (mut start, mut width, mut space) = (0, 0, None);
    let part = |bytes: Range<usize>| Part {
        row: at,
        first: bytes.start == 0,
        bytes,
    };
    for (here, c) in line.char_indices() {
        let wide = c.width().unwrap_or(0);
        // A space at the edge hangs over it unseen, and the next part begins with a word.
        let hangs = c == ' ' && width == room;
        if width + wide > room && here > start && !hangs {
            // A space in the first half is no good place: the line would be nearly empty.
            let cut = space.filter(|cut| *cut > start + (here - start) / 2);
            let end = cut.unwrap_or(here);
            out.push(part(start..end));
            width = line[end..here]
                .chars()
                .filter_map(UnicodeWidthChar::width)
                .sum();
            (start, space) = (end, None);
        }
        width += wide;
        if c == ' ' || c == ',' {
            space = Some(here + c.len_utf8());
        }
    }
    out.push(part(start..line.len()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(width: usize, beside: bool) -> Sheet {
        Sheet::new(Look {
            width,
            beside,
            ..Look::default()
        })
    }

    #[test]
    fn a_long_line_is_parted_and_whole() {
        let mut sheet = sheet(20, false);
        let line = "CHECK (total >= 0) AND (currency_of_the_order IS NOT NULL)";
        sheet.compare(line, "", true);
        let mut text = String::new();
        for line in &sheet.lines {
            let SheetLine::Unified { text: at, part } = line else {
                panic!("{line:?}");
            };
            let spans = sheet.spans(*at, part, Side::New);
            let part: String = spans.iter().map(|(span, _)| span.text.as_str()).collect();
            let seen = part.trim_end();
            assert!(crate::console::screen::text::cells(seen) <= 18, "{part:?}");
            text.push_str(&part);
        }
        assert_eq!(text, line);
    }

    #[test]
    fn emphasis_and_colour_are_both_kept() {
        let mut sheet = sheet(60, true);
        assert!(sheet.compare("DEFAULT 'open'", "DEFAULT 'closed'", true));
        let Some(SheetLine::Beside { text, right, .. }) = sheet.lines.first() else {
            panic!("{:?}", sheet.lines);
        };
        let spans = sheet.spans(*text, right.as_ref().unwrap(), Side::New);
        assert!(spans.contains(&(span(Ink::Word, "DEFAULT"), false)));
        assert!(spans.contains(&(span(Ink::Literal, "closed"), true)));
    }

    #[test]
    fn changes_are_known_by_their_first_line() {
        let mut sheet = sheet(40, false);
        let old: String = (0..40).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 9\n", "").replace("line 30", "LINE 30");
        sheet.compare(&old, &new, false);
        assert_eq!(sheet.changes, [4, 12]);
    }

    proptest::proptest! {
        #[test]
        fn parts_make_the_line_and_fit(line in "[a-z ,日é]{0,80}", room in 2_usize..30) {
            let diff = textdiff::compare(line.as_str(), "", Options::default());
            for row in 0..diff.rows.len() {
                let mut text = String::new();
                for part in parts(&diff, row, Side::New, room) {
                    let piece = &line[part.bytes];
                    let seen = piece.strip_suffix(' ').unwrap_or(piece);
                    proptest::prop_assert!(crate::console::screen::text::cells(seen) <= room);
                    text.push_str(piece);
                }
                proptest::prop_assert_eq!(&text, &line);
            }
        }
    }
}
