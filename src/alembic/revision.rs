//! One revision file: what it says of itself, read without running it.

use tree_sitter::{Node, Parser};

use crate::untrusted::clean_line;

/// A revision, as its file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub id: String,
    /// The revisions before it; none for the first of a history, several where branches meet.
    pub down: Vec<String>,
    /// Revisions of other branches that must be there before it.
    pub depends_on: Vec<String>,
    pub labels: Vec<String>,
    /// The first line of its docstring.
    pub message: String,
    /// Its file, as it is shown to people.
    pub file: String,
    /// Its `upgrade` does nothing, as in a baseline.
    pub empty: bool,
    /// It has a `downgrade` that does something, or nothing to undo.
    pub reversible: bool,
}

/// Reads a revision file. `None` for a Python file that is no revision.
///
/// # Errors
/// What about it cannot be read without running it, in words.
pub fn read(file: &str, text: &str) -> Result<Option<Revision>, String> {
    let mut parser = Parser::new();
    let language = tree_sitter_python::LANGUAGE.into();
    parser
        .set_language(&language)
        .map_err(|error| error.to_string())?;
    let tree = parser
        .parse(text, None)
        .ok_or_else(|| "it cannot be parsed".to_owned())?;
    let root = tree.root_node();
    let module = Module { text, root };
    let Some(id) = module.assigned("revision") else {
        return match root.has_error() && text.contains("down_revision") {
            true => Err(format!("{file}: it is no valid Python")),
            false => Ok(None),
        };
    };
    if root.has_error() {
        return Err(format!("{file}: it is no valid Python"));
    }
    let one = |name: &str, list: Vec<String>| match list.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(format!("{file}: `{name}` is not one text")),
    };
    let list = |name: &str| {
        match module.assigned(name) {
        None => Ok(Vec::new()),
        Some(node) => module.texts(node).ok_or_else(|| {
            let line = node.start_position().row + 1;
            format!("{file}:{line}: `{name}` is not written out, so it cannot be read without running it")
        }),
    }
    };
    let own = module.texts(id).ok_or_else(|| {
        let line = id.start_position().row + 1;
        format!(
            "{file}:{line}: `revision` is not written out, so it cannot be read without running it"
        )
    })?;
    let upgrade = module.function("upgrade");
    let downgrade = module.function("downgrade");
    let empty = upgrade.is_none_or(|body| module.does_nothing(body));
    Ok(Some(Revision {
        id: one("revision", own)?,
        down: list("down_revision")?,
        depends_on: list("depends_on")?,
        labels: list("branch_labels")?,
        message: module.message(),
        file: file.to_owned(),
        empty,
        reversible: empty || downgrade.is_some_and(|body| !module.does_nothing(body)),
    }))
}

struct Module<'a> {
    text: &'a str,
    root: Node<'a>,
}

impl<'a> Module<'a> {
    fn of(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn statements(&self) -> impl Iterator<Item = Node<'a>> {
        let root = self.root;
        (0..root.named_child_count()).filter_map(move |at| root.named_child(at as u32))
    }

