//! Grants on what comes with the server and with extensions, where they are others than it came
//! with.

use super::rights::lines;
use super::{Section, section};

/// One catalog whose objects have grants.
struct Granted {
    catalog: &'static str,
    kind: &'static str,
    name: &'static str,
    /// The catalog's row is `o`.
    schema: &'static str,
    acl: &'static str,
    owner: &'static str,
    /// The letter by which the server knows what is usual.
    class: &'static str,
    /// What else is joined.
    join: &'static str,
    /// Tells whether it came with the server.
    built_in: &'static str,
}

const IN_SERVER: &str = "(n.nspname ~ '^pg_' OR n.nspname = 'information_schema')";
const RELATION: &str = "CASE c.relkind WHEN 'f' THEN 'foreign_table' WHEN 'v' THEN 'view' \
     WHEN 'm' THEN 'materialized_view' WHEN 'S' THEN 'sequence' ELSE 'table' END";

const ALL: [Granted; 8] = [
    Granted {
        catalog: "pg_proc",
        kind: "CASE o.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' \
               ELSE 'function' END",
        name: "quote_ident(n.nspname) || '.' || quote_ident(o.proname) || '(' || \
               oidvectortypes(o.proargtypes) || ')'",
        schema: "n.nspname",
        acl: "o.proacl",
        owner: "o.proowner",
        class: "'f'",
        join: "JOIN pg_namespace n ON n.oid = o.pronamespace",
        built_in: IN_SERVER,
    },
    Granted {
        catalog: "pg_class",
        kind: "CASE o.relkind WHEN 'f' THEN 'foreign_table' WHEN 'v' THEN 'view' \
               WHEN 'm' THEN 'materialized_view' WHEN 'S' THEN 'sequence' ELSE 'table' END",
        name: "quote_ident(n.nspname) || '.' || quote_ident(o.relname)",
        schema: "n.nspname",
        acl: "o.relacl",
        owner: "o.relowner",
        class: "CASE o.relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END",
        join: "JOIN pg_namespace n ON n.oid = o.relnamespace",
        built_in: IN_SERVER,
    },
    Granted {
        catalog: "pg_namespace",
        kind: "'schema'",
        name: "quote_ident(o.nspname)",
        schema: "o.nspname",
        acl: "o.nspacl",
        owner: "o.nspowner",
        class: "'n'",
        join: "",
        built_in: "(o.nspname ~ '^pg_' OR o.nspname = 'information_schema')",
    },
    Granted {
        catalog: "pg_language",
        kind: "'language'",
        name: "quote_ident(o.lanname)",
        schema: "NULL::name",
        acl: "o.lanacl",
        owner: "o.lanowner",
        class: "'l'",
        join: "",
        built_in: "o.oid < 16384",
    },
    Granted {
        catalog: "pg_type",
        kind: "CASE o.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' \
               WHEN 'c' THEN 'composite_type' WHEN 'r' THEN 'range_type' ELSE 'base_type' END",
        name: "quote_ident(n.nspname) || '.' || quote_ident(o.typname)",
        schema: "n.nspname",
        acl: "o.typacl",
        owner: "o.typowner",
        class: "'T'",
        join: "JOIN pg_namespace n ON n.oid = o.typnamespace",
        built_in: IN_SERVER,
    },
    Granted {
        catalog: "pg_foreign_data_wrapper",
        kind: "'foreign_data_wrapper'",
        name: "quote_ident(o.fdwname)",
        schema: "NULL::name",
        acl: "o.fdwacl",
        owner: "o.fdwowner",
        class: "'F'",
        join: "",
        built_in: "false",
    },
    Granted {
        catalog: "pg_foreign_server",
        kind: "'foreign_server'",
        name: "quote_ident(o.srvname)",
        schema: "NULL::name",
        acl: "o.srvacl",
        owner: "o.srvowner",
        class: "'S'",
        join: "",
        built_in: "false",
    },
    // A column is known by its table and its number.
    Granted {
        catalog: "pg_attribute",
        kind: "'column'",
        name: "quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || \
               quote_ident(o.attname)",
        schema: "n.nspname",
        acl: "o.attacl",
        owner: "c.relowner",
        class: "'c'",
        join: "JOIN pg_class c ON c.oid = o.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace",
        built_in: IN_SERVER,
    },
];

/// One query for all: few rows differ, and most are told from the others by their bytes.
pub(super) fn sections() -> Vec<Section> {
    let all: Vec<String> = ALL.iter().map(of).collect();
    vec![section(
        "grants on what the server and extensions came with",
        all.join(" UNION ALL "),
    )]
}

fn of(granted: &Granted) -> String {
    let Granted {
        catalog,
        kind,
        name,
        schema,
        acl,
        owner,
        class,
        join,
        built_in,
    } = granted;
    let (known, oid, part) = match *catalog {
        "pg_attribute" => ("pg_class", "o.attrelid", "o.attnum"),
        catalog => (catalog, "o.oid", "0"),
    };
    let usual = format!("acldefault({class}, {owner})");
    let now = lines(&format!("coalesce({acl}, {usual})"), owner);
    let first = lines(&format!("coalesce(i.initprivs, {usual})"), owner);
    let (parent_kind, parent) = match *catalog {
        "pg_attribute" => (
            format!("CASE WHEN x.oid IS NOT NULL THEN 'extension' ELSE {RELATION} END"),
            "CASE WHEN x.oid IS NOT NULL THEN quote_ident(x.extname) ELSE \
             quote_ident(n.nspname) || '.' || quote_ident(c.relname) END",
        ),
        _ => (
            "CASE WHEN x.oid IS NOT NULL THEN 'extension' END".to_owned(),
            "quote_ident(x.extname)",
        ),
    };
    format!(
        "SELECT {kind} AS kind, {schema} AS schema, {name} AS name, {parent_kind} AS parent_kind, \
         {parent} AS parent, {now} AS grants, {first} AS first_grants FROM {catalog} o {join} \
         LEFT JOIN pg_init_privs i ON i.classoid = '{known}'::regclass AND i.objoid = {oid} \
         AND i.objsubid = {part} \
         LEFT JOIN pg_depend e ON e.classid = '{known}'::regclass AND e.objid = {oid} \
         AND e.objsubid = 0 AND e.deptype = 'e' LEFT JOIN pg_extension x ON x.oid = e.refobjid \
         WHERE ({acl} IS NOT NULL OR i.objoid IS NOT NULL) \
         AND {acl}::text IS DISTINCT FROM i.initprivs::text \
         AND ({built_in} OR x.oid IS NOT NULL)"
    )
}
