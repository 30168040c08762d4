//! What became of a database's relations between two looks: by their numbers, which a rename does
//! not change, and by the server's own counts of rows.

use std::collections::BTreeMap;

use super::PostgresError;
use super::session::Session;

/// One table, view with rows, or sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// `r`, `p`, `m` or `S`.
    pub kind: char,
    /// Schema and name as a statement needs them.
    pub quoted: String,
    /// The file that holds the rows; another one after the table was written anew.
    pub filenode: u32,
    /// With indexes and TOAST.
    pub bytes: u64,
    pub inserted: i64,
    pub updated: i64,
    pub deleted: i64,
    /// It belongs to a column, and goes with it.
    pub owned: bool,
}

/// All relations of a database at one moment, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub relations: BTreeMap<u32, Relation>,
    /// By relation and column number: the quoted name.
    pub columns: BTreeMap<(u32, i16), String>,
}

/// What was done to a relation that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Dropped {
        kind: char,
        name: String,
    },
    ColumnDropped {
        table: String,
        column: String,
    },
    /// The rows stand in another file now.
    Rewritten {
        table: String,
        bytes: u64,
    },
    /// The rows are gone at once.
    Emptied {
        table: String,
    },
    Deleted {
        table: String,
        rows: u64,
    },
    Updated {
        table: String,
        rows: u64,
    },
}

const RELATIONS: &str = "\
    SELECT c.oid, c.relkind::text, pg_catalog.format('%I.%I', n.nspname, c.relname), \
      coalesce(pg_catalog.pg_relation_filenode(c.oid), 0::pg_catalog.oid), \
      pg_catalog.pg_total_relation_size(c.oid), pg_catalog.pg_stat_get_tuples_inserted(c.oid), \
      pg_catalog.pg_stat_get_tuples_updated(c.oid), pg_catalog.pg_stat_get_tuples_deleted(c.oid), \
      EXISTS (SELECT FROM pg_catalog.pg_depend d \
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
          AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence <> 't' \
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'stagegate', 'stagegate_control')";

const COLUMNS: &str = "\
    SELECT a.attrelid, a.attnum, pg_catalog.quote_ident(a.attname) \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND a.attnum > 0 \
      AND NOT a.attisdropped AND n.nspname !~ '^pg_' \
      AND n.nspname NOT IN ('information_schema', 'stagegate', 'stagegate_control')";

/// Looks at all relations.
///
/// # Errors
/// What the server says.
pub async fn read(session: &Session) -> Result<Standing, PostgresError> {
    let mut standing = Standing::default();
    for row in session.client.query_typed(RELATIONS, &[]).await? {
        let kind: String = row.get(1);
        let relation = Relation {
            kind: kind.chars().next().unwrap_or(' '),
            quoted: row.get(2),
            filenode: row.get(3),
            bytes: row.get::<_, Option<i64>>(4).unwrap_or(0).max(0) as u64,
            inserted: row.get(5),
            updated: row.get(6),
            deleted: row.get(7),
            owned: row.get(8),
        };
        standing.relations.insert(row.get(0), relation);
    }
    for row in session.client.query_typed(COLUMNS, &[]).await? {
        let at = (row.get(0), row.get(1));
        standing.columns.insert(at, row.get(2));
    }
    Ok(standing)
}

