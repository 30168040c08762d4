//! Tables, and everything that lies on them.

use super::rights::{column_grants, grants};
use super::{Section, comment, goes_with, not_of_extension, section, sorted, user_schema};

/// The kind of the relation that a column, an index or a rule lies on.
const RELATION_KIND: &str = "CASE c.relkind WHEN 'f' THEN 'foreign_table' WHEN 'v' THEN 'view' \
     WHEN 'm' THEN 'materialized_view' ELSE 'table' END";
const QUALIFIED: &str = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)";
/// The state of a trigger or a rule that is not the usual one.
const FIRES: &str = "WHEN 'D' THEN 'no' WHEN 'R' THEN 'on replicas' WHEN 'A' THEN 'always' END";

pub(super) fn sections(major: u32) -> Vec<Section> {
    vec![
        tables(major),
        columns(major),
        constraints(major),
        indexes(),
        sequences(),
        views(),
        triggers(),
        rules(),
        policies(),
        statistics(),
    ]
}

/// Relations of a user's: those of these kinds, and not of an extension.
fn of_user(relkinds: &str) -> String {
    format!(
        "c.relkind IN ({relkinds}) AND c.relpersistence <> 't' AND {} AND {}",
        user_schema("n"),
        not_of_extension("pg_class", "c.oid")
    )
}

/// What is written of a thing that lies on a relation.
fn on_relation(kind: &str, name: &str) -> String {
    format!(
        "'{kind}' AS kind, n.nspname AS schema, {QUALIFIED} || '.' || quote_ident({name}) AS name, \
         {RELATION_KIND} AS parent_kind, {QUALIFIED} AS parent"
    )
}

fn tables(major: u32) -> Section {
    let detached = if major >= 14 {
        "CASE WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid \
         AND i.inhdetachpending) THEN 'yes' END AS \"detach pending\", "
    } else {
        ""
    };
    let grants = grants("c.relacl", "c.relowner", "'r'");
    let comment = comment("pg_class", "c.oid");
    let (options, toast) = (sorted("c.reloptions"), sorted("tc.reloptions"));
    let (foreign, user) = (sorted("ft.ftoptions"), of_user("'r', 'p', 'f'"));
    let parents = "(SELECT string_agg(quote_ident(pn.nspname) || '.' || quote_ident(p.relname), \
         ', ' ORDER BY i.inhseqno) FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent \
         JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid)";
    section(
        "tables",
        format!(
            "SELECT {RELATION_KIND} AS kind, n.nspname AS schema, {QUALIFIED} AS name, \
             'schema' AS parent_kind, quote_ident(n.nspname) AS parent, \
             pg_get_userbyid(c.relowner) AS owner, \
             CASE WHEN c.relpersistence = 'u' THEN 'unlogged' END AS persistence, \
             CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS \"partition key\", \
             CASE WHEN c.relispartition THEN {parents} END AS \"partition of\", \
             CASE WHEN NOT c.relispartition THEN {parents} END AS inherits, \
             pg_get_expr(c.relpartbound, c.oid) AS \"partition bound\", {detached}\
             {options} AS options, {toast} AS \"toast options\", \
             CASE WHEN c.relkind <> 'f' THEN CASE c.relreplident WHEN 'n' THEN 'nothing' \
             WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END END AS \"replica identity\", \
             CASE WHEN c.relrowsecurity THEN 'enabled' END AS \"row level security\", \
             CASE WHEN c.relforcerowsecurity THEN 'yes' END AS \"row level security forced\", \
             CASE WHEN am.amname <> 'heap' THEN quote_ident(am.amname) END AS \"access method\", \
             quote_ident(ts.spcname) AS tablespace, \
             nullif(c.reloftype, 0)::regtype::text AS \"of type\", \
             quote_ident(fs.srvname) AS server, {foreign} AS \"foreign options\", \
             {comment}, {grants} \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_class tc ON tc.oid = c.reltoastrelid \
             LEFT JOIN pg_am am ON am.oid = c.relam \
             LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace \
             LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid \
             LEFT JOIN pg_foreign_server fs ON fs.oid = ft.ftserver WHERE {user}"
        ),
    )
}

