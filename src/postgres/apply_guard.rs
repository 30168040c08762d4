//! What must be true before a file's `COMMIT`, and how the database itself is made to refuse it
//! otherwise.
//!
//! The file's ledger row names a ticket by a foreign key that is checked at the end of the
//! transaction, and the ticket is only written behind the file's last statement. So whatever ends
//! the transaction earlier, by whatever way, undoes all of it.

use futures_util::StreamExt as _;
use std::pin::pin;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryStream};

use super::PostgresError;
use super::apply::{FileFailure, FileToApply};
use super::apply_flight::send;
use super::ledger::{TICKET_KEY, literal};
use super::ledger_row;
use super::session::Session;

/// Something that is read before a file and again before its `COMMIT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// What it is called before people.
    pub name: String,
    /// An expression of SQL that gives a text.
    sql: String,
    /// What it gave when the gate began.
    pub wanted: String,
    /// Another value keeps the file from being committed; otherwise it is only said.
    pub binding: bool,
    /// It cannot change as long as the server's process for the session lives, so it is read once in
    /// each session and not for each file.
    fixed: bool,
}

impl Guard {
    /// The expression that reads it.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }
}

/// Settings that keep others, or the reading of the file, safe. A file may not change them.
const BINDING: [&str; 6] = [
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_connection_check_interval",
    // Off, the server would cut statements elsewhere than we do.
    "standard_conforming_strings",
    "synchronous_commit",
    // What ends the transaction early is to find nothing that it may write to.
    "default_transaction_read_only",
];

/// Settings whose change inside a file is worth a word. They end with its transaction.
const SAID: [&str; 4] = [
    "search_path",
    "statement_timeout",
    "session_replication_role",
    "row_security",
];

/// The database's number: another one of the same name has another.
const NUMBER: &str = "(SELECT oid::text FROM pg_catalog.pg_database \
     WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())";

/// The database, whoever reads it: a server that hides its identifier leaves it out. The server's
/// process that has begun on a primary ends before any of it changes.
const PLACE: &str = "pg_catalog.concat_ws(' ', pg_catalog.current_database(), \
     CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' ELSE pg_catalog.substr( \
     pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END)";

/// Forbidden to some roles, so it is tried alone.
const CONTROL: &str = "(SELECT system_identifier::text FROM pg_catalog.pg_control_system())";

/// Reads what must not change, as the check before COMMIT will read it.
///
/// # Errors
/// What the server says.
pub async fn read(session: &Session) -> Result<Vec<Guard>, PostgresError> {
    let mut guards: Vec<Guard> = Vec::new();
    let setting = |name: &str, binding| Guard {
        name: name.to_owned(),
        sql: format!("pg_catalog.current_setting('{name}', true)"),
        wanted: String::new(),
        binding,
        fixed: false,
    };
    guards.extend(BINDING.map(|name| setting(name, true)));
    guards.extend(SAID.map(|name| setting(name, false)));
    let identity = |name: &str, sql: &str, fixed| Guard {
        name: name.to_owned(),
        sql: sql.to_owned(),
        wanted: String::new(),
        binding: true,
        fixed,
    };
    guards.push(identity("the session's user", "session_user::text", false));
    guards.push(identity("the database", PLACE, true));
    guards.push(identity("the database's number", NUMBER, true));
    let allowed = session
        .rows(
            "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')",
        )
        .await?;
    if allowed.first().and_then(|row| row.first()) == Some(&Some("t".to_owned())) {
        guards.push(identity("the server", CONTROL, true));
    }
    let list: Vec<&str> = guards.iter().map(|guard| guard.sql.as_str()).collect();
    let rows = session.rows(&format!("SELECT {}", list.join(", "))).await?;
    let values = rows.into_iter().next().unwrap_or_default();
    let known = guards.into_iter().zip(values);
    Ok(known
        .filter_map(|(guard, wanted)| {
            Some(Guard {
                wanted: wanted?,
                ..guard
            })
        })
        .collect())
}

/// The check's statement in a session, which is planned once and not for each file. A session that
/// finds it there is still led by the server's process that the whole check was made in.
const PREPARED: &str = "stagegate_check";

