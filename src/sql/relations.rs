//! Which relations a statement writes: its rows, its definition, or what hangs on it.

use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::{SyntaxElement, SyntaxNode};

use super::statements::{Part, holds_others, parts, start};

/// One write of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The relation, lower case where it was not quoted, with its schema if one was named.
    pub relation: String,
    /// How, such as `INSERT INTO`.
    pub verb: &'static str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The statement that writes, on one line.
    pub statement: String,
    /// The name was found in text, not by parsing: SQL that is put together at run time.
    pub guessed: bool,
}

/// Finds what the statements of a SQL file write, those in function bodies included.
pub fn writes(text: &str) -> Vec<Write> {
    let text = super::normalise(text);
    let places = super::Places::new(&text);
    let mut out = Vec::new();
    for part in parts(&text) {
        let Part::Statement(parsed) = part else {
            continue;
        };
        for (relation, verb, node) in parsed
            .stmts()
            .iter()
            .flat_map(|stmt| written(stmt.syntax()))
        {
            // In a block, INTO fills a variable.
            if verb == "SELECT INTO" && !parsed.is_top() {
                continue;
            }
            let at = parsed.at + start(&node);
            let (line, column) = places.of(at);
            out.push(Write {
                relation,
                verb,
                line,
                column,
                statement: super::one_line(&parsed.text),
                guessed: false,
            });
        }
        if !parsed.dynamic.is_empty() {
            let guessed = super::embedded::find(&parsed.text);
            out.extend(guessed.into_iter().map(|found| {
                let (line, column) = places.of(parsed.at + found.at);
                Write {
                    relation: found.relation,
                    verb: found.verb,
                    line,
                    column,
                    statement: super::one_line(&parsed.text),
                    guessed: true,
                }
            }));
        }
    }
    out
}

