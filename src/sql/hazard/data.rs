//! Data that would be lost.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AlterTableAction, AstNode, DropBehavior, Stmt};

use super::super::relations::parts_of;
use super::super::statements::holds_others;
use super::Found;
use super::rule::{self, Rule};

/// Looks at a statement and at those inside it.
pub(super) fn look(stmt: &Stmt, out: &mut Vec<Found>) {
    // A function's own statements are read from its body, with the time at which they run.
    let inside = !holds_others(stmt);
    let inner = stmt.syntax().descendants().skip(1).filter(|_| inside);
    for node in std::iter::once(stmt.syntax().clone()).chain(inner) {
        if let Some(inner) = Stmt::cast(node) {
            drops(&inner, out);
            rows(&inner, out);
            cascades(&inner, out);
        }
    }
    if let Stmt::AlterTable(alter) = stmt {
        let relation = name(alter.table_relation_name().as_ref().map(AstNode::syntax));
        for action in alter.actions() {
            column(&action, relation.clone(), out);
        }
    }
    if let Stmt::AlterType(alter) = stmt
        && let Some(ast::AlterTypeAction::AlterTypeAttributeActionList(list)) = alter.action()
    {
        let drops = |node: &SyntaxNode| ast::DropAttribute::can_cast(node.kind());
        for node in list.syntax().descendants().filter(drops) {
            out.push(Found::new(rule::DROP_ATTRIBUTE, &node, None));
        }
    }
}

fn name(node: Option<&SyntaxNode>) -> Option<String> {
    let parts = parts_of(node?);
    (!parts.is_empty()).then(|| parts.join("."))
}

fn drops(stmt: &Stmt, out: &mut Vec<Found>) {
    macro_rules! each {
        ($rule:expr, $stmt:expr, $names:expr) => {
            for found in $names {
                let relation = name(Some(found.syntax()));
                out.push(Found::new($rule, $stmt.syntax(), relation));
            }
        };
    }
    match stmt {
        Stmt::DropTable(s) => each!(rule::DROP_TABLE, s, s.table_name_refs()),
        Stmt::DropMaterializedView(s) => each!(rule::DROP_MATVIEW, s, s.view_refs()),
        Stmt::DropSequence(s) => each!(rule::DROP_SEQUENCE, s, s.sequence_refs()),
        Stmt::DropSchema(s) => out.push(Found::new(rule::DROP_SCHEMA, s.syntax(), None)),
        Stmt::DropDatabase(s) => out.push(Found::new(rule::DROP_DATABASE, s.syntax(), None)),
        Stmt::DropOwned(s) => out.push(Found::new(rule::DROP_OWNED, s.syntax(), None)),
        _ => {}
    }
}

fn rows(stmt: &Stmt, out: &mut Vec<Found>) {
    match stmt {
        Stmt::Truncate(s) => {
            let cascade = matches!(s.drop_behavior(), Some(DropBehavior::Cascade(_)));
            let rule = if cascade {
                rule::TRUNCATE_CASCADE
            } else {
                rule::TRUNCATE
            };
            let names = s.table_list();
            for table in names.iter().flat_map(ast::TableList::table_relation_names) {
                // CASCADE reaches tables that the file has not made.
                let relation = name(Some(table.syntax())).filter(|_| !cascade);
                out.push(Found::new(rule, s.syntax(), relation));
            }
        }
        Stmt::Delete(s) if takes_all(s.where_clause_or_current_of()) => {
            let relation = name(s.relation_name().as_ref().map(AstNode::syntax));
            out.push(Found::new(rule::DELETE_ALL, s.syntax(), relation));
        }
        Stmt::Update(s) if takes_all(s.where_clause_or_current_of()) => {
            let relation = name(s.relation_name().as_ref().map(AstNode::syntax));
            out.push(Found::new(rule::UPDATE_ALL, s.syntax(), relation));
        }
        Stmt::Merge(s) => {
            let relation = name(s.table_relation_name().as_ref().map(AstNode::syntax));
            for clause in s.merge_when_clauses() {
                if let ast::MergeWhenClause::MergeWhenNotMatchedSource(clause) = clause
                    && clause.merge_condition().is_none()
                    && matches!(
                        clause.merge_action(),
                        Some(ast::MergeAction::MergeDelete(_))
                    )
                {
                    let found = Found::new(rule::MERGE_DELETE, clause.syntax(), relation.clone());
                    out.push(found);
                }
            }
        }
        _ => {}
    }
}

