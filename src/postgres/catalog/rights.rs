//! Who may do what: grants as deviations from what a fresh object has, default privileges, and
//! the memberships that grants depend on.

use std::collections::BTreeMap;

use super::{Section, section, user_schema};

pub(super) const ABOUT: &str = "database";
pub(super) const DEFAULTS: &str = "usual privileges";

/// An object's owner among its grantees: grants follow the owner when that changes.
const OWNER: &str = "<owner>";
const NONE: &str = "none";

/// Writes an ACL as lines `grantee=PRIVILEGE, PRIVILEGE*`, each with its grantor unless that is
/// the owner. The order of entries and of letters says nothing and is lost.
pub(super) fn lines(acl: &str, owner: &str) -> String {
    format!(
        "coalesce((SELECT string_agg(g.line, E'\\n' ORDER BY g.line) FROM (SELECT \
         CASE WHEN a.grantee = {owner} THEN '{OWNER}' WHEN a.grantee = 0 THEN 'PUBLIC' \
         ELSE quote_ident(pg_get_userbyid(a.grantee)) END \
         || CASE WHEN a.grantor = {owner} THEN '' \
         ELSE ' by ' || quote_ident(pg_get_userbyid(a.grantor)) END || '=' \
         || string_agg(a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END, ', ' \
         ORDER BY a.privilege_type) AS line FROM aclexplode({acl}) a \
         GROUP BY a.grantee, a.grantor) g), '')"
    )
}

/// The columns that tell an object's grants; an ACL that was never touched tells nothing.
pub(super) fn grants(acl: &str, owner: &str, class: &str) -> String {
    format!(
        "CASE WHEN {acl} IS NOT NULL THEN {} END AS grants, {class} AS grant_class",
        lines(acl, owner)
    )
}

/// The columns that tell a column's grants, for which an empty ACL is as good as none.
pub(super) fn column_grants(acl: &str, owner: &str) -> String {
    format!(
        "CASE WHEN {acl} IS NOT NULL AND {acl} <> '{{}}' THEN {} END AS grants, \
         'column' AS grant_class",
        lines(acl, owner)
    )
}

pub(super) fn about() -> Section {
    section(
        ABOUT,
        "SELECT d.datname, pg_get_userbyid(d.datdba) FROM pg_database d \
         WHERE d.datname = current_database()"
            .to_owned(),
    )
}

/// The schema `public` comes with every database, and not with the privileges of a fresh schema.
pub(super) const PUBLIC_SCHEMA: &str = "public";
const PUBLIC_MAY_CREATE_UNTIL: u32 = 14;

pub(super) fn defaults(major: u32) -> Section {
    let public = if major > PUBLIC_MAY_CREATE_UNTIL {
        "USAGE"
    } else {
        "CREATE, USAGE"
    };
    let lines = lines("acldefault(t.c, 10::oid)", "10::oid");
    section(
        DEFAULTS,
        format!(
            "SELECT t.c::text, {lines} FROM \
             unnest(ARRAY['r', 's', 'n', 'f', 'T', 'l', 'F', 'S']::\"char\"[]) AS t(c) \
             UNION ALL SELECT '{PUBLIC_SCHEMA}', E'{OWNER}=CREATE, USAGE\\nPUBLIC={public}'"
        ),
    )
}

/// What a fresh object of each class grants.
#[derive(Default)]
pub(super) struct Defaults(BTreeMap<String, BTreeMap<String, String>>);

impl Defaults {
    pub(super) fn of(rows: &[Vec<Option<String>>]) -> Defaults {
        let pair = |row: &Vec<Option<String>>| {
            let class = row.first()?.clone()?;
            Some((class, read_lines(row.get(1)?.as_deref()?)))
        };
        Defaults(rows.iter().filter_map(pair).collect())
    }

    /// The properties in which grants differ from those of a fresh object.
    pub(super) fn deviations(&self, class: &str, grants: &str) -> Vec<(String, String)> {
        let nothing = BTreeMap::new();
        deviations(self.0.get(class).unwrap_or(&nothing), grants)
    }
}

