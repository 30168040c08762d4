//! What holds everything else: schemas, extensions, languages, access methods.

use super::rights::{PUBLIC_SCHEMA, grants};
use super::{Section, comment, not_of_extension, section, user_schema};

pub(super) fn sections(major: u32) -> Vec<Section> {
    vec![schemas(major), extensions(), languages(), access_methods()]
}

/// Who owns the schema that comes with every database, until somebody changes it.
fn first_owner_of_public(major: u32) -> &'static str {
    match major {
        15.. => "'pg_database_owner'::regrole",
        _ => "10",
    }
}

fn schemas(major: u32) -> Section {
    let (public, first) = (
        format!("n.nspname = '{PUBLIC_SCHEMA}'"),
        first_owner_of_public(major),
    );
    // An ACL that was never touched means something else for a schema that was made anew.
    let acl = format!(
        "(CASE WHEN {public} THEN coalesce(n.nspacl, acldefault('n', n.nspowner)) \
         ELSE n.nspacl END)"
    );
    let class = format!("CASE WHEN {public} THEN '{PUBLIC_SCHEMA}' ELSE 'n' END");
    let grants = grants(&acl, "n.nspowner", &class);
    let comment = comment("pg_namespace", "n.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_namespace", "n.oid"));
    section(
        "schemas",
        format!(
            "SELECT 'schema' AS kind, n.nspname AS schema, quote_ident(n.nspname) AS name, \
             CASE WHEN NOT ({public} AND n.nspowner = {first}) \
             THEN pg_get_userbyid(n.nspowner) END AS owner, {comment}, {grants} \
             FROM pg_namespace n WHERE {user} AND {free}"
        ),
    )
}

fn extensions() -> Section {
    let comment = comment("pg_extension", "x.oid");
    section(
        "extensions",
        format!(
            "SELECT 'extension' AS kind, quote_ident(x.extname) AS name, x.extversion AS version, \
         quote_ident(n.nspname) AS \"in schema\", {comment} \
         FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace"
        ),
    )
}

fn languages() -> Section {
    let grants = grants("l.lanacl", "l.lanowner", "'l'");
    let comment = comment("pg_language", "l.oid");
    let free = not_of_extension("pg_language", "l.oid");
    section(
        "languages",
        format!(
            "SELECT 'language' AS kind, quote_ident(l.lanname) AS name, \
             CASE WHEN l.lanpltrusted THEN 'yes' END AS trusted, \
             nullif(l.lanplcallfoid, 0)::regprocedure::text AS handler, \
             nullif(l.laninline, 0)::regprocedure::text AS inline, \
             nullif(l.lanvalidator, 0)::regprocedure::text AS validator, \
             pg_get_userbyid(l.lanowner) AS owner, {comment}, {grants} \
             FROM pg_language l WHERE l.oid >= 16384 AND {free}"
        ),
    )
}

fn access_methods() -> Section {
    let comment = comment("pg_am", "a.oid");
    let free = not_of_extension("pg_am", "a.oid");
    section(
        "access methods",
        format!(
            "SELECT 'access_method' AS kind, quote_ident(a.amname) AS name, \
             a.amtype AS \"of\", a.amhandler::regprocedure::text AS handler, {comment} \
             FROM pg_am a WHERE a.oid >= 16384 AND {free}"
        ),
    )
}
