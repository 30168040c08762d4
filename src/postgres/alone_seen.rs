//! What the catalog says of a statement that no transaction can hold.

use super::PostgresError;
use super::ledger::literal;
use super::session::Session;
use crate::sql::Alone;

/// What the catalog says of such a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// What it is to make, or to remove, is made or removed.
    Done,
    NotDone,
    /// Something else has its name.
    Other {
        what: String,
    },
    /// Something invalid was left behind; these statements remove it or bring it to its end.
    Leftover {
        what: String,
        mend: Vec<String>,
    },
    /// The catalog does not say; to run it once more does no harm.
    Untold,
}

/// Looks at what such a statement makes or removes.
///
/// # Errors
/// What the server says.
pub(super) async fn look(session: &Session, alone: &Alone) -> Result<Seen, PostgresError> {
    match alone {
        Alone::CreateIndex { index, table, .. } => {
            let found = index_of_table(session, index, table).await?;
            Ok(match found {
                None => Seen::NotDone,
                Some((name, _, false)) => Seen::Other {
                    what: format!("the index {name} of another table"),
                },
                Some((_, true, true)) => Seen::Done,
                Some((name, false, true)) => invalid(&name),
            })
        }
        Alone::DropIndex { index, .. } => Ok(match named_index(session, index).await? {
            None => Seen::Done,
            // A drop that was interrupted leaves it invalid; to run it again ends it.
            Some(_) => Seen::NotDone,
        }),
        Alone::ReindexIndex { index } => {
            remains(
                session,
                &format!(
                    "i.indrelid = (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = \
             pg_catalog.to_regclass({}))",
                    literal(index)
                ),
            )
            .await
        }
        Alone::ReindexTable { table } => {
            let of = format!("i.indrelid = pg_catalog.to_regclass({})", literal(table));
            remains(session, &of).await
        }
        Alone::DetachPartition { table, partition } => detached(session, table, partition).await,
        // What others may have left in the same schema is not this statement's.
        Alone::ReindexMany | Alone::Vacuum => Ok(Seen::Untold),
    }
}

fn invalid(name: &str) -> Seen {
    Seen::Leftover {
        what: format!("the INVALID index {name}"),
        mend: vec![format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")],
    }
}

/// The index of that name in the schema of its table, whether it is valid, and whether it is on that
/// table.
async fn index_of_table(
    session: &Session,
    index: &str,
    table: &str,
) -> Result<Option<(String, bool, bool)>, PostgresError> {
    let (index, table) = (literal(index), literal(table));
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), \
         i.indisvalid AND i.indisready, i.indrelid = pg_catalog.to_regclass({table}) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
         WHERE c.relname = (pg_catalog.parse_ident({index}))[1] \
         AND n.oid = (SELECT relnamespace FROM pg_catalog.pg_class \
                      WHERE oid = pg_catalog.to_regclass({table}))"
    );
    let rows = session.rows(&sql).await?;
    Ok(rows.into_iter().next().and_then(|row| {
        let mut fields = row.into_iter().flatten();
        let name = fields.next()?;
        Some((name, fields.next()? == "t", fields.next()? == "t"))
    }))
}

async fn named_index(
    session: &Session,
    index: &str,
) -> Result<Option<(String, bool)>, PostgresError> {
    let sql = format!(
        "SELECT i.indexrelid::regclass::text, i.indisvalid FROM pg_catalog.pg_index i \
         WHERE i.indexrelid = pg_catalog.to_regclass({})",
        literal(index)
    );
    one_index(session, &sql).await
}

async fn one_index(session: &Session, sql: &str) -> Result<Option<(String, bool)>, PostgresError> {
    let rows = session.rows(sql).await?;
    Ok(rows.into_iter().next().and_then(|row| {
        let mut fields = row.into_iter().flatten();
        Some((fields.next()?, fields.next()? == "t"))
    }))
}

/// Indexes that a concurrent REINDEX left behind.
async fn remains(session: &Session, of: &str) -> Result<Seen, PostgresError> {
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND {of} ORDER BY 1"
    );
    let rows = session.rows(&sql).await?;
    let names: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if names.is_empty() {
        return Ok(Seen::Untold);
    }
    let drop = |name: &String| format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
    Ok(Seen::Leftover {
        what: format!("the INVALID index {}", names.join(", ")),
        mend: names.iter().map(drop).collect(),
    })
}

async fn detached(session: &Session, table: &str, partition: &str) -> Result<Seen, PostgresError> {
    let sql = format!(
        "SELECT inhdetachpending FROM pg_catalog.pg_inherits \
         WHERE inhrelid = pg_catalog.to_regclass({}) AND inhparent = pg_catalog.to_regclass({})",
        literal(partition),
        literal(table)
    );
    let rows = session.rows(&sql).await?;
    let pending = rows.first().and_then(|row| row.first()?.clone());
    Ok(match pending.as_deref() {
        None => Seen::Done,
        Some("t") => Seen::Leftover {
            what: format!("the half detached partition {partition}"),
            mend: vec![format!(
                "ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE"
            )],
        },
        Some(_) => Seen::NotDone,
    })
}

/// Another session that works on the table: what looks left behind may be in the making.
pub(super) async fn at_work(
    session: &Session,
    alone: &Alone,
) -> Result<Option<i32>, PostgresError> {
    let table = match alone {
        Alone::CreateIndex { table, .. }
        | Alone::ReindexTable { table }
        | Alone::DetachPartition { table, .. } => {
            format!("pg_catalog.to_regclass({})", literal(table))
        }
        Alone::ReindexIndex { index } => format!(
            "(SELECT indrelid FROM pg_catalog.pg_index \
             WHERE indexrelid = pg_catalog.to_regclass({}))",
            literal(index)
        ),
        Alone::DropIndex { .. } | Alone::ReindexMany | Alone::Vacuum => return Ok(None),
    };
    let sql = format!(
        "SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'relation' AND granted \
         AND relation = {table} AND database = (SELECT oid FROM pg_catalog.pg_database \
         WHERE datname = pg_catalog.current_database()) AND pid <> pg_catalog.pg_backend_pid() \
         AND mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', \
         'ExclusiveLock', 'AccessExclusiveLock') LIMIT 1"
    );
    let rows = session.rows(&sql).await?;
    Ok(rows
        .first()
        .and_then(|row| row.first()?.as_deref()?.parse().ok()))
}