fn columns(major: u32) -> Section {
    let head = on_relation("column", "a.attname");
    let grants = column_grants("a.attacl", "c.relowner");
    let user = of_user("'r', 'p', 'f', 'v', 'm'");
    let foreign = sorted("a.attfdwoptions");
    let compression = if major >= 14 {
        "CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression, "
    } else {
        ""
    };
    let (not_null, not_null_row) = not_null(major);
    section(
        "columns",
        format!(
            "SELECT {head}, a.attnum AS position, format_type(a.atttypid, a.atttypmod) AS type, \
             CASE WHEN a.attcollation <> t.typcollation THEN (SELECT quote_ident(cn.nspname) || \
             '.' || quote_ident(co.collname) FROM pg_collation co JOIN pg_namespace cn \
             ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END AS collation, \
             {not_null}\
             CASE WHEN a.attislocal AND a.attinhcount > 0 THEN 'yes' END AS \"defined locally\", \
             CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS \"default\", \
             CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity, \
             CASE a.attgenerated WHEN 's' THEN 'stored: ' WHEN 'v' THEN 'virtual: ' END \
             || pg_get_expr(d.adbin, d.adrelid) AS generated, \
             CASE WHEN c.relkind <> 'v' AND a.attstorage <> t.typstorage THEN CASE a.attstorage \
             WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' \
             ELSE 'extended' END END AS storage, {compression}\
             CASE WHEN a.attstattarget >= 0 THEN a.attstattarget END AS \"statistics target\", \
             (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(a.attoptions) o \
             WHERE o !~ '^[{{]?pg_attver=') AS options, \
             {foreign} AS \"foreign options\", ds.description AS comment, {grants} \
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid \
             LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             LEFT JOIN pg_description ds ON ds.objoid = c.oid AND ds.objsubid = a.attnum \
             AND ds.classoid = 'pg_class'::regclass {not_null_row}\
             WHERE a.attnum > 0 AND NOT a.attisdropped AND {user}"
        ),
    )
}

/// From version 18 on NOT NULL is a constraint with a row, a name and a state; the columns that
/// tell of it, and the join that they need. A name that the server gives by itself tells nothing.
fn not_null(major: u32) -> (&'static str, &'static str) {
    if major < 18 {
        return (
            "CASE WHEN a.attnotnull THEN 'yes' END AS \"not null\", ",
            "",
        );
    }
    (
        "CASE WHEN a.attnotnull AND NOT nn.convalidated THEN 'not validated' \
         WHEN a.attnotnull THEN 'yes' END AS \"not null\", \
         CASE WHEN nn.coninhcount = 0 AND right(rtrim(nn.conname, '0123456789'), \
         length(a.attname) + 10) <> '_' || a.attname || '_not_null' THEN quote_ident(nn.conname) END AS \"not null constraint\", \
         CASE WHEN nn.connoinherit THEN 'no' END AS \"not null inherited\", \
         (SELECT nd.description FROM pg_description nd WHERE nd.objoid = nn.oid \
         AND nd.classoid = 'pg_constraint'::regclass) AS \"not null comment\", ",
        "LEFT JOIN pg_constraint nn ON nn.conrelid = c.oid AND nn.contype = 'n' \
         AND nn.conkey = ARRAY[a.attnum] ",
    )
}

/// Where the triggers behind a foreign key do not fire as they should, on the table itself or on
/// any of its partitions, whose keys are parts of this one.
const FIRES_OTHERWISE: &str = "(WITH RECURSIVE part AS (SELECT r.oid, r.oid AS top \
     FROM pg_constraint r WHERE r.conparentid = 0 AND r.contype IN ('f', 'p', 'u', 'x') \
     UNION ALL SELECT r.oid, part.top FROM pg_constraint r JOIN part ON r.conparentid = part.oid) \
     SELECT part.top, string_agg(DISTINCT CASE g.tgenabled WHEN 'D' THEN 'switched off' \
     WHEN 'R' THEN 'only on replicas' ELSE 'always' END || ' on ' || g.tgrelid::regclass::text, \
     ', ') AS off FROM pg_trigger g JOIN part ON part.oid = g.tgconstraint \
     WHERE g.tgisinternal AND g.tgenabled <> 'O' GROUP BY 1)";

