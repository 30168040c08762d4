//! Makes an empty database that is like another one of the same server in all that a dump of one
//! database leaves out: owner, encoding, locale, place, limit, grants, settings, comment, labels.

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;

/// Settings that are lists of names; the server keeps each name quoted where it needs to be.
const LISTS: [&str; 4] = [
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
];

/// What a database is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    owner: String,
    encoding: String,
    collate: String,
    ctype: String,
    connection_limit: i32,
    tablespace: String,
    /// `c` libc, `i` ICU, `b` built in; servers before 15 do not say and know only libc.
    provider: Option<String>,
    /// The locale of ICU or of the built-in provider.
    locale: Option<String>,
    icu_rules: Option<String>,
}

/// Makes an empty database `fresh` like `live`; returns its oid.
///
/// # Errors
/// What the server says; 42501 when the role may not create databases.
pub async fn create_like(session: &Session, live: &str, fresh: &str) -> Result<u32, PostgresError> {
    let made = read(session, live).await?;
    session.client.batch_execute(&made.create(fresh)).await?;
    copy_rest(session, (live, &made.owner), fresh).await?;
    copy_settings(session, live, fresh).await?;
    let sql = format!(
        "SELECT oid FROM pg_catalog.pg_database WHERE datname = {}",
        literal(fresh)
    );
    Ok(session.client.query_typed_one(&sql, &[]).await?.get(0))
}

async fn read(session: &Session, live: &str) -> Result<Made, PostgresError> {
    // Columns that not every version has are asked for by way of JSON.
    let sql = format!(
        "SELECT pg_catalog.pg_get_userbyid(datdba)::text, \
         pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, \
         datconnlimit, (SELECT spcname::text FROM pg_catalog.pg_tablespace t WHERE t.oid = dattablespace), \
         to_jsonb(d) ->> 'datlocprovider', \
         coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), \
         to_jsonb(d) ->> 'daticurules' \
         FROM pg_catalog.pg_database d WHERE datname = {}",
        literal(live)
    );
    let row = session.client.query_typed_one(&sql, &[]).await?;
    Ok(Made {
        owner: row.get(0),
        encoding: row.get(1),
        collate: row.get(2),
        ctype: row.get(3),
        connection_limit: row.get(4),
        tablespace: row.get(5),
        provider: row.get(6),
        locale: row.get(7),
        icu_rules: row.get(8),
    })
}

impl Made {
    /// The statement that makes it. The collation version is left to the server: indexes are built
    /// anew with the collations of today, and the old version would be untrue of them.
    fn create(&self, fresh: &str) -> String {
        let mut sql = format!(
            "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {} \
             CONNECTION LIMIT {} IS_TEMPLATE false",
            identifier(fresh),
            identifier(&self.owner),
            literal(&self.encoding),
            literal(&self.collate),
            literal(&self.ctype),
            self.connection_limit,
        );
        // Naming the one that is taken anyway would ask for rights on it that few have.
        if self.tablespace != "pg_default" {
            sql.push_str(&format!(" TABLESPACE {}", identifier(&self.tablespace)));
        }
        // template0 may have another provider than this database, so it is always named.
        let (provider, locale) = match self.provider.as_deref() {
            None => return sql,
            Some("i") => ("icu", "ICU_LOCALE"),
            Some("b") => ("builtin", "BUILTIN_LOCALE"),
            Some(_) => ("libc", ""),
        };
        sql.push_str(&format!(" LOCALE_PROVIDER {provider}"));
        if let (false, Some(value)) = (locale.is_empty(), &self.locale) {
            sql.push_str(&format!(" {locale} {}", literal(value)));
        }
        if let ("icu", Some(rules)) = (provider, &self.icu_rules) {
            sql.push_str(&format!(" ICU_RULES {}", literal(rules)));
        }
        sql
    }
}

/// Grants, the comment, security labels.
async fn copy_rest(
    session: &Session,
    (live, owner): (&str, &str),
    fresh: &str,
) -> Result<(), PostgresError> {
    let (live, fresh, owner) = (literal(live), literal(fresh), literal(owner));
    let sql = format!(
        "SELECT statement FROM ( \
         SELECT 1 AS place, format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', {fresh}, {owner}) \
             AS statement \
           FROM pg_catalog.pg_database WHERE datname = {live} AND datacl IS NOT NULL \
         UNION ALL SELECT 2, format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, {fresh}, \
             CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, \
             CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
           FROM pg_catalog.pg_database d, aclexplode(d.datacl) a WHERE d.datname = {live} \
         UNION ALL SELECT 3, format('COMMENT ON DATABASE %I IS %L', {fresh}, \
             shobj_description(oid, 'pg_database')) \
           FROM pg_catalog.pg_database WHERE datname = {live} \
           AND shobj_description(oid, 'pg_database') IS NOT NULL \
         UNION ALL SELECT 4, format('SECURITY LABEL FOR %I ON DATABASE %I IS %L', s.provider, \
             {fresh}, s.label) \
           FROM pg_catalog.pg_shseclabel s JOIN pg_catalog.pg_database d ON d.oid = s.objoid \
           WHERE s.classoid = 'pg_catalog.pg_database'::regclass AND d.datname = {live} \
         ) statements ORDER BY place"
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    for row in &rows {
        let statement: String = row.get(0);
        session.client.batch_execute(&statement).await?;
    }
    Ok(())
}

