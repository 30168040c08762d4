//! Collects what is wrong with a file while it is read, so that all of it is reported at once.

use std::cell::RefCell;
use std::ops::Range;

use super::problem::{Problem, position};

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
}

impl<'a> Findings<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Findings {
            source,
            problems: RefCell::new(Vec::new()),
            secrets: RefCell::new(Vec::new()),
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
