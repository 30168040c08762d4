//! What reaches beyond the database: foreign data, publications, subscriptions, transforms.

use super::rights::grants;
use super::{Section, comment, not_of_extension, section, sorted};
use crate::schema::HIDDEN;

pub(super) fn sections(major: u32) -> Vec<Section> {
    vec![
        wrappers(),
        servers(),
        mappings(),
        publications(major),
        subscriptions(major),
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

/// Of options that hold passwords only the names are read. Names are quoted, so that none can be
/// taken for what stands for an answer that was not given.
fn mappings() -> Section {
    // The view says nothing of them to others, which is not the same as that there are none.
    let shown = "(SELECT u.rolsuper FROM pg_roles u WHERE u.rolname = current_user) OR (m.umuser <> 0 \
         AND m.usename = current_user AND has_server_privilege(m.srvid, 'USAGE')) \
         OR (m.umuser = 0 AND (SELECT pg_has_role(s.srvowner, 'USAGE') FROM pg_foreign_server s \
         WHERE s.oid = m.srvid))";
    let options = |how: &str, value: &str| {
        format!(
            "CASE WHEN {shown} THEN (SELECT string_agg(quote_ident(split_part(o, '=', 1)){value}, \
             ', ' ORDER BY o) FROM unnest(m.umoptions) o WHERE split_part(o, '=', 1) {how} \
             '(pass|secret|token|key|cred)') ELSE '{HIDDEN}' END"
        )
    };
    let secret = options("~*", "");
    let open = options("!~*", " || '=' || substr(o, strpos(o, '=') + 1)");
    section(
        "user mappings",
        format!(
            "SELECT 'user_mapping' AS kind, CASE WHEN m.umuser = 0 THEN 'PUBLIC' \
         ELSE quote_ident(m.usename) END || ' on ' || quote_ident(m.srvname) AS name, \
         'foreign_server' AS parent_kind, quote_ident(m.srvname) AS parent, \
         {secret} AS \"option names\", {open} AS options FROM pg_user_mappings m"
        ),
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
    let generated = if major >= 18 {
        "CASE WHEN p.pubgencols <> 'n' THEN 'stored' END AS \"generated columns\", "
    } else {
        ""
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
             CASE WHEN p.pubviaroot THEN 'yes' END AS \"via root\", {generated}\
             pg_get_userbyid(p.pubowner) AS owner, {comment} FROM pg_publication p"
        ),
    )
}

/// A subscription's connection is not read: it holds a password, and needs a superuser. Version 13
/// keeps more of it from everybody else, so that less is read of it there.
fn subscriptions(major: u32) -> Section {
    let comment = comment("pg_subscription", "s.oid");
    let publications = sorted("s.subpublications");
    let yes = |column: &str, word: &str| format!("CASE WHEN s.{column} THEN 'yes' END AS {word}, ");
    let mut more = String::new();
    if major >= 14 {
        let commit = "nullif(s.subsynccommit, 'off') AS \"synchronous commit\", ";
        more.push_str(&format!(
            "{commit}{comment}, {}",
            yes("subbinary", "\"binary\"")
        ));
    }
    more.push_str(match major {
        18.. => "CASE s.substream WHEN 'f' THEN 'off' WHEN 't' THEN 'on' END AS streaming, ",
        16.. => "CASE s.substream WHEN 't' THEN 'on' WHEN 'p' THEN 'parallel' END AS streaming, ",
        14.. => "CASE WHEN s.substream THEN 'on' END AS streaming, ",
        _ => "",
    });
    if major >= 15 {
        more.push_str("CASE WHEN s.subtwophasestate <> 'd' THEN 'yes' END AS \"two phase\", ");
        more.push_str(&yes("subdisableonerr", "\"disabled on error\""));
    }
    if major >= 16 {
        more.push_str("nullif(s.suborigin, 'any') AS origin, ");
        more.push_str(
            "CASE WHEN NOT s.subpasswordrequired THEN 'no' END AS \"password required\", ",
        );
        more.push_str(&yes("subrunasowner", "\"run as owner\""));
    }
    if major >= 17 {
        more.push_str(&yes("subfailover", "failover"));
    }
    section(
        "subscriptions",
        format!(
            "SELECT 'subscription' AS kind, quote_ident(s.subname) AS name, \
             {publications} AS publications, CASE WHEN NOT s.subenabled THEN 'no' END AS enabled, \
             s.subslotname AS slot, {more}\
             pg_get_userbyid(s.subowner) AS owner FROM pg_subscription s \
             WHERE s.subdbid = (SELECT d.oid FROM pg_database d \
             WHERE d.datname = current_database())"
        ),
    )
}

fn transforms() -> Section {
    let comment = comment("pg_transform", "t.oid");
    let free = not_of_extension("pg_transform", "t.oid");
    section(
        "transforms",
        format!(
            "SELECT 'transform' AS kind, format_type(t.trftype, NULL) || ' for ' || \
             (SELECT quote_ident(l.lanname) FROM pg_language l WHERE l.oid = t.trflang) AS name, \
             nullif(t.trffromsql, 0)::regprocedure::text AS \"from SQL\", \
             nullif(t.trftosql, 0)::regprocedure::text AS \"to SQL\", {comment} \
             FROM pg_transform t WHERE {free}"
        ),
    )
}
