//! What a database says of Alembic, and of itself, for an audit. It is only read.

use super::PostgresError;
use super::ledger::literal;
use super::session::Session;

/// What was found in a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tracked {
    /// The version table, quoted and qualified; none where there is none.
    pub relation: Option<String>,
    /// What it says. None where it is empty, several where branches are applied.
    pub versions: Vec<String>,
    pub database: String,
    pub user: String,
    pub search_path: String,
    /// The tables of the application, quoted and qualified as far as the search path needs it.
    pub tables: Vec<String>,
}

/// Reads it. `table` may have its schema in front; otherwise the search path finds it.
///
/// # Errors
/// What the server says.
pub async fn read(session: &Session, table: &str) -> Result<Tracked, PostgresError> {
    let facts = "SELECT pg_catalog.current_database(), CURRENT_USER::text, \
                 pg_catalog.current_setting('search_path')";
    let row = session.rows(facts).await?.into_iter().next();
    let mut fields = row.into_iter().flatten().map(Option::unwrap_or_default);
    let mut next = || fields.next().unwrap_or_default();
    let (database, user, search_path) = (next(), next(), next());
    let sql = "SELECT CASE WHEN n.nspname OPERATOR(pg_catalog.=) 'public' THEN \
               pg_catalog.quote_ident(c.relname) ELSE pg_catalog.format('%I.%I', n.nspname, c.relname) END \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' \
               AND n.nspname NOT IN ('information_schema', 'stagegate') ORDER BY 1";
    let tables = session.rows(sql).await?;
    let tables: Vec<String> = tables.into_iter().flatten().flatten().collect();
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid = pg_catalog.to_regclass({})",
        literal(table)
    );
    let relation = session.rows(&sql).await?;
    let relation = relation.into_iter().flatten().flatten().next();
    let versions = match &relation {
        Some(relation) => {
            let sql = format!("SELECT version_num::text FROM {relation} ORDER BY 1");
            let rows = session.rows(&sql).await?;
            rows.into_iter().flatten().flatten().collect()
        }
        None => Vec::new(),
    };
    Ok(Tracked {
        relation,
        versions,
        database,
        user,
        search_path,
        tables,
    })
}
