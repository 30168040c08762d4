//! Two texts, compared by line, for people to read.
//!
//! The result is plain data: rows, and two layouts that name them by their place. Nothing here
//! knows how a row is drawn, or whether the texts were a view, a function or a file. It reads no
//! clock: what is too large for a fine answer gets a coarse one, by size alone, so that the same
//! two texts always give the same rows.

mod inline;
mod layout;

use similar::{Algorithm, DiffOp};

pub use layout::{Pair, Piece};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub kind: RowKind,
    /// The line's number in the old text, from 1.
    pub old: Option<usize>,
    /// The line's number in the new text, from 1.
    pub new: Option<usize>,
    pub segments: Vec<Segment>,
    /// How the old text has a kept line, where white space was ignored and is not the same.
    pub old_text: Option<String>,
}

impl Row {
    /// The line, as the new text has it where both do.
    pub fn text(&self) -> String {
        self.segments.iter().map(|s| s.text.as_str()).collect()
    }

    /// Tells whether only one of the texts has it.
    pub fn is_change(&self) -> bool {
        self.kind != RowKind::Kept
    }
}

/// Two texts, compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextDiff {
    /// All lines in reading order: in a change, what was removed stands before what was added.
    pub rows: Vec<Row>,
}

impl TextDiff {
    /// How many lines each text has, without an empty one at its end.
    pub fn lines(&self) -> [usize; 2] {
        let last = |number: fn(&Row) -> Option<usize>| {
            let mut rows = self.rows.iter().rev();
            rows.find_map(|row| Some((number(row)?, row.text().is_empty())))
        };
        [last(|row| row.old), last(|row| row.new)].map(|last| match last {
            Some((number, is_empty)) => number - usize::from(is_empty),
            None => 0,
        })
    }
}

/// Compares two texts. A text that is empty has no lines.
pub fn compare(old: &str, new: &str, options: Options) -> TextDiff {
    let (old, new) = (lines(old), lines(new));
    let ops = if options.ignore_whitespace {
        let [old, new] =
            [&old, &new].map(|lines| lines.iter().map(|l| squeezed(l)).collect::<Vec<_>>());
        operations(&refs(&old), &refs(&new))
    } else {
        operations(&old, &new)
    };
    let mut rows = Vec::with_capacity(old.len().max(new.len()));
    for op in ops {
        match op {
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => {
                for at in 0..len {
                    rows.push(kept(old_index + at, new_index + at, &old, &new));
                }
            }
            DiffOp::Delete {
                old_index, old_len, ..
            } => replaced(&mut rows, (&old, old_index, old_len), (&new, 0, 0)),
            DiffOp::Insert {
                new_index, new_len, ..
            } => replaced(&mut rows, (&old, 0, 0), (&new, new_index, new_len)),
            DiffOp::Replace {
                old_index,
                old_len,
                new_index,
                new_len,
            } => replaced(
                &mut rows,
                (&old, old_index, old_len),
                (&new, new_index, new_len),
            ),
        }
    }
    TextDiff { rows }
}

/// The lines of a text; joined by line feeds they are the text.
fn lines(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split('\n').collect()
}

fn refs(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Myers with bounded searching: texts that share nothing are split early instead of searched.
fn operations(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    similar::TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .diff_slices(old, new)
        .ops()
        .to_vec()
}

fn whole(text: &str) -> Vec<Segment> {
    vec![Segment {
        text: text.to_owned(),
        emphasised: false,
    }]
}

fn kept(old_at: usize, new_at: usize, old: &[&str], new: &[&str]) -> Row {
    let (before, after) = (old[old_at], new[new_at]);
    Row {
        kind: RowKind::Kept,
        old: Some(old_at + 1),
        new: Some(new_at + 1),
        segments: whole(after),
        old_text: (before != after).then(|| before.to_owned()),
    }
}

/// A place in the lines of one text: all of them, the first, how many.
type Part<'a> = (&'a [&'a str], usize, usize);

fn replaced(rows: &mut Vec<Row>, old: Part<'_>, new: Part<'_>) {
    let (gone, come) = (&old.0[old.1..old.1 + old.2], &new.0[new.1..new.1 + new.2]);
    let (gone, come) = inline::refined(gone, come);
    let row = |kind, old, new, segments| Row {
        kind,
        old,
        new,
        segments,
        old_text: None,
    };
    for (at, segments) in gone.into_iter().enumerate() {
        rows.push(row(RowKind::Removed, Some(old.1 + at + 1), None, segments));
    }
    for (at, segments) in come.into_iter().enumerate() {
        rows.push(row(RowKind::Added, None, Some(new.1 + at + 1), segments));
    }
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
        let text = |row: &Row| match (&row.old_text, kind) {
            (Some(old), RowKind::Removed) => old.clone(),
            _ => row.text(),
        };
        of_side.map(text).collect::<Vec<_>>().join("\n")
    }

    fn marked(row: &Row) -> String {
        let part = |segment: &Segment| match segment.emphasised {
            true => format!("[{}]", segment.text),
            false => segment.text.clone(),
        };
        row.segments.iter().map(part).collect()
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
        let shown: Vec<String> = diff.rows.iter().map(marked).collect();
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
        let diff = compare(&old, &new, EXACT);
        assert_eq!(side(&diff, RowKind::Removed), old);
        assert_eq!(side(&diff, RowKind::Added), new);
        // One line alone may be as long.
        let diff = compare(&old.replace('\n', " "), &new.replace('\n', " "), EXACT);
        assert_eq!(diff.rows.len(), 2);
    }

    proptest! {
        #[test]
        fn the_rows_hold_both_texts_whole(
            old in "([ab =,]{0,6}\n){0,9}[a日 ]{0,3}",
            new in "([ab =,]{0,6}\n){0,9}[a日 ]{0,3}",
            ignore_whitespace: bool,
        ) {
            let diff = compare(&old, &new, Options { ignore_whitespace });
            prop_assert_eq!(side(&diff, RowKind::Removed), old);
            prop_assert_eq!(side(&diff, RowKind::Added), new);
        }

        #[test]
        fn line_numbers_count_up(old in "([ab]\n){0,12}", new in "([ab]\n){0,12}") {
            let diff = compare(&old, &new, EXACT);
            let olds: Vec<usize> = diff.rows.iter().filter_map(|row| row.old).collect();
            let news: Vec<usize> = diff.rows.iter().filter_map(|row| row.new).collect();
            prop_assert_eq!(&olds, &(1..=olds.len()).collect::<Vec<_>>());
            prop_assert_eq!(&news, &(1..=news.len()).collect::<Vec<_>>());
        }
    }
}
