//! Which server and database this is, beyond the name that led here.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::conninfo::Host;
use super::error::PostgresError;
use super::session::Session;

/// What tells one database from every other, and what this session may do in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The host as the address names it.
    pub host_shown: String,
    /// Where the server says it was reached: `address:port`, or the socket's path.
    pub address: String,
    pub database: String,
    pub database_oid: u32,
    pub user: String,
    pub server_version: String,
    pub server_version_num: u32,
    /// Drawn when the cluster was made; a standby and a restored copy share it. `None` where the
    /// role may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    pub in_recovery: bool,
    pub is_superuser: bool,
    /// Row level security does not bind this role.
    pub bypass_rls: bool,
    /// When the server was started, in UTC.
    pub server_started: String,
    pub tls: bool,
}

const FACTS: &str = "\
    SELECT COALESCE(pg_catalog.host(pg_catalog.inet_server_addr()), ''), \
           COALESCE(pg_catalog.inet_server_port()::text, ''), \
           pg_catalog.current_database(), \
           d.oid::text, \
           CURRENT_USER::text, \
           pg_catalog.pg_is_in_recovery()::text, \
           r.rolsuper::text, \
           (r.rolbypassrls OR r.rolsuper)::text, \
           pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.pg_postmaster_start_time()), \
                              'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
      FROM pg_catalog.pg_database d, pg_catalog.pg_roles r \
     WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() \
       AND r.rolname OPERATOR(pg_catalog.=) CURRENT_USER";

/// A primary's own timeline is in the name of the log file it writes; the control file learns of
/// a promotion only with the next checkpoint.
const CONTROL: &str = "\
    SELECT s.system_identifier::text, \
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN c.timeline_id::text \
                ELSE ('x' OPERATOR(pg_catalog.||) pg_catalog.substr(pg_catalog.pg_walfile_name( \
                        pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int4::text END \
      FROM pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c";

/// Reads it in one round trip. Outside a transaction, because the control file's part may be
/// forbidden and would break it.
pub async fn read(session: &Session) -> Result<Identity, PostgresError> {
    // Both are on their way before the first is answered.
    let (facts, control) = futures_util::join!(session.rows(FACTS), session.rows(CONTROL));
    let facts = facts?;
    let mut control = match control {
        Ok(rows) => rows.into_iter().next().unwrap_or_default(),
        // Forbidden, or not offered by a service that only resembles PostgreSQL.
        Err(PostgresError::Database(_)) => Vec::new(),
        Err(error) => return Err(error),
    }
    .into_iter();
    let mut facts = facts.into_iter().next().unwrap_or_default().into_iter();
    let mut next = |what: &str| {
        facts
            .next()
            .flatten()
            .ok_or_else(|| PostgresError::Protocol {
                reason: format!("the server does not say its {what}"),
            })
    };
    let (address, port) = (next("address")?, next("port")?);
    let info = session.conninfo();
    let address = match (&info.host, address.is_empty()) {
        (Host::Socket(folder), _) => format!("{}/.s.PGSQL.{}", folder.display(), info.port),
        (Host::Tcp(_), true) => String::new(),
        (Host::Tcp(_), false) if address.contains(':') => format!("[{address}]:{port}"),
        (Host::Tcp(_), false) => format!("{address}:{port}"),
    };
    let database = next("database")?;
    let oid = next("database's oid")?;
    let version = session.server_version();
    Ok(Identity {
        host_shown: info.host.to_string(),
        address,
        database,
        database_oid: oid.parse().map_err(|_| PostgresError::Protocol {
            reason: format!("the database's oid is '{oid}'"),
        })?,
        user: next("user")?,
        server_version: version.text.clone(),
        server_version_num: version.num,
        in_recovery: next("recovery state")? == "true",
        is_superuser: next("role")? == "true",
        bypass_rls: next("role")? == "true",
        server_started: next("start")?,
        system_identifier: control.next().flatten(),
        timeline: control
            .next()
            .flatten()
            .and_then(|timeline| timeline.parse().ok()),
        tls: session.is_tls(),
    })
}

impl Identity {
    /// Says which database this is, as a header or a piece of evidence names it.
    pub fn describe(&self) -> String {
        format!(
            "{}@{}/{} [{}]",
            self.user,
            self.host_shown,
            self.database,
            self.fingerprint()
        )
    }

