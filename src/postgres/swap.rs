//! Changes one database for another under the same name, and the sessions that are in the way.

use std::time::Duration;

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;

/// How long other sessions may take to end after they were told to.
const GRACE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// The names of a swap. They tell whose they are: the run's own id is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapNames {
    pub live: String,
    /// What the dump is restored into.
    pub fresh: String,
    /// What the live database is called afterwards.
    pub kept: String,
}

impl SwapNames {
    /// Makes them for one run. They fit into the 63 bytes of a name.
    pub fn new(live: &str, run: &str, gate: &str) -> SwapNames {
        // Another restore of the same run is another one; its names must not look done already.
        let run = format!("{run}-{}", &crate::digest::digest(gate.as_bytes())[..6]);
        let run = run.as_str();
        let room = 63 - "_before_".len() - run.len().min(40);
        let mut end = live.len().min(room);
        while !live.is_char_boundary(end) {
            end -= 1;
        }
        let (stem, run) = (&live[..end], &run[..run.len().min(40)]);
        SwapNames {
            live: live.to_owned(),
            fresh: format!("{stem}_fresh_{run}"),
            kept: format!("{stem}_before_{run}"),
        }
    }
}

/// Which of the databases of a swap are there: their oids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub live: Option<u32>,
    pub fresh: Option<u32>,
    pub kept: Option<u32>,
}

impl Standing {
    /// Tells whether the names have been changed over.
    pub fn swapped(self) -> bool {
        self.live.is_some() && self.kept.is_some() && self.fresh.is_none()
    }
}

/// Asks which of the databases of a swap are there.
///
/// # Errors
/// What the server says.
pub async fn standing(session: &Session, names: &SwapNames) -> Result<Standing, PostgresError> {
    Ok(Standing {
        live: oid(session, &names.live).await?,
        fresh: oid(session, &names.fresh).await?,
        kept: oid(session, &names.kept).await?,
    })
}

async fn oid(session: &Session, database: &str) -> Result<Option<u32>, PostgresError> {
    let sql = format!(
        "SELECT oid FROM pg_catalog.pg_database WHERE datname = {}",
        literal(database)
    );
    let row = session.client.query_typed_opt(&sql, &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Why the names were not changed over.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The name led to another database than the one that was proved.
    #[error(
        "{name} is another database (oid {found:?}) than the one that was proved (oid {wanted})"
    )]
    Another {
        name: String,
        wanted: u32,
        found: Option<u32>,
    },
}

impl SwapError {
    /// Tells whether it is known that the names are as they were.
    pub fn changed_nothing(&self) -> bool {
        match self {
            SwapError::Postgres(error) => error.sqlstate().is_some(),
            SwapError::Another { .. } => true,
        }
    }
}

/// Somebody else's session in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherSession {
    pub pid: i32,
    pub user: String,
    pub application: String,
    pub client: String,
    pub state: String,
}

impl std::fmt::Display for OtherSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "pid {} {} {} {} {}",
            self.pid, self.user, self.application, self.client, self.state
        )
    }
}

/// Lists the sessions of other clients in a database. Those under `own` are ours.
///
/// # Errors
/// What the server says.
pub async fn other_sessions(
    session: &Session,
    database: &str,
    own: &str,
) -> Result<Vec<OtherSession>, PostgresError> {
    let sql = format!(
        "SELECT pid, coalesce(usename, '')::text, coalesce(application_name, ''), \
         coalesce(host(client_addr), 'local'), coalesce(state, '') \
         FROM pg_catalog.pg_stat_activity WHERE datname = {} AND pid <> pg_backend_pid() \
         AND (backend_type = 'client backend' OR backend_type IS NULL AND usename IS NOT NULL) \
         AND NOT starts_with(application_name, {}) \
         ORDER BY backend_start",
        literal(database),
        literal(own)
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| OtherSession {
            pid: row.get(0),
            user: row.get(1),
            application: row.get(2),
            client: row.get(3),
            state: row.get(4),
        })
        .collect())
}

/// Drops what an attempt left that did not get as far as the swap.
///
/// # Errors
/// What the server says.
pub async fn drop_fresh(session: &Session, names: &SwapNames) -> Result<(), PostgresError> {
    let sql = format!(
        "DROP DATABASE IF EXISTS {} WITH (FORCE)",
        identifier(&names.fresh)
    );
    session.client.batch_execute(&sql).await?;
    Ok(())
}

