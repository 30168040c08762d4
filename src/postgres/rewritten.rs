//! How a server writes a definition that it is given.
//!
//! A server's own text of a definition, given back to it, is not always written the same again: a
//! dump that was restored differs from its origin as text and in nothing else.

use super::ledger::identifier;
use super::session::Session;

/// What kind of definition a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition<'a> {
    /// A CHECK of this table, named as SQL needs it.
    Check { table: &'a str },
    /// The query of a view.
    Query { schema: &'a str },
}

/// No name of a user's.
const NAME: &str = "stagegate rewritten";

/// Makes the definition in a transaction that is rolled back, and reads how it is written then.
/// None when the server does not take it.
pub async fn rewritten(
    session: &Session,
    definition: Definition<'_>,
    text: &str,
) -> Option<String> {
    let name = identifier(NAME);
    let text = text.trim_end_matches(';');
    let (make, read) = match definition {
        Definition::Check { table } => (
            format!("ALTER TABLE ONLY {table} ADD CONSTRAINT {name} {text} NOT VALID"),
            format!(
                "SELECT regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '') \
                 FROM pg_constraint WHERE conname = '{NAME}'"
            ),
        ),
        Definition::Query { schema } => (
            format!("CREATE VIEW {}.{name} AS {text}", identifier(schema)),
            format!("SELECT pg_get_viewdef(oid) FROM pg_class WHERE relname = '{NAME}'"),
        ),
    };
    let client = &session.client;
    let begin = "BEGIN; SET LOCAL search_path = pg_catalog";
    client.batch_execute(begin).await.ok()?;
    let made = client.batch_execute(&make).await;
    let rows = match made {
        Ok(()) => session.rows(&read).await.ok(),
        Err(_) => None,
    };
    client.batch_execute("ROLLBACK").await.ok()?;
    rows?.into_iter().next()?.into_iter().next()?
}
