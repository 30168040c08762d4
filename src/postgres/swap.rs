//! Changes one database for another under the same name, and the sessions that are in the way.

use std::time::Duration;

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;

/// How long other sessions may take to end after they were told to.
const GRACE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);
/// Settings that are lists of names; the server keeps each name quoted where it needs to be.
const LISTS: &str = "'search_path', 'temp_tablespaces', 'local_preload_libraries', \
                     'session_preload_libraries'";

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

/// Which of the databases of a swap are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub live: bool,
    pub fresh: bool,
    pub kept: bool,
}

impl Standing {
    /// Tells whether the names have been changed over.
    pub fn swapped(self) -> bool {
        self.live && self.kept && !self.fresh
    }
}

/// Asks which of the databases of a swap are there.
///
/// # Errors
/// What the server says.
pub async fn standing(session: &Session, names: &SwapNames) -> Result<Standing, PostgresError> {
    let asked = [&names.live, &names.fresh, &names.kept].map(|name| {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = {})",
            literal(name)
        )
    });
    let sql = format!("SELECT {}", asked.join(", "));
    let row = session.client.query_typed_one(&sql, &[]).await?;
    Ok(Standing {
        live: row.get(0),
        fresh: row.get(1),
        kept: row.get(2),
    })
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

/// Makes an empty database like `names.live`: the same owner, encoding, locale and limit.
///
/// # Errors
/// What the server says; 42501 when the role may not create databases.
pub async fn create_fresh(session: &Session, names: &SwapNames) -> Result<(), PostgresError> {
    let sql = format!(
        "SELECT pg_catalog.pg_get_userbyid(datdba)::text, \
         pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, \
         datconnlimit, (SELECT spcname::text FROM pg_catalog.pg_tablespace t WHERE t.oid = dattablespace), \
         to_jsonb(d) ->> 'datlocprovider', \
         coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale') \
         FROM pg_catalog.pg_database d WHERE datname = {}",
        literal(&names.live)
    );
    let row = session.client.query_typed_one(&sql, &[]).await?;
    let text = |n: usize| literal(&row.get::<_, String>(n));
    let name = |n: usize| identifier(&row.get::<_, String>(n));
    let provider = match row.get::<_, Option<String>>(6).as_deref() {
        Some("i") => {
            let locale = row.get::<_, Option<String>>(7).unwrap_or_default();
            format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", literal(&locale))
        }
        _ => String::new(),
    };
    // Naming the one that is taken anyway would ask for rights on it that few have.
    let tablespace = match row.get::<_, String>(5).as_str() {
        "pg_default" => String::new(),
        other => format!(" TABLESPACE {}", identifier(other)),
    };
    let create = format!(
        "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {} \
         CONNECTION LIMIT {}{tablespace}{provider}",
        identifier(&names.fresh),
        name(0),
        text(1),
        text(2),
        text(3),
        row.get::<_, i32>(4),
    );
    session.client.batch_execute(&create).await?;
    copy_settings(session, names).await
}

/// What a dump of one database does not hold: its grants, its settings, its comment.
async fn copy_settings(session: &Session, names: &SwapNames) -> Result<(), PostgresError> {
    let (live, fresh) = (literal(&names.live), literal(&names.fresh));
    let sql = format!(
        "SELECT statement FROM ( \
         SELECT 1 AS place, format('REVOKE ALL ON DATABASE %I FROM PUBLIC', {fresh}) AS statement \
           FROM pg_catalog.pg_database WHERE datname = {live} AND datacl IS NOT NULL \
         UNION ALL SELECT 2, format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, {fresh}, \
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, \
             CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
           FROM pg_catalog.pg_database d, aclexplode(d.datacl) a WHERE d.datname = {live} \
         UNION ALL SELECT 3, CASE s.setrole WHEN 0 \
             THEN format('ALTER DATABASE %I SET %s TO %s', {fresh}, c.name, c.value) \
             ELSE format('ALTER ROLE %I IN DATABASE %I SET %s TO %s', pg_get_userbyid(s.setrole), \
                  {fresh}, c.name, c.value) END \
           FROM pg_catalog.pg_db_role_setting s \
           JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, \
           LATERAL (SELECT split_part(one, '=', 1) AS name, \
               CASE WHEN split_part(one, '=', 1) IN ({LISTS}) AND split_part(one, '=', 2) <> '' \
                    THEN substr(one, strpos(one, '=') + 1) \
                    ELSE quote_literal(substr(one, strpos(one, '=') + 1)) END AS value \
               FROM unnest(s.setconfig) one \
               WHERE split_part(one, '=', 1) ~ '^[A-Za-z_][A-Za-z0-9_.]*$' \
               AND (split_part(one, '=', 1) NOT IN ({LISTS}) \
                    OR substr(one, strpos(one, '=') + 1) ~ '^[A-Za-z0-9_$\", ]*$')) c \
           WHERE d.datname = {live} \
         UNION ALL SELECT 4, format('COMMENT ON DATABASE %I IS %L', {fresh}, \
             shobj_description(oid, 'pg_database')) \
           FROM pg_catalog.pg_database WHERE datname = {live} \
           AND shobj_description(oid, 'pg_database') IS NOT NULL) statements ORDER BY place"
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    for row in &rows {
        let statement: String = row.get(0);
        session.client.batch_execute(&statement).await?;
    }
    Ok(())
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
///
/// # Errors
/// What the server says; nothing is changed then.
pub async fn swap(
    session: &Session,
    helper: &Session,
    names: &SwapNames,
    end_others: bool,
) -> Result<(), PostgresError> {
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
    let second = match renamed {
        Ok(()) => {
            crate::system::fault::point("between_renames");
            let sql = format!("ALTER DATABASE {fresh} RENAME TO {live}");
            session.client.batch_execute(&sql).await
        }
        error => error,
    };
    if let Err(error) = second {
        let _ = session.client.batch_execute("ROLLBACK").await;
        return Err(error.into());
    }
    crate::system::fault::point("before_swap_commit");
    session.client.batch_execute("COMMIT").await?;
    crate::system::fault::point("after_swap");
    Ok(())
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
