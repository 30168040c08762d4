//! A text with the places of its lines; joined by line feeds they are the text.

use std::collections::HashMap;

/// A text, by line. One that is empty has no lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines {
    text: String,
    /// Where each line begins, and one place behind the last line's feed.
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: String) -> Lines {
        let mut starts = Vec::new();
        if !text.is_empty() {
            starts.reserve(text.len() / 40 + 2);
            starts.push(0);
            starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
            starts.push(text.len() + 1);
        }
        Lines { text, starts }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    pub(super) fn line(&self, at: usize) -> &str {
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => &self.text[*start..end - 1],
            _ => "",
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.line(at))
    }
}

/// Gives every line a number, so that equal lines have equal ones. Numbers count from zero.
pub(super) fn numbered(old: &Lines, new: &Lines, ignore_whitespace: bool) -> [Vec<u32>; 2] {
    if ignore_whitespace {
        let squeezed = |lines: &Lines| lines.iter().map(squeezed).collect::<Vec<String>>();
        let (old, new) = (squeezed(old), squeezed(new));
        return numbers(
            old.iter().map(String::as_str),
            new.iter().map(String::as_str),
            old.len(),
        );
    }
    numbers(old.iter(), new.iter(), old.len())
}

fn numbers<'a>(
    old: impl Iterator<Item = &'a str>,
    new: impl Iterator<Item = &'a str>,
    expected: usize,
) -> [Vec<u32>; 2] {
    // The seed is another one in every process: nobody can prepare lines that collide.
    let mut known: HashMap<&str, u32, foldhash::fast::RandomState> =
        HashMap::with_capacity_and_hasher(expected, foldhash::fast::RandomState::default());
    let mut number = |line: &'a str| {
        let next = known.len() as u32;
        *known.entry(line).or_insert(next)
    };
    let old = old.map(&mut number).collect();
    let new = new.map(&mut number).collect();
    [old, new]
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_stands_between_line_feeds() {
        let shown = |text: &str| {
            let lines = Lines::of(text.to_owned());
            lines.iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(shown("").is_empty());
        assert_eq!(shown("a"), ["a"]);
        assert_eq!(shown("a\n日\n"), ["a", "日", ""]);
        assert_eq!(shown("\n"), ["", ""]);
    }

    #[test]
    fn equal_lines_have_equal_numbers() {
        let of = |text: &str| Lines::of(text.to_owned());
        let [old, new] = numbered(&of("a\nb\na"), &of("b\nc"), false);
        assert_eq!((old, new), (vec![0, 1, 0], vec![1, 2]));
        let [old, new] = numbered(&of(" a  b"), &of("a b"), true);
        assert_eq!(old, new);
    }
}