fn constraints(major: u32) -> Section {
    let head = on_relation("constraint", "k.conname");
    let comment = comment("pg_constraint", "k.oid");
    let user = of_user("'r', 'p', 'f'");
    let options = sorted("ic.reloptions");
    // What is told apart is cut off the definition, so that one change is one difference.
    let tail = "'( DEFERRABLE)?( INITIALLY DEFERRED)?( NOT ENFORCED)?( NOT VALID)?$'";
    let (enforced, is_enforced) = if major >= 18 {
        (
            "CASE WHEN NOT k.conenforced THEN 'no' END AS enforced, ",
            "k.conenforced",
        )
    } else {
        ("", "true")
    };
    let [along, goes] = goes_with("pg_class", "x.indexrelid");
    section(
        "constraints",
        format!(
            "SELECT {head}, regexp_replace(pg_get_constraintdef(k.oid), {tail}, '') AS definition, \
             CASE WHEN NOT k.convalidated AND {is_enforced} THEN 'no' END AS validated, {enforced}\
             CASE WHEN k.contype = 'c' AND k.conislocal AND k.coninhcount > 0 THEN 'yes' END \
             AS \"defined locally\", \
             CASE WHEN k.condeferred THEN 'initially deferred' \
             WHEN k.condeferrable THEN 'yes' END AS deferrable, fires.off AS \"not enforced\", \
             {options} AS \"index options\", quote_ident(ts.spcname) AS tablespace, \
             CASE WHEN x.indisclustered THEN 'yes' END AS clustered, \
             CASE WHEN x.indisreplident THEN 'yes' END AS \"replica identity\", \
             CASE WHEN NOT x.indisvalid THEN 'no' END AS \"index valid\", \
             (SELECT d.description FROM pg_description d WHERE d.objoid = x.indexrelid AND \
             d.classoid = 'pg_class'::regclass AND d.objsubid = 0) AS \"index comment\", {along}, {comment} \
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_index x ON x.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x') \
             {goes}LEFT JOIN pg_class ic ON ic.oid = x.indexrelid \
             LEFT JOIN pg_tablespace ts ON ts.oid = ic.reltablespace \
             LEFT JOIN {FIRES_OTHERWISE} fires ON fires.top = k.oid \
             WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') \
             AND NOT (k.contype = 'f' AND k.conparentid <> 0) AND {user}"
        ),
    )
}

/// The options of an index as its definition writes them. Their order is that in which they were
/// set, so that they are told apart from it.
const INDEX_OPTIONS: &str = "coalesce((SELECT ' WITH (' || string_agg(quote_ident(o.key) || '=' \
     || CASE WHEN quote_ident(o.value) = o.value THEN o.value ELSE quote_literal(o.value) END, \
     ', ' ORDER BY o.n) || ')' FROM (SELECT split_part(e, '=', 1) AS key, \
     substr(e, strpos(e, '=') + 1) AS value, n FROM unnest(i.reloptions) WITH ORDINALITY \
     AS u(e, n)) o), '')";

fn indexes() -> Section {
    let options = sorted("i.reloptions");
    let comment = comment("pg_class", "i.oid");
    let user = of_user("'r', 'p', 'm'");
    let [along, goes] = goes_with("pg_class", "i.oid");
    section(
        "indexes",
        format!(
            "SELECT 'index' AS kind, n.nspname AS schema, \
             quote_ident(n.nspname) || '.' || quote_ident(i.relname) AS name, \
             {RELATION_KIND} AS parent_kind, {QUALIFIED} AS parent, \
             CASE WHEN i.reloptions IS NULL THEN pg_get_indexdef(i.oid) \
             ELSE replace(pg_get_indexdef(i.oid), {INDEX_OPTIONS}, '') END AS definition, \
             {options} AS options, \
             CASE WHEN NOT x.indisvalid THEN 'no' END AS valid, \
             CASE WHEN NOT x.indisready THEN 'no' END AS ready, \
             CASE WHEN x.indisclustered THEN 'yes' END AS clustered, \
             CASE WHEN x.indisreplident THEN 'yes' END AS \"replica identity\", \
             quote_ident(ts.spcname) AS tablespace, \
             (SELECT string_agg(h.inhparent::regclass::text, ', ') FROM pg_inherits h \
             WHERE h.inhrelid = i.oid) AS \"part of\", \
             (SELECT string_agg(a.attnum || ': ' || a.attstattarget, ', ' ORDER BY a.attnum) \
             FROM pg_attribute a WHERE a.attrelid = i.oid AND a.attstattarget >= 0) \
             AS \"statistics target\", {along}, {comment} \
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid \
             JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_tablespace ts ON ts.oid = i.reltablespace {goes}\
             WHERE x.indexrelid NOT IN (SELECT k.conindid FROM pg_constraint k \
             WHERE k.contype IN ('p', 'u', 'x')) AND {user}"
        ),
    )
}

fn sequences() -> Section {
    let grants = grants("c.relacl", "c.relowner", "'s'");
    let comment = comment("pg_class", "c.oid");
    let user = of_user("'S'");
    let column = "quote_ident(tn.nspname) || '.' || quote_ident(tc.relname) || '.' \
         || quote_ident(ta.attname)";
    section(
        "sequences",
        format!(
            "SELECT 'sequence' AS kind, n.nspname AS schema, {QUALIFIED} AS name, \
             CASE WHEN ta.attname IS NULL THEN 'schema' ELSE 'column' END AS parent_kind, \
             coalesce({column}, quote_ident(n.nspname)) AS parent, \
             s.seqtypid::regtype::text AS type, s.seqstart AS start, s.seqincrement AS increment, \
             s.seqmin AS minimum, s.seqmax AS maximum, s.seqcache AS cache, \
             CASE WHEN s.seqcycle THEN 'yes' END AS cycle, {column} AS \"owned by\", \
             CASE WHEN d.deptype = 'i' THEN 'yes' END AS \"of identity\", \
             CASE WHEN c.relpersistence = 'u' THEN 'unlogged' END AS persistence, \
             pg_get_userbyid(c.relowner) AS owner, {comment}, {grants} \
             FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid \
             AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 \
             AND d.deptype IN ('a', 'i') \
             LEFT JOIN pg_class tc ON tc.oid = d.refobjid \
             LEFT JOIN pg_namespace tn ON tn.oid = tc.relnamespace \
             LEFT JOIN pg_attribute ta ON ta.attrelid = d.refobjid AND ta.attnum = d.refobjsubid \
             WHERE {user}"
        ),
    )
}

