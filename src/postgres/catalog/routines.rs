//! Functions, procedures, aggregates, and what fires on events.

use super::rights::grants;
use super::{Section, comment, goes_with, not_of_extension, section, sorted, user_schema};

const QUALIFIED: &str = "quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || \
     oidvectortypes(p.proargtypes) || ')'";

pub(super) fn sections(major: u32) -> Vec<Section> {
    vec![routines(major), aggregates(), event_triggers()]
}

fn routines(major: u32) -> Section {
    let grants = grants("p.proacl", "p.proowner", "'f'");
    let comment = comment("pg_proc", "p.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_proc", "p.oid"));
    let settings = sorted("p.proconfig");
    let body = if major >= 14 {
        "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)"
    } else {
        "p.prosrc"
    };
    let [along, goes] = goes_with("pg_proc", "p.oid");
    // The usual cost depends on the language.
    let usual_cost = "CASE WHEN l.lanname IN ('c', 'internal') THEN 1 ELSE 100 END";
    section(
        "functions",
        format!(
            "SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind, \
             n.nspname AS schema, {QUALIFIED} AS name, \
             'schema' AS parent_kind, quote_ident(n.nspname) AS parent, \
             CASE WHEN p.prokind = 'w' THEN 'yes' END AS window, \
             pg_get_function_arguments(p.oid) AS arguments, \
             pg_get_function_result(p.oid) AS returns, quote_ident(l.lanname) AS language, \
             {body} AS body, p.probin AS library, \
             CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END \
             AS volatility, CASE WHEN p.prosecdef THEN 'definer' END AS security, \
             CASE WHEN p.proleakproof THEN 'yes' END AS leakproof, \
             CASE WHEN p.proisstrict THEN 'yes' END AS strict, \
             CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END AS parallel, \
             CASE WHEN p.procost <> {usual_cost} THEN p.procost END AS cost, \
             CASE WHEN p.proretset AND p.prorows <> 1000 THEN p.prorows END AS rows, \
             {settings} AS settings, nullif(p.prosupport, 0)::regproc::text AS support, \
             (SELECT string_agg(format_type(t, NULL), ', ') FROM unnest(p.protrftypes) t) \
             AS transforms, pg_get_userbyid(p.proowner) AS owner, {along}, {comment}, {grants} \
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
             JOIN pg_language l ON l.oid = p.prolang {goes}\
             WHERE p.prokind <> 'a' AND {user} AND {free} AND p.oid NOT IN \
             (SELECT d.objid FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass \
             AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')"
        ),
    )
}

fn aggregates() -> Section {
    let grants = grants("p.proacl", "p.proowner", "'f'");
    let comment = comment("pg_proc", "p.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_proc", "p.oid"));
    let routine = |column: &str, word: &str| {
        format!("CASE WHEN a.{column} <> 0 THEN a.{column}::regprocedure::text END AS \"{word}\"")
    };
    let routines = [
        ("aggtransfn", "transition"),
        ("aggfinalfn", "final"),
        ("aggcombinefn", "combine"),
        ("aggserialfn", "serialize"),
        ("aggdeserialfn", "deserialize"),
        ("aggmtransfn", "moving transition"),
        ("aggminvtransfn", "moving inverse"),
        ("aggmfinalfn", "moving final"),
    ]
    .map(|(column, word)| routine(column, word))
    .join(", ");
    section(
        "aggregates",
        format!(
            "SELECT 'aggregate' AS kind, n.nspname AS schema, {QUALIFIED} AS name, \
             'schema' AS parent_kind, quote_ident(n.nspname) AS parent, \
             pg_get_function_arguments(p.oid) AS arguments, \
             pg_get_function_result(p.oid) AS returns, {routines}, \
             a.aggkind::text || ' ' || a.aggnumdirectargs AS sort, \
             format_type(a.aggtranstype, NULL) AS state, a.aggtransspace AS \"state size\", \
             a.agginitval AS initial, \
             CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END \
             AS \"moving state\", a.aggmtransspace AS \"moving state size\", \
             a.aggminitval AS \"moving initial\", \
             concat(a.aggfinalextra, a.aggfinalmodify, a.aggmfinalextra, a.aggmfinalmodify) \
             AS \"final options\", \
             CASE WHEN a.aggsortop <> 0 THEN a.aggsortop::regoperator::text END AS \"sort operator\", \
             CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END AS parallel, \
             pg_get_userbyid(p.proowner) AS owner, {comment}, {grants} \
             FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid \
             JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {user} AND {free}"
        ),
    )
}

fn event_triggers() -> Section {
    let comment = comment("pg_event_trigger", "e.oid");
    let free = not_of_extension("pg_event_trigger", "e.oid");
    let tags = sorted("e.evttags");
    section(
        "event triggers",
        format!(
            "SELECT 'event_trigger' AS kind, quote_ident(e.evtname) AS name, \
             e.evtevent AS event, {tags} AS tags, e.evtfoid::regprocedure::text AS function, \
             CASE e.evtenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'on replicas' \
             WHEN 'A' THEN 'always' END AS enabled, \
             pg_get_userbyid(e.evtowner) AS owner, {comment} \
             FROM pg_event_trigger e WHERE {free}"
        ),
    )
}
