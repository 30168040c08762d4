//! What reaches beyond the database: foreign data, publications, subscriptions, transforms.

use super::rights::grants;
use super::{Section, comment, not_of_extension, section, sorted};

pub(super) fn sections(major: u32) -> Vec<Section> {
    vec![
        wrappers(),
        servers(),
        mappings(),
        publications(major),
        subscriptions(),
        transforms(),
    ]
}

fn wrappers() -> Section {
    let grants = grants("w.fdwacl", "w.fdwowner", "'F'");
    let comment = comment("pg_foreign_data_wrapper", "w.oid");
    let free = not_of_extension("pg_foreign_data_wrapper", "w.oid");
    let options = sorted("w.fdwoptions");
    section(
        "foreign data wrappers",
        format!(
            "SELECT 'foreign_data_wrapper' AS kind, quote_ident(w.fdwname) AS name, \
             nullif(w.fdwhandler, 0)::regprocedure::text AS handler, \
             nullif(w.fdwvalidator, 0)::regprocedure::text AS validator, \
             {options} AS options, pg_get_userbyid(w.fdwowner) AS owner, {comment}, {grants} \
             FROM pg_foreign_data_wrapper w WHERE {free}"
        ),
    )
}

fn servers() -> Section {
    let grants = grants("s.srvacl", "s.srvowner", "'S'");
    let comment = comment("pg_foreign_server", "s.oid");
    let free = not_of_extension("pg_foreign_server", "s.oid");
    let options = sorted("s.srvoptions");
    section(
        "foreign servers",
        format!(
            "SELECT 'foreign_server' AS kind, quote_ident(s.srvname) AS name, \
             (SELECT quote_ident(w.fdwname) FROM pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw) \
             AS wrapper, s.srvtype AS type, s.srvversion AS version, {options} AS options, \
             pg_get_userbyid(s.srvowner) AS owner, {comment}, {grants} \
             FROM pg_foreign_server s WHERE {free}"
        ),
    )
}

/// Options of a mapping hold passwords: only their names are read.
fn mappings() -> Section {
    section(
        "user mappings",
        "SELECT 'user_mapping' AS kind, CASE WHEN m.umuser = 0 THEN 'PUBLIC' \
         ELSE quote_ident(m.usename) END || ' on ' || quote_ident(m.srvname) AS name, \
         'foreign_server' AS parent_kind, quote_ident(m.srvname) AS parent, \
         (SELECT string_agg(split_part(o, '=', 1), ', ' ORDER BY o) FROM unnest(m.umoptions) o) \
         AS \"option names\" FROM pg_user_mappings m"
            .to_owned(),
    )
}

fn publications(major: u32) -> Section {
    let comment = comment("pg_publication", "p.oid");
    let table = "r.prrelid::regclass::text";
    let (table, schemas) = if major >= 15 {
        (
            format!(
                "{table} || coalesce(' (' || (SELECT string_agg(quote_ident(a.attname), ', ' \
                 ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = r.prrelid \
                 AND a.attnum = ANY (r.prattrs)) || ')', '') \
                 || coalesce(' WHERE ' || pg_get_expr(r.prqual, r.prrelid), '')"
            ),
            "(SELECT string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname) \
             FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid \
             WHERE s.pnpubid = p.oid) AS schemas, ",
        )
    } else {
        (table.to_owned(), "")
    };
    section(
        "publications",
        format!(
            "SELECT 'publication' AS kind, quote_ident(p.pubname) AS name, \
             CASE WHEN p.puballtables THEN 'all' ELSE (SELECT string_agg({table}, ', ' \
             ORDER BY r.prrelid::regclass::text) FROM pg_publication_rel r \
             WHERE r.prpubid = p.oid) END AS tables, {schemas}\
             concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, \
             CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END, \
             CASE WHEN p.pubtruncate THEN 'truncate' END) AS publishes, \
             CASE WHEN p.pubviaroot THEN 'yes' END AS \"via root\", \
             pg_get_userbyid(p.pubowner) AS owner, {comment} FROM pg_publication p"
        ),
    )
}

/// A subscription's connection is not read: it holds a password, and needs a superuser.
fn subscriptions() -> Section {
    let comment = comment("pg_subscription", "s.oid");
    let publications = sorted("s.subpublications");
    section(
        "subscriptions",
        format!(
            "SELECT 'subscription' AS kind, quote_ident(s.subname) AS name, \
             {publications} AS publications, CASE WHEN NOT s.subenabled THEN 'no' END AS enabled, \
             s.subslotname AS slot, nullif(s.subsynccommit, 'off') AS \"synchronous commit\", \
             pg_get_userbyid(s.subowner) AS owner, {comment} FROM pg_subscription s \
             WHERE s.subdbid = (SELECT d.oid FROM pg_database d \
             WHERE d.datname = current_database())"
        ),
    )
}

fn transforms() -> Section {
    let free = not_of_extension("pg_transform", "t.oid");
    section(
        "transforms",
        format!(
            "SELECT 'transform' AS kind, format_type(t.trftype, NULL) || ' for ' || \
             (SELECT quote_ident(l.lanname) FROM pg_language l WHERE l.oid = t.trflang) AS name, \
             nullif(t.trffromsql, 0)::regprocedure::text AS \"from SQL\", \
             nullif(t.trftosql, 0)::regprocedure::text AS \"to SQL\" \
             FROM pg_transform t WHERE {free}"
        ),
    )
}