    /// The last value that a name is given at the top of the module.
    fn assigned(&self, name: &str) -> Option<Node<'a>> {
        let assignments = self.statements().filter_map(|statement| {
            let first = statement.named_child(0)?;
            (first.kind() == "assignment").then_some(first)
        });
        assignments
            .filter(|assignment| {
                let left = assignment.child_by_field_name("left");
                left.is_some_and(|left| self.of(left) == name)
            })
            .filter_map(|assignment| assignment.child_by_field_name("right"))
            .last()
    }

    /// The texts of a literal: one, or a tuple, list or set of them; none for `None`.
    fn texts(&self, node: Node<'_>) -> Option<Vec<String>> {
        match node.kind() {
            "none" => Some(Vec::new()),
            "string" => Some(vec![self.string(node)?]),
            "parenthesized_expression" => self.texts(node.named_child(0)?),
            "tuple" | "list" | "set" | "expression_list" => (0..node.named_child_count())
                .filter_map(|at| node.named_child(at as u32))
                .filter(|child| child.kind() != "comment")
                .map(|child| self.string(child))
                .collect(),
            _ => None,
        }
    }

    /// The text of a plain string; none where something is filled in or escaped.
    fn string(&self, node: Node<'_>) -> Option<String> {
        if node.kind() != "string" {
            return None;
        }
        let mut text = String::new();
        for at in 0..node.named_child_count() {
            let part = node.named_child(at as u32)?;
            match part.kind() {
                "string_start" | "string_end" => {}
                "string_content" if part.named_child_count() == 0 => text.push_str(self.of(part)),
                _ => return None,
            }
        }
        Some(text)
    }

    fn message(&self) -> String {
        let docstring = self.statements().find_map(|statement| {
            let first = statement.named_child(0)?;
            let found = statement.kind() == "expression_statement" && first.kind() == "string";
            found.then(|| self.string(first)).flatten()
        });
        let docstring = docstring.unwrap_or_default();
        let line = docstring
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty());
        clean_line(line.unwrap_or_default())
    }

    /// The body of a function at the top of the module.
    fn function(&self, name: &str) -> Option<Node<'a>> {
        self.statements()
            .map(|statement| match statement.kind() {
                "decorated_definition" => statement
                    .child_by_field_name("definition")
                    .unwrap_or(statement),
                _ => statement,
            })
            .filter(|statement| statement.kind() == "function_definition")
            .filter(|function| {
                let own = function.child_by_field_name("name");
                own.is_some_and(|own| self.of(own) == name)
            })
            .filter_map(|function| function.child_by_field_name("body"))
            .last()
    }

    /// Tells whether a body is `pass`, a docstring, or nothing else.
    fn does_nothing(&self, body: Node<'_>) -> bool {
        (0..body.named_child_count())
            .filter_map(|at| body.named_child(at as u32))
            .all(|statement| match statement.kind() {
                "pass_statement" | "comment" => true,
                "expression_statement" => statement
                    .named_child(0)
                    .is_some_and(|first| matches!(first.kind(), "string" | "ellipsis")),
                _ => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASELINE: &str = r#""""Baseline: what was there.

Revision ID: 5a9d6371e18c
"""
from typing import Sequence, Union

revision: str = "5a9d6371e18c"
down_revision: Union[str, Sequence[str], None] = None
branch_labels = None


def upgrade() -> None:
    """Nothing."""
    pass


def downgrade() -> None:
    pass
"#;

    #[test]
    fn a_baseline_is_read_with_its_annotations() {
        let revision = read("a.py", BASELINE).unwrap().unwrap();
        assert_eq!(revision.id, "5a9d6371e18c");
        assert_eq!(revision.message, "Baseline: what was there.");
        assert!(revision.down.is_empty() && revision.empty && revision.reversible);
    }

    #[test]
    fn merges_dependencies_and_labels_are_lists() {
        let text = "revision = 'c'\ndown_revision = ('a',\n  'b',)  # both\n\
                    depends_on = ['x']\nbranch_labels = ('billing',)\n\
                    def upgrade():\n    op.drop_table('t')\n";
        let revision = read("c.py", text).unwrap().unwrap();
        assert_eq!(revision.down, ["a", "b"]);
        assert_eq!(revision.depends_on, ["x"]);
        assert_eq!(revision.labels, ["billing"]);
        assert!(!revision.empty && !revision.reversible);
    }

    #[test]
    fn what_must_be_run_to_be_known_is_said_with_its_line() {
        let computed = "revision = 'c'\ndown_revision = previous()\n";
        let reason = read("versions/c.py", computed).unwrap_err();
        assert!(
            reason.starts_with("versions/c.py:2: `down_revision`"),
            "{reason}"
        );
        let formatted = "revision = f'{x}'\n";
        read("c.py", formatted).unwrap_err();
        let broken = "revision = 'c'\ndown_revision = ('a'\n";
        assert!(
            read("c.py", broken)
                .unwrap_err()
                .contains("no valid Python")
        );
    }

    #[test]
    fn other_python_is_no_revision() {
        assert_eq!(read("env.py", "import os\n").unwrap(), None);
        assert_eq!(read("__init__.py", "").unwrap(), None);
    }
}
