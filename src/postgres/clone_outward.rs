//! What in a database leads out of it: foreign servers, and code that calls elsewhere. In a copy the
//! one leads nowhere, and the other is asked about before anything of it is made.

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;

/// Where nothing answers; the name is reserved for that.
const NOWHERE: &str = "nowhere.invalid";

/// Options that say what is read and how, and not where it is or who reads it.
const HARMLESS: [&str; 30] = [
    "analyze_sampling",
    "application_name",
    "async_capable",
    "batch_size",
    "client_encoding",
    "column_name",
    "connect_timeout",
    "dbname",
    "delimiter",
    "encoding",
    "escape",
    "extensions",
    "fdw_startup_cost",
    "fdw_tuple_cost",
    "fetch_size",
    "force_not_null",
    "force_null",
    "format",
    "header",
    "keep_connections",
    "null",
    "parallel_abort",
    "parallel_commit",
    "port",
    "quote",
    "schema_name",
    "table_name",
    "truncatable",
    "updatable",
    "use_remote_estimate",
];

/// Options that would go before a host, or bring one of their own.
const DROPPED: [&str; 3] = ["hostaddr", "service", "servicefile"];

/// Calls that leave a database, as a text shows them.
const CALLS: &str = r"(dblink|\mnet\.http|\mhttp(_get|_post|_put|_patch|_delete|_head)?\s*\(|\mcron\.|\mlo_export\M)";

/// Lets foreign servers, their wrappers and their tables lead nowhere. Returns which, in words.
///
/// # Errors
/// What the server says.
pub async fn disarm(session: &Session) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT 'FOREIGN DATA WRAPPER ' || quote_ident(fdwname), ''::text, fdwoptions, \
                   'wrapper ' || fdwname \
               FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwoptions IS NOT NULL \
               UNION ALL SELECT 'SERVER ' || quote_ident(s.srvname), w.fdwname::text, \
                   coalesce(s.srvoptions, '{}'), 'server ' || s.srvname \
               FROM pg_catalog.pg_foreign_server s \
               JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
               UNION ALL SELECT 'FOREIGN TABLE ' || pg_catalog.format('%I.%I', n.nspname, c.relname), \
                   ''::text, t.ftoptions, 'foreign table ' || n.nspname || '.' || c.relname \
               FROM pg_catalog.pg_foreign_table t \
               JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE t.ftoptions IS NOT NULL ORDER BY 4";
    let rows = session.client.query_typed(sql, &[]).await?;
    let mut disarmed = Vec::new();
    for row in &rows {
        let (object, wrapper): (&str, &str) = (row.get(0), row.get(1));
        let options: Vec<String> = row.get(2);
        let changes = nowhere(wrapper, &options);
        if changes.is_empty() {
            continue;
        }
        let alter = |changes: &[String]| format!("ALTER {object} OPTIONS ({})", changes.join(", "));
        let changed = session.client.batch_execute(&alter(&changes)).await;
        if changed.is_err() {
            // Its wrapper takes no such value: then it has none.
            let dropped: Vec<String> = changes
                .iter()
                .filter(|change| !change.starts_with("ADD "))
                .map(|change| match change.strip_prefix("SET ") {
                    Some(set) => format!(
                        "DROP {}",
                        set.replace(&format!(" {}", literal(NOWHERE)), "")
                    ),
                    None => change.clone(),
                })
                .collect();
            session.client.batch_execute(&alter(&dropped)).await?;
        }
        disarmed.push(format!("{} leads nowhere", row.get::<_, &str>(3)));
    }
    Ok(disarmed)
}

/// The changes to options after which they lead nowhere and hold no secret.
fn nowhere(wrapper: &str, options: &[String]) -> Vec<String> {
    let names = options
        .iter()
        .filter_map(|option| option.split_once('=').map(|(name, _)| name));
    let mut changes: Vec<String> = Vec::new();
    let mut has_host = false;
    for name in names.filter(|name| !HARMLESS.contains(name)) {
        has_host |= name == "host";
        changes.push(match DROPPED.contains(&name) {
            true => format!("DROP {}", identifier(name)),
            false => format!("SET {} {}", identifier(name), literal(NOWHERE)),
        });
    }
    // Without one it would be the very server that the copy is on.
    if !has_host && matches!(wrapper, "postgres_fdw" | "dblink_fdw") {
        changes.push(format!("ADD host {}", literal(NOWHERE)));
    }
    changes
}

