//! Types, collations, and what makes types work: operators, casts, conversions.

use super::rights::grants;
use super::{Section, comment, not_of_extension, section, user_schema};

pub(super) fn sections(major: u32) -> Vec<Section> {
    vec![
        types(major),
        ranges(major),
        domain_constraints(),
        collations(major),
        operators(),
        families(),
        classes(),
        casts(),
        conversions(),
    ]
}

/// What is written of anything that lies in a schema.
fn in_schema(kind: &str, name: &str) -> String {
    format!(
        "{kind} AS kind, n.nspname AS schema, quote_ident(n.nspname) || '.' || {name} AS name, \
         'schema' AS parent_kind, quote_ident(n.nspname) AS parent"
    )
}

/// A collation, when it is not the usual one of its type.
fn collation(oid: &str) -> String {
    format!(
        "(SELECT quote_ident(cn.nspname) || '.' || quote_ident(co.collname) FROM pg_collation co \
         JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = {oid})"
    )
}

fn types(major: u32) -> Section {
    let subscript = if major >= 14 {
        "nullif(t.typsubscript::oid, 0)::regproc"
    } else {
        "NULL"
    };
    let head = in_schema(
        "CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' \
         WHEN 'c' THEN 'composite_type' ELSE 'base_type' END",
        "quote_ident(t.typname)",
    );
    let grants = grants("t.typacl", "t.typowner", "'T'");
    let comment = comment("pg_type", "t.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_type", "t.oid"));
    let (own, attribute) = (collation("t.typcollation"), collation("a.attcollation"));
    section(
        "types",
        format!(
            "SELECT {head}, CASE WHEN t.typtype = 'e' THEN (SELECT string_agg( \
             quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e \
             WHERE e.enumtypid = t.oid) END AS labels, \
             CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS type, \
             CASE WHEN t.typtype = 'd' AND t.typnotnull THEN 'yes' END AS \"not null\", \
             CASE WHEN t.typtype = 'd' THEN pg_get_expr(t.typdefaultbin, 0) END AS \"default\", \
             CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN {own} END \
             AS collation, \
             CASE WHEN t.typtype = 'c' THEN coalesce((SELECT string_agg(quote_ident(a.attname) \
             || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> \
             at.typcollation THEN ' COLLATE ' || {attribute} ELSE '' END, ', ' ORDER BY a.attnum) \
             FROM pg_attribute a JOIN pg_type at ON at.oid = a.atttypid \
             WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') END \
             AS attributes, \
             CASE WHEN t.typtype = 'b' THEN concat_ws(', ', t.typinput, t.typoutput, t.typreceive, \
             t.typsend, t.typmodin, t.typmodout, t.typanalyze, t.typlen, t.typbyval, t.typalign, \
             t.typstorage, t.typcategory, t.typispreferred, t.typdelim, \
             format_type(nullif(t.typelem, 0), NULL), {subscript}, {own}, t.typdefault) \
             WHEN t.typtype = 'p' THEN 'shell' END \
             AS definition, CASE WHEN t.typtype = 'c' THEN (SELECT string_agg(quote_ident( \
             a.attname) || ': ' || d.description, ', ' ORDER BY a.attnum) FROM pg_attribute a \
             JOIN pg_description d ON d.objoid = t.typrelid AND d.objsubid = a.attnum \
             AND d.classoid = 'pg_class'::regclass WHERE a.attrelid = t.typrelid) END \
             AS \"attribute comments\", \
             pg_get_userbyid(t.typowner) AS owner, {comment}, {grants} \
             FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
             LEFT JOIN pg_class r ON r.oid = t.typrelid \
             LEFT JOIN pg_type b ON b.oid = t.typbasetype \
             WHERE (t.typtype IN ('e', 'd', 'c', 'b') OR (t.typtype = 'p' AND NOT t.typisdefined)) \
             AND (t.typtype <> 'c' OR r.relkind = 'c') \
             AND NOT (t.typelem <> 0 AND t.oid IN (SELECT y.typarray FROM pg_type y)) \
             AND {user} AND {free}"
        ),
    )
}

