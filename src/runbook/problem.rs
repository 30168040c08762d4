//! What is wrong with a file: where, why, and what would be right.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::secrets::{conceal, conceal_source};
use crate::untrusted::clean_line;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The few words that stand at the marked place.
    pub label: String,
    /// What would be right: the valid names, the nearest one.
    pub valid: Option<String>,
}

/// All problems of one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The path as it was given.
    pub path: String,
    /// The file's text, with passwords blanked out.
    source: String,
    pub problems: Vec<Problem>,
}

impl Problems {
    /// `secrets` are places of the source that are not shown.
    pub(super) fn new(
        path: &str,
        source: &str,
        mut problems: Vec<Problem>,
        secrets: &[Range<usize>],
    ) -> Problems {
        for problem in &mut problems {
            let shown = |text: &str| clean_line(&conceal(text));
            problem.message = shown(&problem.message);
            problem.label = shown(&problem.label);
            problem.valid = problem.valid.as_deref().map(shown);
        }
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        Problems {
            path: path.to_owned(),
            source: conceal_source(source, secrets),
            problems,
        }
    }

    /// Renders every problem with its line shown and marked.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut out = String::new();
        for problem in &self.problems {
            let mut group = Group::with_title(Level::ERROR.primary_title(problem.message.as_str()))
                .element(
                    Snippet::source(self.source.as_str())
                        .path(self.path.as_str())
                        .annotation(
                            AnnotationKind::Primary
                                .span(problem.span.clone())
                                .label(problem.label.as_str()),
                        ),
                );
            if let Some(valid) = &problem.valid {
                group = group.element(Level::HELP.message(valid.as_str()));
            }
            out.push_str(&renderer.render(&[group]));
            out.push_str("\n\n");
        }
        out.push_str(&self.closing());
        out.push('\n');
        out
    }

    fn closing(&self) -> String {
        match self.problems.len() {
            1 => format!("{}: 1 problem; nothing was started", self.path),
            n => format!("{}: {n} problems; nothing was started", self.path),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// Finds line and column, both from 1, of a byte of `source`.
pub(super) fn position(source: &str, byte: usize) -> (usize, usize) {
    let mut byte = byte.min(source.len());
    while !source.is_char_boundary(byte) {
        byte -= 1;
    }
    let before = &source[..byte];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// How alike two names are when one is most likely meant for the other.
const NEAR: f64 = 0.82;

/// Tells whether one name is most likely the other one, misspelt.
pub(super) fn near(given: &str, meant: &str) -> bool {
    strsim::jaro_winkler(given, meant) > NEAR
}

/// Names the choices, the nearest one first when one is near.
pub(super) fn choices(given: &str, valid: &[&str]) -> String {
    let nearest = valid
        .iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > NEAR);
    let listed = valid
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`? valid here: {listed}"),
        None if valid.is_empty() => "nothing is valid here".to_owned(),
        None => format!("valid here: {listed}"),
    }
}
