//! What else goes on in a database before something is changed in it: dumps, long transactions,
//! prepared ones, standbys that lag.

use std::time::Duration;

use serde::Deserialize;

use super::{Prepared, age, name, statement};
use crate::postgres::PostgresError;
use crate::postgres::session::Session;

/// How many of each are named.
const NAMED: usize = 10;

/// A session that may be in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub pid: i32,
    pub user: String,
    pub application: String,
    pub client: String,
    pub state: String,
    /// How long its transaction has been open; `None` where that may not be seen.
    pub transaction_ms: Option<u64>,
    pub query: String,
}

impl Neighbour {
    /// It in one line.
    pub fn words(&self) -> String {
        let mut out = format!("pid {}, {}@{}", self.pid, self.user, self.application);
        if !self.client.is_empty() {
            out.push_str(&format!(", {}", self.client));
        }
        match self.transaction_ms {
            Some(ms) => out.push_str(&format!(", its transaction for {}", age(ms))),
            None => out.push_str(", since when may not be seen"),
        }
        out
    }
}

/// A standby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    pub name: String,
    pub state: String,
    /// What it has not replayed; `None` where that may not be seen.
    pub behind_bytes: Option<u64>,
    /// How long ago it was at what it replays; `None` while it has caught up, or is not seen.
    pub lag_ms: Option<u64>,
}

impl Standby {
    /// It in one line.
    pub fn words(&self) -> String {
        let behind = match (self.lag_ms, self.behind_bytes) {
            (Some(ms), Some(bytes)) => format!("{} and {bytes} bytes behind", age(ms)),
            (Some(ms), None) => format!("{} behind", age(ms)),
            (None, Some(bytes)) => format!("{bytes} bytes behind"),
            (None, None) => "how far behind may not be seen".to_owned(),
        };
        format!("{}, {}, {behind}", self.name, self.state)
    }
}

/// What else goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beside {
    /// Programs that dump this database: they have a lock on every table until they end.
    pub dumps: Vec<Neighbour>,
    /// Transactions of this database that have been open for long.
    pub long: Vec<Neighbour>,
    pub prepared: Vec<Prepared>,
    pub standbys: Vec<Standby>,
}

/// Looks what else goes on in the session's database.
///
/// # Errors
/// What the server says.
pub async fn beside(session: &Session, long: Duration) -> Result<Beside, PostgresError> {
    let rows = session.rows(&sql(long)).await?;
    let text = rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next());
    let seen: Seen =
        serde_json::from_str(&text.flatten().unwrap_or_default()).map_err(|error| {
            PostgresError::Protocol {
                reason: format!("what else goes on cannot be read: {error}"),
            }
        })?;
    Ok(seen.beside())
}

fn sql(long: Duration) -> String {
    let ms = |from: &str| {
        format!(
            "greatest(0, pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp() - {from}) \
             * 1000))::bigint"
        )
    };
    let who = format!(
        "SELECT pg_catalog.json_agg(pg_catalog.json_build_object('pid', a.pid, 'user', a.usename, \
         'application', a.application_name, 'client', pg_catalog.host(a.client_addr), \
         'state', a.state, 'ms', {}, 'query', pg_catalog.left(a.query, 300)) \
         ORDER BY a.xact_start) FROM pg_catalog.pg_stat_activity a \
         WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()",
        ms("a.xact_start")
    );
    // A dump of ours carries our name, but asks what every pg_dump asks.
    let dumps = "(a.application_name LIKE 'pg\\_dump%' \
         OR (a.application_name LIKE 'stagegate %' AND (a.query LIKE 'COPY % TO stdout%' \
             OR a.query LIKE 'LOCK TABLE % IN ACCESS SHARE MODE%') AND a.state <> 'idle'))";
    format!(
        "SELECT pg_catalog.json_build_object(\
         'dumps', ({who} AND {dumps}), \
         'long', ({who} AND a.xact_start < pg_catalog.clock_timestamp() - interval '{seconds} s' \
             AND NOT {dumps}), \
         'prepared', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('gid', x.gid, \
             'owner', x.owner, 'database', x.database, 'ms', {prepared}) ORDER BY x.prepared) \
             FROM pg_catalog.pg_prepared_xacts x WHERE x.database = pg_catalog.current_database()), \
         'standbys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(\
             'name', r.application_name, 'state', r.state, \
             'bytes', CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE \
                 greatest(0, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), r.replay_lsn))::bigint END, \
             'ms', pg_catalog.floor(extract(epoch FROM r.replay_lag) * 1000)::bigint)) \
             FROM pg_catalog.pg_stat_replication r))",
        seconds = long.as_secs(),
        prepared = ms("x.prepared"),
    )
}

#[derive(Debug, Default, Deserialize)]
struct Seen {
    dumps: Option<Vec<SeenOne>>,
    long: Option<Vec<SeenOne>>,
    prepared: Option<Vec<SeenPrepared>>,
    standbys: Option<Vec<SeenStandby>>,
}

#[derive(Debug, Default, Deserialize)]
struct SeenOne {
    pid: i32,
    user: Option<String>,
    application: Option<String>,
    client: Option<String>,
    state: Option<String>,
    ms: Option<u64>,
    query: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SeenPrepared {
    gid: String,
    owner: Option<String>,
    database: Option<String>,
    ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct SeenStandby {
    name: Option<String>,
    state: Option<String>,
    bytes: Option<u64>,
    ms: Option<u64>,
}

impl Seen {
    fn beside(self) -> Beside {
        let text = |text: Option<String>| name(&text.unwrap_or_default());
        let one = |seen: SeenOne| Neighbour {
            pid: seen.pid,
            user: text(seen.user),
            application: text(seen.application),
            client: text(seen.client),
            state: text(seen.state),
            transaction_ms: seen.ms,
            query: statement(&seen.query.unwrap_or_default()),
        };
        let all = |seen: Option<Vec<SeenOne>>| {
            seen.unwrap_or_default()
                .into_iter()
                .take(NAMED)
                .map(one)
                .collect()
        };
        Beside {
            dumps: all(self.dumps),
            long: all(self.long),
            prepared: self
                .prepared
                .unwrap_or_default()
                .into_iter()
                .take(NAMED)
                .map(|seen| Prepared {
                    gid: name(&seen.gid),
                    owner: text(seen.owner),
                    database: text(seen.database),
                    age_ms: seen.ms.unwrap_or(0),
                })
                .collect(),
            standbys: self
                .standbys
                .unwrap_or_default()
                .into_iter()
                .take(NAMED)
                .map(|seen| Standby {
                    name: text(seen.name),
                    state: text(seen.state),
                    behind_bytes: seen.bytes,
                    lag_ms: seen.ms,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_not_said_to_be_nothing() {
        let text = r#"{"dumps": null, "long": null, "prepared": null,
            "standbys": [{"name": "b", "state": null, "bytes": null, "ms": null},
                         {"name": "c", "state": "streaming", "bytes": 70, "ms": 1500}]}"#;
        let seen: Seen = serde_json::from_str(text).unwrap();
        let beside = seen.beside();
        let words: Vec<String> = beside.standbys.iter().map(Standby::words).collect();
        assert_eq!(words[0], "b, , how far behind may not be seen");
        assert_eq!(words[1], "c, streaming, 1.5 s and 70 bytes behind");
        assert_eq!(beside.dumps, []);
    }
}
