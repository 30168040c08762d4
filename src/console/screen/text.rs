//! Text measured in terminal cells: cut, wrapped, and put together into documents.
//!
//! A document is made when what it shows or its width changes, not for every frame; drawing takes
//! the lines that are visible.

use squawk_lexer::{LiteralKind, TokenKind, tokenize};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

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
    let indent = (line.len() - body.len()).min(width / 2);
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
            let head = cut(&rest, 0, width - indent);
            // A wide character that does not fit alone must not stop the loop.
            let taken = head.trim_end().len().max(1);
            let taken = (taken..=rest.len())
                .find(|at| rest.is_char_boundary(*at))
                .unwrap_or(rest.len());
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

/// Colours one line of SQL by PostgreSQL's own tokens.
fn coloured(line: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut at = 0;
    for token in tokenize(line) {
        let end = at + token.len as usize;
        let Some(text) = line.get(at..end) else {
            break;
        };
        at = end;
        let ink = match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment { .. } => Ink::Muted,
            TokenKind::Literal {
                kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. },
            } => Ink::Plain,
            TokenKind::Literal { .. } => Ink::Literal,
            TokenKind::Ident if is_keyword(text) => Ink::Word,
            _ => Ink::Plain,
        };
        match spans.last_mut() {
            Some(last) if last.ink == ink => last.text.push_str(text),
            _ => spans.push(span(ink, text)),
        }
    }
    if at < line.len() {
        spans.push(span(Ink::Plain, &line[at..]));
    }
    spans
}

/// The words that carry a statement's structure, in order.
const KEYWORDS: [&str; 96] = [
    "ADD",
    "ALL",
    "ALTER",
    "ALWAYS",
    "AND",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASCADE",
    "CASE",
    "CHECK",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "CONCURRENTLY",
    "CONSTRAINT",
    "CREATE",
    "CURRENT",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISABLE",
    "DISTINCT",
    "DO",
    "DOMAIN",
    "DROP",
    "EACH",
    "ELSE",
    "ENABLE",
    "END",
    "EXECUTE",
    "EXISTS",
    "EXTENSION",
    "FALSE",
    "FOR",
    "FORCE",
    "FOREIGN",
    "FROM",
    "FUNCTION",
    "GENERATED",
    "GRANT",
    "GROUP",
    "HAVING",
    "IDENTITY",
    "IF",
    "IN",
    "INDEX",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LANGUAGE",
    "LEFT",
    "LEVEL",
    "LIKE",
    "LIMIT",
    "MATERIALIZED",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "PARTITION",
    "POLICY",
    "PRIMARY",
    "REFERENCES",
    "REPLACE",
    "RETURNING",
    "REVOKE",
    "ROLE",
    "ROW",
    "SCHEMA",
    "SECURITY",
    "SELECT",
    "SEQUENCE",
    "SET",
    "TABLE",
    "THEN",
    "TO",
    "TRIGGER",
    "TRUE",
    "TYPE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
    "WITHOUT",
];

fn is_keyword(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    KEYWORDS.binary_search(&upper.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn cutting_keeps_columns() {
        assert_eq!(cut("abcdef", 2, 3), "cde");
        assert_eq!(cut("a日本b", 2, 3), " 本");
        assert_eq!(cut("a日本b", 0, 2), "a ");
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(clip("abcd", 4), "abcd");
        assert_eq!(clip("abcd", 0), "");
    }

    #[test]
    fn wrapping_loses_no_word_and_keeps_the_indent() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
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

    #[test]
    fn sql_is_coloured_and_whole() {
        let line = "ALTER TABLE a ADD x text DEFAULT 'it''s' -- why";
        let spans = coloured(line);
        let text: String = spans.iter().map(|span| span.text.as_str()).collect();
        assert_eq!(text, line);
        assert!(spans.contains(&span(Ink::Literal, "'it''s'")));
        assert!(spans.contains(&span(Ink::Muted, "-- why")));
    }
}
