//! Every statement of a SQL file with its place: those of the file itself, and those inside
//! `DO` blocks and function bodies as far as they can be read.

use std::ops::Range;

use squawk_lexer::{TokenKind, tokenize};
use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::{Parse, SourceFile, SyntaxKind, SyntaxNode};

use super::split::{Piece, pieces};

/// Bodies inside bodies are read this deep.
const DEEPEST: usize = 4;

/// When a statement runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Runs {
    /// When the file does.
    Now,
    /// When somebody calls the function of that name.
    WhenCalled(String),
}

/// One statement that was parsed.
pub(super) struct Parsed {
    /// Its text with comments blanked out, so that no comment changes what is said of it.
    pub(super) text: String,
    pub(super) parse: Parse<SourceFile>,
    /// Where its text begins in the file.
    pub(super) at: usize,
    /// The statement of the file that it is, or that holds it.
    pub(super) outer: Range<usize>,
    pub(super) runs: Runs,
    /// Where SQL is put together at run time, in bytes of the file.
    pub(super) dynamic: Vec<usize>,
    /// A body in a language that cannot be read here.
    pub(super) opaque: bool,
}

impl Parsed {
    pub(super) fn stmts(&self) -> Vec<Stmt> {
        self.parse.tree().stmts().collect()
    }

    /// Tells whether it is a statement of the file itself: it runs, and only once.
    pub(super) fn is_top(&self) -> bool {
        self.at == self.outer.start
    }

    pub(super) fn place(&self, node: &SyntaxNode) -> usize {
        self.at + start(node)
    }
}

/// What stands in a file besides statements.
pub(super) enum Part {
    Statement(Box<Parsed>),
    /// A command of psql.
    Meta(Range<usize>),
    /// Something that begins here and never ends.
    Unterminated(usize),
}

/// Reads a normalised text.
pub(super) fn parts(text: &str) -> Vec<Part> {
    let mut out = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Statement { span, .. } => {
                let scope = Scope {
                    outer: span.clone(),
                    runs: Runs::Now,
                    depth: 0,
                };
                read(&text[span.clone()], span.start, &scope, &mut out);
            }
            Piece::Meta { span } => out.push(Part::Meta(span)),
            Piece::Unterminated { at, .. } => out.push(Part::Unterminated(at)),
            Piece::CopyData { .. } => {}
        }
    }
    out
}

struct Scope {
    outer: Range<usize>,
    runs: Runs,
    depth: usize,
}

/// Parses one statement, and what stands in its bodies.
fn read(text: &str, at: usize, scope: &Scope, out: &mut Vec<Part>) {
    let text = without_comments(text);
    let parse = SourceFile::parse(&text);
    let mut parsed = Box::new(Parsed {
        text,
        at,
        outer: scope.outer.clone(),
        runs: scope.runs.clone(),
        dynamic: Vec::new(),
        opaque: false,
        parse,
    });
    let mut inner = Vec::new();
    if scope.depth < DEEPEST {
        for stmt in parsed.stmts() {
            bodies(&stmt, &mut parsed, scope, &mut inner);
        }
    }
    out.push(Part::Statement(parsed));
    out.append(&mut inner);
}

