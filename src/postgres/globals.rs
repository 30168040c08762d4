//! What a dump of one database leaves out, because it belongs to the whole server: roles and their
//! memberships, the database's own form, its settings. Read at one server, made at another.
//!
//! Passwords are neither read nor made.

use std::collections::BTreeSet;

use super::PostgresError;
use super::ledger::{identifier, literal};
use super::session::Session;

/// Everything that is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globals {
    pub database: String,
    pub owner: String,
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    /// The ICU locale, where the database has one.
    pub icu: Option<String>,
    pub roles: Vec<Role>,
    /// Who belongs to which role: the role, the member, and whether the member may pass it on.
    pub memberships: Vec<(String, String, bool)>,
    pub settings: Vec<Setting>,
    /// Who may do what with the database itself; `None` is as the server grants it by itself.
    pub grants: Option<Vec<Grant>>,
    /// The extensions of the database.
    pub extensions: Vec<String>,
}

/// One role, without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    /// As `CREATE ROLE` takes them, such as `INHERIT NOBYPASSRLS`.
    pub attributes: String,
}

/// One right on the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `None` is everybody.
    pub role: Option<String>,
    pub privilege: String,
    pub may_pass_on: bool,
}

/// Settings of a database, of a role, or of both together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub of_database: bool,
    pub role: Option<String>,
    pub values: Vec<String>,
}

const DATABASE: &str = "\
    SELECT d.datname::text, pg_catalog.pg_get_userbyid(d.datdba)::text, \
      pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, \
      coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') \
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

const ROLES: &str = "\
    SELECT rolname::text, pg_catalog.concat_ws(' ', \
      CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, \
      CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END, \
      CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, \
      CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END, \
      CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END) \
    FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname::text COLLATE \"C\"";

const MEMBERSHIPS: &str = "\
    SELECT DISTINCT pg_catalog.pg_get_userbyid(m.roleid)::text, \
      pg_catalog.pg_get_userbyid(m.member)::text, m.admin_option \
    FROM pg_catalog.pg_auth_members m WHERE m.member >= 16384 ORDER BY 1, 2";

const GRANTS: &str = "\
    SELECT CASE WHEN a.grantee <> 0 THEN pg_catalog.pg_get_userbyid(a.grantee)::text END, \
      a.privilege_type::text, a.is_grantable \
    FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a \
    WHERE d.datname = pg_catalog.current_database() AND a.grantee <> d.datdba";

const SETTINGS: &str = "\
    SELECT s.setdatabase <> 0, \
      CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole)::text END, s.setconfig \
    FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase IN (0, \
      (SELECT d.oid FROM pg_catalog.pg_database d \
        WHERE d.datname = pg_catalog.current_database()))";

/// Reads them in the database of a session.
///
/// # Errors
/// What the server says.
pub async fn read(session: &Session) -> Result<Globals, PostgresError> {
    let client = &session.client;
    let row = client.query_typed_one(DATABASE, &[]).await?;
    let mut globals = Globals {
        database: row.get(0),
        owner: row.get(1),
        encoding: row.get(2),
        collate: row.get(3),
        ctype: row.get(4),
        icu: row.get(5),
        ..Globals::default()
    };
    for row in client.query_typed(ROLES, &[]).await? {
        globals.roles.push(Role {
            name: row.get(0),
            attributes: row.get(1),
        });
    }
    for row in client.query_typed(MEMBERSHIPS, &[]).await? {
        let one = (row.get(0), row.get(1), row.get(2));
        globals.memberships.push(one);
    }
    for row in client.query_typed(SETTINGS, &[]).await? {
        globals.settings.push(Setting {
            of_database: row.get(0),
            role: row.get(1),
            values: row.get::<_, Option<Vec<String>>>(2).unwrap_or_default(),
        });
    }
    let sql = "SELECT d.datacl IS NOT NULL FROM pg_catalog.pg_database d \
               WHERE d.datname = pg_catalog.current_database()";
    if client.query_typed_one(sql, &[]).await?.get(0) {
        let rows = client.query_typed(GRANTS, &[]).await?;
        let grant = |row: &tokio_postgres::Row| Grant {
            role: row.get(0),
            privilege: row.get(1),
            may_pass_on: row.get(2),
        };
        globals.grants = Some(rows.iter().map(grant).collect());
    }
    let sql = "SELECT extname::text FROM pg_catalog.pg_extension ORDER BY 1";
    let rows = client.query_typed(sql, &[]).await?;
    globals.extensions = rows.iter().map(|row| row.get(0)).collect();
    Ok(globals)
}

impl Globals {
    /// The extensions that a server of the session's cannot have.
    ///
    /// # Errors
    /// What the server says.
    pub async fn missing_extensions(
        &self,
        session: &Session,
    ) -> Result<Vec<String>, PostgresError> {
        let sql = "SELECT name::text FROM pg_catalog.pg_available_extensions";
        let rows = session.client.query_typed(sql, &[]).await?;
        let there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let missing = self.extensions.iter().filter(|name| !there.contains(*name));
        Ok(missing.cloned().collect())
    }

