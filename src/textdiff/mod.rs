//! Two texts, compared by line, for people to read.
//!
//! The result is plain data: rows, and two layouts that name them by their place. Nothing here
//! knows how a row is drawn, or whether the texts were a view, a function or a file. It reads no
//! clock: what is too large for a fine answer gets a coarse one, by size alone, so that the same
//! two texts always give the same rows.

mod inline;
mod layout;
mod lines;
mod matching;

use std::ops::Range;
use std::sync::OnceLock;

use self::lines::{Lines, numbered};
pub use layout::{Pair, Piece};

/// A changed block of unequal sides that is larger is not read word by word by anybody.
const BLOCK_LINES: usize = 80;

/// How two texts are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Lines that differ only in how much white space they have count as alike.
    pub ignore_whitespace: bool,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowKind {
    Kept,
    /// Only the old text has it.
    Removed,
    /// Only the new text has it.
    Added,
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub text: String,
    /// The words that changed inside a line that is much the same.
    pub emphasised: bool,
}

/// One line of either text, or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub kind: RowKind,
    /// The line's number in the old text, from 1.
    pub old: Option<u32>,
    /// The line's number in the new text, from 1.
    pub new: Option<u32>,
}

impl Row {
    /// Tells whether only one of the texts has it.
    pub fn is_change(&self) -> bool {
        self.kind != RowKind::Kept
    }
}

/// Two texts, compared. Which words changed is found out for the lines that somebody looks at.
#[derive(Debug, Clone, Default)]
pub struct TextDiff {
    old: Lines,
    new: Lines,
    /// All lines in reading order: in a change, what was removed stands before what was added.
    pub rows: Vec<Row>,
    blocks: Vec<Block>,
}

impl PartialEq for TextDiff {
    fn eq(&self, other: &TextDiff) -> bool {
        (&self.old, &self.new, &self.rows) == (&other.old, &other.new, &other.rows)
    }
}

impl Eq for TextDiff {}

/// A run of rows that only one text has, on both sides.
#[derive(Debug, Clone)]
struct Block {
    rows: Range<usize>,
    removed: usize,
    /// The words of each pair of lines, or those of the whole block; none where it is too large.
    words: Vec<OnceLock<(Segments, Segments)>>,
}

/// The lines of one side in segments.
type Segments = Vec<Vec<Segment>>;

impl TextDiff {
    /// How many lines each text has, without an empty one at its end.
    pub fn lines(&self) -> [usize; 2] {
        [&self.old, &self.new].map(|lines| {
            let len = lines.len();
            let open = len > 0 && lines.line(len - 1).is_empty();
            len - usize::from(open)
        })
    }

    /// A row as the new text has it, where both have it.
    pub fn text(&self, row: &Row) -> &str {
        match row.new {
            Some(_) => line_of(&self.new, row.new),
            None => line_of(&self.old, row.old),
        }
    }

    /// A row as the old text has it, where both have it.
    pub fn old_text(&self, row: &Row) -> &str {
        match row.old {
            Some(_) => line_of(&self.old, row.old),
            None => line_of(&self.new, row.new),
        }
    }

    /// A row in segments, with the words that changed.
    pub fn segments(&self, at: usize) -> Vec<Segment> {
        let Some(row) = self.rows.get(at) else {
            return Vec::new();
        };
        self.words(at, row).unwrap_or_else(|| whole(self.text(row)))
    }

    fn words(&self, at: usize, row: &Row) -> Option<Vec<Segment>> {
        if !row.is_change() {
            return None;
        }
        let place = self.blocks.partition_point(|block| block.rows.end <= at);
        let block = self
            .blocks
            .get(place)
            .filter(|block| block.rows.contains(&at))?;
        let is_old = row.kind == RowKind::Removed;
        let first = block.rows.start + if is_old { 0 } else { block.removed };
        let number = at - first;
        let pairs = block.words.len() > 1;
        let cell = block.words.get(if pairs { number } else { 0 })?;
        let (gone, come) = cell.get_or_init(|| {
            let rows = |from: usize, len: usize| -> Vec<&str> {
                let rows = self.rows[from..from + len].iter();
                rows.map(|row| self.text(row)).collect()
            };
            let added = block.rows.start + block.removed;
            match pairs {
                true => {
                    let old = rows(block.rows.start + number, 1);
                    inline::refined(&old, &rows(added + number, 1))
                }
                false => {
                    let old = rows(block.rows.start, block.removed);
                    inline::refined(&old, &rows(added, block.rows.end - added))
                }
            }
        });
        let side = if is_old { gone } else { come };
        side.get(if pairs { 0 } else { number }).cloned()
    }

    /// Adds what stands between two runs that are the same.
    fn replaced(&mut self, old: Range<usize>, new: Range<usize>) {
        let start = self.rows.len();
        self.rows.extend(old.clone().map(|at| Row {
            kind: RowKind::Removed,
            old: Some(at as u32 + 1),
            new: None,
        }));
        self.rows.extend(new.clone().map(|at| Row {
            kind: RowKind::Added,
            old: None,
            new: Some(at as u32 + 1),
        }));
        if old.is_empty() || new.is_empty() {
            return;
        }
        let cells = match old.len() == new.len() {
            true => old.len(),
            false => usize::from(old.len().max(new.len()) <= BLOCK_LINES),
        };
        self.blocks.push(Block {
            rows: start..self.rows.len(),
            removed: old.len(),
            words: vec![OnceLock::new(); cells],
        });
    }
}

