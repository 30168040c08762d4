//! Collects what is wrong with a file while it is read, so that all of it is reported at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use super::problem::{Problem, position};
use super::template::fill;

/// A value and the bytes it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// Problems in the order in which they were met, and the places that must not be shown.
pub(super) struct Findings<'a> {
    source: &'a str,
    problems: RefCell<Vec<Problem>>,
    secrets: RefCell<Vec<Range<usize>>>,
    /// The runbook's variables, for the durations that are filled in while the file is read.
    vars: RefCell<BTreeMap<String, String>>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Findings {
            source,
            problems: RefCell::new(Vec::new()),
            secrets: RefCell::new(Vec::new()),
            vars: RefCell::new(BTreeMap::new()),
        }
    }

    pub(super) fn add(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        valid: Option<String>,
    ) {
        let (line, column) = position(self.source, span.start);
        self.problems.borrow_mut().push(Problem {
            span,
            line,
            column,
            message: message.into(),
            label: label.into(),
            valid,
        });
    }

    /// Remembers the variables once they are read.
    pub(super) fn know(&self, vars: &BTreeMap<String, String>) {
        self.vars.borrow_mut().clone_from(vars);
    }

    /// Fills variables in; `None` when one is not known.
    pub(super) fn fill(&self, template: &str) -> Option<String> {
        fill(template, &self.vars.borrow()).ok()
    }

    /// Keeps a place of the file out of everything that is said about it.
    pub(super) fn conceal(&self, span: Range<usize>) {
        self.secrets.borrow_mut().push(span);
    }

    /// The line, from 1, on which a place is.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        position(self.source, span.start).0
    }

    /// The file's own text at a place.
    pub(super) fn text(&self, span: Range<usize>) -> &'a str {
        self.source.get(span).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    pub(super) fn into_parts(self) -> (Vec<Problem>, Vec<Range<usize>>) {
        (self.problems.into_inner(), self.secrets.into_inner())
    }
}
