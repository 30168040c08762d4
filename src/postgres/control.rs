//! The control schema: what it is made of, who may do what in it, and how it comes to be.
//!
//! A run never makes it by itself. Its text is shown, has a version, and is installed by hand.

use super::PostgresError;
use super::ledger::identifier;
use super::session::Session;

/// The version that this program writes and reads.
pub const VERSION: i32 = 1;
/// What every notification of it comes on; the payload is the run.
pub const CHANNEL: &str = "stagegate_control";

const TABLES: &str = include_str!("../../assets/control/1.sql");

/// The roles that may use it; neither may change what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// Adds runs, records and documents, takes the conn, answers.
    pub holder: String,
    /// Reads, and puts into the inbox.
    pub watcher: String,
}

impl Default for Roles {
    fn default() -> Self {
        Roles {
            holder: "stagegate_control".to_owned(),
            watcher: "stagegate_watch".to_owned(),
        }
    }
}

/// Everything that installing does, as one text.
pub fn ddl(roles: &Roles) -> String {
    let mut text = TABLES.to_owned();
    text.push_str("\n-- The two roles, which cannot log in by themselves: GRANT them to people.\n");
    for role in [&roles.holder, &roles.watcher] {
        let (name, quoted) = (super::ledger::literal(role), identifier(role));
        text.push_str(&format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name}) \
             THEN CREATE ROLE {quoted} NOLOGIN; END IF; END $$;\n\
             GRANT USAGE ON SCHEMA stagegate_control TO {quoted};\n\
             GRANT SELECT ON ALL TABLES IN SCHEMA stagegate_control TO {quoted};\n"
        ));
    }
    let (holder, watcher) = (identifier(&roles.holder), identifier(&roles.watcher));
    text.push_str(&format!(
        "GRANT INSERT (id, title, holder, place) ON stagegate_control.run TO {holder};\n\
         GRANT UPDATE (holder, place, epoch, seen) ON stagegate_control.run TO {holder};\n\
         GRANT INSERT ON stagegate_control.record TO {holder};\n\
         GRANT INSERT (run, part, name, sha256, content) ON stagegate_control.document TO {holder};\n\
         GRANT UPDATE (answered, answer) ON stagegate_control.inbox TO {holder};\n"
    ));
    for role in [&holder, &watcher] {
        text.push_str(&format!(
            "GRANT INSERT (run, kind, sender, payload) ON stagegate_control.inbox TO {role};\n"
        ));
    }
    text
}

/// The version that stands in this database; `None` where there is none.
///
/// # Errors
/// What the server says; 42501 where the role may not look.
pub async fn version(session: &Session) -> Result<Option<i32>, PostgresError> {
    let there = "SELECT to_regclass('stagegate_control.version') IS NOT NULL";
    let row = session.client.query_typed_one(there, &[]).await?;
    if !row.get::<_, bool>(0) {
        return Ok(None);
    }
    let sql = "SELECT max(version) FROM stagegate_control.version";
    let row = session.client.query_typed_one(sql, &[]).await?;
    Ok(row.get(0))
}

/// Makes it, all of it or nothing.
///
/// # Errors
/// What the server says; nothing was made then.
pub async fn install(session: &Session, roles: &Roles) -> Result<(), PostgresError> {
    let sql = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(7301442, 2); {} COMMIT",
        ddl(roles)
    );
    if let Err(error) = session.client.batch_execute(&sql).await {
        let _ = session.client.batch_execute("ROLLBACK").await;
        return Err(error.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_roles_cannot_leave_their_quotes() {
        let roles = Roles {
            holder: "o'x\"y".into(),
            watcher: "w".into(),
        };
        let ddl = ddl(&roles);
        assert!(ddl.contains("rolname = 'o''x\"y'"), "{ddl}");
        assert!(ddl.contains("CREATE ROLE \"o'x\"\"y\" NOLOGIN"), "{ddl}");
        assert!(!ddl.contains("GRANT ALL"));
    }
}
