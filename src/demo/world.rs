//! A sample world that stands: a private server with two databases, and a repository.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::sync::Mutex;

use super::DemoError;
use super::databases::{self, Connection, DEPLOYER, SUPERUSER};
use super::fault::{Direction, Fault};
use super::repository;
use super::source::{SourceFile, World};
use super::traffic::{self, Traffic};
use crate::postgres::cluster::{Cluster, ClusterOptions};

/// Keeps a segment of the log, unless the archive is full. It runs in the server's data folder.
const ARCHIVE: &str =
    "test ! -e archive_is_full && mkdir -p archive && test ! -e archive/%f && cp %p archive/%f";

/// Whose session is left open by a fault that leaves one open.
const HOLDER: &str = "eng_app";

/// The service whose traffic is seen.
const SERVICE: &str = "vh_ingest";

/// A sample world that stands. Dropping it ends the server and removes every file of it.
#[derive(Debug)]
pub struct DemoWorld {
    /// The runbook's file, in the repository's top folder.
    pub runbook: PathBuf,
    /// The repository, with `develop` checked out.
    pub repository: PathBuf,
    /// The variables that the runbook's targets name, with addresses of the role `deploy`.
    pub environment: Vec<(String, String)>,
    /// Values of the runbook's variables with which waiting takes seconds, not hours.
    pub vars: Vec<(String, String)>,
    world: &'static World,
    /// Transactions that faults left open, by the fault's name.
    held: Mutex<Vec<(&'static str, Connection)>>,
    /// Ends before the server does.
    _traffic: Traffic,
    cluster: Cluster,
    _folder: TempDir,
}

impl DemoWorld {
    /// Builds a world in a new folder below `parent`, with a fault if one is named. Sessions that a
    /// fault leaves open live in the runtime that this is called from.
    ///
    /// # Errors
    /// When the world or the fault is unknown, PostgreSQL or git is not installed, or `parent`
    /// cannot be written.
    pub async fn build(
        world: &str,
        fault: Option<&str>,
        parent: &Path,
    ) -> Result<DemoWorld, DemoError> {
        let world = World::named(world)?;
        let fault = fault.map(|name| Fault::named(world, name)).transpose()?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("stagegate-{}-", world.name))
            .tempdir_in(parent)
            .map_err(DemoError::file("make a folder in", parent))?;
        let repository = folder.path().join("repository");
        let overlaid = fault.map_or_else(Vec::new, |fault| fault.files(world));
        // The repository and the server need nothing of each other.
        let (repository_made, cluster) = tokio::join!(
            blocking({
                let repository = repository.clone();
                move || make_repository(&repository, world, &overlaid)
            }),
            start_server(world),
        );
        repository_made?;
        let cluster = cluster?;
        let address = |database| cluster.url(database, DEPLOYER);
        let settings = repository.join("apps/ingest/config.js");
        let traffic = traffic::begin(cluster.url("production", SERVICE), settings);
        let quick = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let built = DemoWorld {
            vars: world.quick.iter().map(quick).collect(),
            _traffic: traffic,
            runbook: repository.join(world.runbook_name),
            repository,
            environment: vec![
                ("PROD_DATABASE_URL".to_owned(), address("production")),
                ("STAGING_DATABASE_URL".to_owned(), address("staging")),
            ],
            world,
            held: Mutex::new(Vec::new()),
            cluster,
            _folder: folder,
        };
        if let Some(fault) = fault {
            built.change(*fault, Direction::Break).await?;
        }
        Ok(built)
    }

    /// Brings a fault into a world that stands.
    ///
    /// # Errors
    /// When the world has no such fault or its change fails, as it does the second time.
    pub async fn inflict(&self, fault: &str) -> Result<(), DemoError> {
        let fault = Fault::named(self.world, fault)?;
        self.replace_files(fault.files(self.world), "ops: as it came")
            .await?;
        self.change(*fault, Direction::Break).await
    }

    /// Puts right what a fault made wrong, as its owner would outside the console.
    ///
    /// # Errors
    /// When the world has no such fault or its mending fails.
    pub async fn mend(&self, fault: &str) -> Result<(), DemoError> {
        let fault = Fault::named(self.world, fault)?;
        let mut originals = fault.files(self.world);
        for file in &mut originals {
            let path = format!("repo/{}", file.path);
            file.contents = self.world.text(&path)?.as_bytes();
        }
        self.replace_files(originals, &format!("ops: mend {}", fault.name))
            .await?;
        self.change(*fault, Direction::Mend).await
    }

    /// Returns production's address for another user than `deploy`.
    pub fn production_url(&self, user: &str) -> String {
        self.cluster.url("production", user)
    }

    /// Returns a database's address for the superuser: to look from outside, never for a runbook.
    pub fn admin_url(&self, database: &str) -> String {
        self.cluster.url(database, SUPERUSER)
    }

    /// Returns the private server.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    async fn replace_files(&self, files: Vec<SourceFile>, message: &str) -> Result<(), DemoError> {
        if files.is_empty() {
            return Ok(());
        }
        let (folder, message) = (self.repository.clone(), message.to_owned());
        blocking(move || repository::replace(&folder, &files, &message)).await
    }

    async fn change(&self, fault: Fault, direction: Direction) -> Result<(), DemoError> {
        for (database, sql) in fault.scripts(self.world, direction) {
            let connection = Connection::open(&self.cluster, database, SUPERUSER).await?;
            let done = connection.run(fault.name, sql).await;
            connection.close().await;
            done?;
        }
        let mut held = self.held.lock().await;
        match (direction, fault.held(self.world)) {
            (Direction::Break, Some(sql)) => {
                let holder = Connection::open(&self.cluster, "production", HOLDER).await?;
                holder.run(fault.name, sql).await?;
                held.push((fault.name, holder));
            }
            (Direction::Mend, Some(_)) => {
                while let Some(at) = held.iter().position(|(name, _)| *name == fault.name) {
                    let (_, holder) = held.swap_remove(at);
                    // The locks are gone with this answer. It fails when the operator has ended
                    // the session already, which mends as well.
                    drop(holder.run("ending the transaction", "ROLLBACK").await);
                    holder.close().await;
                }
            }
            (_, None) => {}
        }
        Ok(())
    }
}

fn make_repository(folder: &Path, world: &World, overlaid: &[SourceFile]) -> Result<(), DemoError> {
    std::fs::create_dir(folder).map_err(DemoError::file("make the folder", folder))?;
    repository::create(folder, world, overlaid)
}

async fn start_server(world: &World) -> Result<Cluster, DemoError> {
    let options = ClusterOptions {
        settings: [
            // The sample company archives its log, into a folder beside its tables that goes with
            // them. A file of the fault's makes the archive as full as a real one gets.
            ("wal_level", "replica"),
            ("archive_mode", "on"),
            ("archive_command", ARCHIVE),
            // Loading fills several segments of the log; writing zeros first would double that.
            ("wal_init_zero", "off"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..ClusterOptions::default()
    };
    let cluster = blocking(move || Ok(Cluster::start(&options)?)).await?;
    databases::load(&cluster, world).await?;
    Ok(cluster)
}

/// Runs work that blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DemoError> + Send + 'static,
) -> Result<T, DemoError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| DemoError::Interrupted(error.to_string()))?
}
