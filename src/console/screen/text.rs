//! Text measured in terminal cells: cut, wrapped, and put together into documents.
//!
//! A document is made when what it shows or its width changes, not for every frame; drawing takes
//! the lines that are visible.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::sql_ink::coloured;
use crate::promotion::GateState;

/// What a piece of text means. The theme gives it a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Strong,
    Muted,
    Heading,
    Good,
    Warning,
    Bad,
    Accent,
    /// A word of SQL.
    Word,
    /// A literal of SQL.
    Literal,
    State(GateState),
}

/// A piece of text in one ink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub ink: Ink,
    pub text: String,
}

/// Makes a span.
pub fn span(ink: Ink, text: impl Into<String>) -> Span {
    let text = text.into();
    Span { ink, text }
}

/// One line of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocLine {
    pub spans: Vec<Span>,
    /// Its columns carry meaning: it is cut at the edge and scrolled sideways, never wrapped.
    pub fixed: bool,
    /// The checklist item that the line belongs to.
    pub item: Option<usize>,
}

impl DocLine {
    /// The line without its inks.
    pub fn plain(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }
}

/// Lines made for a width.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doc {
    pub lines: Vec<DocLine>,
    width: usize,
}

/// How far the value of a named pair is indented.
const PAIR: usize = 11;

impl Doc {
    /// Begins a document for lines of `width` cells.
    pub fn new(width: usize) -> Doc {
        Doc {
            lines: Vec::new(),
            width: width.max(8),
        }
    }

    /// How many cells a line has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many cells a line of columns takes: on a wide screen the eye must find its way back.
    pub fn columns(&self) -> usize {
        self.width.min(100)
    }

    /// Adds an empty line, but never two, and none at the beginning.
    pub fn blank(&mut self) {
        if self.lines.last().is_some_and(|line| !line.spans.is_empty()) {
            self.lines.push(DocLine::default());
        }
    }

    /// Adds a heading with an empty line above it.
    pub fn heading(&mut self, text: &str) {
        self.blank();
        self.text(Ink::Heading, text);
    }

    /// Adds text; its own line ends are kept, long lines are wrapped.
    pub fn text(&mut self, ink: Ink, text: &str) {
        self.hanging(&[], ink, text);
    }

    /// Adds prose: single line ends are only where its author broke the line.
    pub fn prose(&mut self, ink: Ink, text: &str) {
        for paragraph in text.split("\n\n") {
            let words: Vec<&str> = paragraph.split_whitespace().collect();
            self.text(ink, &words.join(" "));
        }
    }

    /// Adds text behind a lead; further lines are indented as far as the lead reaches.
    pub fn hanging(&mut self, lead: &[Span], ink: Ink, text: &str) {
        let indent: usize = lead.iter().map(|span| cells(&span.text)).sum();
        let room = self.width.saturating_sub(indent).max(4);
        let mut first = true;
        for line in text.split('\n') {
            for part in wrap(line, room) {
                let mut spans = if first {
                    lead.to_vec()
                } else {
                    vec![span(Ink::Plain, " ".repeat(indent))]
                };
                spans.push(span(ink, part));
                first = false;
                self.push(spans, false);
            }
        }
    }

    /// Adds a name and its value.
    pub fn pair(&mut self, name: &str, ink: Ink, value: &str) {
        let lead = span(Ink::Muted, format!("{name:<width$}", width = PAIR));
        self.hanging(&[lead], ink, value);
    }

    /// Adds a line whose columns carry meaning.
    pub fn fixed(&mut self, spans: Vec<Span>) {
        self.push(spans, true);
    }

    /// Adds SQL, coloured, two cells in.
    pub fn sql(&mut self, text: &str) {
        for line in text.split('\n') {
            let mut spans = vec![span(Ink::Plain, "  ")];
            spans.extend(coloured(line));
            self.push(spans, true);
        }
    }

    /// Marks the lines from `from` on as belonging to an item.
    pub fn mark_item(&mut self, from: usize, item: usize) {
        for line in self.lines.iter_mut().skip(from) {
            line.item = Some(item);
        }
    }

    /// The document as text.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            out.push_str(line.plain().trim_end());
            out.push('\n');
        }
        out
    }

    fn push(&mut self, mut spans: Vec<Span>, fixed: bool) {
        spans.retain(|span| !span.text.is_empty());
        self.lines.push(DocLine {
            spans,
            fixed,
            item: None,
        });
    }
}

