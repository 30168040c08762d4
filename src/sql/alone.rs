//! Statements that no transaction can hold, as far as it must be known what became of them.

use squawk_syntax::SourceFile;
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{
    AlterTableAction, AstNode as _, DetachPartitionOption, ReindexTarget, Stmt,
};

use super::relations::parts_of;

/// Such a statement. Names are quoted and as qualified as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alone {
    CreateIndex {
        /// The index itself, without a schema: it has its table's.
        index: String,
        table: String,
        if_not_exists: bool,
    },
    DropIndex {
        index: String,
        if_exists: bool,
    },
    /// Makes every index anew; what it leaves behind when it fails ends in `_ccnew` or `_ccold`.
    ReindexIndex {
        index: String,
    },
    ReindexTable {
        table: String,
    },
    /// A schema, a database or the system catalog.
    ReindexMany,
    DetachPartition {
        table: String,
        partition: String,
    },
    Vacuum,
}

/// Why a statement cannot be run although it is alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAlone {
    /// An index that the server would name could not be found again.
    Unnamed,
    /// It works on the whole server, or cannot be told apart.
    Foreign,
}

impl Alone {
    /// Reads a statement that the server refuses inside a transaction.
    ///
    /// # Errors
    /// Why it does not belong into a migration as it is.
    pub fn read(statement: &str) -> Result<Alone, NotAlone> {
        let mut stmts = SourceFile::parse(statement).tree().stmts();
        let (Some(stmt), None) = (stmts.next(), stmts.next()) else {
            return Err(NotAlone::Foreign);
        };
        match stmt {
            Stmt::CreateIndex(create) => {
                let table = quoted(create.table_relation_name().map(|t| t.syntax().clone()));
                match (quoted(create.index().map(|i| i.syntax().clone())), table) {
                    (Some(index), Some(table)) => Ok(Alone::CreateIndex {
                        index,
                        table,
                        if_not_exists: create.if_not_exists().is_some(),
                    }),
                    (None, Some(_)) => Err(NotAlone::Unnamed),
                    _ => Err(NotAlone::Foreign),
                }
            }
            Stmt::DropIndex(drop) => {
                let mut indexes = drop.index_refs();
                let first = quoted(indexes.next().map(|index| index.syntax().clone()));
                match (first, indexes.next()) {
                    (Some(index), None) => Ok(Alone::DropIndex {
                        index,
                        if_exists: drop.if_exists().is_some(),
                    }),
                    _ => Err(NotAlone::Foreign),
                }
            }
            Stmt::Reindex(reindex) => Ok(match reindex.reindex_target() {
                Some(ReindexTarget::ReindexTargetIndex(target)) => {
                    let index = quoted(Some(target.syntax().clone())).ok_or(NotAlone::Foreign)?;
                    Alone::ReindexIndex { index }
                }
                Some(ReindexTarget::ReindexTargetTable(target)) => {
                    let table = quoted(Some(target.syntax().clone())).ok_or(NotAlone::Foreign)?;
                    Alone::ReindexTable { table }
                }
                _ => Alone::ReindexMany,
            }),
            Stmt::AlterTable(alter) => {
                let table = quoted(alter.table_relation_name().map(|t| t.syntax().clone()));
                let mut actions = alter.actions();
                match (table, actions.next(), actions.next()) {
                    (Some(table), Some(AlterTableAction::DetachPartition(detach)), None)
                        if matches!(
                            detach.detach_partition_option(),
                            Some(DetachPartitionOption::DetachConcurrently(_))
                        ) =>
                    {
                        let name = detach.table_name_ref().map(|name| name.syntax().clone());
                        let partition = quoted(name).ok_or(NotAlone::Foreign)?;
                        Ok(Alone::DetachPartition { table, partition })
                    }
                    _ => Err(NotAlone::Foreign),
                }
            }
            Stmt::Vacuum(_) => Ok(Alone::Vacuum),
            _ => Err(NotAlone::Foreign),
        }
    }
}

fn quoted(node: Option<SyntaxNode>) -> Option<String> {
    let parts = parts_of(&node?);
    if parts.is_empty() {
        return None;
    }
    let quoted = |part: &String| format!("\"{}\"", part.replace('"', "\"\""));
    Some(parts.iter().map(quoted).collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_with_their_names() {
        let index = |index: &str, table: &str, if_not_exists| {
            Ok(Alone::CreateIndex {
                index: index.into(),
                table: table.into(),
                if_not_exists,
            })
        };
        for (sql, wanted) in [
            (
                "create index concurrently I on Eng.t (a)",
                index("\"i\"", "\"eng\".\"t\"", false),
            ),
            (
                "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"Odd\"\"x\" ON ONLY t (a)",
                index("\"Odd\"\"x\"", "\"t\"", true),
            ),
            ("create index concurrently on t (a)", Err(NotAlone::Unnamed)),
            (
                "drop index concurrently if exists eng.i",
                Ok(Alone::DropIndex {
                    index: "\"eng\".\"i\"".into(),
                    if_exists: true,
                }),
            ),
            (
                "reindex index concurrently eng.i",
                Ok(Alone::ReindexIndex {
                    index: "\"eng\".\"i\"".into(),
                }),
            ),
            (
                "reindex (verbose) table concurrently t",
                Ok(Alone::ReindexTable {
                    table: "\"t\"".into(),
                }),
            ),
            ("reindex schema concurrently eng", Ok(Alone::ReindexMany)),
            (
                "alter table a.t detach partition a.p concurrently",
                Ok(Alone::DetachPartition {
                    table: "\"a\".\"t\"".into(),
                    partition: "\"a\".\"p\"".into(),
                }),
            ),
            ("vacuum (analyze) t", Ok(Alone::Vacuum)),
            ("create database x", Err(NotAlone::Foreign)),
            ("alter system set a = 1", Err(NotAlone::Foreign)),
        ] {
            assert_eq!(Alone::read(sql), wanted, "{sql}");
        }
    }
}