/// The properties in which grants differ from those that an object came with.
pub(super) fn deviations_from(first: &str, grants: &str) -> Vec<(String, String)> {
    deviations(&read_lines(first), grants)
}

fn deviations(usual: &BTreeMap<String, String>, grants: &str) -> Vec<(String, String)> {
    let found = read_lines(grants);
    let taken = usual.keys().filter(|grantee| !found.contains_key(*grantee));
    let mut deviations: Vec<(String, String)> = taken
        .map(|grantee| (format!("grants to {grantee}"), NONE.to_owned()))
        .collect();
    for (grantee, privileges) in &found {
        if usual.get(grantee) != Some(privileges) {
            deviations.push((format!("grants to {grantee}"), privileges.clone()));
        }
    }
    deviations
}

fn read_lines(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.rsplit_once('='))
        .map(|(grantee, privileges)| (grantee.to_owned(), privileges.to_owned()))
        .collect()
}

pub(super) fn sections(major: u32) -> Vec<Section> {
    let lines = lines("d.defaclacl", "d.defaclrole");
    let of = "CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' \
              WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' \
              ELSE 'large objects' END";
    // Outside of a schema they replace what is usual; in a schema they add to it.
    let class = "CASE WHEN d.defaclnamespace <> 0 THEN 'added' WHEN d.defaclobjtype = 'S' \
                 THEN 's' ELSE d.defaclobjtype::text END";
    let option =
        |column: &str, word: &str| format!("CASE WHEN m.{column} THEN 'yes' END AS \"{word}\"");
    let more = if major >= 16 {
        ", CASE WHEN NOT m.inherit_option THEN 'no' END AS inherit, \
             CASE WHEN NOT m.set_option THEN 'no' END AS \"set\""
            .to_owned()
    } else {
        String::new()
    };
    let admin = option("admin_option", "admin");
    let user_schema = user_schema("n");
    vec![
        section(
            "default privileges",
            format!(
                "SELECT 'default_privileges' AS kind, n.nspname AS schema, \
                 quote_ident(pg_get_userbyid(d.defaclrole)) || ' on ' || {of} \
                 || coalesce(' in ' || quote_ident(n.nspname), '') AS name, \
                 CASE WHEN n.oid IS NOT NULL THEN 'schema' END AS parent_kind, \
                 quote_ident(n.nspname) AS parent, {lines} AS grants, {class} AS grant_class \
                 FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace \
                 WHERE n.oid IS NULL OR {user_schema}"
            ),
        ),
        // Roles belong to the whole server; only members of roles that something here is granted
        // to, or that own something, matter.
        section(
            "role memberships",
            format!(
                "SELECT DISTINCT ON (name) 'role_membership' AS kind, \
                 quote_ident(pg_get_userbyid(m.member)) || ' in ' \
                 || quote_ident(pg_get_userbyid(m.roleid)) AS name, {admin}{more} \
                 FROM pg_auth_members m WHERE m.roleid >= 16384 AND m.roleid IN \
                 (SELECT s.refobjid FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass \
                 AND s.dbid = (SELECT d.oid FROM pg_database d \
                 WHERE d.datname = current_database())) ORDER BY name, m.admin_option DESC"
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_from_a_fresh_object_is_told() {
        let rows = vec![vec![
            Some("f".to_owned()),
            Some("<owner>=EXECUTE\nPUBLIC=EXECUTE".to_owned()),
        ]];
        let defaults = Defaults::of(&rows);
        let told = |grants: &str| defaults.deviations("f", grants);
        assert_eq!(told("<owner>=EXECUTE\nPUBLIC=EXECUTE"), []);
        let none = |who: &str| (format!("grants to {who}"), "none".to_owned());
        assert_eq!(told("<owner>=EXECUTE"), [none("PUBLIC")]);
        assert_eq!(told(""), [none("<owner>"), none("PUBLIC")]);
        assert_eq!(
            told("<owner>=EXECUTE\nPUBLIC=EXECUTE\n\"a=b\"=EXECUTE*"),
            [("grants to \"a=b\"".to_owned(), "EXECUTE*".to_owned())]
        );
    }
}
