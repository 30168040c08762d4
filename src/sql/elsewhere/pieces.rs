//! Finds the SQL in a text that holds other things too.

use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};
use squawk_syntax::SourceFile;

use super::words::BARRIER;
use crate::sql::split::{Piece, pieces};

/// How far a statement may go that begins in the middle of something, in bytes.
const WINDOW: usize = 64 * 1024;
/// How many words of one line are tried as the beginning of a statement.
const TRIED: usize = 4;

/// Statements that change something: recognising one is recognising a plan.
const CHANGES: [&str; 14] = [
    "alter", "create", "drop", "truncate", "delete", "update", "insert", "comment", "merge",
    "reindex", "refresh", "do", "copy", "import",
];
/// Statements that prose can be by accident; they count where a semicolon ends them.
const PERHAPS: [&str; 8] = [
    "grant", "revoke", "select", "with", "reassign", "vacuum", "cluster", "security",
];

/// The parts of a text that are SQL.
pub(super) struct Regions {
    spans: Vec<Range<usize>>,
    /// Statements that change something.
    pub(super) statements: usize,
    /// Where something begins like SQL and could not be read.
    pub(super) unreadable: Vec<usize>,
}

/// One part of SQL, seen twice: without what is in comments and strings, and that alone.
pub(super) struct View {
    pub(super) at: usize,
    pub(super) code: String,
    pub(super) quoted: String,
}

impl Regions {
    pub(super) fn read(text: &str) -> Regions {
        let mut regions = Regions {
            spans: Vec::new(),
            statements: 0,
            unreadable: Vec::new(),
        };
        if is_sql(text) {
            regions.add(text, 0..text.len());
            return regions;
        }
        let mut from = 0;
        for (span, fenced) in blocks(text) {
            if fenced && is_sql(&text[span.clone()]) {
                regions.add(text, span.clone());
                from = span.end;
                continue;
            }
            for line in lines(text, span.clone()) {
                if line.end > from {
                    let line = line.start.max(from)..line.end;
                    from = regions.line(text, line, &span, fenced).max(from);
                }
            }
        }
        regions
    }

    /// Looks for statements that begin on a line; gives where the last one ended.
    fn line(
        &mut self,
        text: &str,
        line: Range<usize>,
        block: &Range<usize>,
        fenced: bool,
    ) -> usize {
        let mut end = line.start;
        let mut failed: Option<usize> = None;
        for at in beginnings(text, line.clone()) {
            if at < end {
                continue;
            }
            match statement(text, at, line.end, block.end) {
                Some(span) => {
                    end = span.end;
                    failed = None;
                    self.add(text, span);
                }
                None if failed.is_none() => failed = Some(at),
                None => {}
            }
        }
        if let Some(at) = failed
            && (fenced || is_meant(text, &line, at))
        {
            self.unreadable.push(at);
        }
        end
    }

    fn add(&mut self, text: &str, span: Range<usize>) {
        let part = &text[span.clone()];
        for piece in pieces(part) {
            let Piece::Statement { span, words } = piece else {
                continue;
            };
            let first = words.first().map_or(String::new(), |w| w.to_lowercase());
            let first = first.as_str();
            let ended = part[span.end..].trim_start().starts_with(';');
            if CHANGES.contains(&first) || (ended && PERHAPS.contains(&first)) {
                self.statements += 1;
            }
        }
        self.spans.push(span);
    }

    /// The text with everything blanked that is not SQL, in the same lines and columns.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let blank = |part: &str, out: &mut String| {
            out.extend(part.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        };
        let mut at = 0;
        for span in &self.spans {
            blank(&text[at..span.start], &mut out);
            out.push_str(&text[span.clone()]);
            if self.spans.len() > 1 && !text[span.clone()].trim_end().ends_with(';') {
                out.push(';');
            }
            at = span.end;
        }
        blank(&text[at..], &mut out);
        out
    }

    /// The text with everything put out that is SQL.
    pub(super) fn prose(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for span in &self.spans {
            out.push_str(&text[at..span.start]);
            put_out(&text[span.clone()], &mut out);
            at = span.end;
        }
        out.push_str(&text[at..]);
        out
    }

    pub(super) fn views(&self, text: &str) -> Vec<View> {
        let view = |span: &Range<usize>| view(&text[span.clone()], span.start);
        self.spans.iter().map(view).collect()
    }
}

/// Writes a mark for every byte, so that places stay what they are.
fn put_out(part: &str, out: &mut String) {
    for byte in part.bytes() {
        match byte {
            b'\n' => out.push('\n'),
            _ => out.push_str(BARRIER),
        }
    }
}

fn view(part: &str, at: usize) -> View {
    let (mut code, mut quoted) = (String::new(), String::new());
    let mut done = 0;
    let between = |from: usize, to: usize, code: &mut String, quoted: &mut String| {
        put_out(&part[from..to], code);
        quoted.push_str(&part[from..to]);
    };
    for piece in pieces(part) {
        let span = match &piece {
            Piece::Statement { span, .. } | Piece::Meta { span } | Piece::CopyData { span } => span,
            Piece::Unterminated { .. } => continue,
        };
        between(done, span.start, &mut code, &mut quoted);
        let text = &part[span.clone()];
        if matches!(piece, Piece::Statement { .. }) {
            let mut from = 0;
            for token in tokenize(text) {
                let piece = &text[from..from + token.len as usize];
                from += piece.len();
                let (shown, hidden) = match is_quiet(&token.kind) {
                    true => (&mut quoted, &mut code),
                    false => (&mut code, &mut quoted),
                };
                shown.push_str(piece);
                put_out(piece, hidden);
            }
        } else {
            code.push_str(text);
            put_out(text, &mut quoted);
        }
        done = span.end;
    }
    between(done, part.len(), &mut code, &mut quoted);
    View { at, code, quoted }
}

