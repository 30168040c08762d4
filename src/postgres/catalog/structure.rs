//! What holds everything else: schemas, extensions, languages, access methods.

use super::rights::grants;
use super::{Section, comment, not_of_extension, section, user_schema};

pub(super) fn sections() -> Vec<Section> {
    vec![schemas(), extensions(), languages(), access_methods()]
}

fn schemas() -> Section {
    let grants = grants("n.nspacl", "n.nspowner", "'n'");
    let comment = comment("pg_namespace", "n.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_namespace", "n.oid"));
    section(
        "schemas",
        format!(
            "SELECT 'schema' AS kind, n.nspname AS schema, quote_ident(n.nspname) AS name, \
             pg_get_userbyid(n.nspowner) AS owner, {comment}, {grants} \
             FROM pg_namespace n WHERE {user} AND {free}"
        ),
    )
}

fn extensions() -> Section {
    section(
        "extensions",
        "SELECT 'extension' AS kind, quote_ident(x.extname) AS name, x.extversion AS version, \
         quote_ident(n.nspname) AS \"in schema\" \
         FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace \
         WHERE x.oid >= 16384"
            .to_owned(),
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
