//! Locks that others wait for, and tables that are written anew, beyond what the linter knows.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AlterTableAction as Action, AstNode, Stmt};

use super::super::relations::parts_of;
use super::Found;
use super::rule::{self, Rule};

macro_rules! on {
    ($out:expr, $rule:expr, $stmt:expr, $name:expr) => {
        $out.push(Found::new(
            $rule,
            $stmt.syntax(),
            name($name.as_ref().map(AstNode::syntax)),
        ))
    };
}

/// Looks at one statement.
pub(super) fn look(stmt: &Stmt, out: &mut Vec<Found>) {
    match stmt {
        Stmt::AlterTable(s) => {
            let relation = name(s.table_relation_name().as_ref().map(AstNode::syntax));
            alter_table(s, relation.as_deref(), out);
        }
        Stmt::AlterIndex(s) if has::<ast::SetTablespace>(s.syntax()) => {
            on!(out, rule::SET_TABLESPACE, s, s.index_ref());
        }
        Stmt::AlterMaterializedView(s) if has::<ast::SetTablespace>(s.syntax()) => {
            on!(out, rule::SET_TABLESPACE, s, s.view_ref());
        }
        Stmt::Cluster(s) => on!(out, rule::CLUSTER, s, s.table_name_ref()),
        Stmt::Vacuum(s) if vacuums_full(s) => {
            out.push(Found::new(rule::VACUUM_FULL, s.syntax(), None));
        }
        Stmt::Refresh(s) if s.concurrently_token().is_none() => {
            on!(out, rule::REFRESH, s, s.view_ref());
        }
        Stmt::Lock(s) => {
            for relation in s
                .relation_list()
                .iter()
                .flat_map(ast::RelationList::relation_names)
            {
                out.push(Found::new(
                    rule::EXPLICIT_LOCK,
                    s.syntax(),
                    name(Some(relation.syntax())),
                ));
            }
        }
        other => of_triggers_and_policies(other, out),
    }
}

/// Triggers, policies and views: each a lock for a moment.
fn of_triggers_and_policies(stmt: &Stmt, out: &mut Vec<Found>) {
    match stmt {
        Stmt::CreateTrigger(s) => {
            let table = s.on_relation().and_then(|on| on.relation_name_ref());
            on!(out, rule::CREATE_TRIGGER, s, table);
        }
        Stmt::CreatePolicy(s) => {
            on!(
                out,
                rule::ROW_SECURITY,
                s,
                s.on_table().and_then(|on| on.table_name_ref())
            );
        }
        Stmt::AlterPolicy(s) => {
            on!(
                out,
                rule::ROW_SECURITY,
                s,
                s.on_table().and_then(|on| on.table_name_ref())
            );
        }
        Stmt::DropPolicy(s) => {
            on!(
                out,
                rule::ROW_SECURITY,
                s,
                s.on_table().and_then(|on| on.table_name_ref())
            );
        }
        Stmt::DropTrigger(s) => {
            let table = s.on_relation().and_then(|on| on.relation_name_ref());
            on!(out, rule::DROP_RELATION, s, table);
        }
        Stmt::DropView(s) => {
            for view in s.view_refs() {
                out.push(Found::new(
                    rule::DROP_RELATION,
                    s.syntax(),
                    name(Some(view.syntax())),
                ));
            }
        }
        _ => {}
    }
}

fn name(node: Option<&SyntaxNode>) -> Option<String> {
    let parts = parts_of(node?);
    (!parts.is_empty()).then(|| parts.join("."))
}

fn has<N: AstNode>(node: &SyntaxNode) -> bool {
    node.descendants().any(|n| N::can_cast(n.kind()))
}

fn vacuums_full(vacuum: &ast::Vacuum) -> bool {
    let option = |option: ast::VacuumOption| {
        let text = option.syntax().text().to_string().to_uppercase();
        let mut words = text.split_whitespace();
        words.next() == Some("FULL") && !matches!(words.next(), Some("FALSE" | "OFF" | "0"))
    };
    vacuum.full_token().is_some()
        || vacuum
            .vacuum_option_list()
            .is_some_and(|list| list.vacuum_options().any(option))
}

fn alter_table(alter: &ast::AlterTable, relation: Option<&str>, out: &mut Vec<Found>) {
    let mut seen = 0;
    let mut brief = false;
    for action in alter.actions() {
        let rules = of_action(&action);
        seen += rules.len();
        for rule in rules {
            out.push(Found::new(
                rule,
                action.syntax(),
                relation.map(str::to_owned),
            ));
        }
        brief |= takes_everything(&action);
    }
    // One line a statement is enough for what it does in a moment.
    if seen == 0 && brief {
        let found = Found::new(
            rule::ALTER_TABLE,
            alter.syntax(),
            relation.map(str::to_owned),
        );
        out.push(found);
    }
}

/// Actions that need the strongest lock, if only for a moment.
fn takes_everything(action: &Action) -> bool {
    !matches!(
        action,
        Action::ValidateConstraint(_)
            | Action::AttachPartition(_)
            | Action::ClusterOn(_)
            | Action::SetWithoutCluster(_)
            | Action::SetOptions(_)
            | Action::ResetOptions(_)
            | Action::EnableTrigger(_)
            | Action::DisableTrigger(_)
            | Action::AddConstraint(_)
    )
}

fn of_action(action: &Action) -> Vec<Rule> {
    match action {
        Action::SetTablespace(_) => vec![rule::SET_TABLESPACE],
        Action::SetLogged(_) => vec![rule::SET_LOGGED],
        Action::SetUnlogged(_) => vec![rule::SET_UNLOGGED],
        Action::SetAccessMethod(_) => vec![rule::ACCESS_METHOD],
        Action::EnableRls(_)
        | Action::DisableRls(_)
        | Action::ForceRls(_)
        | Action::NoForceRls(_) => {
            vec![rule::ROW_SECURITY]
        }
        Action::EnableTrigger(_) | Action::DisableTrigger(_) => vec![rule::CREATE_TRIGGER],
        Action::DropConstraint(_) => vec![rule::DROP_CONSTRAINT],
        Action::AddColumn(add) => added_column(add),
        Action::AddConstraint(add) => match add.constraint() {
            Some(ast::Constraint::ExcludeConstraint(_)) => vec![rule::ADD_EXCLUDE],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A column whose values must be computed for every row that is there.
fn added_column(add: &ast::AddColumn) -> Vec<Rule> {
    let ty = add.ty().map_or(String::new(), |ty| {
        ty.syntax().text().to_string().trim().to_lowercase()
    });
    let mut rules = Vec::new();
    let serial = [
        "serial",
        "bigserial",
        "smallserial",
        "serial2",
        "serial4",
        "serial8",
    ];
    if serial.contains(&ty.as_str()) || has::<ast::GeneratedIdentity>(add.syntax()) {
        rules.push(rule::SERIAL_COLUMN);
    }
    let generated = add
        .syntax()
        .descendants()
        .find_map(ast::GeneratedStored::cast);
    if generated.is_some_and(|g| {
        !g.syntax()
            .text()
            .to_string()
            .to_uppercase()
            .contains("VIRTUAL")
    }) {
        rules.push(rule::GENERATED_COLUMN);
    }
    rules
}
