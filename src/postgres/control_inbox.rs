//! The inbox of the control schema: what watching consoles hand in, and what is answered.

use tokio_postgres::types::Type;

use super::PostgresError;
use super::control_rows::HandedIn;
use super::session::Session;

/// How many are taken at a time; whoever floods the inbox waits.
const AT_ONCE: i64 = 16;

/// Puts something in, and returns its number.
///
/// # Errors
/// What the server says; 23514 when it is too large.
pub async fn hand_in(
    session: &Session,
    run: &str,
    kind: &str,
    (sender, payload): (&str, &str),
) -> Result<i64, PostgresError> {
    let sql = "INSERT INTO stagegate_control.inbox (run, kind, sender, payload) \
               VALUES ($1, $2, $3, $4) RETURNING id";
    let row = session
        .client
        .query_typed_one(
            sql,
            &[
                (&run, Type::TEXT),
                (&kind, Type::TEXT),
                (&sender, Type::TEXT),
                (&payload, Type::TEXT),
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Reads what was not answered yet, the oldest first.
///
/// # Errors
/// What the server says.
pub async fn unanswered(session: &Session, run: &str) -> Result<Vec<HandedIn>, PostgresError> {
    let sql = "SELECT id, kind, sender, payload, sent_by FROM stagegate_control.inbox \
               WHERE run = $1 AND answered IS NULL ORDER BY id LIMIT $2";
    let rows = session
        .client
        .query_typed(sql, &[(&run, Type::TEXT), (&AT_ONCE, Type::INT8)])
        .await?;
    Ok(rows
        .iter()
        .map(|row| HandedIn {
            id: row.get(0),
            kind: row.get(1),
            sender: row.get(2),
            payload: row.get(3),
            sent_by: row.get(4),
        })
        .collect())
}

/// Answers one, once.
///
/// # Errors
/// What the server says.
pub async fn answer(session: &Session, id: i64, words: &str) -> Result<(), PostgresError> {
    let sql = "UPDATE stagegate_control.inbox SET answered = clock_timestamp(), answer = $2 \
               WHERE id = $1 AND answered IS NULL";
    session
        .client
        .execute_typed(sql, &[(&id, Type::INT8), (&words, Type::TEXT)])
        .await?;
    Ok(())
}

/// The answer to one, once there is one.
///
/// # Errors
/// What the server says.
pub async fn answered(session: &Session, id: i64) -> Result<Option<String>, PostgresError> {
    let sql = "SELECT answer FROM stagegate_control.inbox WHERE id = $1";
    let row = session
        .client
        .query_typed_opt(sql, &[(&id, Type::INT8)])
        .await?;
    Ok(row.and_then(|row| row.get(0)))
}