fn ranges(major: u32) -> Section {
    let head = in_schema("'range_type'", "quote_ident(t.typname)");
    let grants = grants("t.typacl", "t.typowner", "'T'");
    let comment = comment("pg_type", "t.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_type", "t.oid"));
    let of = collation("r.rngcollation");
    let multirange = if major >= 14 {
        "format_type(r.rngmultitypid, NULL) AS multirange, "
    } else {
        ""
    };
    section(
        "range types",
        format!(
            "SELECT {head}, format_type(r.rngsubtype, NULL) AS type, \
             (SELECT quote_ident(cn.nspname) || '.' || quote_ident(o.opcname) FROM pg_opclass o \
             JOIN pg_namespace cn ON cn.oid = o.opcnamespace WHERE o.oid = r.rngsubopc) \
             AS \"operator class\", {multirange}\
             CASE WHEN r.rngcollation <> s.typcollation THEN {of} END AS collation, \
             nullif(r.rngcanonical::oid, 0)::regproc::text AS canonical, \
             nullif(r.rngsubdiff::oid, 0)::regproc::text AS \"difference\", \
             pg_get_userbyid(t.typowner) AS owner, {comment}, {grants} \
             FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid \
             JOIN pg_type s ON s.oid = r.rngsubtype \
             JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {user} AND {free}"
        ),
    )
}

fn domain_constraints() -> Section {
    let comment = comment("pg_constraint", "k.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_type", "t.oid"));
    section(
        "constraints of domains",
        format!(
            "SELECT 'constraint' AS kind, n.nspname AS schema, quote_ident(n.nspname) || '.' || \
             quote_ident(t.typname) || '.' || quote_ident(k.conname) AS name, \
             'domain' AS parent_kind, quote_ident(n.nspname) || '.' || quote_ident(t.typname) \
             AS parent, regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '') \
             AS definition, CASE WHEN NOT k.convalidated THEN 'no' END AS validated, {comment} \
             FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid \
             JOIN pg_namespace n ON n.oid = t.typnamespace \
             WHERE k.contype = 'c' AND {user} AND {free}"
        ),
    )
}

fn collations(major: u32) -> Section {
    let head = in_schema("'collation'", "quote_ident(c.collname)");
    let comment = comment("pg_collation", "c.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_collation", "c.oid"));
    let locale = match major {
        17.. => "c.colllocale AS locale, c.collicurules AS rules, ",
        16 => "c.colliculocale AS locale, c.collicurules AS rules, ",
        15 => "c.colliculocale AS locale, ",
        _ => "CASE WHEN c.collprovider = 'i' THEN c.collcollate END AS locale, ",
    };
    section(
        "collations",
        format!(
            "SELECT {head}, CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'c' THEN 'libc' \
             WHEN 'b' THEN 'builtin' ELSE 'default' END AS provider, {locale}\
             CASE WHEN c.collprovider <> 'i' THEN c.collcollate END AS collate, \
             CASE WHEN c.collprovider <> 'i' THEN c.collctype END AS ctype, \
             CASE WHEN NOT c.collisdeterministic THEN 'no' END AS deterministic, \
             pg_get_userbyid(c.collowner) AS owner, {comment} \
             FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace \
             WHERE {user} AND {free}"
        ),
    )
}

fn operators() -> Section {
    let head = in_schema(
        "'operator'",
        "o.oprname || '(' || coalesce(format_type(nullif(o.oprleft, 0), NULL), 'none') || ', ' \
         || coalesce(format_type(nullif(o.oprright, 0), NULL), 'none') || ')'",
    );
    let comment = comment("pg_operator", "o.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_operator", "o.oid"));
    section(
        "operators",
        format!(
            "SELECT {head}, format_type(nullif(o.oprresult, 0), NULL) AS type, \
             nullif(o.oprcode::oid, 0)::regprocedure::text AS function, \
             nullif(o.oprcom, 0)::regoperator::text AS commutator, \
             nullif(o.oprnegate, 0)::regoperator::text AS negator, \
             nullif(o.oprrest::oid, 0)::regproc::text AS restrict, \
             nullif(o.oprjoin::oid, 0)::regproc::text AS \"join\", \
             CASE WHEN o.oprcanmerge THEN 'yes' END AS merges, \
             CASE WHEN o.oprcanhash THEN 'yes' END AS hashes, \
             pg_get_userbyid(o.oprowner) AS owner, {comment} \
             FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace \
             WHERE o.oprcode <> 0 AND {user} AND {free}"
        ),
    )
}