/// Code of users that may call out of the database: functions whose text speaks of it or whose
/// language is not confined, and triggers that are given an address or a key.
///
/// # Errors
/// What the server says.
pub async fn calls_out(session: &Session) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, \
                   pg_catalog.pg_get_function_identity_arguments(p.oid)) \
               FROM pg_catalog.pg_proc p \
               JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
               JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
               WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
               AND (NOT l.lanpltrusted OR p.prosrc ~* \
                    '(dblink|\\mhttps?\\M|\\mnet\\.|http_(get|post|put|delete)|\\mcron\\.|\\mcopy\\M.*\\mprogram\\M)') \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid \
                   AND d.deptype = 'e') \
               UNION ALL SELECT pg_catalog.format('%I on %s', t.tgname, t.tgrelid::regclass) \
               FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal \
               AND encode(t.tgargs, 'escape') ~* '(://|bearer|secret|key)' ORDER BY 1";
    texts(session, sql).await
}

/// What calls out without a function of its own: views, rules, checks, defaults, indexes and
/// policies whose text speaks of it.
///
/// # Errors
/// What the server says.
pub async fn expressions_that_call_out(session: &Session) -> Result<Vec<String>, PostgresError> {
    let sql = format!(
        "SELECT DISTINCT x.name FROM ( \
           SELECT c.oid::regclass::text AS name, pg_catalog.pg_get_viewdef(c.oid) AS text, \
             c.relnamespace AS space FROM pg_catalog.pg_class c WHERE c.relkind IN ('v', 'm') \
           UNION ALL SELECT r.rulename || ' on ' || c.oid::regclass::text, \
             pg_catalog.pg_get_ruledef(r.oid), c.relnamespace FROM pg_catalog.pg_rewrite r \
             JOIN pg_catalog.pg_class c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN' \
           UNION ALL SELECT k.conname || ' on ' || coalesce(c.oid::regclass::text, \
             k.contypid::regtype::text), pg_catalog.pg_get_constraintdef(k.oid), k.connamespace \
             FROM pg_catalog.pg_constraint k LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
             WHERE k.contype = 'c' \
           UNION ALL SELECT c.oid::regclass::text || '.' || a.attname, \
             pg_catalog.pg_get_expr(d.adbin, d.adrelid), c.relnamespace \
             FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_class c ON c.oid = d.adrelid \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum \
           UNION ALL SELECT i.indexrelid::regclass::text, pg_catalog.pg_get_indexdef(i.indexrelid), \
             c.relnamespace FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL \
           UNION ALL SELECT p.polname || ' on ' || c.oid::regclass::text, \
             pg_catalog.concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), \
             pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)), c.relnamespace \
             FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid) x \
         JOIN pg_catalog.pg_namespace n ON n.oid = x.space \
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND x.text ~* '{CALLS}' ORDER BY 1"
    );
    texts(session, &sql).await
}

/// What is left behind, or leads nowhere in a copy.
///
/// # Errors
/// What the server says.
pub async fn left_behind(session: &Session) -> Result<Vec<String>, PostgresError> {
    let sql = "SELECT 'server ' || quote_ident(srvname) || ' (leads nowhere in the copy)' \
               FROM pg_catalog.pg_foreign_server \
               UNION ALL SELECT 'user mapping of ' || usename || ' at ' || quote_ident(srvname) || \
               ' (left behind)' FROM pg_catalog.pg_user_mappings \
               UNION ALL SELECT 'subscription ' || quote_ident(subname) || ' (left behind)' \
               FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d \
               ON d.oid = s.subdbid WHERE d.datname = current_database() \
               UNION ALL SELECT 'extension ' || quote_ident(extname) || \
               ' (its own tables are left empty)' FROM pg_catalog.pg_extension \
               WHERE extconfig IS NOT NULL ORDER BY 1";
    texts(session, sql).await
}

async fn texts(session: &Session, sql: &str) -> Result<Vec<String>, PostgresError> {
    let rows = session.client.query_typed(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_a_server_leads_nowhere_and_no_secret_stays() {
        let given = |wrapper: &str, options: &[&str]| -> Vec<String> {
            let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
            nowhere(wrapper, &options)
        };
        let fdw = |options: &[&str]| given("postgres_fdw", options);
        assert_eq!(
            fdw(&["host=prod.example", "hostaddr=10.0.0.1", "dbname=app"]),
            ["SET \"host\" 'nowhere.invalid'", "DROP \"hostaddr\""]
        );
        assert_eq!(fdw(&["dbname=app"]), ["ADD host 'nowhere.invalid'"]);
        assert_eq!(
            fdw(&["service=prod"]),
            ["DROP \"service\"", "ADD host 'nowhere.invalid'"]
        );
        assert!(given("file_fdw", &[]).is_empty());
        assert_eq!(
            given("wasm", &["api_key=sk", "Host=prod", "fetch_size=10"]),
            [
                "SET \"api_key\" 'nowhere.invalid'",
                "SET \"Host\" 'nowhere.invalid'"
            ]
        );
    }
}