/// Changes the names over in one transaction. Sessions that are in the way end meanwhile if
/// `end_others`; no new one comes in, for the server holds connecting back until it is done.
/// Inside the transaction each name is proved to be the database of the number in `(live, fresh)`.
///
/// # Errors
/// What the server says, or which name led elsewhere; nothing is changed then.
pub async fn swap(
    session: &Session,
    helper: &Session,
    names: &SwapNames,
    (live_oid, fresh_oid): (u32, u32),
    end_others: bool,
) -> Result<(), SwapError> {
    let (live, fresh, kept) = (
        identifier(&names.live),
        identifier(&names.fresh),
        identifier(&names.kept),
    );
    let begin = format!("BEGIN; ALTER DATABASE {live} RENAME TO {kept}");
    let rename = session.client.batch_execute(&begin);
    tokio::pin!(rename);
    let end = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
         WHERE datname = {} \
         AND (backend_type = 'client backend' OR backend_type IS NULL AND usename IS NOT NULL)",
        literal(&names.live)
    );
    let renamed = loop {
        tokio::select! {
            renamed = &mut rename => break renamed,
            () = tokio::time::sleep(POLL), if end_others => {
                // One session that we may not end makes this fail; then the rename says so itself.
                let _ = helper.client.simple_query(&end).await;
            }
        }
    };
    let second = async {
        renamed.map_err(PostgresError::from)?;
        must_be(session, &names.live, (&names.kept, live_oid)).await?;
        crate::system::fault::point("between_renames");
        let sql = format!("ALTER DATABASE {fresh} RENAME TO {live}");
        let renamed = session.client.batch_execute(&sql).await;
        renamed.map_err(PostgresError::from)?;
        must_be(session, &names.fresh, (&names.live, fresh_oid)).await
    };
    if let Err(error) = second.await {
        let _ = session.client.batch_execute("ROLLBACK").await;
        return Err(error);
    }
    crate::system::fault::point("before_swap_commit");
    let committed = session.client.batch_execute("COMMIT").await;
    committed.map_err(PostgresError::from)?;
    crate::system::fault::point("after_swap");
    Ok(())
}

/// Proves which database was just renamed to `now`; the rename has locked it.
async fn must_be(
    session: &Session,
    before: &str,
    (now, wanted): (&str, u32),
) -> Result<(), SwapError> {
    let found = oid(session, now).await?;
    if found == Some(wanted) {
        return Ok(());
    }
    Err(SwapError::Another {
        name: before.to_owned(),
        wanted,
        found,
    })
}

/// Ends other people's sessions in a database and waits until they are gone.
///
/// # Errors
/// What the server says; a session that does not go is an error of the time limit.
pub async fn end_sessions(
    session: &Session,
    database: &str,
    own: &str,
) -> Result<usize, PostgresError> {
    let started = std::time::Instant::now();
    let mut told = 0;
    loop {
        let others = other_sessions(session, database, own).await?;
        if others.is_empty() {
            return Ok(told);
        }
        if started.elapsed() > GRACE {
            return Err(PostgresError::Timeout {
                what: format!("ending {} sessions in {database}", others.len()),
                after: GRACE,
            });
        }
        for other in &others {
            let sql = format!("SELECT pg_catalog.pg_terminate_backend({})", other.pid);
            session.client.simple_query(&sql).await?;
        }
        told = told.max(others.len());
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_swap_fit_and_tell_whose_they_are() {
        let names = SwapNames::new("orders", "20261121-104607-aa59", "restore");
        assert!(
            names
                .fresh
                .starts_with("orders_fresh_20261121-104607-aa59-")
        );
        let other = SwapNames::new("orders", "20261121-104607-aa59", "another");
        assert_ne!(names, other);
        assert!(
            names
                .kept
                .starts_with("orders_before_20261121-104607-aa59-")
        );
        let long = SwapNames::new(&"ä".repeat(31), &"r".repeat(60), "g");
        assert!(long.kept.len() <= 63 && long.fresh.len() <= 63, "{long:?}");
    }
}
