//! Confines a database that is rehearsed in: what leads out of it leads nowhere, what may call out is
//! named before any of it runs, and nobody is a superuser who need not be one.

use super::ledger::identifier;
use super::session::{Session, SessionSettings};
use super::{Conninfo, PostgresError, clone_outward};

/// Roles whose members reach files and programs of the host.
const OF_THE_HOST: &str =
    "'pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'";

/// Why nothing more may run there.
#[derive(Debug, thiserror::Error)]
pub enum Outward {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("code of the source may call out of the rehearsal: {}", .0.join(", "))]
    Calls(Vec<String>),
}

/// Lets all that leads out lead nowhere, and looks for code that calls out and that nobody allowed.
/// Returns what was changed, in words.
///
/// # Errors
/// What the server says, and the code by name.
pub async fn confine(info: &Conninfo, may_call: &[String]) -> Result<Vec<String>, Outward> {
    let settings = SessionSettings {
        application_name: "stagegate rehearsal".to_owned(),
        ..SessionSettings::default()
    };
    let session = Session::open(info, &settings).await?;
    let disarmed = clone_outward::disarm(&session).await?;
    let calls = calls(&session, may_call).await?;
    session.close().await;
    match calls.is_empty() {
        true => Ok(disarmed),
        false => Err(Outward::Calls(calls)),
    }
}

/// Code of a database that may call out of it, without what is allowed.
///
/// # Errors
/// What the server says.
pub async fn calls(session: &Session, may_call: &[String]) -> Result<Vec<String>, PostgresError> {
    let mut calls = clone_outward::calls_out(session).await?;
    calls.extend(clone_outward::expressions_that_call_out(session).await?);
    calls.retain(|call| !may_call.contains(call));
    Ok(calls)
}

/// Takes the rights of a superuser, and those on the host, from the roles that were made. Who
/// connects in production keeps being a superuser where that is one, because its files may need it.
/// Returns what was taken, in words.
///
/// # Errors
/// What the server says.
pub async fn lower(
    session: &Session,
    made: &[String],
    connects: &str,
) -> Result<Vec<String>, PostgresError> {
    let sql = format!(
        "SELECT r.rolname::text, r.rolsuper, ARRAY(SELECT g.rolname::text \
           FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
           WHERE m.member = r.oid AND g.rolname IN ({OF_THE_HOST})) \
         FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1"
    );
    let mut lowered = Vec::new();
    let mut statements = String::new();
    for row in session.client.query_typed(&sql, &[]).await? {
        let (name, superuser): (String, bool) = (row.get(0), row.get(1));
        if !made.contains(&name) {
            continue;
        }
        let role = identifier(&name);
        if superuser && name != connects {
            statements.push_str(&format!("ALTER ROLE {role} NOSUPERUSER;\n"));
            lowered.push(format!("role {name} is no superuser here"));
        }
        for group in row.get::<_, Vec<String>>(2) {
            statements.push_str(&format!("REVOKE {} FROM {role};\n", identifier(&group)));
            lowered.push(format!("role {name} is not in {group} here"));
        }
    }
    session.client.batch_execute(&statements).await?;
    Ok(lowered)
}