fn families() -> Section {
    let head = in_schema(
        "'operator_family'",
        "quote_ident(f.opfname) || ' using ' || quote_ident(am.amname)",
    );
    let comment = comment("pg_opfamily", "f.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_opfamily", "f.oid"));
    section(
        "operator families",
        format!(
            "SELECT {head}, (SELECT string_agg(o.amopstrategy || ' ' || \
             o.amopopr::regoperator::text || ' ' || o.amoppurpose::text || coalesce(' ' || \
             (SELECT s.opfname FROM pg_opfamily s WHERE s.oid = o.amopsortfamily), ''), ', ' \
             ORDER BY o.amopstrategy, o.amopopr::regoperator::text) FROM pg_amop o \
             WHERE o.amopfamily = f.oid) AS operators, \
             (SELECT string_agg(p.amprocnum || ' (' || format_type(p.amproclefttype, NULL) || \
             ', ' || format_type(p.amprocrighttype, NULL) || ') ' || \
             p.amproc::regprocedure::text, ', ' ORDER BY p.amprocnum, \
             format_type(p.amproclefttype, NULL), format_type(p.amprocrighttype, NULL)) \
             FROM pg_amproc p WHERE p.amprocfamily = f.oid) AS functions, \
             pg_get_userbyid(f.opfowner) AS owner, {comment} \
             FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace \
             JOIN pg_am am ON am.oid = f.opfmethod WHERE {user} AND {free}"
        ),
    )
}

fn classes() -> Section {
    let head = in_schema(
        "'operator_class'",
        "quote_ident(o.opcname) || ' using ' || quote_ident(am.amname)",
    );
    let comment = comment("pg_opclass", "o.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_opclass", "o.oid"));
    section(
        "operator classes",
        format!(
            "SELECT {head}, format_type(o.opcintype, NULL) AS type, \
             CASE WHEN o.opcdefault THEN 'yes' END AS \"default\", \
             format_type(nullif(o.opckeytype, 0), NULL) AS storage, \
             (SELECT quote_ident(fn.nspname) || '.' || quote_ident(f.opfname) FROM pg_opfamily f \
             JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE f.oid = o.opcfamily) AS family, \
             pg_get_userbyid(o.opcowner) AS owner, {comment} \
             FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace \
             JOIN pg_am am ON am.oid = o.opcmethod WHERE {user} AND {free}"
        ),
    )
}

/// Casts that come and go with a range type are a part of it.
fn casts() -> Section {
    let comment = comment("pg_cast", "c.oid");
    let free = not_of_extension("pg_cast", "c.oid");
    section(
        "casts",
        format!(
            "SELECT 'cast' AS kind, format_type(c.castsource, NULL) || ' as ' || \
             format_type(c.casttarget, NULL) AS name, \
             nullif(c.castfunc, 0)::regprocedure::text AS function, \
             CASE c.castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' END \
             AS context, CASE c.castmethod WHEN 'f' THEN 'function' WHEN 'i' THEN 'in and out' \
             ELSE 'binary' END AS method, {comment} \
             FROM pg_cast c WHERE c.oid >= 16384 AND {free} AND c.oid NOT IN \
             (SELECT d.objid FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass \
             AND d.deptype = 'i')"
        ),
    )
}

fn conversions() -> Section {
    let head = in_schema("'conversion'", "quote_ident(c.conname)");
    let comment = comment("pg_conversion", "c.oid");
    let (user, free) = (user_schema("n"), not_of_extension("pg_conversion", "c.oid"));
    section(
        "conversions",
        format!(
            "SELECT {head}, pg_encoding_to_char(c.conforencoding) || ' to ' || \
             pg_encoding_to_char(c.contoencoding) AS encodings, \
             c.conproc::text AS function, \
             CASE WHEN c.condefault THEN 'yes' END AS \"default\", \
             pg_get_userbyid(c.conowner) AS owner, {comment} \
             FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace \
             WHERE {user} AND {free}"
        ),
    )
}