/// How many cells a text takes.
pub fn cells(text: &str) -> usize {
    text.width()
}

/// Cuts a text to `width` cells, saying so with `…`.
pub fn clip(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let mut out = cut(text, 0, width.saturating_sub(1));
    if width > 0 {
        out.push('…');
    }
    out
}

/// Cuts a text to its last `width` cells, saying so with `…`.
pub fn clip_start(text: &str, width: usize) -> String {
    let all = cells(text);
    if all <= width {
        return text.to_owned();
    }
    match width {
        0 => String::new(),
        width => format!("…{}", cut(text, all + 1 - width, width - 1)),
    }
}

/// Takes the cells from `skip` on, at most `width`. A wide character that is cut in half becomes a
/// space, so that columns stay where they are.
pub fn cut(text: &str, skip: usize, width: usize) -> String {
    let mut out = String::new();
    let (mut at, end) = (0, skip + width);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        let next = at + wide;
        if at >= end && wide > 0 {
            break;
        }
        if at >= skip && next <= end {
            out.push(c);
        } else if next > skip {
            let inside = next.min(end) - at.max(skip);
            out.extend(std::iter::repeat_n(' ', inside));
        }
        at = next;
    }
    out
}

/// Breaks a line at spaces; a word that is longer than a line is cut. Indentation is kept.
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    if cells(line) <= width {
        return vec![line.to_owned()];
    }
    let body = line.trim_start_matches(' ');
    // Beside the indent there must be room for one wide character.
    let indent = (line.len() - body.len())
        .min(width / 2)
        .min(width.saturating_sub(2));
    let pad = " ".repeat(indent);
    let mut out = Vec::new();
    let mut current = pad.clone();
    let mut empty = true;
    for word in body.split(' ') {
        let needed = cells(word) + usize::from(!empty);
        if cells(&current) + needed <= width {
            if !empty {
                current.push(' ');
            }
            current.push_str(word);
            empty = false;
            continue;
        }
        if !empty {
            out.push(std::mem::replace(&mut current, pad.clone()));
        }
        let mut rest = word.to_owned();
        while cells(&rest) > width - indent {
            let taken = head_of(&rest, width - indent);
            out.push(format!("{pad}{}", &rest[..taken]));
            rest = rest[taken..].to_owned();
        }
        current.push_str(&rest);
        empty = false;
    }
    if !empty {
        out.push(current);
    }
    out
}

/// How many bytes of a long word go on a line of `width` cells: to a place where a path or a name
/// may be parted, if there is one in the line's second half.
fn head_of(word: &str, width: usize) -> usize {
    let head = cut(word, 0, width).trim_end().len().max(1);
    // A wide character that does not fit alone must not stop the loop.
    let head = (head..=word.len())
        .find(|at| word.is_char_boundary(*at))
        .unwrap_or(word.len());
    let parted = word[..head].rfind(['/', '_', '-', '.', ',', '@']);
    match parted {
        Some(at) if at + 1 > head / 2 => at + 1,
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_keeps_columns() {
        assert_eq!(cut("abcdef", 2, 3), "cde");
        assert_eq!(cut("a日本b", 2, 3), " 本");
        assert_eq!(cut("a日本b", 0, 2), "a ");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("abcd", 4), "abcd");
        assert_eq!(clip("abcd", 0), "");
        assert_eq!(clip_start("abcdef", 4), "…def");
        assert_eq!(clip_start("abcd", 4), "abcd");
        assert_eq!(clip_start("ab", 0), "");
    }

    #[test]
    fn wrapping_loses_no_word_and_keeps_the_indent() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("see db/eng/one.sql", 9), ["see", "db/eng/", "one.sql"]);
        assert_eq!(wrap("日本日本", 3), ["日", "本", "日", "本"]);
        assert_eq!(wrap("", 3), [""]);
    }

    proptest::proptest! {
        #[test]
        fn a_wrapped_line_is_never_wider(text in "[ a-z日本]{0,60}", width in 2_usize..30) {
            for line in wrap(&text, width) {
                proptest::prop_assert!(cells(&line) <= width, "{line:?}");
            }
        }
    }
}
