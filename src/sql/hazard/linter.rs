//! What squawk's rules find, in our words. Only rules about locks, rewrites and correctness are
//! asked: matters of taste have no place in a maintenance window.

use squawk_linter::{Linter, Rule as Asked};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{AstNode as _, Stmt};

use super::super::relations::written;
use super::super::statements::{Parsed, start};
use super::Found;
use super::rule::{self, Rule};

/// Squawk's rules, and ours for each.
const RULES: [(Asked, Rule); 15] = [
    (Asked::RequireConcurrentIndexCreation, rule::CREATE_INDEX),
    (Asked::RequireConcurrentIndexDeletion, rule::DROP_INDEX),
    (Asked::RequireConcurrentPartitionDetach, rule::DETACH),
    (Asked::RequireConcurrentReindex, rule::REINDEX),
    (Asked::ConstraintMissingNotValid, rule::ADD_CHECK),
    (Asked::AddingForeignKeyConstraint, rule::ADD_FOREIGN_KEY),
    (Asked::AddingNotNullableField, rule::SET_NOT_NULL),
    (Asked::AddingRequiredField, rule::REQUIRED_COLUMN),
    (Asked::AddingSerialPrimaryKeyField, rule::ADD_PRIMARY_KEY),
    (Asked::DisallowedUniqueConstraint, rule::ADD_UNIQUE),
    (Asked::ChangingColumnType, rule::TYPE_CHANGE),
    (Asked::AddingFieldWithDefault, rule::VOLATILE_DEFAULT),
    (Asked::RenamingColumn, rule::RENAME),
    (Asked::RenamingTable, rule::RENAME),
    (Asked::RenamingObject, rule::RENAME),
];

/// Asks the linter about one statement, whose comments were blanked out: it would obey some.
pub(super) fn look(parsed: &Parsed, out: &mut Vec<Found>) {
    let mut linter = Linter::from(RULES.map(|(asked, _)| asked));
    linter.settings.assume_in_transaction = true;
    let stmts: Vec<Stmt> = parsed.stmts();
    let Some(stmt) = stmts.first() else { return };
    let relation = written(stmt.syntax())
        .into_iter()
        .next()
        .map(|(name, ..)| name);
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for violation in linter.lint(&parsed.parse, &parsed.text) {
        let Some((_, rule)) = RULES.iter().find(|(asked, _)| *asked == violation.code) else {
            continue;
        };
        let at = usize::from(violation.text_range.start());
        let node = node_at(stmt.syntax(), at);
        let place = start(&node);
        let other = match violation.code {
            Asked::ConstraintMissingNotValid => is_no_check(&parsed.text, at),
            Asked::AddingFieldWithDefault => out.iter().any(|f| COMPUTED.contains(&f.rule.code)),
            _ => false,
        };
        let told = other
            || out
                .iter()
                .any(|f| f.rule.code == rule.code && start(&f.node) == place)
            || seen.contains(&(rule.code, place));
        if told {
            continue;
        }
        seen.push((rule.code, place));
        out.push(Found::new(*rule, &node, relation.clone()));
    }
}

/// Columns that are computed for every row have rules of their own.
const COMPUTED: [&str; 2] = [rule::SERIAL_COLUMN.code, rule::GENERATED_COLUMN.code];

/// Other constraints have rules of their own; one line for each is enough.
fn is_no_check(text: &str, at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default().to_uppercase();
    [
        "FOREIGN KEY",
        "REFERENCES",
        "UNIQUE",
        "PRIMARY KEY",
        "EXCLUDE",
    ]
    .iter()
    .any(|other| rest.contains(other))
        && !rest.contains("CHECK")
}

/// The smallest node that begins there.
fn node_at(root: &SyntaxNode, at: usize) -> SyntaxNode {
    root.descendants()
        .filter(|node| start(node) == at)
        .last()
        .unwrap_or_else(|| root.clone())
}