/// Waits until the sessions of a name have ended: a server counts their rows when they do. After
/// all patience the counts are what they are.
///
/// # Errors
/// What the server says.
pub async fn settled(session: &Session, application_name: &str) -> Result<(), PostgresError> {
    let sql = format!(
        "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE application_name = {} \
         AND pid <> pg_catalog.pg_backend_pid()",
        super::ledger::literal(application_name)
    );
    for _ in 0..400 {
        let left: i64 = session.client.query_typed_one(&sql, &[]).await?.get(0);
        if left == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Says what was done between two looks, in the order of the names.
pub fn between(before: &Standing, after: &Standing) -> Vec<Effect> {
    let mut effects = Vec::new();
    for (oid, was) in &before.relations {
        let Some(is) = after.relations.get(oid) else {
            // What belongs to a column went with it, and is told with it.
            if !was.owned {
                let (kind, name) = (was.kind, was.quoted.clone());
                effects.push(Effect::Dropped { kind, name });
            }
            continue;
        };
        let columns = before.columns.range((*oid, i16::MIN)..=(*oid, i16::MAX));
        for (at, column) in columns.filter(|(at, _)| !after.columns.contains_key(at)) {
            debug_assert_eq!(at.0, *oid);
            effects.push(Effect::ColumnDropped {
                table: was.quoted.clone(),
                column: column.clone(),
            });
        }
        effects.extend(of_rows(was, is));
    }
    effects.sort_by_key(Effect::order);
    effects
}

fn of_rows(was: &Relation, is: &Relation) -> Vec<Effect> {
    let mut effects = Vec::new();
    let table = || was.quoted.clone();
    if !matches!(was.kind, 'r' | 'm') {
        return effects;
    }
    if was.filenode != is.filenode && was.bytes > 0 {
        effects.push(match is.bytes < was.bytes && is.bytes <= 64 * 1024 {
            // A table that was written anew keeps about the size of its rows.
            true if was.bytes > 128 * 1024 || is.bytes == 0 => Effect::Emptied { table: table() },
            _ => Effect::Rewritten {
                table: table(),
                bytes: was.bytes,
            },
        });
    }
    let deleted = (is.deleted - was.deleted).max(0) as u64;
    if deleted > 0 {
        let table = table();
        effects.push(Effect::Deleted {
            table,
            rows: deleted,
        });
    }
    let updated = (is.updated - was.updated).max(0) as u64;
    if updated > 0 {
        let table = table();
        effects.push(Effect::Updated {
            table,
            rows: updated,
        });
    }
    effects
}

impl Effect {
    /// The relation that it is of.
    pub fn relation(&self) -> &str {
        match self {
            Effect::Dropped { name, .. } => name,
            Effect::ColumnDropped { table, .. }
            | Effect::Rewritten { table, .. }
            | Effect::Emptied { table }
            | Effect::Deleted { table, .. }
            | Effect::Updated { table, .. } => table,
        }
    }

    fn order(&self) -> (u8, String) {
        let weight = match self {
            Effect::Dropped { .. } => 0,
            Effect::ColumnDropped { .. } => 1,
            Effect::Emptied { .. } => 2,
            Effect::Deleted { .. } => 3,
            Effect::Updated { .. } => 4,
            Effect::Rewritten { .. } => 5,
        };
        (weight, self.relation().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(quoted: &str) -> Relation {
        Relation {
            kind: 'r',
            quoted: quoted.to_owned(),
            filenode: 1,
            bytes: 1_000_000,
            inserted: 10,
            updated: 0,
            deleted: 0,
            owned: false,
        }
    }

    fn standing(relations: &[(u32, Relation)]) -> Standing {
        let columns = relations.iter().map(|(oid, _)| ((*oid, 1), "a".to_owned()));
        Standing {
            relations: relations.iter().cloned().collect(),
            columns: columns.collect(),
        }
    }

    #[test]
    fn a_rename_is_no_drop_and_a_drop_is_one() {
        let before = standing(&[(1, table("app.a")), (2, table("app.b"))]);
        let after = standing(&[(1, table("app.renamed"))]);
        let dropped = Effect::Dropped {
            kind: 'r',
            name: "app.b".to_owned(),
        };
        assert_eq!(between(&before, &after), [dropped]);
    }

    #[test]
    fn columns_rewrites_and_lost_rows_are_told() {
        let before = standing(&[(1, table("app.a"))]);
        let mut after = before.clone();
        after.columns.clear();
        let is = after.relations.get_mut(&1).unwrap();
        (is.filenode, is.deleted, is.updated) = (2, 3, 4);
        let told = between(&before, &after);
        assert_eq!(told.len(), 4);
        assert!(matches!(&told[0], Effect::ColumnDropped { column, .. } if column == "a"));
        assert!(matches!(told[1], Effect::Deleted { rows: 3, .. }));
        assert!(matches!(told[2], Effect::Updated { rows: 4, .. }));
        assert!(matches!(
            told[3],
            Effect::Rewritten {
                bytes: 1_000_000,
                ..
            }
        ));
        let mut emptied = before.clone();
        let is = emptied.relations.get_mut(&1).unwrap();
        (is.filenode, is.bytes) = (2, 8192);
        let gone = Effect::Emptied {
            table: "app.a".to_owned(),
        };
        assert_eq!(between(&before, &emptied), [gone]);
    }
}