/// Settings of the database, and of roles in it.
async fn copy_settings(session: &Session, live: &str, fresh: &str) -> Result<(), PostgresError> {
    let sql = format!(
        "SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole)::text END, one \
         FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) one \
         WHERE d.datname = {}",
        literal(live)
    );
    let rows = session.client.query_typed(&sql, &[]).await?;
    for row in &rows {
        let (role, setting) = (row.get::<_, Option<String>>(0), row.get::<_, String>(1));
        let Some((name, value)) = setting.split_once('=') else {
            continue;
        };
        let whose = match role {
            None => format!("DATABASE {}", identifier(fresh)),
            Some(role) => format!(
                "ROLE {} IN DATABASE {}",
                identifier(&role),
                identifier(fresh)
            ),
        };
        let sql = format!(
            "ALTER {whose} SET {} TO {}",
            dotted(name),
            given(name, value)
        );
        session.client.batch_execute(&sql).await?;
    }
    Ok(())
}

/// The name of a setting, whose parts are names of their own.
fn dotted(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(identifier).collect();
    parts.join(".")
}

/// The value as it must be given for the server to keep it as it was.
fn given(name: &str, value: &str) -> String {
    if !LISTS.contains(&name) {
        return literal(value);
    }
    let names = listed(value);
    if names.is_empty() {
        return "''".to_owned();
    }
    let quoted: Vec<String> = names.iter().map(|name| literal(name)).collect();
    quoted.join(", ")
}

/// The names of a list, such as `"$user", public`, without their quotes.
fn listed(value: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let (mut quoted, mut any) = (false, false);
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                name.push('"');
            }
            '"' => (quoted, any) = (!quoted, true),
            ',' if !quoted => {
                names.push(std::mem::take(&mut name));
                any = false;
            }
            c if c.is_whitespace() && !quoted => {}
            c => {
                name.push(c);
                any = true;
            }
        }
    }
    if any || !names.is_empty() {
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Made {
        Made {
            owner: "ana".into(),
            encoding: "UTF8".into(),
            collate: "C".into(),
            ctype: "de_DE.UTF-8".into(),
            connection_limit: 7,
            tablespace: "pg_default".into(),
            provider: None,
            locale: None,
            icu_rules: None,
        }
    }

    #[test]
    fn every_version_is_told_only_what_it_knows() {
        let head = "CREATE DATABASE \"f\" TEMPLATE template0 OWNER \"ana\" ENCODING 'UTF8' \
                    LC_COLLATE 'C' LC_CTYPE 'de_DE.UTF-8' CONNECTION LIMIT 7 IS_TEMPLATE false";
        // 13 and 14 have no provider.
        assert_eq!(made().create("f"), head);
        let with = |provider: &str, locale: Option<&str>, rules: Option<&str>| {
            let made = Made {
                provider: Some(provider.into()),
                locale: locale.map(Into::into),
                icu_rules: rules.map(Into::into),
                ..made()
            };
            made.create("f").strip_prefix(head).unwrap().to_owned()
        };
        assert_eq!(with("c", None, None), " LOCALE_PROVIDER libc");
        assert_eq!(
            with("i", Some("de"), None),
            " LOCALE_PROVIDER icu ICU_LOCALE 'de'"
        );
        assert_eq!(
            with("i", Some("de"), Some("&a < 'x'")),
            " LOCALE_PROVIDER icu ICU_LOCALE 'de' ICU_RULES '&a < ''x'''"
        );
        assert_eq!(
            with("b", Some("C.UTF-8"), None),
            " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"
        );
        let elsewhere = Made {
            tablespace: "fast".into(),
            ..made()
        };
        assert!(elsewhere.create("f").ends_with(" TABLESPACE \"fast\""));
    }

    #[test]
    fn lists_of_names_are_kept_name_by_name() {
        let path = |value| given("search_path", value);
        assert_eq!(path("\"$user\", public"), "'$user', 'public'");
        assert_eq!(
            path("\"my-schema\", \"a\"\"b, c\""),
            "'my-schema', 'a\"b, c'"
        );
        assert_eq!(path(""), "''");
        assert_eq!(path("\"\""), "''");
        assert_eq!(given("work_mem", "a, b"), "'a, b'");
        assert_eq!(dotted("app.tenant"), "\"app\".\"tenant\"");
    }
}