fn check<'a>(nonce: &str, guards: impl Iterator<Item = &'a Guard>) -> String {
    let guards: String = guards.map(|guard| format!(", {}", guard.sql)).collect();
    format!(
        "SELECT (SELECT pg_catalog.count(*) FROM stagegate.ledger \
         WHERE nonce OPERATOR(pg_catalog.=) {nonce} \
         AND xmin::text::bigint OPERATOR(pg_catalog.=) \
         (pg_catalog.pg_current_xact_id()::text::bigint OPERATOR(pg_catalog.&) \
         4294967295)){guards}"
    )
}

/// Tells whether a file may take prepared statements away.
fn discards(file: &FileToApply<'_>) -> bool {
    let text = file.script.text.to_ascii_lowercase();
    text.contains("deallocate") || text.contains("discard") || text.contains("prepare")
}

/// What is still to be said so that [`ask`] finds its statement.
pub(super) fn to_prepare(session: &Session, file: &FileToApply<'_>) -> Option<String> {
    if discards(file) || session.has_check() {
        return None;
    }
    let check = check("$1", file.guards.iter().filter(|guard| !guard.fixed));
    Some(format!(
        "PREPARE {PREPARED} (text) AS {check}; {}; {}",
        ledger_row::PREPARE_ROW,
        ledger_row::PREPARE_TICKET
    ))
}

/// A check that was sent, and what it asked for.
pub(super) struct Check<'a> {
    answer: SimpleQueryStream,
    guards: Vec<&'a Guard>,
}

/// Asks back, in the transaction and as ourselves, what must still be true, and writes the ticket
/// without which the transaction cannot be committed.
pub(super) async fn ask<'a>(
    session: &Session,
    file: &FileToApply<'a>,
) -> Result<Check<'a>, PostgresError> {
    let nonce = literal(file.row.nonce);
    let whole = discards(file) || !session.has_check();
    let guards: Vec<&Guard> = file.guards.iter().filter(|g| whole || !g.fixed).collect();
    let check = match whole {
        true => check(&nonce, guards.iter().copied()),
        false => format!("EXECUTE {PREPARED} ({nonce})"),
    };
    // As ourselves: the file may have taken on a role that may not read the ledger.
    let ticket = ledger_row::ticket_sql(file.row.nonce, !whole);
    let sql = format!("SET LOCAL ROLE NONE; {check}; {ticket}");
    let answer = send(session, &sql).await?;
    Ok(Check { answer, guards })
}

/// Reads the answer to a check. Gives back what is worth saying.
pub(super) async fn judge(
    Check { answer, guards }: Check<'_>,
    wrong: impl Fn(PostgresError) -> FileFailure,
) -> Result<Vec<String>, FileFailure> {
    let mut answer = pin!(answer);
    let mut found = None;
    while let Some(message) = answer.next().await {
        match message.map_err(|error| wrong(error.into()))? {
            SimpleQueryMessage::Row(row) if found.is_none() => found = Some(row),
            _ => {}
        }
    }
    let guard = |reason: String| Err(FileFailure::Guard { reason });
    let Some(row) = found else {
        return guard("the check before COMMIT gave no answer".into());
    };
    if row.get(0) != Some("1") {
        return Err(FileFailure::Left);
    }
    let mut said = Vec::new();
    for (column, wanted) in guards.iter().enumerate() {
        let found = row.get(column + 1).unwrap_or("(unset)");
        if found == wanted.wanted {
            continue;
        }
        let (name, was) = (&wanted.name, &wanted.wanted);
        if wanted.binding {
            return guard(format!(
                "the file changed `{name}` from `{was}` to `{found}`"
            ));
        }
        said.push(format!("it set {name} to `{found}` for its transaction"));
    }
    Ok(said)
}

/// Tells whether the server refused because the ticket was missing: the transaction was ended, or
/// its constraints were checked, before the file's end.
pub(super) fn is_missing_ticket(error: &super::DatabaseError) -> bool {
    error.sqlstate == "23503" && error.constraint.as_deref() == Some(TICKET_KEY)
}
