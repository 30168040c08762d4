//! Asks one question in a transaction that is always rolled back.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio_postgres::SimpleQueryMessage;

use super::ledger::{identifier, literal};
use super::session::Session;
use super::{DatabaseError, PostgresError};

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Exactly one statement.
    pub sql: &'a str,
    /// The role to ask as.
    pub role: Option<&'a str>,
    /// The transaction is READ ONLY. Off where a privilege error is expected: a read-only
    /// transaction refuses a write before privileges are looked at.
    pub read_only: bool,
    /// How many rows are kept; the rest is counted.
    pub keep_rows: usize,
    /// How many characters of a value are kept.
    pub keep_chars: usize,
}

/// Rows as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
    pub total: u64,
}

/// The answer, and how long the server took.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub answer: Result<Rows, Box<DatabaseError>>,
    pub took: Duration,
}

/// Why a question could not even be put.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("the role `{role}` cannot be taken on: {error}")]
    Role {
        role: String,
        error: Box<DatabaseError>,
    },
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// Puts a question. The transaction is rolled back whatever the answer is.
///
/// # Errors
/// When the role cannot be taken on, or the connection fails. An error of the statement itself is
/// an answer.
pub async fn ask(session: &Session, question: &Question<'_>) -> Result<Asked, AskError> {
    let mode = if question.read_only { " READ ONLY" } else { "" };
    let client = &session.client;
    client
        .batch_execute(&format!("BEGIN{mode}"))
        .await
        .map_err(PostgresError::from)?;
    let asked = put(session, question).await;
    let rolled_back = client
        .batch_execute("ROLLBACK")
        .await
        .map_err(PostgresError::from);
    let asked = asked?;
    rolled_back?;
    Ok(asked)
}

async fn put(session: &Session, question: &Question<'_>) -> Result<Asked, AskError> {
    if let Some(role) = question.role {
        let sql = format!("SET LOCAL ROLE {}", identifier(role));
        match session
            .client
            .batch_execute(&sql)
            .await
            .map_err(PostgresError::from)
        {
            Ok(()) => {}
            Err(PostgresError::Database(error)) => {
                return Err(AskError::Role {
                    role: role.to_owned(),
                    error,
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let started = Instant::now();
    let answer = match read_rows(session, question).await {
        Ok(rows) => Ok(rows),
        Err(PostgresError::Database(error)) if !error.ends_session() => Err(error),
        Err(error) => return Err(error.into()),
    };
    Ok(Asked {
        answer,
        took: started.elapsed(),
    })
}

async fn read_rows(session: &Session, question: &Question<'_>) -> Result<Rows, PostgresError> {
    let mut stream = pin!(session.client.simple_query_raw(question.sql).await?);
    let mut rows = Rows::default();
    while let Some(message) = stream.next().await {
        match message? {
            SimpleQueryMessage::RowDescription(columns) => {
                rows.columns = columns
                    .iter()
                    .map(|column| column.name().to_owned())
                    .collect();
            }
            SimpleQueryMessage::Row(row) => {
                rows.total += 1;
                if rows.rows.len() < question.keep_rows {
                    let kept = (0..row.len())
                        .map(|index| row.get(index).map(|text| keep(text, question.keep_chars)))
                        .collect();
                    rows.rows.push(kept);
                }
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn keep(text: &str, limit: usize) -> String {
    crate::untrusted::clip(&crate::untrusted::clean(text), limit)
}

/// What could make a test of a role's privileges prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleFacts {
    pub role: String,
    pub exists: bool,
    pub is_superuser: bool,
    pub bypasses_rls: bool,
    /// Relations named in the statement that the role owns, itself or as a member of the owner,
    /// and that do not force row-level security on their owner.
    pub owns: Vec<String>,
}

impl RoleFacts {
    /// Why a test as this role would prove nothing, if so.
    pub fn meaningless(&self) -> Option<String> {
        let role = &self.role;
        if self.is_superuser {
            return Some(format!(
                "`{role}` is a superuser, whom no privilege and no policy stops"
            ));
        }
        if self.bypasses_rls {
            return Some(format!("`{role}` has BYPASSRLS, so no policy stops it"));
        }
        if !self.owns.is_empty() {
            return Some(format!(
                "`{role}` owns {}, and an owner is stopped by no policy",
                self.owns.join(", ")
            ));
        }
        None
    }
}

/// Reads what is known of a role, or of the session's own user, before it is used for a test.
///
/// # Errors
/// What the server says.
pub async fn role_facts(
    session: &Session,
    role: Option<&str>,
    relations: &[String],
) -> Result<RoleFacts, PostgresError> {
    let name = role.map_or_else(|| "session_user".to_owned(), literal);
    let list = relations
        .iter()
        .map(|r| literal(r))
        .collect::<Vec<_>>()
        .join(", ");
    let sql = format!(
        "SELECT r.rolname::text, r.rolsuper, r.rolbypassrls, ARRAY(\
           SELECT DISTINCT c.oid::regclass::text FROM unnest(ARRAY[{list}]::text[]) AS named(n) \
           JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(named.n) \
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relforcerowsecurity \
           AND pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE') ORDER BY 1) \
         FROM pg_catalog.pg_roles r WHERE r.rolname = {name}"
    );
    let found = session.client.query_typed_opt(&sql, &[]).await?;
    Ok(match found {
        None => RoleFacts {
            role: role.unwrap_or_default().to_owned(),
            ..RoleFacts::default()
        },
        Some(row) => RoleFacts {
            role: row.get(0),
            exists: true,
            is_superuser: row.get(1),
            bypasses_rls: row.get(2),
            owns: row.get(3),
        },
    })
}