fn line_of(lines: &Lines, number: Option<u32>) -> &str {
    number.map_or("", |number| lines.line(number as usize - 1))
}

fn whole(text: &str) -> Vec<Segment> {
    vec![Segment {
        text: text.to_owned(),
        emphasised: false,
    }]
}

/// Compares two texts. A text that is empty has no lines.
pub fn compare(old: impl Into<String>, new: impl Into<String>, options: Options) -> TextDiff {
    let (old, new) = (Lines::of(old.into()), Lines::of(new.into()));
    let [a, b] = numbered(&old, &new, options.ignore_whitespace);
    let found = matching::same(&a, &b);
    let mut diff = TextDiff {
        rows: Vec::with_capacity(old.len().max(new.len())),
        old,
        new,
        blocks: Vec::new(),
    };
    let (mut old_at, mut new_at) = (0, 0);
    for same in found {
        diff.replaced(old_at..same.old, new_at..same.new);
        diff.rows.extend((0..same.len).map(|at| Row {
            kind: RowKind::Kept,
            old: Some((same.old + at) as u32 + 1),
            new: Some((same.new + at) as u32 + 1),
        }));
        (old_at, new_at) = (same.old + same.len, same.new + same.len);
    }
    diff.replaced(old_at..a.len(), new_at..b.len());
    diff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXACT: Options = Options {
        ignore_whitespace: false,
    };

    /// The old text, or the new one, out of the rows.
    fn side(diff: &TextDiff, kind: RowKind) -> String {
        let rows = diff.rows.iter();
        let of_side = rows.filter(|row| row.kind == RowKind::Kept || row.kind == kind);
        let text = |row: &Row| match kind {
            RowKind::Removed => diff.old_text(row).to_owned(),
            _ => diff.text(row).to_owned(),
        };
        of_side.map(text).collect::<Vec<_>>().join("\n")
    }

    fn marked(diff: &TextDiff, at: usize) -> String {
        let part = |segment: &Segment| match segment.emphasised {
            true => format!("[{}]", segment.text),
            false => segment.text.clone(),
        };
        diff.segments(at).iter().map(part).collect()
    }

    #[test]
    fn a_changed_word_is_emphasised() {
        let diff = compare(
            "SELECT a,\n  b\nFROM t",
            "SELECT a,\n  other_b\nFROM t",
            EXACT,
        );
        let kinds: Vec<RowKind> = diff.rows.iter().map(|row| row.kind).collect();
        use RowKind::{Added, Kept, Removed};
        assert_eq!(kinds, [Kept, Removed, Added, Kept]);
        let diff = compare("CHECK (total > 0)", "CHECK (total >= 10)", EXACT);
        let shown: Vec<String> = (0..2).map(|at| marked(&diff, at)).collect();
        assert_eq!(shown, ["CHECK (total > [0])", "CHECK (total >[= 10])"]);
    }

    #[test]
    fn an_empty_text_has_no_lines() {
        assert!(compare("", "", EXACT).rows.is_empty());
        let diff = compare("", "a\nb", EXACT);
        assert!(diff.rows.iter().all(|row| row.kind == RowKind::Added));
        assert_eq!(diff.rows.len(), 2);
    }

    #[test]
    fn white_space_can_be_ignored() {
        let (old, new) = ("a  b\nc", "  a b\nd");
        let ignoring = Options {
            ignore_whitespace: true,
        };
        assert_eq!(compare(old, new, ignoring).rows[0].kind, RowKind::Kept);
        assert_eq!(compare(old, new, EXACT).rows[0].kind, RowKind::Removed);
    }

    #[test]
    fn texts_that_share_nothing_come_to_an_end() {
        let text = |word: &str| -> String {
            let line = |n: usize| format!("{word} {} {}\n", n * 7919 % 5003, n % 17);
            (0..20_000).map(line).collect()
        };
        let (old, new) = (text("one"), text("two"));
        let diff = compare(old.as_str(), new.as_str(), EXACT);
        assert_eq!(side(&diff, RowKind::Removed), old);
        assert_eq!(side(&diff, RowKind::Added), new);
        // One line alone may be as long.
        let diff = compare(old.replace('\n', " "), new.replace('\n', " "), EXACT);
        assert_eq!(diff.rows.len(), 2);
    }

    proptest! {
        #[test]
        fn the_rows_hold_both_texts_whole(
            old in "([ab =,]{0,6}\n){0,9}[a日 ]{0,3}",
            new in "([ab =,]{0,6}\n){0,9}[a日 ]{0,3}",
            ignore_whitespace: bool,
        ) {
            let diff = compare(old.as_str(), new.as_str(), Options { ignore_whitespace });
            prop_assert_eq!(side(&diff, RowKind::Removed), old);
            prop_assert_eq!(side(&diff, RowKind::Added), new);
        }

        #[test]
        fn line_numbers_count_up(old in "([ab]\n){0,12}", new in "([ab]\n){0,12}") {
            let diff = compare(old.as_str(), new.as_str(), EXACT);
            let olds: Vec<u32> = diff.rows.iter().filter_map(|row| row.old).collect();
            let news: Vec<u32> = diff.rows.iter().filter_map(|row| row.new).collect();
            prop_assert_eq!(&olds, &(1..=olds.len() as u32).collect::<Vec<_>>());
            prop_assert_eq!(&news, &(1..=news.len() as u32).collect::<Vec<_>>());
        }
    }
}
