//! Reads who waits for whom: one statement a look, in a session of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::progress::{self, VIEWS};
use super::standing::{behind, blockers};
use super::{Backend, Blocker, Look, Prepared, Queue, Rights, Wait, Waiter, name, statement};
use crate::postgres::PostgresError;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::session::{Session, SessionSettings};

/// A look that takes longer than this is given up by the server.
const LONGEST_LOOK: Duration = Duration::from_secs(3);
/// How many waiting processes are looked at.
const WAITERS: usize = 1000;
/// How many of those behind us are named.
const NAMED: usize = 40;

/// The object of a lock as one text, of the row `l` of `pg_locks`.
pub(in crate::postgres) const TAG: &str = "pg_catalog.concat_ws('/', l.locktype, l.database, l.relation, \
     l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid, l.objsubid)";

/// The object of a lock as people say it, of the row `l`.
pub(in crate::postgres) const ON: &str = "coalesce(\
     CASE l.locktype WHEN 'tuple' THEN 'a row of ' WHEN 'page' THEN 'a page of ' \
       WHEN 'extend' THEN 'the end of ' ELSE '' END || (\
       SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.oid = l.relation AND l.database IN (0, (SELECT d.oid FROM pg_catalog.pg_database d \
              WHERE d.datname = pg_catalog.current_database()))), \
     CASE l.locktype \
       WHEN 'transactionid' THEN 'the end of transaction ' || l.transactionid::text \
       WHEN 'virtualxid' THEN 'the end of virtual transaction ' || l.virtualxid \
       WHEN 'advisory' THEN 'advisory lock ' || pg_catalog.concat_ws(', ', l.classid, l.objid) \
       WHEN 'relation' THEN 'relation ' || l.relation::text || ', not to be seen from here' \
       ELSE l.locktype END)";

/// A session that looks. Dropping it ends it.
pub struct LockReader {
    pub(super) session: Session,
    rights: Rights,
}

impl LockReader {
    /// Connects, and learns what may be seen.
    ///
    /// # Errors
    /// What the server or the way to it says.
    pub async fn open(
        info: &Conninfo,
        application_name: &str,
    ) -> Result<LockReader, PostgresError> {
        let settings = SessionSettings {
            application_name: application_name.to_owned(),
            lock_timeout: Duration::from_millis(500),
            statement_timeout: LONGEST_LOOK,
            idle_in_transaction_timeout: Duration::from_secs(10),
            // Nobody's functions and operators come before the server's own.
            search_path: Some("pg_catalog".to_owned()),
            read_only: true,
        };
        let session = Session::open(info, &settings).await?;
        let rows = session
            .rows(
                "SELECT set_config('jit', 'off', false), \
                 current_setting('is_superuser') = 'on', \
                 pg_has_role('pg_read_all_stats', 'USAGE'), \
                 pg_has_role('pg_signal_backend', 'USAGE')",
            )
            .await?;
        let yes = |n: usize| {
            let row = rows.first().and_then(|row| row.get(n));
            matches!(row, Some(Some(text)) if text == "t")
        };
        let superuser = yes(1);
        let rights = Rights {
            superuser,
            reads_all: superuser || yes(2),
            signals: superuser || yes(3),
        };
        Ok(LockReader { session, rights })
    }

    /// What this session may see and do.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Looks at what is around a backend of that name.
    ///
    /// # Errors
    /// What the server says.
    pub async fn look(&self, ours: i32, application_name: &str) -> Result<Look, PostgresError> {
        let sql = look_sql(ours, self.session.server_version().num);
        let seen = read(&self.session, &sql).await?;
        Ok(assemble(ours, application_name, self.rights, &seen))
    }

    /// Cancels the statement of a transaction of ours, unless it is being committed. Tells whether
    /// it was there.
    ///
    /// # Errors
    /// What the server says.
    pub async fn cancel_ours(&self, ours: i32, look: &Look) -> Result<bool, PostgresError> {
        let Some(began) = &look.transaction else {
            return Ok(false);
        };
        // An answer to COMMIT that is waited for must not be lost to a request to stop.
        let sql = format!(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = {ours} \
             AND xact_start = {}::timestamptz AND state = 'active' AND query !~* '^\\s*commit'",
            crate::postgres::settings::literal(began)
        );
        Ok(!self.session.rows(&sql).await?.is_empty())
    }
}

