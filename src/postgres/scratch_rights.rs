//! Who is a superuser in a scratch server, and when.
//!
//! Files are loaded by the role that owns the database. It is a superuser only while nothing of a
//! user's runs; its sessions begin when it is none, so that none of them can become one by itself.

use std::sync::Mutex;
use std::sync::PoisonError;

use super::cluster::Cluster;
use super::ledger::{identifier, literal};
use super::scratch::{ScratchError, at, settings};
use super::{PostgresError, Session};

/// The role that the server was made with.
const FIRST: &str = "postgres";

/// Every other superuser, and every member of a role that may touch the host, becomes a plain one.
const DEMOTE_ALL: &str = "DO $$ DECLARE r name; BEGIN \
     FOR r IN SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND oid <> 10 \
     AND rolname <> current_user LOOP \
     EXECUTE pg_catalog.format('ALTER ROLE %I NOSUPERUSER', r); END LOOP; \
     DELETE FROM pg_catalog.pg_auth_members m USING pg_catalog.pg_roles g WHERE g.oid = m.roleid \
     AND g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', \
     'pg_write_server_files'); END $$";

/// A session of a superuser's that no file can name, in a database that no file reaches.
pub(super) struct Rights {
    admin: Session,
    /// Quoted.
    owner: String,
    /// Memberships that the owner has only while it is no superuser.
    lent: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rights")
            .field("owner", &self.owner)
            .finish()
    }
}

impl Rights {
    /// Makes the owner. The role that the server was made with may have the same name, and takes
    /// another one.
    pub(super) async fn of(cluster: &Cluster, owner: &str) -> Result<Rights, ScratchError> {
        let place = cluster.data_folder().display().to_string();
        let secret = crate::digest::digest(
            format!(
                "{place} {} {:?}",
                cluster.postmaster_pid(),
                std::time::Instant::now()
            )
            .as_bytes(),
        );
        let keeper = format!(
            "stagegate {}",
            secret.chars().rev().take(24).collect::<String>()
        );
        let first = Session::open(&at(cluster, FIRST, FIRST)?, &settings()).await?;
        let quoted = identifier(&keeper);
        let sql = format!("CREATE ROLE {quoted} SUPERUSER LOGIN");
        first.rows(&sql).await?;
        first.close().await;
        let admin = Session::open(&at(cluster, FIRST, &keeper)?, &settings()).await?;
        let hidden = identifier(&format!("{keeper} first"));
        let owner_name = identifier(owner);
        admin
            .rows(&format!(
                "ALTER ROLE {FIRST} RENAME TO {hidden}; CREATE ROLE {owner_name} LOGIN BYPASSRLS"
            ))
            .await?;
        Ok(Rights {
            admin,
            owner: owner_name,
            lent: Mutex::new(Vec::new()),
        })
    }

    pub(super) async fn run(&self, sql: &str) -> Result<(), PostgresError> {
        self.admin.rows(sql).await.map(|_| ())
    }

    pub(super) async fn promote(&self) -> Result<(), PostgresError> {
        self.run(&format!("ALTER ROLE {} SUPERUSER", self.owner))
            .await
    }

    /// Takes the owner's rights. Roles that it may act as are those that are left.
    pub(super) async fn demote(&self) -> Result<(), PostgresError> {
        self.run(DEMOTE_ALL).await
    }

    /// Lets the owner act as every other role, so that it can go on with what belongs to them.
    pub(super) async fn lend(&self) -> Result<(), PostgresError> {
        let owner = literal(&self.owner);
        let sql = format!(
            "SELECT pg_catalog.quote_ident(r.rolname) FROM pg_catalog.pg_roles r, \
             pg_catalog.pg_roles o WHERE o.oid = {owner}::regrole AND r.oid >= 16384 \
             AND r.oid <> o.oid AND NOT r.rolsuper \
             AND NOT pg_catalog.pg_has_role(o.oid, r.oid, 'MEMBER') \
             AND NOT pg_catalog.pg_has_role(r.oid, o.oid, 'MEMBER')"
        );
        for role in self.admin.rows(&sql).await?.into_iter().flatten().flatten() {
            self.run(&format!("GRANT {role} TO {}", self.owner)).await?;
            self.lent().push(role);
        }
        Ok(())
    }

    /// Ends the memberships that were only lent: a schema does not have them.
    pub(super) async fn take_back(&self) -> Result<(), PostgresError> {
        let lent = std::mem::take(&mut *self.lent());
        for role in lent {
            let name = literal(&role);
            // A file may have dropped the role, or called it something else.
            let sql = format!("SELECT pg_catalog.to_regrole({name}) IS NOT NULL");
            let there = self.admin.rows(&sql).await?;
            if there.iter().flatten().flatten().any(|word| word == "t") {
                self.run(&format!("REVOKE {role} FROM {}", self.owner))
                    .await?;
            }
        }
        Ok(())
    }

    /// Nothing of the schema's fires for the sessions that begin from now on.
    pub(super) async fn still(&self) -> Result<(), PostgresError> {
        self.run(&format!(
            "ALTER ROLE {} SET session_replication_role = replica",
            self.owner
        ))
        .await
    }

    fn lent(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