/// Comments and strings; what is dollar-quoted is most often code.
fn is_quiet(kind: &TokenKind) -> bool {
    match kind {
        TokenKind::LineComment | TokenKind::BlockComment { .. } => true,
        TokenKind::Literal { kind } => matches!(
            kind,
            LiteralKind::Str { .. }
                | LiteralKind::EscStr { .. }
                | LiteralKind::UnicodeEscStr { .. }
        ),
        _ => false,
    }
}

/// Tells whether a text is SQL from its beginning to its end, with a statement in it.
fn is_sql(text: &str) -> bool {
    let mut any = false;
    for piece in pieces(text) {
        match piece {
            Piece::Statement { span, .. } => {
                any = true;
                if !parses(&text[span]) {
                    return false;
                }
            }
            Piece::CopyData { .. } => {}
            Piece::Meta { .. } | Piece::Unterminated { .. } => return false,
        }
    }
    any
}

fn parses(statement: &str) -> bool {
    let parse = SourceFile::parse(statement);
    parse.errors().is_empty() && parse.tree().stmts().count() == 1
}

/// The statement that begins at a place, as far as it can be read: to its semicolon, to the end of
/// its line, or to the end of its paragraph.
fn statement(text: &str, at: usize, line_end: usize, block_end: usize) -> Option<Range<usize>> {
    let mut limit = block_end.min(at + WINDOW);
    while !text.is_char_boundary(limit) {
        limit -= 1;
    }
    let window = &text[at..limit];
    if let Some(semicolon) = window.find(';')
        && let Some(end) = one_statement(&window[..semicolon])
    {
        // A comment behind it is no part of it: among prose it may be prose.
        let bare = window[end..semicolon].trim().is_empty();
        return Some(at..at + if bare { semicolon + 1 } else { end });
    }
    let line = text[at..line_end.max(at)].trim_end_matches([' ', '`', '*', '.', ',', '"', '\n']);
    if let Some(end) = one_statement(line) {
        return Some(at..at + end);
    }
    // A body in dollar quotes holds semicolons of its own.
    if let Some(Piece::Statement { span, .. }) = pieces(window).into_iter().next()
        && parses(&window[span.clone()])
    {
        let ended = window[span.end..].starts_with(';');
        return Some(at..at + span.end + usize::from(ended));
    }
    let paragraph = window.find("\n\n").unwrap_or(window.len());
    let paragraph = window[..paragraph].trim_end();
    let end = one_statement(paragraph).filter(|_| paragraph.len() > line.len());
    end.map(|end| at..at + end)
}

/// Where the one statement of a text ends; `None` where it is not exactly one.
fn one_statement(text: &str) -> Option<usize> {
    match pieces(text).as_slice() {
        [Piece::Statement { span, .. }] if parses(&text[span.clone()]) => Some(span.end),
        _ => None,
    }
}

/// Where words stand on a line with which a statement may begin.
fn beginnings(text: &str, line: Range<usize>) -> Vec<usize> {
    let part = &text[line.clone()];
    let mut out = Vec::new();
    let mut from = 0;
    for word in part.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
        let at = from;
        from += word.len();
        // The mark behind the word.
        from += part[from..].chars().next().map_or(0, char::len_utf8);
        let lower = word.to_lowercase();
        if CHANGES.contains(&lower.as_str()) || PERHAPS.contains(&lower.as_str()) {
            out.push(line.start + at);
        }
        if out.len() == TRIED {
            break;
        }
    }
    out
}

/// Tells whether what begins here is meant as SQL rather than as prose: the first word of its line,
/// in capitals or with a semicolon behind it.
fn is_meant(text: &str, line: &Range<usize>, at: usize) -> bool {
    let before = text[line.start..at].trim_end();
    let first = before.ends_with([':', '>']) || !before.contains(char::is_alphabetic);
    let rest = &text[at..line.end];
    let word = rest.split(|c: char| !c.is_alphanumeric()).next();
    let capitals = word.is_some_and(|word| word.chars().all(|c| c.is_ascii_uppercase()));
    first && (capitals || rest.contains(';'))
}

/// The blocks of code of a text and what stands between them, in order.
fn blocks(text: &str) -> Vec<(Range<usize>, bool)> {
    let mut out = Vec::new();
    let (mut from, mut fenced) = (0, false);
    for line in lines(text, 0..text.len()) {
        let content = text[line.clone()].trim_start_matches([' ', '>', '-', '*', '\n']);
        if content.starts_with("```") || content.starts_with("~~~") {
            out.push((from..line.start, fenced));
            // What stands on the fence's own line is read as well.
            from = if fenced { line.start } else { line.end };
            if !fenced {
                out.push((line.clone(), false));
            }
            fenced = !fenced;
        }
    }
    out.push((from..text.len(), fenced));
    out.retain(|(span, _)| !span.is_empty());
    out
}

/// The lines of a part of a text, with their ends.
fn lines(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let mut at = span.start;
    let part = &text[span];
    part.split_inclusive('\n')
        .map(|line| {
            let from = at;
            at += line.len();
            from..at
        })
        .collect()
}

/// The line of a text that holds a place.
pub(super) fn line_of(text: &str, at: usize) -> &str {
    let from = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let to = text[at..].find('\n').map_or(text.len(), |end| at + end);
    &text[from..to]
}
