//! Who holds a lock that keeps the catalogs from being read.

use super::Session;

/// More than these say nothing more.
const MOST: u32 = 3;

/// Says what is locked in this database so that nobody can read it, and by whom.
pub(super) async fn held(session: &Session) -> String {
    let sql = format!(
        "SELECT l.relation::regclass::text, l.pid::text, coalesce(a.usename::text, ''), \
         coalesce(a.application_name, ''), coalesce(a.state, '') \
         FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted \
         AND l.pid <> pg_catalog.pg_backend_pid() AND l.database IN (0, (SELECT d.oid \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) \
         ORDER BY a.xact_start NULLS LAST, 1 LIMIT {MOST}"
    );
    let rows = session.rows(&sql).await.unwrap_or_default();
    let said: Vec<String> = rows.iter().map(|row| holder(row)).collect();
    match said.is_empty() {
        true => "a session held a lock on it, and is gone or not shown to this role".to_owned(),
        false => said.join("; "),
    }
}

fn holder(row: &[Option<String>]) -> String {
    let value = |n: usize| {
        let value = row.get(n).and_then(Option::as_deref).unwrap_or_default();
        crate::untrusted::clean_line(value)
    };
    let [relation, pid, user, application, state] = [0, 1, 2, 3, 4].map(value);
    let mut who = vec![format!("user {user}")];
    if !application.is_empty() {
        who.push(format!("application {application}"));
    }
    if !state.is_empty() {
        who.push(state);
    }
    format!("{relation} is locked by session {pid} ({})", who.join(", "))
}
