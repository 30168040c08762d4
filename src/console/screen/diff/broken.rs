//! Breaks a long value that came on one line, so that it can be read and compared by line.
//!
//! Where it is broken depends on the value alone, never on the width of a pane: two sides that
//! differ in one word are broken at the same places.

use squawk_lexer::{TokenKind, tokenize};

use crate::console::screen::text::cells;

/// A value, or what stands between two parentheses, that takes more cells is broken.
const LONG: usize = 60;

/// The words that begin a line of their own.
const CLAUSES: [&str; 16] = [
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "UNION",
    "LEFT",
    "RIGHT",
    "INNER",
    "JOIN",
    "LIMIT",
    "RETURNING",
    "WHEN",
    "ELSE",
    "USING",
    "WITH",
];

/// Gives both sides, broken where one of them is a long line.
pub(super) fn both<'a>(one: &'a str, other: &'a str) -> [std::borrow::Cow<'a, str>; 2] {
    let long = [one, other]
        .iter()
        .any(|text| !text.contains('\n') && cells(text) > LONG);
    let all = [one, other].map(tokens);
    let [mine, theirs] = all.map(|tokens| long_openings(&tokens));
    let wide: Vec<bool> = (0..mine.len().max(theirs.len()))
        .map(|at| mine.get(at) == Some(&true) || theirs.get(at) == Some(&true))
        .collect();
    [one, other].map(|text| {
        if long && !text.contains('\n') {
            broken(text, &wide).into()
        } else {
            text.into()
        }
    })
}

/// Breaks a text. `wide` tells of each of its parentheses in turn whether it is broken: both sides
/// are broken alike, so that a word that differs does not move all that stands around it.
fn broken(text: &str, wide: &[bool]) -> String {
    let tokens = tokens(text);
    let mut wide = wide.iter().copied();
    let mut out = Writer::default();
    // For every open parenthesis, whether its content is broken.
    let mut open: Vec<bool> = Vec::new();
    let mut between = false;
    for (kind, text) in &tokens {
        let breakable = open.iter().all(|broken| *broken);
        match kind {
            TokenKind::Whitespace => out.space(text),
            TokenKind::OpenParen => {
                out.push(text);
                let is_wide = wide.next().unwrap_or(false);
                open.push(breakable && is_wide);
                if breakable && is_wide {
                    out.depth += 1;
                    out.line(0);
                }
            }
            TokenKind::CloseParen => {
                if open.pop() == Some(true) {
                    out.depth -= 1;
                    out.line(0);
                }
                out.push(text);
            }
            TokenKind::Comma | TokenKind::Semi if breakable => {
                out.push(text);
                out.line(2);
            }
            TokenKind::Ident if breakable => {
                let word = text.to_ascii_uppercase();
                let joins = matches!(word.as_str(), "AND" | "OR") && !between;
                if joins {
                    out.line(2);
                } else if CLAUSES.contains(&word.as_str()) && !out.after_join_word() {
                    out.line(0);
                }
                between = word == "BETWEEN" || (between && word != "AND");
                out.push(text);
            }
            _ => out.push(text),
        }
    }
    out.text
}

type Tokens<'a> = Vec<(TokenKind, &'a str)>;

fn tokens(text: &str) -> Tokens<'_> {
    let mut at = 0;
    let mut out = Vec::new();
    for token in tokenize(text) {
        let end = at + token.len as usize;
        let Some(part) = text.get(at..end) else { break };
        out.push((token.kind, part));
        at = end;
    }
    if at < text.len() {
        out.push((TokenKind::Unknown, &text[at..]));
    }
    out
}

/// For every parenthesis that opens, whether there is much in it.
fn long_openings(tokens: &[(TokenKind, &str)]) -> Vec<bool> {
    let mut long = Vec::new();
    let mut open = Vec::new();
    let mut width = 0;
    for (kind, text) in tokens {
        match kind {
            TokenKind::OpenParen => {
                open.push((long.len(), width));
                long.push(false);
            }
            TokenKind::CloseParen => {
                if let Some((opened, before)) = open.pop() {
                    long[opened] = width - before > LONG;
                }
            }
            _ => {}
        }
        width += cells(text);
    }
    long
}

#[derive(Default)]
struct Writer {
    text: String,
    depth: usize,
    /// A line has just been begun: space from the value is not wanted.
    fresh: bool,
}

impl Writer {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.fresh = false;
    }

    fn space(&mut self, text: &str) {
        if !self.fresh && !self.text.is_empty() {
            self.text.push_str(text);
        }
    }

    /// Begins a line; outside of parentheses it is indented by `more`.
    fn line(&mut self, more: usize) {
        let indent = self.depth * 2 + if self.depth == 0 { more } else { 0 };
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        if self.text.is_empty() {
            return;
        }
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.fresh = true;
    }

    /// Tells whether the word before belongs to the one that comes, as in `LEFT JOIN`.
    fn after_join_word(&self) -> bool {
        let last = self.text.split_whitespace().next_back().unwrap_or("");
        ["LEFT", "RIGHT", "INNER", "OUTER", "FULL", "CROSS"]
            .iter()
            .any(|word| last.eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_check_is_broken_at_its_joints() {
        let check = "CHECK (((total >= (0)::numeric) AND (currency = ANY (ARRAY['EUR'::text, \
                     'USD'::text])) AND (total BETWEEN 1 AND 9)))";
        let lines = "CHECK (\n  (\n    (total >= (0)::numeric)\n    \
                     AND (currency = ANY (ARRAY['EUR'::text, 'USD'::text]))\n    \
                     AND (total BETWEEN 1 AND 9)\n  )\n)";
        assert_eq!(both(check, check)[0], lines);
    }

    #[test]
    fn a_long_list_has_a_line_for_every_part() {
        let order = "identifier_of_the_order, total_without_tax, \"a, b\", note, customer_of_it";
        let lines = both(order, order)[0].clone();
        assert_eq!(
            lines,
            "identifier_of_the_order,\n  total_without_tax,\n  \"a, b\",\n  note,\n  customer_of_it"
        );
    }

    #[test]
    fn both_sides_are_broken_at_the_same_parentheses() {
        let text = |word: &str| {
            format!("CHECK (((total_of_all >= (0)::numeric) AND (state_of = '{word}'::text)))")
        };
        let (short, long) = (text("a"), text(&"b".repeat(60)));
        let [one, other] = both(&short, &long);
        assert_eq!(one.lines().count(), other.lines().count());
        assert_eq!(one.lines().next(), other.lines().next());
        let differ = one.lines().zip(other.lines()).filter(|(a, b)| a != b);
        assert_eq!(differ.count(), 1, "{one}\n{other}");
    }

    #[test]
    fn short_values_and_values_of_several_lines_stay() {
        assert_eq!(both("CHECK (a > 0)", "CHECK (a > 1)")[0], "CHECK (a > 0)");
        let long = "a, ".repeat(40) + "\nb";
        assert_eq!(both(&long, "x")[0], long);
    }

    proptest::proptest! {
        #[test]
        fn nothing_but_space_is_changed(text in "([a-z]{1,9}|[(),;' ]|AND |日|FROM ){0,60}") {
            let squeeze = |text: &str| text.replace([' ', '\n'], "");
            proptest::prop_assert_eq!(squeeze(&both(&text, "")[0]), squeeze(&text));
        }
    }
}