    /// Makes the roles that are wanted, with their memberships; who connects may log in. Returns
    /// the names of those that were made.
    ///
    /// # Errors
    /// What the server says.
    pub async fn make_roles(
        &self,
        session: &Session,
        wanted: impl Fn(&str) -> bool,
        connects: &str,
    ) -> Result<Vec<String>, PostgresError> {
        let sql = "SELECT rolname::text FROM pg_catalog.pg_roles";
        let rows = session.client.query_typed(sql, &[]).await?;
        let mut there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let mut made = Vec::new();
        let mut statements = String::new();
        let roles = self.roles.iter();
        for role in roles.filter(|role| wanted(&role.name) || role.name == connects) {
            if !there.insert(role.name.clone()) {
                continue;
            }
            let login = if role.name == connects {
                "LOGIN"
            } else {
                "NOLOGIN"
            };
            let (name, attributes) = (identifier(&role.name), &role.attributes);
            statements.push_str(&format!("CREATE ROLE {name} {login} {attributes};\n"));
            made.push(role.name.clone());
        }
        for (role, member, admin) in &self.memberships {
            if there.contains(role) && made.contains(member) {
                let with = if *admin { " WITH ADMIN OPTION" } else { "" };
                let (role, member) = (identifier(role), identifier(member));
                statements.push_str(&format!("GRANT {role} TO {member}{with};\n"));
            }
        }
        session.client.batch_execute(&statements).await?;
        Ok(made)
    }

    /// Makes an empty database of the same name and form. Returns what is not the same, in words.
    ///
    /// # Errors
    /// What the server says.
    pub async fn make_database(&self, session: &Session) -> Result<Vec<String>, PostgresError> {
        let client = &session.client;
        let (name, encoding) = (identifier(&self.database), literal(&self.encoding));
        client
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name}"))
            .await?;
        let there: bool = client
            .query_typed_one(
                &format!(
                    "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {})",
                    literal(&self.owner)
                ),
                &[],
            )
            .await?
            .get(0);
        let owner = match there {
            true => format!(" OWNER {}", identifier(&self.owner)),
            false => String::new(),
        };
        let icu = self.icu.as_ref().map_or(String::new(), |locale| {
            format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", literal(locale))
        });
        let (collate, ctype) = (literal(&self.collate), literal(&self.ctype));
        let wanted = format!(
            "CREATE DATABASE {name}{owner} TEMPLATE template0 ENCODING {encoding} \
             LC_COLLATE {collate} LC_CTYPE {ctype}{icu}"
        );
        let Err(error) = client.batch_execute(&wanted).await else {
            return Ok(Vec::new());
        };
        // A locale that this machine lacks says so with these; anything else is not ours to bend.
        let error = PostgresError::from(error);
        if !matches!(
            error.sqlstate(),
            Some("42809" | "22023" | "0A000" | "42704")
        ) {
            return Err(error);
        }
        let plain = format!("CREATE DATABASE {name}{owner} TEMPLATE template0 ENCODING {encoding}");
        client.batch_execute(&plain).await?;
        Ok(vec![format!(
            "the locale {} is not installed here: text sorts by bytes, and orders may differ",
            self.icu.as_ref().unwrap_or(&self.collate)
        )])
    }

    /// Gives the roles that are there their rights on the database itself.
    ///
    /// # Errors
    /// What the server says.
    pub async fn make_grants(&self, session: &Session) -> Result<(), PostgresError> {
        let Some(grants) = &self.grants else {
            return Ok(());
        };
        let sql = "SELECT rolname::text FROM pg_catalog.pg_roles";
        let rows = session.client.query_typed(sql, &[]).await?;
        let there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let database = identifier(&self.database);
        let mut statements = format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC;\n");
        for grant in grants {
            let role = match &grant.role {
                None => "PUBLIC".to_owned(),
                Some(role) if there.contains(role) => identifier(role),
                Some(_) => continue,
            };
            let with = if grant.may_pass_on {
                " WITH GRANT OPTION"
            } else {
                ""
            };
            let privilege = &grant.privilege;
            statements.push_str(&format!(
                "GRANT {privilege} ON DATABASE {database} TO {role}{with};\n"
            ));
        }
        session.client.batch_execute(&statements).await?;
        Ok(())
    }

    /// Gives the database and the roles that were made their settings.
    ///
    /// # Errors
    /// What the server says.
    pub async fn make_settings(&self, session: &Session) -> Result<(), PostgresError> {
        let mut statements = String::new();
        for setting in &self.settings {
            let database = match setting.of_database {
                true => format!(
                    "(SELECT oid FROM pg_catalog.pg_database WHERE datname = {})",
                    literal(&self.database)
                ),
                false => "0".to_owned(),
            };
            let values: Vec<String> = setting.values.iter().map(|v| literal(v)).collect();
            let array = format!("ARRAY[{}]::pg_catalog.text[]", values.join(", "));
            let role = match &setting.role {
                Some(role) => format!(
                    "FROM pg_catalog.pg_authid r WHERE r.rolname = {} AND r.rolname <> 'postgres'",
                    literal(role)
                ),
                None => "FROM (VALUES (0::pg_catalog.oid)) r (oid) WHERE true".to_owned(),
            };
            // The lists are written in a form that only the catalog itself takes back unchanged.
            statements.push_str(&format!(
                "INSERT INTO pg_catalog.pg_db_role_setting (setdatabase, setrole, setconfig) \
                 SELECT {database}, r.oid, {array} {role} AND NOT EXISTS (SELECT FROM \
                 pg_catalog.pg_db_role_setting s WHERE s.setdatabase = {database} \
                 AND s.setrole = r.oid);\n"
            ));
        }
        session.client.batch_execute(&statements).await?;
        Ok(())
    }
}
