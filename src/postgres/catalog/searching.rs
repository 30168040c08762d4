//! Text search: parsers, templates, dictionaries, configurations.

use super::{Section, comment, not_of_extension, section, user_schema};

/// Four catalogs in one query: they are small, and a round of the network is not.
pub(super) fn sections() -> Vec<Section> {
    let user = user_schema("n");
    let of = |catalog: &str, prefix: &str, kind: &str, properties: &str| {
        let comment = comment(catalog, "o.oid");
        let free = not_of_extension(catalog, "o.oid");
        format!(
            "SELECT '{kind}' AS kind, n.nspname AS schema, quote_ident(n.nspname) || '.' || \
             quote_ident(o.{prefix}name) AS name, 'schema' AS parent_kind, \
             quote_ident(n.nspname) AS parent, {properties}, {comment} FROM {catalog} o \
             JOIN pg_namespace n ON n.oid = o.{prefix}namespace WHERE {user} AND {free}"
        )
    };
    let dictionary = "(SELECT quote_ident(tn.nspname) || '.' || quote_ident(t.tmplname) || \
         coalesce(' (' || o.dictinitoption || ')', '') FROM pg_ts_template t \
         JOIN pg_namespace tn ON tn.oid = t.tmplnamespace WHERE t.oid = o.dicttemplate) \
         AS definition, pg_get_userbyid(o.dictowner) AS owner";
    let configuration = "(SELECT quote_ident(pn.nspname) || '.' || quote_ident(p.prsname) \
         FROM pg_ts_parser p JOIN pg_namespace pn ON pn.oid = p.prsnamespace \
         WHERE p.oid = o.cfgparser) || coalesce((SELECT string_agg(m.maptokentype || ': ' || \
         m.mapdict::regdictionary::text, ', ' ORDER BY m.maptokentype, m.mapseqno) \
         FROM pg_ts_config_map m WHERE m.mapcfg = o.oid), '') AS definition, \
         pg_get_userbyid(o.cfgowner) AS owner";
    let parser = "concat_ws(', ', o.prsstart, o.prstoken, o.prsend, o.prsheadline, o.prslextype) \
         AS definition, NULL AS owner";
    let template = "concat_ws(', ', o.tmplinit, o.tmpllexize) AS definition, NULL AS owner";
    let all = [
        of("pg_ts_parser", "prs", "text_search_parser", parser),
        of("pg_ts_template", "tmpl", "text_search_template", template),
        of("pg_ts_dict", "dict", "text_search_dictionary", dictionary),
        of(
            "pg_ts_config",
            "cfg",
            "text_search_configuration",
            configuration,
        ),
    ];
    vec![section("text search", all.join(" UNION ALL "))]
}
