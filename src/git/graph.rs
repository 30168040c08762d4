//! Draws commits as a graph: a lane for every line of descent, a mark for every commit.
//!
//! Commits come newest first, none before those that were made upon it. A lane ends where its next
//! commit is not in the list: there the branch that it is compared with begins.

use super::distance::CommitLine;

/// One line of the drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphLine {
    pub lanes: String,
    /// The commit that stands on it, by its place; a line without one only joins lanes.
    pub commit: Option<usize>,
}

/// More lanes than that leave no room for words; what is further right is not drawn.
const LANES: usize = 12;

/// Draws commits.
pub fn drawn(commits: &[CommitLine]) -> Vec<GraphLine> {
    let mut graph = Graph::default();
    for (place, commit) in commits.iter().enumerate() {
        graph.commit(place, commit, &commits[place + 1..]);
    }
    graph.lines
}

#[derive(Default)]
struct Graph<'a> {
    /// The commit that each lane leads to.
    lanes: Vec<Option<&'a str>>,
    lines: Vec<GraphLine>,
}

impl<'a> Graph<'a> {
    fn commit(&mut self, place: usize, commit: &'a CommitLine, rest: &'a [CommitLine]) {
        let id = commit.commit.as_str();
        let waiting = |lanes: &[Option<&str>], from: usize| {
            let found = lanes.iter().skip(from).position(|lane| *lane == Some(id));
            found.map(|at| at + from)
        };
        let at = match waiting(&self.lanes, 0) {
            Some(at) => at,
            None => self.open(id),
        };
        // Lanes that lead to the same commit come together above it.
        while let Some(other) = waiting(&self.lanes, at + 1) {
            self.join(at, other, "╯");
            self.lanes[other] = None;
        }
        let mark = if commit.parents > 1 { "◆" } else { "●" };
        let lanes = self.row(|lane, taken| match (lane == at, taken) {
            (true, _) => mark,
            (_, true) => "│",
            _ => " ",
        });
        self.lines.push(GraphLine {
            lanes,
            commit: Some(place),
        });
        let listed = |id: &&String| rest.iter().any(|next| next.commit == **id);
        let mut parents = commit.parent_ids.iter().filter(listed);
        self.lanes[at] = parents.next().map(String::as_str);
        for parent in parents {
            let known = self.lanes.iter().position(|lane| *lane == Some(parent));
            let (lane, end) = match known {
                Some(lane) => (lane, "┤"),
                None => (self.open(parent), "╮"),
            };
            if lane != at {
                self.join(at, lane, end);
            }
        }
        while self.lanes.last() == Some(&None) {
            self.lanes.pop();
        }
    }

    /// Takes the first lane that is free.
    fn open(&mut self, id: &'a str) -> usize {
        let free = self.lanes.iter().position(Option::is_none);
        let at = free.unwrap_or_else(|| {
            self.lanes.push(None);
            self.lanes.len() - 1
        });
        self.lanes[at] = Some(id);
        at
    }

    /// Draws a line from a lane to another.
    fn join(&mut self, from: usize, to: usize, end: &'static str) {
        let (left, right) = (from.min(to), from.max(to));
        let mut lanes = String::new();
        for (lane, taken) in self.lanes.iter().enumerate().take(LANES) {
            let inside = lane > left && lane < right;
            lanes.push_str(match (lane, taken.is_some()) {
                (lane, _) if lane == left => "├",
                (lane, _) if lane == right && from < to => end,
                (lane, _) if lane == right => "┤",
                (_, true) if inside => "┼",
                (_, false) if inside => "─",
                (_, true) => "│",
                _ => " ",
            });
            lanes.push(if lane >= left && lane < right {
                '─'
            } else {
                ' '
            });
        }
        self.lines.push(GraphLine {
            lanes: lanes.trim_end().to_owned(),
            commit: None,
        });
    }

    fn row(&self, sign: impl Fn(usize, bool) -> &'static str) -> String {
        let mut out = String::new();
        for (lane, taken) in self.lanes.iter().enumerate().take(LANES) {
            out.push_str(sign(lane, taken.is_some()));
            out.push(' ');
        }
        out.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits(history: &[(&str, &[&str])]) -> Vec<CommitLine> {
        let line = |(commit, parents): &(&str, &[&str])| CommitLine {
            commit: (*commit).to_owned(),
            parents: parents.len(),
            parent_ids: parents.iter().map(|id| (*id).to_owned()).collect(),
            author: String::new(),
            time: 0,
            subject: String::new(),
        };
        history.iter().map(line).collect()
    }

    fn shown(history: &[(&str, &[&str])]) -> Vec<String> {
        let commits = commits(history);
        let line = |line: GraphLine| match line.commit {
            Some(place) => format!("{} {}", line.lanes, commits[place].commit),
            None => line.lanes,
        };
        drawn(&commits).into_iter().map(line).collect()
    }

    #[test]
    fn a_straight_line_is_one_lane() {
        assert_eq!(shown(&[("b", &["a"]), ("a", &["base"])]), ["● b", "● a"]);
    }

    #[test]
    fn a_merge_opens_a_lane_that_comes_back() {
        let history: &[(&str, &[&str])] = &[
            ("m", &["b", "x"]),
            ("x", &["a"]),
            ("b", &["a"]),
            ("a", &["base"]),
        ];
        let drawing = ["◆ m", "├─╮", "│ ● x", "● │ b", "├─╯", "● a"];
        assert_eq!(shown(history), drawing);
    }

    #[test]
    fn a_parent_that_is_not_listed_has_no_lane() {
        let history: &[(&str, &[&str])] = &[("m", &["b", "main"]), ("b", &["base"])];
        assert_eq!(shown(history), ["◆ m", "● b"]);
    }

    #[test]
    fn lanes_are_crossed() {
        let history: &[(&str, &[&str])] = &[
            ("m", &["c", "x"]),
            ("n", &["y", "c"]),
            ("x", &["a"]),
            ("y", &["a"]),
            ("c", &["a"]),
            ("a", &[]),
        ];
        let drawing = shown(history);
        assert_eq!(drawing[0], "◆ m");
        assert_eq!(drawing.last().unwrap(), "● a");
        assert!(
            drawing.iter().all(|line| line.chars().count() < 9),
            "{drawing:?}"
        );
    }
}