    /// Returns a short code for people to compare on two screens, such as `7f3a-91c2`: the same
    /// for every way to this database, another after a failover.
    ///
    /// Where the server hides its identifier, the address stands in for it.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let server = self
            .system_identifier
            .clone()
            .unwrap_or_else(|| format!("{} {}", self.host_shown, self.address));
        for part in [
            server,
            self.database_oid.to_string(),
            self.timeline.unwrap_or_default().to_string(),
        ] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
        format!("{a:02x}{b:02x}-{c:02x}{d:02x}")
    }

    /// Compares with what was seen before; the error says what is different and what it means.
    pub fn same_server(&self, before: &Identity) -> Result<(), String> {
        self.same_cluster(before)?;
        if (self.database_oid, &self.database) != (before.database_oid, &before.database) {
            return Err(format!(
                "it is another database: it was {} (oid {}) and is {} (oid {}); one that was \
                 dropped and made again has a new oid",
                before.database, before.database_oid, self.database, self.database_oid
            ));
        }
        Ok(())
    }

    /// Compares the servers alone, whatever the databases.
    pub fn same_cluster(&self, before: &Identity) -> Result<(), String> {
        if let (Some(now), Some(then)) = (&self.system_identifier, &before.system_identifier)
            && now != then
        {
            return Err(format!(
                "it is another server: its system identifier was {then} and is {now}"
            ));
        }
        if let (Some(now), Some(then)) = (self.timeline, before.timeline)
            && now != then
        {
            return Err(format!(
                "the server was promoted or restored since: its timeline was {then} and is {now}"
            ));
        }
        let hidden = self.system_identifier.is_none() || before.system_identifier.is_none();
        if hidden && self.address != before.address {
            return Err(format!(
                "it may be another server: it was reached at {} and is now at {}, and this role \
                 may not read the system identifier (GRANT EXECUTE ON FUNCTION \
                 pg_control_system() TO {})",
                before.address, self.address, self.user
            ));
        }
        Ok(())
    }

    /// Compares two sessions that are open at the same time: one server process started both. A
    /// copy of the server's files has its identifier, its timeline and its databases' numbers, but
    /// was not started at the same microsecond.
    pub fn same_instance(&self, other: &Identity) -> Result<(), String> {
        self.same_cluster(other)?;
        if self.server_started != other.server_started {
            return Err(format!(
                "it is a copy, or was started again: the server at {} was started {}, the one at \
                 {} was started {}",
                other.address, other.server_started, self.address, self.server_started
            ));
        }
        Ok(())
    }

    /// Returns the code that [`Identity::fingerprint`] gives to another database of this server.
    pub fn fingerprint_of(&self, database_oid: u32) -> String {
        let other = Identity {
            database_oid,
            ..self.clone()
        };
        other.fingerprint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            host_shown: "db.example".into(),
            address: "10.0.0.1:5432".into(),
            database: "app".into(),
            database_oid: 16384,
            user: "ana".into(),
            server_version: "15.18".into(),
            server_version_num: 150_018,
            system_identifier: Some("7301442915563021845".into()),
            timeline: Some(1),
            in_recovery: false,
            is_superuser: false,
            bypass_rls: false,
            server_started: "2026-11-21T08:00:00.000000Z".into(),
            tls: true,
        }
    }

    #[test]
    fn the_fingerprint_is_the_databases_and_not_the_ways() {
        let one = identity();
        let other_way = Identity {
            host_shown: "10.0.0.1".into(),
            address: "/run/.s.PGSQL.5432".into(),
            user: "ben".into(),
            tls: false,
            ..identity()
        };
        assert_eq!(one.fingerprint(), other_way.fingerprint());
        one.same_server(&other_way).unwrap();
        let code = one.fingerprint();
        assert_eq!(code.len(), 9);
        assert_eq!(code.as_bytes()[4], b'-');
    }

    #[test]
    fn another_server_database_or_timeline_is_told_apart() {
        let before = identity();
        let others = [
            (
                Identity {
                    system_identifier: Some("1".into()),
                    ..identity()
                },
                "another server",
            ),
            (
                Identity {
                    database_oid: 16385,
                    ..identity()
                },
                "another database",
            ),
            (
                Identity {
                    timeline: Some(2),
                    ..identity()
                },
                "promoted",
            ),
        ];
        for (now, expected) in others {
            let reason = now.same_server(&before).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
            assert_ne!(now.fingerprint(), before.fingerprint());
        }
    }

    #[test]
    fn a_copy_of_the_server_is_told_apart_by_its_start() {
        let other_database = Identity {
            database: "postgres".into(),
            database_oid: 5,
            ..identity()
        };
        other_database.same_instance(&identity()).unwrap();
        assert_eq!(
            other_database.fingerprint_of(16384),
            identity().fingerprint()
        );
        let copy = Identity {
            server_started: "2026-11-21T08:00:00.000001Z".into(),
            ..identity()
        };
        let reason = copy.same_instance(&identity()).unwrap_err();
        assert!(reason.contains("a copy"), "{reason}");
    }

    #[test]
    fn a_hidden_identifier_makes_the_address_count() {
        let hidden = Identity {
            system_identifier: None,
            timeline: None,
            ..identity()
        };
        hidden.same_server(&hidden).unwrap();
        let moved = Identity {
            address: "10.0.0.2:5432".into(),
            ..hidden.clone()
        };
        let reason = moved.same_server(&hidden).unwrap_err();
        assert!(reason.contains("GRANT EXECUTE"), "{reason}");
        assert_ne!(moved.fingerprint(), hidden.fingerprint());
    }
}