fn views() -> Section {
    let grants = grants("c.relacl", "c.relowner", "'r'");
    let comment = comment("pg_class", "c.oid");
    let (options, toast) = (sorted("c.reloptions"), sorted("tc.reloptions"));
    let user = of_user("'v', 'm'");
    let [along, goes] = goes_with("pg_class", "c.oid");
    section(
        "views",
        format!(
            "SELECT {RELATION_KIND} AS kind, n.nspname AS schema, {QUALIFIED} AS name, \
             'schema' AS parent_kind, quote_ident(n.nspname) AS parent, \
             pg_get_viewdef(c.oid) AS definition, {options} AS options, \
             {toast} AS \"toast options\", CASE WHEN c.relkind = 'm' THEN \
             CASE c.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' \
             WHEN 'i' THEN 'index' END END AS \"replica identity\", \
             CASE WHEN am.amname <> 'heap' THEN quote_ident(am.amname) END AS \"access method\", \
             quote_ident(ts.spcname) AS tablespace, \
             pg_get_userbyid(c.relowner) AS owner, {along}, {comment}, {grants} \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_class tc ON tc.oid = c.reltoastrelid \
             LEFT JOIN pg_am am ON am.oid = c.relam \
             LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace {goes}WHERE {user}"
        ),
    )
}

fn triggers() -> Section {
    let head = on_relation("trigger", "t.tgname");
    let comment = comment("pg_trigger", "t.oid");
    let user = of_user("'r', 'p', 'f', 'v', 'm'");
    let [along, goes] = goes_with("pg_trigger", "t.oid");
    section(
        "triggers",
        format!(
            "SELECT {head}, pg_get_triggerdef(t.oid) AS definition, \
             CASE t.tgenabled {FIRES} AS enabled, {along}, {comment} \
             FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_trigger u ON u.oid = t.tgparentid {goes}\
             WHERE ((NOT t.tgisinternal AND t.tgparentid = 0) \
             OR (t.tgparentid <> 0 AND t.tgconstraint = 0 AND t.tgenabled <> u.tgenabled)) \
             AND {user}"
        ),
    )
}

fn rules() -> Section {
    let head = on_relation("rule", "r.rulename");
    let comment = comment("pg_rewrite", "r.oid");
    let user = of_user("'r', 'p', 'f', 'v', 'm'");
    section(
        "rules",
        format!(
            "SELECT {head}, pg_get_ruledef(r.oid) AS definition, \
             CASE r.ev_enabled {FIRES} AS enabled, {comment} \
             FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE r.rulename <> '_RETURN' AND {user}"
        ),
    )
}

fn policies() -> Section {
    let head = on_relation("policy", "p.polname");
    let comment = comment("pg_policy", "p.oid");
    let user = of_user("'r', 'p'");
    section(
        "policies",
        format!(
            "SELECT {head}, CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' \
             WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END AS command, \
             CASE WHEN NOT p.polpermissive THEN 'yes' END AS restrictive, \
             (SELECT string_agg(r.name, ', ' ORDER BY r.name) FROM (SELECT CASE WHEN o = 0 \
             THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END AS name \
             FROM unnest(p.polroles) o) r) AS roles, \
             pg_get_expr(p.polqual, p.polrelid) AS \"using\", \
             pg_get_expr(p.polwithcheck, p.polrelid) AS \"check\", {comment} \
             FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}"
        ),
    )
}

fn statistics() -> Section {
    let comment = comment("pg_statistic_ext", "s.oid");
    let user = of_user("'r', 'p', 'f', 'm'");
    section(
        "extended statistics",
        format!(
            "SELECT 'statistics' AS kind, n.nspname AS schema, \
             (SELECT quote_ident(sn.nspname) FROM pg_namespace sn WHERE sn.oid = s.stxnamespace) \
             || '.' || quote_ident(s.stxname) AS name, \
             {RELATION_KIND} AS parent_kind, {QUALIFIED} AS parent, \
             pg_get_statisticsobjdef(s.oid) AS definition, \
             CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget END AS \"statistics target\", \
             pg_get_userbyid(s.stxowner) AS owner, {comment} \
             FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {user}"
        ),
    )
}
