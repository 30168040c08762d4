//! Cuts SQL text into statements on PostgreSQL's own tokens.
//!
//! Nested comments, dollar quotes, escape strings and `BEGIN ATOMIC` bodies hold semicolons that
//! end nothing; psql commands and the data behind `COPY … FROM stdin` are not SQL at all.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

/// One raw piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// From the first token to the last, without the semicolon.
    Statement {
        span: Range<usize>,
        words: Vec<String>,
    },
    /// The lines behind a `COPY … FROM stdin`, without the closing `\.`.
    CopyData { span: Range<usize> },
    /// A line that only psql understands.
    Meta { span: Range<usize> },
    /// A literal, comment or quoted name that never ends.
    Unterminated { at: usize, what: &'static str },
}

/// How many leading words of a statement are kept to tell what it is.
const WORDS_KEPT: usize = 400;

/// Cuts `text` into pieces, in order. Every character that is not white space, a comment or a
/// separating semicolon belongs to exactly one piece.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        at = one_run(text, at, &mut out);
    }
    out
}

/// The statement that is being read.
#[derive(Default)]
struct Current {
    start: Option<usize>,
    end: usize,
    words: Vec<String>,
    parens: usize,
    /// Open `BEGIN ATOMIC` and the `CASE`s within it.
    blocks: usize,
}

impl Current {
    fn take(&mut self, out: &mut Vec<Piece>) -> Option<Vec<String>> {
        let done = std::mem::take(self);
        let start = done.start?;
        let words = done.words.clone();
        out.push(Piece::Statement {
            span: start..done.end,
            words: done.words,
        });
        Some(words)
    }

    fn word(&mut self, word: &str) {
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "ATOMIC" if self.words.last().is_some_and(|w| w == "BEGIN") => self.blocks += 1,
            "CASE" if self.blocks > 0 => self.blocks += 1,
            "END" if self.blocks > 0 => self.blocks -= 1,
            _ => {}
        }
        if self.words.len() < WORDS_KEPT || word == "CONCURRENTLY" {
            self.words.push(word);
        }
    }
}

/// Reads tokens from `from` until the text ends or something that is not SQL was passed; returns
/// where to go on.
fn one_run(text: &str, from: usize, out: &mut Vec<Piece>) -> usize {
    let mut current = Current::default();
    let mut at = from;
    for token in tokenize(&text[from..]) {
        let span = at..at + token.len as usize;
        at = span.end;
        if token.kind == TokenKind::Eof {
            break;
        }
        let piece = &text[span.clone()];
        if let Some(what) = unterminated(&token.kind) {
            out.push(Piece::Unterminated {
                at: span.start,
                what,
            });
        }
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => {
                continue;
            }
            TokenKind::Semi if current.parens == 0 && current.blocks == 0 => {
                let words = current.take(out);
                if words.is_some_and(|w| super::classify::copies_from_stdin(&w)) {
                    return copy_data(text, at, out);
                }
                continue;
            }
            TokenKind::Unknown if piece.starts_with('\\') => {
                current.take(out);
                let end = text[span.start..]
                    .find('\n')
                    .map_or(text.len(), |n| span.start + n);
                out.push(Piece::Meta {
                    span: span.start..end,
                });
                return end;
            }
            TokenKind::OpenParen => current.parens += 1,
            TokenKind::CloseParen => current.parens = current.parens.saturating_sub(1),
            TokenKind::Ident => current.word(piece),
            _ => current.words.push(String::new()),
        }
        current.start.get_or_insert(span.start);
        current.end = span.end;
    }
    current.take(out);
    text.len()
}

fn unterminated(kind: &TokenKind) -> Option<&'static str> {
    match kind {
        TokenKind::BlockComment { terminated: false } => Some("comment"),
        TokenKind::QuotedIdent {
            terminated: false, ..
        } => Some("quoted name"),
        TokenKind::Literal { kind } => match kind {
            LiteralKind::Str {
                terminated: false, ..
            }
            | LiteralKind::ByteStr {
                terminated: false, ..
            }
            | LiteralKind::BitStr {
                terminated: false, ..
            }
            | LiteralKind::UnicodeEscStr {
                terminated: false, ..
            }
            | LiteralKind::EscStr {
                terminated: false, ..
            } => Some("string"),
            LiteralKind::DollarQuotedString { terminated: false } => Some("dollar-quoted string"),
            _ => None,
        },
        _ => None,
    }
}

/// Passes the data that follows `COPY … FROM stdin;`, up to and with the line `\.`.
fn copy_data(text: &str, after: usize, out: &mut Vec<Piece>) -> usize {
    let Some(line_end) = text[after..].find('\n') else {
        out.push(Piece::Unterminated {
            at: after,
            what: "COPY data",
        });
        return text.len();
    };
    let start = after + line_end + 1;
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        if line.trim_end_matches(['\n', '\r']) == "\\." {
            out.push(Piece::CopyData { span: start..at });
            return at + line.len();
        }
        at += line.len();
    }
    out.push(Piece::Unterminated {
        at: start,
        what: "COPY data",
    });
    text.len()
}