fn bodies(stmt: &Stmt, parsed: &mut Parsed, scope: &Scope, out: &mut Vec<Part>) {
    let called = |name: String| match &scope.runs {
        Runs::Now => Runs::WhenCalled(name),
        already => already.clone(),
    };
    let named = |node: Option<&SyntaxNode>| called(node.map_or(String::new(), last));
    let (plpgsql, sql, runs, language) = match stmt {
        Stmt::Do(block) => {
            let language = block.do_language().and_then(|l| l.language_name());
            (block.plpgsql(), None, scope.runs.clone(), language)
        }
        Stmt::CreateFunction(function) => {
            let runs = named(function.name().as_ref().map(AstNode::syntax));
            let language = language(function.option_list());
            (function.plpgsql(), function.sql_body(), runs, language)
        }
        Stmt::CreateProcedure(procedure) => {
            let runs = named(procedure.name().as_ref().map(AstNode::syntax));
            let language = language(procedure.option_list());
            (procedure.plpgsql(), procedure.sql_body(), runs, language)
        }
        Stmt::CreateRule(rule) => {
            let name = rule.rule().map_or(String::new(), |r| {
                super::relations::fold(r.syntax().text().to_string().trim())
            });
            (None, None, called(name), None)
        }
        _ => return,
    };
    let inside = Scope {
        outer: scope.outer.clone(),
        runs,
        depth: scope.depth + 1,
    };
    if let Some(body) = &plpgsql {
        let root = body.syntax();
        let place = |node: &SyntaxNode| {
            parsed.at + usize::from(body.source_range(node.text_range()).start())
        };
        let dynamic = root.descendants().filter(|node| is_dynamic(node.kind()));
        let dynamic: Vec<usize> = dynamic.map(|n| place(&n) + leading(&n)).collect();
        parsed.dynamic.extend(dynamic);
        for node in topmost(&root) {
            let text = selected(node.text().to_string());
            read(&text, place(&node), &inside, out);
        }
    } else if let Some(body) = &sql {
        let text = body.text().to_owned();
        let zero = body.syntax().text_range();
        let at = parsed.at + usize::from(body.source_range(zero).start());
        for piece in pieces(&text) {
            if let Piece::Statement { span, .. } = piece {
                read(&text[span.clone()], at + span.start, &inside, out);
            }
        }
    } else if language.is_some_and(|l| !matches!(l.name.as_str(), "sql" | "plpgsql" | "internal")) {
        parsed.opaque = true;
    } else {
        // BEGIN ATOMIC, and what a rule does instead: statements of the tree itself.
        for node in topmost(stmt.syntax()) {
            read(&node.text().to_string(), parsed.place(&node), &inside, out);
        }
    }
}

/// Tells whether a statement holds others that run at another time than itself.
pub(super) fn holds_others(stmt: &Stmt) -> bool {
    matches!(
        stmt,
        Stmt::CreateFunction(_) | Stmt::CreateProcedure(_) | Stmt::CreateRule(_)
    )
}

fn is_dynamic(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::PLPGSQL_DYN_EXECUTE_STMT
            | SyntaxKind::PLPGSQL_FOR_DYN_STMT
            | SyntaxKind::PLPGSQL_RETURN_QUERY_EXECUTE_STMT
            | SyntaxKind::PLPGSQL_OPEN_EXECUTE
    )
}

/// `PERFORM` stands for a SELECT whose result nobody wants, and is just as long.
fn selected(text: String) -> String {
    let before = text.len() - text.trim_start().len();
    match text.get(before..before + 7) {
        Some(word) if word.eq_ignore_ascii_case("perform") => {
            format!("{}SELECT {}", &text[..before], &text[before + 7..])
        }
        _ => text,
    }
}

fn language(options: Option<ast::FuncOptionList>) -> Option<ast::LanguageName> {
    options?.options().find_map(|option| match option {
        ast::FuncOption::LanguageFuncOption(language) => language.language_name(),
        _ => None,
    })
}

/// The statements of a body that stand in no other statement.
fn topmost(node: &SyntaxNode) -> Vec<SyntaxNode> {
    let mut found = Vec::new();
    for child in node.children() {
        if Stmt::can_cast(child.kind()) {
            found.push(child);
        } else {
            found.append(&mut topmost(&child));
        }
    }
    found
}

/// Where a node's own text begins, after blanks.
pub(super) fn start(node: &SyntaxNode) -> usize {
    usize::from(node.text_range().start()) + leading(node)
}

fn leading(node: &SyntaxNode) -> usize {
    let text = node.text().to_string();
    text.len() - text.trim_start().len()
}

/// The last part of a qualified name, as the server folds it.
fn last(node: &SyntaxNode) -> String {
    super::relations::parts_of(node).pop().unwrap_or_default()
}

/// The text with comments as blanks, every other byte in its place.
pub(super) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for token in tokenize(text) {
        let piece = text.get(at..at + token.len as usize).unwrap_or_default();
        at += token.len as usize;
        match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment { .. } => {
                out.extend(piece.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
            }
            _ => out.push_str(piece),
        }
    }
    out
}