/// No condition, or one that is true of every row.
fn takes_all(condition: Option<ast::WhereClauseOrCurrentOf>) -> bool {
    match condition {
        None => true,
        Some(ast::WhereClauseOrCurrentOf::WhereCurrentOf(_)) => false,
        Some(ast::WhereClauseOrCurrentOf::WhereClause(clause)) => {
            let text = clause
                .expr()
                .map_or(String::new(), |e| e.syntax().text().to_string());
            let dense: String = text
                .chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')'))
                .collect();
            matches!(
                dense.to_lowercase().as_str(),
                "" | "true" | "nottrue=false" | "'t'" | "notfalse"
            ) || dense
                .split_once('=')
                .is_some_and(|(a, b)| a == b && a.chars().all(|c| c.is_ascii_digit() || c == '\''))
        }
    }
}

/// `DROP … CASCADE` of anything whose own rule does not say it already.
fn cascades(stmt: &Stmt, out: &mut Vec<Found>) {
    let node = stmt.syntax();
    let is_drop = node
        .first_token()
        .is_some_and(|_| first_word(node).eq_ignore_ascii_case("drop"));
    let cascade = node.children().any(|n| ast::Cascade::can_cast(n.kind()));
    if is_drop && cascade {
        out.push(Found::new(rule::DROP_CASCADE, node, None));
    }
}

fn first_word(node: &SyntaxNode) -> String {
    let text = node.text().to_string();
    text.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn column(action: &AlterTableAction, relation: Option<String>, out: &mut Vec<Found>) {
    match action {
        AlterTableAction::DropColumn(drop) => {
            if matches!(drop.drop_behavior(), Some(DropBehavior::Cascade(_))) {
                out.push(Found::new(rule::DROP_CASCADE, drop.syntax(), None));
            }
            out.push(Found::new(rule::DROP_COLUMN, drop.syntax(), relation));
        }
        AlterTableAction::DropConstraint(drop) => {
            if matches!(drop.drop_behavior(), Some(DropBehavior::Cascade(_))) {
                out.push(Found::new(rule::DROP_CASCADE, drop.syntax(), None));
            }
        }
        AlterTableAction::AlterColumn(alter) => {
            if let Some(ast::AlterColumnOption::SetType(set)) = alter.option()
                && is_lossy(&set)
            {
                out.push(Found::new(rule::LOSSY_TYPE, set.syntax(), relation));
            }
        }
        _ => {}
    }
}

/// Types that may hold less than the one before, which the file does not name. `bigint`, `text`,
/// `timestamptz` and their like are where columns usually grow to.
fn is_lossy(set: &ast::SetType) -> bool {
    const NARROW: [&str; 13] = [
        "smallint",
        "int2",
        "integer",
        "int",
        "int4",
        "real",
        "float4",
        "date",
        "time",
        "boolean",
        "bool",
        "char",
        "character",
    ];
    const SHORTENS: [&str; 9] = [
        "left(",
        "right(",
        "substr(",
        "substring(",
        "trunc(",
        "round(",
        "floor(",
        "ceil(",
        "date_trunc(",
    ];
    let text = |node: &SyntaxNode| node.text().to_string().to_lowercase();
    let ty = set.ty().map_or(String::new(), |ty| text(ty.syntax()));
    let base = ty.trim().split(['(', ' ']).next().unwrap_or_default();
    let rounds =
        ty.contains('(') && ["numeric", "decimal", "timestamp", "timestamptz"].contains(&base);
    let using = set
        .using_expr()
        .map_or(String::new(), |using| text(using.syntax()));
    let dense: String = using.chars().filter(|c| !c.is_whitespace()).collect();
    // A cast to a length cuts off without a word.
    let cut =
        dense.contains("::varchar(") || dense.contains("::char(") || dense.contains("usingnull");
    NARROW.contains(&base) || rounds || cut || SHORTENS.iter().any(|call| dense.contains(call))
}

/// What a statement that could not be read begins like.
pub(super) fn by_words(text: &str) -> Option<Rule> {
    let mut words = text.split_whitespace().map(str::to_uppercase);
    let first = words.next()?;
    let harmless = [
        "TRIGGER",
        "POLICY",
        "RULE",
        "INDEX",
        "VIEW",
        "FUNCTION",
        "PROCEDURE",
    ];
    let second = words.next().unwrap_or_default();
    let destructive = matches!(first.as_str(), "TRUNCATE" | "DELETE")
        || (first == "DROP" && !harmless.contains(&second.as_str()));
    destructive.then_some(rule::UNREADABLE_DESTRUCTIVE)
}