type Written = (String, &'static str, SyntaxNode);

/// Walks a statement and those inside it.
pub(super) fn written(root: &SyntaxNode) -> Vec<Written> {
    let mut out = Vec::new();
    let inside = !Stmt::cast(root.clone()).is_some_and(|stmt| holds_others(&stmt));
    let inner = root.descendants().skip(1).filter(|_| inside);
    for node in std::iter::once(root.clone()).chain(inner) {
        if let Some(stmt) = Stmt::cast(node) {
            of_rows(&stmt, &mut out);
            of_tables(&stmt, &mut out);
            of_other_objects(&stmt, &mut out);
        }
    }
    out
}

fn add(out: &mut Vec<Written>, verb: &'static str, node: Option<&SyntaxNode>) {
    if let Some(node) = node {
        let parts = parts_of(node);
        if !parts.is_empty() {
            out.push((parts.join("."), verb, node.clone()));
        }
    }
}

macro_rules! each {
    ($out:expr, $verb:literal, $nodes:expr) => {
        $nodes
            .into_iter()
            .for_each(|found| add($out, $verb, Some(found.syntax())))
    };
}

fn of_rows(stmt: &Stmt, out: &mut Vec<Written>) {
    match stmt {
        Stmt::Insert(s) => each!(out, "INSERT INTO", s.relation_name_ref()),
        Stmt::Update(s) => each!(out, "UPDATE", s.relation_name()),
        Stmt::Delete(s) => each!(out, "DELETE FROM", s.relation_name()),
        Stmt::Merge(s) => each!(out, "MERGE INTO", s.table_relation_name()),
        Stmt::Truncate(s) => {
            each!(
                out,
                "TRUNCATE",
                s.table_list()
                    .iter()
                    .flat_map(ast::TableList::table_relation_names)
            );
        }
        Stmt::Copy(s) if matches!(s.copy_direction(), Some(ast::CopyDirection::CopyFrom(_))) => {
            each!(
                out,
                "COPY FROM",
                s.copy_table().and_then(|t| t.table_name_ref())
            );
        }
        Stmt::SelectInto(s) => {
            each!(
                out,
                "SELECT INTO",
                s.into_clause().and_then(|i| i.table_name())
            );
        }
        Stmt::Lock(s) => {
            each!(
                out,
                "LOCK",
                s.relation_list()
                    .iter()
                    .flat_map(ast::RelationList::relation_names)
            );
        }
        Stmt::Refresh(s) => each!(out, "REFRESH", s.view_ref()),
        _ => {}
    }
}

fn of_tables(stmt: &Stmt, out: &mut Vec<Written>) {
    match stmt {
        Stmt::CreateTable(s) => each!(out, "CREATE TABLE", s.table_name()),
        Stmt::CreateTableAs(s) => each!(out, "CREATE TABLE", s.table_name()),
        Stmt::CreateForeignTable(s) => each!(out, "CREATE TABLE", s.table_name()),
        Stmt::AlterTable(s) => each!(out, "ALTER TABLE", s.table_relation_name()),
        Stmt::AlterForeignTable(s) => each!(out, "ALTER TABLE", s.table_relation_name()),
        Stmt::DropTable(s) => each!(out, "DROP TABLE", s.table_name_refs()),
        Stmt::DropForeignTable(s) => each!(out, "DROP TABLE", s.table_name_refs()),
        Stmt::CreateIndex(s) => each!(out, "CREATE INDEX", s.table_relation_name()),
        Stmt::DropIndex(s) => each!(out, "DROP INDEX", s.index_refs()),
        Stmt::Cluster(s) => each!(out, "CLUSTER", s.table_name_ref()),
        Stmt::CreateTrigger(s) => {
            each!(
                out,
                "CREATE TRIGGER",
                s.on_relation().and_then(|o| o.relation_name_ref())
            );
        }
        Stmt::DropTrigger(s) => {
            each!(
                out,
                "DROP TRIGGER",
                s.on_relation().and_then(|o| o.relation_name_ref())
            );
        }
        Stmt::CreatePolicy(s) => {
            each!(
                out,
                "CREATE POLICY",
                s.on_table().and_then(|o| o.table_name_ref())
            );
        }
        Stmt::AlterPolicy(s) => {
            each!(
                out,
                "ALTER POLICY",
                s.on_table().and_then(|o| o.table_name_ref())
            );
        }
        Stmt::DropPolicy(s) => {
            each!(
                out,
                "DROP POLICY",
                s.on_table().and_then(|o| o.table_name_ref())
            );
        }
        _ => {}
    }
}

fn of_other_objects(stmt: &Stmt, out: &mut Vec<Written>) {
    match stmt {
        Stmt::CreateView(s) => each!(out, "CREATE VIEW", s.view()),
        Stmt::AlterView(s) => each!(out, "ALTER VIEW", s.view_ref()),
        Stmt::DropView(s) => each!(out, "DROP VIEW", s.view_refs()),
        Stmt::CreateMaterializedView(s) => each!(out, "CREATE MATERIALIZED VIEW", s.view()),
        Stmt::AlterMaterializedView(s) => each!(out, "ALTER MATERIALIZED VIEW", s.view_ref()),
        Stmt::DropMaterializedView(s) => each!(out, "DROP MATERIALIZED VIEW", s.view_refs()),
        Stmt::CreateSequence(s) => each!(out, "CREATE SEQUENCE", s.sequence()),
        Stmt::AlterSequence(s) => each!(out, "ALTER SEQUENCE", s.sequence_ref()),
        Stmt::DropSequence(s) => each!(out, "DROP SEQUENCE", s.sequence_refs()),
        Stmt::DropSchema(s) => {
            for schema in s.schema_refs() {
                let name = schema.syntax().text().to_string();
                let name = fold(name.trim());
                // Everything in it goes.
                out.push((format!("{name}.*"), "DROP SCHEMA", schema.syntax().clone()));
            }
        }
        _ => {}
    }
}

/// The parts of a qualified name, folded as the server folds them.
pub(super) fn parts_of(node: &SyntaxNode) -> Vec<String> {
    let path = std::iter::once(node.clone())
        .chain(node.descendants())
        .find(|n| ast::PathRef::can_cast(n.kind()) || ast::Path::can_cast(n.kind()));
    let Some(path) = path else {
        return Vec::new();
    };
    let mut parts = Vec::new();
    let mut current = String::new();
    for token in path
        .descendants_with_tokens()
        .filter_map(SyntaxElement::into_token)
    {
        match token.text() {
            "." => parts.push(fold(&std::mem::take(&mut current))),
            text if text.trim().is_empty() => {}
            text => current.push_str(text),
        }
    }
    parts.push(fold(&current));
    parts.retain(|part| !part.is_empty());
    parts
}

/// A name as the server knows it: lower case, or what stands between its quotes.
pub(super) fn fold(name: &str) -> String {
    match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

/// Tells whether a relation is one of those that a pattern such as `eng.*` or `eng_*` means.
///
/// A pattern with a dot is compared with schema and name, one without with the name alone.
pub fn is_meant(pattern: &str, relation: &str) -> bool {
    let parts: Vec<&str> = relation.split('.').collect();
    let pattern = pattern.to_lowercase();
    let relation = match (pattern.contains('.'), parts.as_slice()) {
        (true, [.., schema, name]) => format!("{schema}.{name}"),
        (true, _) => return false,
        (false, parts) => parts.last().copied().unwrap_or_default().to_owned(),
    };
    matches(&pattern, &relation.to_lowercase())
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| matches(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(sql: &str) -> Vec<String> {
        let found = writes(sql);
        found
            .iter()
            .map(|w| format!("{} {}", w.verb, w.relation))
            .collect()
    }

    #[test]
    fn every_kind_of_write_is_seen() {
        for (sql, wanted) in [
            ("insert into Eng.T values (1)", "INSERT INTO eng.t"),
            (
                "INSERT INTO \"Eng\".\"t x\" select 1",
                "INSERT INTO Eng.t x",
            ),
            ("update only eng.t set a = 1", "UPDATE eng.t"),
            ("delete from eng.t where a = 1", "DELETE FROM eng.t"),
            (
                "merge into eng.t using s on a = b when matched then delete",
                "MERGE INTO eng.t",
            ),
            (
                "truncate eng.a, only eng.b",
                "TRUNCATE eng.a TRUNCATE eng.b",
            ),
            ("copy eng.t (a) from stdin", "COPY FROM eng.t"),
            ("select 1 into eng.t", "SELECT INTO eng.t"),
            (
                "create table if not exists eng.t (a int)",
                "CREATE TABLE eng.t",
            ),
            ("create table eng.t as select 1", "CREATE TABLE eng.t"),
            ("alter table if exists eng.t add a int", "ALTER TABLE eng.t"),
            (
                "drop table eng.a, b cascade",
                "DROP TABLE eng.a DROP TABLE b",
            ),
            ("create unique index i on eng.t (a)", "CREATE INDEX eng.t"),
        ] {
            assert_eq!(seen(sql).join(" "), wanted, "{sql}");
        }
    }

    #[test]
    fn writes_of_other_objects_and_inside_others_are_seen() {
        for (sql, wanted) in [
            (
                "create or replace view eng.v as select 1",
                "CREATE VIEW eng.v",
            ),
            ("refresh materialized view eng.m", "REFRESH eng.m"),
            ("drop schema eng cascade", "DROP SCHEMA eng.*"),
            (
                "create trigger x after insert on eng.t for each row execute function f()",
                "CREATE TRIGGER eng.t",
            ),
            (
                "create policy p on eng.t using (true)",
                "CREATE POLICY eng.t",
            ),
            ("alter sequence eng.s restart", "ALTER SEQUENCE eng.s"),
            (
                "with gone as (delete from eng.t returning *) select * from gone",
                "DELETE FROM eng.t",
            ),
            (
                "do $$ begin if true then insert into eng.t values (1); end if; end $$",
                "INSERT INTO eng.t",
            ),
            (
                "create function f() returns void language sql as 'update eng.t set a = 1'",
                "UPDATE eng.t",
            ),
            (
                "do $$ begin execute 'delete from eng.t where true'; end $$",
                "DELETE FROM eng.t",
            ),
            (
                "prepare p as insert into eng.t values ($1)",
                "INSERT INTO eng.t",
            ),
            (
                "create function f() returns void begin atomic insert into eng.t values (1); end",
                "INSERT INTO eng.t",
            ),
            (
                "create rule r as on insert to v do instead delete from eng.t",
                "DELETE FROM eng.t",
            ),
            ("explain analyze delete from eng.t", "DELETE FROM eng.t"),
        ] {
            assert_eq!(seen(sql).join(" "), wanted, "{sql}");
        }
        for sql in [
            "select * from eng.t",
            "copy eng.t to stdout",
            "select 'insert into eng.t'",
            "-- insert into eng.t\nselect 1",
        ] {
            assert_eq!(seen(sql), [""; 0], "{sql}");
        }
    }

    #[test]
    fn a_write_has_its_place() {
        let found = writes("select 1;\n\n  do $$\nbegin\n  insert into eng.t values (1);\nend $$;");
        assert_eq!((found[0].line, found[0].column), (5, 15));
    }

    #[test]
    fn patterns_mean_schemas_or_names() {
        assert!(is_meant("eng.*", "eng.t") && is_meant("ENG.*", "eng.t"));
        assert!(is_meant("eng_*", "eng_t") && is_meant("eng_*", "public.eng_t"));
        assert!(is_meant("eng.*", "eng.*") && is_meant("eng.*", "db.eng.t"));
        assert!(!is_meant("eng.*", "t") && !is_meant("eng.*", "engine.t"));
        assert!(!is_meant("eng_*", "vh.t") && is_meant("*", "t"));
    }
}
