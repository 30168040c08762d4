//! Tells whether a text is exactly one statement that makes one thing of a kind.

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::split::{Piece, pieces};

/// What a statement makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    View,
    Table,
    /// One column or one constraint is added.
    TableAltered,
    Domain,
    /// One constraint is added.
    DomainAltered,
    Policy,
    Routine,
    Index,
    Statistics,
    Trigger,
    Rule,
}

impl Made {
    /// Tells whether the text is one whole statement of this kind, and nothing else.
    pub fn is_one(self, text: &str) -> bool {
        let pieces = pieces(text);
        let [Piece::Statement { .. }] = pieces.as_slice() else {
            return false;
        };
        let mut stmts = SourceFile::parse(text).tree().stmts();
        match (stmts.next(), stmts.next()) {
            (Some(stmt), None) => self.is_of(&stmt),
            _ => false,
        }
    }

    fn is_of(self, stmt: &Stmt) -> bool {
        match (self, stmt) {
            (Made::TableAltered, Stmt::AlterTable(alter)) => {
                let mut actions = alter.actions();
                let added = |action: &AlterTableAction| {
                    matches!(
                        action,
                        AlterTableAction::AddConstraint(_) | AlterTableAction::AddColumn(_)
                    )
                };
                actions.next().is_some_and(|action| added(&action)) && actions.next().is_none()
            }
            (Made::View, Stmt::CreateView(_))
            | (Made::Table, Stmt::CreateTable(_))
            | (Made::Domain, Stmt::CreateDomain(_))
            | (Made::DomainAltered, Stmt::AlterDomain(_))
            | (Made::Policy, Stmt::CreatePolicy(_))
            | (Made::Routine, Stmt::CreateFunction(_) | Stmt::CreateProcedure(_))
            | (Made::Index, Stmt::CreateIndex(_))
            | (Made::Statistics, Stmt::CreateStatistics(_))
            | (Made::Trigger, Stmt::CreateTrigger(_))
            | (Made::Rule, Stmt::CreateRule(_)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_of_the_kind_is_told_from_everything_else() {
        for (made, sql) in [
            (Made::View, "CREATE VIEW a.b AS SELECT 1 AS id"),
            (
                Made::Table,
                "CREATE TABLE a.b (LIKE a.c) PARTITION BY LIST (lower(d))",
            ),
            (
                Made::TableAltered,
                "ALTER TABLE ONLY t ADD CONSTRAINT c CHECK ((a > 0)) NOT VALID",
            ),
            (
                Made::TableAltered,
                "ALTER TABLE t ADD COLUMN c int DEFAULT f(1, 2)",
            ),
            (
                Made::DomainAltered,
                "ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID",
            ),
            (
                Made::Index,
                "CREATE UNIQUE INDEX i ON a.t USING btree (lower(b)) WHERE (c > 0)",
            ),
            (
                Made::Rule,
                "CREATE RULE r AS ON INSERT TO a.t DO (SELECT 1; SELECT 2)",
            ),
            (
                Made::Routine,
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END",
            ),
        ] {
            assert!(made.is_one(sql), "{sql}");
        }
        for (made, sql) in [
            (
                Made::View,
                "CREATE VIEW a.b AS SELECT 1 AS id; COPY (SELECT 1) TO PROGRAM 'id'; --",
            ),
            (Made::View, "CREATE VIEW a.b AS SELECT 1 AS id; --"),
            (Made::Index, "COPY (SELECT 1) TO PROGRAM ' INDEX i '"),
            (
                Made::TableAltered,
                "ALTER TABLE t ADD CONSTRAINT c CHECK (true), ALTER a TYPE int USING f()",
            ),
            (Made::TableAltered, "ALTER TABLE t OWNER TO a"),
        ] {
            // A comment behind the only statement is no second one.
            let alone = sql.ends_with("id; --");
            assert_eq!(made.is_one(sql), alone, "{sql}");
        }
    }
}
