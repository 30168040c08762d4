//! The sample databases: production is loaded, staging is a copy of it that is one promotion ahead.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::DemoError;
use super::source::World;
use crate::postgres::PostgresError;
use crate::postgres::cluster::Cluster;

/// The superuser of a private server. Only the making of a world uses it.
pub(super) const SUPERUSER: &str = "postgres";
/// The role that promotes, and that the runbook's addresses name.
pub(super) const DEPLOYER: &str = "deploy";

/// The folders and files that a promotion applies, in its order.
const PROMOTION: [&str; 5] = [
    "repo/db/migrations/eng",
    "repo/db/views/eng_governance_views.sql",
    "repo/db/policies/eng_rls_policies.sql",
    "repo/db/migrations/vh",
    "repo/db/views/vh_readonly_views.sql",
];
/// How long the server may take to notice that our session has gone.
const SESSION_END_DEADLINE: Duration = Duration::from_secs(10);
const SESSION_END_POLL: Duration = Duration::from_millis(1);

/// A connection to a private server, over its socket. It takes nothing from the environment and
/// sets no time limits: the server is ours alone, and what it is told is known to be short.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    database: String,
    driver: JoinHandle<()>,
}

impl Connection {
    pub(super) async fn open(
        cluster: &Cluster,
        database: &str,
        user: &str,
    ) -> Result<Connection, DemoError> {
        let failed = |error| sql_error("connecting", "", database, error);
        let (client, connection) = tokio_postgres::connect(&cluster.url(database, user), NoTls)
            .await
            .map_err(failed)?;
        // How the driver ends is told to whoever waits for an answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Connection {
            client,
            database: database.to_owned(),
            driver,
        })
    }

    /// Runs a script as one transaction, unless it has transactions of its own.
    pub(super) async fn run(&self, name: &str, sql: &str) -> Result<(), DemoError> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(|error| sql_error(name, sql, &self.database, error))
    }

    /// Ends the session and waits until the wire is closed.
    pub(super) async fn close(self) {
        drop(self.client);
        // It ends on its own when the client is gone; what it ended with changes nothing.
        drop(self.driver.await);
    }

    async fn count(&self, sql: &str, parameter: &str) -> Result<i64, DemoError> {
        self.client
            .query_one(sql, &[&parameter])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| sql_error("counting sessions", "", &self.database, error))
    }
}

/// Makes the roles and both databases.
pub(super) async fn load(cluster: &Cluster, world: &World) -> Result<(), DemoError> {
    let server = Connection::open(cluster, "postgres", SUPERUSER).await?;
    server.run("roles.sql", world.text("roles.sql")?).await?;
    server
        .run(
            "making production",
            "CREATE DATABASE production OWNER ehg_owner",
        )
        .await?;
    let production = Connection::open(cluster, "production", SUPERUSER).await?;
    for script in ["base.sql", "data.sql"] {
        production.run(script, world.text(script)?).await?;
    }
    production.close().await;
    copy_production(cluster, &server).await?;
    promote(cluster, world).await?;
    // A company's archive holds a segment already when a promotion begins.
    server
        .run("archiving the log", "SELECT pg_switch_wal()")
        .await?;
    server.close().await;
    Ok(())
}

/// Makes staging from production. Nobody may be connected to production meanwhile; a session that
/// lingers would be waited for in steps of 100 ms by the server, so ours is waited for here.
async fn copy_production(cluster: &Cluster, server: &Connection) -> Result<(), DemoError> {
    let deadline = Instant::now() + SESSION_END_DEADLINE;
    loop {
        let sessions = server
            .count(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = $1::text \
                 AND backend_type = 'client backend'",
                "production",
            )
            .await?;
        if sessions == 0 {
            break;
        }
        if Instant::now() >= deadline {
            return Err(DemoError::StillInUse {
                database: "production".to_owned(),
                sessions,
            });
        }
        tokio::time::sleep(SESSION_END_POLL).await;
    }
    // Copying files beats copying through the log, where the server leaves the choice: nothing is
    // synced, so the checkpoint that it takes is cheap.
    let strategy = if cluster.version().major >= 15 {
        " STRATEGY file_copy"
    } else {
        ""
    };
    let sql = format!("CREATE DATABASE staging TEMPLATE production OWNER ehg_owner{strategy}");
    server.run("making staging", &sql).await
}

/// Applies the promotion to staging, as the people of the sample company did.
async fn promote(cluster: &Cluster, world: &World) -> Result<(), DemoError> {
    let staging = Connection::open(cluster, "staging", DEPLOYER).await?;
    staging.run("taking the role", "SET ROLE ehg_owner").await?;
    for entry in PROMOTION {
        if let Some(sql) = world.text_if_any(entry) {
            staging.run(entry, sql).await?;
            continue;
        }
        for file in world.files(entry) {
            let path = format!("{entry}/{}", file.path);
            staging.run(&path, world.text(&path)?).await?;
        }
    }
    staging.close().await;
    Ok(())
}

fn sql_error(script: &str, sql: &str, database: &str, error: tokio_postgres::Error) -> DemoError {
    let source = Box::new(PostgresError::from(error));
    let line = source
        .database_error()
        .and_then(|error| error.position)
        .map(|position| line_of(sql, position));
    DemoError::Sql {
        script: script.to_owned(),
        database: database.to_owned(),
        line,
        source,
    }
}

/// Returns the line of a 1-based character position.
fn line_of(sql: &str, position: u32) -> usize {
    let before = usize::try_from(position).unwrap_or(usize::MAX);
    1 + sql
        .chars()
        .take(before.saturating_sub(1))
        .filter(|c| *c == '\n')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_and_names_a_line() {
        assert_eq!(line_of("é\né\nx", 1), 1);
        assert_eq!(line_of("é\né\nx", 3), 2);
        assert_eq!(line_of("é\né\nx", 5), 3);
    }
}