/// Looks in a session of any settings that has no transaction open. What it may do is not asked.
pub(in crate::postgres) async fn around(
    session: &Session,
    ours: i32,
    application_name: &str,
) -> Result<Look, PostgresError> {
    let sql = look_sql(ours, session.server_version().num);
    let sql = format!("BEGIN READ ONLY; SET LOCAL search_path = pg_catalog; {sql}; COMMIT");
    let seen = read(session, &sql).await?;
    Ok(assemble(ours, application_name, Rights::default(), &seen))
}

async fn read(session: &Session, sql: &str) -> Result<Seen, PostgresError> {
    let rows = session.rows(sql).await?;
    let text = rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next());
    serde_json::from_str(&text.flatten().unwrap_or_default()).map_err(|error| {
        PostgresError::Protocol {
            reason: format!("the server's locks cannot be read: {error}"),
        }
    })
}

/// Everything that one look reads, as one JSON text. What a prepared transaction has is found by the
/// lock that it has on itself.
fn look_sql(ours: i32, version: u32) -> String {
    let since = match version {
        140_000.. => "l.waitstart",
        // The statement began no later than its wait.
        _ => "(SELECT s.query_start FROM pg_stat_activity s WHERE s.pid = l.pid)",
    };
    let ms = |from: &str| {
        format!("greatest(0, floor(extract(epoch FROM clock_timestamp() - {from}) * 1000))::bigint")
    };
    let views: Vec<String> = VIEWS
        .iter()
        .filter(|(_, from)| version >= *from)
        .map(|(view, _)| {
            let row = format!(
                "(SELECT row_to_json(p) FROM pg_stat_progress_{view} p WHERE p.pid = {ours} LIMIT 1)"
            );
            format!("'{view}', {row}")
        })
        .collect();
    format!(
        "WITH waiting AS (SELECT l.pid, l.mode, {since} AS began, {TAG} AS tag, {ON} AS object \
             FROM pg_locks l WHERE NOT l.granted AND l.pid IS NOT NULL LIMIT {WAITERS}), \
         edges AS (SELECT DISTINCT w.pid, b.pid AS blocker \
             FROM (SELECT DISTINCT pid FROM waiting) w, unnest(pg_blocking_pids(w.pid)) AS b (pid)), \
         named AS (SELECT {ours} AS pid UNION SELECT pid FROM edges UNION SELECT blocker FROM edges) \
         SELECT json_build_object( \
         'waits', (SELECT json_agg(json_build_object('pid', pid, 'mode', mode, 'on', object, \
             'tag', tag, 'ms', {waited})) FROM waiting), \
         'edges', (SELECT json_agg(json_build_array(pid, blocker)) FROM edges), \
         'who', (SELECT json_agg(json_build_object('pid', a.pid, 'user', a.usename, \
             'application', a.application_name, 'client', host(a.client_addr), \
             'database', a.datname, 'state', a.state, 'kind', a.backend_type, \
             'start', a.backend_start, 'transaction', a.xact_start, 'transaction_ms', {xact}, \
             'query_ms', {query}, 'state_ms', {state}, 'query', left(a.query, 600), \
             'hidden', coalesce(a.query = '<insufficient privilege>', false), \
             'may_signal', {may})) \
             FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid \
             WHERE a.pid IN (SELECT pid FROM named)), \
         'prepared', (SELECT json_agg(json_build_object('waiter', w.pid, 'gid', x.gid, \
             'owner', x.owner, 'database', x.database, 'ms', {prepared})) \
             FROM waiting w JOIN edges e ON e.pid = w.pid AND e.blocker = 0 \
             JOIN pg_locks l ON l.pid IS NULL AND l.granted AND {TAG} = w.tag \
             JOIN pg_locks o ON o.pid IS NULL AND o.locktype = 'transactionid' \
                  AND o.virtualtransaction = l.virtualtransaction \
             JOIN pg_prepared_xacts x ON x.transaction = o.transactionid), \
         'progress', json_build_object({views}))",
        waited = ms("began"),
        xact = ms("a.xact_start"),
        query = ms("a.query_start"),
        state = ms("a.state_change"),
        prepared = ms("x.prepared"),
        may = MAY_SIGNAL,
        views = views.join(", "),
    )
}

/// As `pg_cancel_backend` itself decides. Nobody's superuser sessions but a superuser ends.
const MAY_SIGNAL: &str = "CASE WHEN current_setting('is_superuser') = 'on' THEN true \
     WHEN coalesce(r.rolsuper, true) THEN false \
     ELSE pg_has_role(a.usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE') END";

#[derive(Debug, Default, Deserialize)]
struct Seen {
    waits: Option<Vec<SeenWait>>,
    edges: Option<Vec<(i32, i32)>>,
    who: Option<Vec<SeenBackend>>,
    prepared: Option<Vec<SeenPrepared>>,
    #[serde(default)]
    progress: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct SeenWait {
    pid: i32,
    mode: Option<String>,
    on: Option<String>,
    tag: String,
    ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct SeenBackend {
    pid: i32,
    user: Option<String>,
    application: Option<String>,
    client: Option<String>,
    database: Option<String>,
    state: Option<String>,
    kind: Option<String>,
    start: Option<String>,
    transaction: Option<String>,
    transaction_ms: Option<u64>,
    query_ms: Option<u64>,
    state_ms: Option<u64>,
    query: Option<String>,
    hidden: bool,
    may_signal: bool,
}

#[derive(Debug, Deserialize)]
struct SeenPrepared {
    waiter: i32,
    gid: String,
    owner: Option<String>,
    database: Option<String>,
    ms: Option<u64>,
}

impl SeenBackend {
    fn backend(&self) -> Backend {
        let of = |text: &Option<String>| name(text.as_deref().unwrap_or_default());
        let client = match (&self.client, self.hidden) {
            (Some(client), _) => name(client),
            (None, true) => String::new(),
            (None, false) => "local socket".to_owned(),
        };
        let query = self.query.as_deref().unwrap_or_default();
        Backend {
            pid: self.pid,
            user: of(&self.user),
            application: of(&self.application),
            client,
            database: of(&self.database),
            state: of(&self.state),
            kind: of(&self.kind),
            backend_start: self.start.clone(),
            transaction_ms: self.transaction_ms,
            query_ms: self.query_ms,
            state_ms: self.state_ms,
            query: if self.hidden {
                String::new()
            } else {
                statement(query)
            },
            hidden: self.hidden,
            may_signal: self.may_signal,
        }
    }
}

impl SeenWait {
    fn wait(&self) -> Wait {
        let of = |text: &Option<String>| name(text.as_deref().unwrap_or_default());
        Wait {
            mode: of(&self.mode),
            on: of(&self.on),
            waited_ms: self.ms,
            tag: self.tag.clone(),
        }
    }
}

/// Puts together what a look read.
fn assemble(ours: i32, application_name: &str, rights: Rights, seen: &Seen) -> Look {
    let edges = seen.edges.as_deref().unwrap_or_default();
    let who = seen.who.as_deref().unwrap_or_default();
    let waits = seen.waits.as_deref().unwrap_or_default();
    let of = |pid: i32| who.iter().find(|seen| seen.pid == pid);
    let named = |pid: i32| {
        let unknown = Backend {
            pid,
            ..Backend::default()
        };
        of(pid).map_or(unknown, SeenBackend::backend)
    };
    let wait_of = |pid: i32| waits.iter().find(|wait| wait.pid == pid);
    let Some(us) = of(ours).filter(|us| us.application.as_deref() == Some(application_name)) else {
        return Look {
            rights,
            ..Look::default()
        };
    };
    let prepared = |waiter: i32| {
        let all = seen.prepared.as_deref().unwrap_or_default().iter();
        let of = all.filter(move |prepared| prepared.waiter == waiter);
        of.map(|prepared| Prepared {
            gid: name(&prepared.gid),
            owner: name(prepared.owner.as_deref().unwrap_or_default()),
            database: name(prepared.database.as_deref().unwrap_or_default()),
            age_ms: prepared.ms.unwrap_or(0),
        })
        .collect()
    };
    let blockers = blockers(ours, edges)
        .into_iter()
        .map(|place| Blocker {
            who: named(place.pid),
            depth: place.depth,
            waits: wait_of(place.pid).map(SeenWait::wait),
            tag: wait_of(place.blocks).map_or(String::new(), |wait| wait.tag.clone()),
            prepared: match place.pid {
                0 => prepared(place.blocks),
                _ => Vec::new(),
            },
        })
        .collect();
    let progress = VIEWS.iter().filter_map(|(view, _)| {
        let row = seen.progress.get(*view)?;
        progress::phase(view, row)
    });
    Look {
        ours: Some(us.backend()),
        transaction: us.transaction.clone(),
        wait: wait_of(ours).map(SeenWait::wait),
        blockers,
        queue: queue(ours, edges, waits, named),
        progress: progress.collect(),
        rights,
    }
}

fn queue(
    ours: i32,
    edges: &[(i32, i32)],
    waits: &[SeenWait],
    named: impl Fn(i32) -> Backend,
) -> Queue {
    let pids = behind(ours, edges);
    let mut waiting: Vec<&SeenWait> = waits.iter().filter(|w| pids.contains(&w.pid)).collect();
    waiting.sort_by_key(|wait| (std::cmp::Reverse(wait.ms), wait.pid));
    let mut on: BTreeMap<String, usize> = BTreeMap::new();
    for wait in &waiting {
        *on.entry(wait.wait().on).or_default() += 1;
    }
    let mut on: Vec<(String, usize)> = on.into_iter().collect();
    on.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Queue {
        count: pids.len(),
        longest_ms: waiting.first().and_then(|wait| wait.ms).unwrap_or(0),
        on,
        first: waiting
            .iter()
            .take(NAMED)
            .map(|wait| Waiter {
                who: named(wait.pid),
                wait: wait.wait(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen {
        serde_json::from_str(text).unwrap()
    }

    const THREE: &str = r#"{
        "waits": [
            {"pid": 10, "mode": "AccessExclusiveLock", "on": "shop.orders", "tag": "relation/5/7", "ms": 1200},
            {"pid": 11, "mode": "AccessShareLock", "on": "shop.orders", "tag": "relation/5/7", "ms": 900},
            {"pid": 12, "mode": "AccessShareLock", "on": "shop.items", "tag": "relation/5/8", "ms": 1100},
            {"pid": 99, "mode": "ShareLock", "on": "x", "tag": "t", "ms": 99000}],
        "edges": [[10, 20], [11, 10], [12, 10], [99, 98]],
        "who": [
            {"pid": 10, "user": "dba", "application": "stagegate r g", "hidden": false, "may_signal": true,
             "transaction": "2026-11-21T20:00:00.123456+00:00", "query": "ALTER\n TABLE"},
            {"pid": 20, "user": "ana", "application": "psql\u001b[2J", "hidden": true, "may_signal": false,
             "query": "<insufficient privilege>"},
            {"pid": 11, "user": "web", "hidden": false, "may_signal": true, "query": "SELECT 1"}],
        "progress": {"copy": null}}"#;

    #[test]
    fn what_was_read_is_put_together() {
        let look = assemble(10, "stagegate r g", Rights::default(), &seen(THREE));
        assert_eq!(look.ours.as_ref().unwrap().query, "ALTER TABLE");
        assert_eq!(look.wait.as_ref().unwrap().on, "shop.orders");
        let blocker = &look.blockers[0];
        assert_eq!(blocker.who.who(), "ana@psql␛[2J");
        assert!(blocker.who.hidden && blocker.who.query.is_empty());
        assert_eq!(blocker.tag, "relation/5/7");
        assert_eq!((look.queue.count, look.queue.longest_ms), (2, 1100));
        let first: Vec<i32> = look.queue.first.iter().map(|w| w.who.pid).collect();
        assert_eq!(first, [12, 11]);
        assert!(look.is_telling() && look.progress.is_empty());
        assert!(look.unseen().unwrap().contains("pg_read_all_stats"));
    }

    #[test]
    fn a_process_of_another_name_is_not_ours() {
        let look = assemble(10, "stagegate r other", Rights::default(), &seen(THREE));
        assert_eq!(look, Look::default());
        let nothing = assemble(1, "x", Rights::default(), &seen("{}"));
        assert!(!nothing.is_telling());
    }

    #[test]
    fn a_server_is_asked_for_the_views_that_it_has() {
        assert!(look_sql(1, 150_000).contains("pg_stat_progress_copy"));
        let older = look_sql(1, 130_000);
        assert!(!older.contains("pg_stat_progress_copy") && !older.contains("waitstart"));
        assert!(older.contains("pg_stat_progress_analyze"));
    }
}
