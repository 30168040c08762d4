//! The runbook's databases: where they are, which server answers, and who holds them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex as AsyncMutex;

use crate::postgres::PostgresError;
use crate::postgres::conninfo::Conninfo;
use crate::postgres::environment::Environment as Surroundings;
use crate::postgres::identity::{self, Identity};
use crate::postgres::operator_lock::{Holder, OperatorLock, OperatorLockError};
use crate::postgres::session::{Session, SessionSettings};
use crate::runbook::{Environment, Runbook, Target};

/// How long somebody else may take to let a target go before we say that it is held.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long a lock counts as ours without asking the server again.
const LOCK_TRUST: Duration = Duration::from_secs(1);

/// What is known of a target.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetStatus {
    NotAsked,
    Connecting,
    Connected(Box<Identity>),
    Failed(String),
    /// Another operator holds it.
    Held(String),
}

/// Why a target cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("{0}")]
    Address(String),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("this is not the server that the runbook means: {0}")]
    WrongServer(String),
    #[error("another operator holds it: {0}")]
    Held(String),
    #[error("{0}")]
    Lock(String),
    /// The conn of the run is somebody else's.
    #[error("{0}")]
    ConnOver(String),
}

/// Asks whether this process may still act; the answer is why not.
pub(super) type Guard = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

struct Entry {
    target: Target,
    status: Mutex<TargetStatus>,
    /// The system identifier and the latest timeline that the journal knows.
    timeline: Mutex<Option<(String, u32)>>,
    /// What answered first in this run; nothing else may answer later.
    first: Mutex<First>,
    /// The lock, and when it was last seen to be ours.
    lock: AsyncMutex<Option<(OperatorLock, Instant)>>,
}

/// All targets of a run. Cloning gives the same targets.
#[derive(Clone)]
pub struct Targets {
    run: Arc<str>,
    surroundings: Arc<Surroundings>,
    entries: Arc<BTreeMap<String, Entry>>,
    guard: Arc<OnceLock<Guard>>,
}

impl Targets {
    /// Takes the runbook's targets; connects to none of them yet.
    pub fn new(run: &str, runbook: &Runbook, surroundings: Surroundings) -> Targets {
        let entry = |target: &Target| Entry {
            target: target.clone(),
            status: Mutex::new(TargetStatus::NotAsked),
            timeline: Mutex::new(None),
            first: Mutex::new(First::default()),
            lock: AsyncMutex::new(None),
        };
        Targets {
            run: Arc::from(run),
            guard: Arc::default(),
            surroundings: Arc::new(surroundings),
            entries: Arc::new(
                runbook
                    .targets
                    .iter()
                    .map(|(name, t)| (name.clone(), entry(t)))
                    .collect(),
            ),
        }
    }

    /// The environment that the runbook gives a target.
    pub fn environment(&self, name: &str) -> Option<Environment> {
        Some(self.entries.get(name)?.target.environment)
    }

    /// The environment that addresses are resolved in.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// A variable of the environment that addresses are resolved in.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.surroundings.variable(name)
    }

    /// Resolves every address, so that a missing variable is known before anything starts.
    ///
    /// # Errors
    /// The first target whose address cannot be resolved, and why.
    pub fn check_addresses(&self) -> Result<(), (String, TargetError)> {
        for name in self.entries.keys() {
            self.conninfo(name).map_err(|error| (name.clone(), error))?;
        }
        Ok(())
    }

    /// What is known of every target.
    pub fn statuses(&self) -> BTreeMap<String, TargetStatus> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.clone(), entry.status()))
            .collect()
    }

    /// Resolves a target's address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn conninfo(&self, name: &str) -> Result<Conninfo, TargetError> {
        Conninfo::resolve(&self.entry(name)?.target.url, &self.surroundings)
            .map_err(|error| TargetError::Address(error.to_string()))
    }

    /// The name under which a gate's sessions appear on the server.
    pub fn application_name(&self, gate: &str) -> String {
        let mut name = format!("stagegate {} {gate}", self.run);
        // The server would cut it, and then it would not be found again.
        name.truncate(63);
        name
    }

    /// Opens a session and proves that the server is the one the runbook and this run mean.
    ///
    /// # Errors
    /// Why it cannot be worked on.
    pub async fn open(
        &self,
        name: &str,
        gate: &str,
        mut settings: SessionSettings,
    ) -> Result<(Session, Identity), TargetError> {
        settings.application_name = self.application_name(gate);
        let info = self.conninfo(name)?;
        let entry = self.entry(name)?;
        let opened = async {
            let session = Session::open(&info, &settings).await?;
            let identity = identity::read(&session).await?;
            Ok::<_, PostgresError>((session, identity))
        }
        .await;
        let (session, identity) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                entry.set(TargetStatus::Failed(error.to_string()));
                return Err(error.into());
            }
        };
        if let Err(reason) = entry.prove(&identity) {
            entry.set(TargetStatus::Failed(reason.clone()));
            return Err(TargetError::WrongServer(reason));
        }
        if !matches!(entry.status(), TargetStatus::Held(_)) {
            entry.set(TargetStatus::Connected(Box::new(identity.clone())));
        }
        Ok((session, identity))
    }

    /// Lets every effect ask first. The first guard stays.
    pub fn guard(&self, guard: Guard) {
        let _ = self.guard.set(guard);
    }

    /// Asks whether this process may still act.
    ///
    /// # Errors
    /// [`TargetError::ConnOver`] with the reason.
    pub async fn may_act(&self) -> Result<(), TargetError> {
        match self.guard.get() {
            Some(guard) => guard().await.map_err(TargetError::ConnOver),
            None => Ok(()),
        }
    }

    /// Takes the right to act on a target, and keeps it until the run ends.
    ///
    /// # Errors
    /// [`TargetError::Held`] with the holder when another operator has it.
    pub async fn hold(&self, name: &str) -> Result<(), TargetError> {
        self.may_act().await?;
        let info = self.conninfo(name)?;
        let entry = self.entry(name)?;
        let mut lock = entry.lock.lock().await;
        if let Some((held, seen)) = lock.as_mut() {
            if seen.elapsed() < LOCK_TRUST {
                return Ok(());
            }
            if held.still_held().await.unwrap_or(false) {
                *seen = Instant::now();
                return Ok(());
            }
            *lock = None;
        }
        match OperatorLock::acquire(&info, &self.run, LOCK_WAIT).await {
            Ok(taken) => {
                *lock = Some((taken, Instant::now()));
                if matches!(entry.status(), TargetStatus::Held(_)) {
                    entry.set(TargetStatus::NotAsked);
                }
                Ok(())
            }
            Err(OperatorLockError::Held(holder)) => {
                let holder = describe(&holder);
                entry.set(TargetStatus::Held(holder.clone()));
                Err(TargetError::Held(holder))
            }
            Err(OperatorLockError::Postgres(error)) => {
                entry.set(TargetStatus::Failed(error.to_string()));
                Err(error.into())
            }
            Err(error) => Err(TargetError::Lock(error.to_string())),
        }
    }

    /// Gives the right to act on a target up, and ends the session that held it.
    pub async fn let_go(&self, name: &str) {
        let Ok(entry) = self.entry(name) else { return };
        if let Some((lock, _)) = entry.lock.lock().await.take() {
            lock.release().await;
        }
    }

    /// Says what the journal knows of a target's server: an earlier timeline of it, such as that of
    /// the old primary behind a failover, is refused from then on.
    pub fn remember(&self, name: &str, system_identifier: &str, timeline: u32) {
        if let Ok(entry) = self.entry(name) {
            let mut known = entry
                .timeline
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *known = Some((system_identifier.to_owned(), timeline));
        }
    }

    /// Says that this run itself has put another database in the target's place: the next one that
    /// answers on the same server is the target from then on.
    pub fn expect_another(&self, name: &str) {
        if let Ok(entry) = self.entry(name) {
            let mut first = entry.first.lock().unwrap_or_else(PoisonError::into_inner);
            first.replaced = true;
        }
    }

    /// Says that a target is about to be connected to.
    pub fn expect(&self, name: &str) {
        if let Ok(entry) = self.entry(name)
            && entry.status() == TargetStatus::NotAsked
        {
            entry.set(TargetStatus::Connecting);
        }
    }

    /// Connects once, to show who answers; the session ends again.
    pub async fn look(&self, name: &str) {
        let Ok(entry) = self.entry(name) else { return };
        let settings = SessionSettings::default();
        if let Err(TargetError::Address(reason)) = self.open(name, "look", settings).await {
            entry.set(TargetStatus::Failed(reason));
        }
    }

    fn entry(&self, name: &str) -> Result<&Entry, TargetError> {
        self.entries
            .get(name)
            .ok_or_else(|| TargetError::Address(format!("there is no target `{name}`")))
    }
}

impl Entry {
    fn status(&self) -> TargetStatus {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, status: TargetStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn prove(&self, identity: &Identity) -> Result<(), String> {
        if let Some(wanted) = &self.target.system_identifier
            && identity.system_identifier.as_ref() != Some(wanted)
        {
            let found = identity.system_identifier.as_deref().unwrap_or("unknown");
            return Err(format!(
                "its system identifier is {found}, the runbook names {wanted}"
            ));
        }
        let known = self.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((system, latest)), Some(now)) = (known.as_ref(), identity.timeline)
            && identity.system_identifier.as_ref() == Some(system)
            && now < *latest
        {
            return Err(format!(
                "it is on timeline {now}, and this run has seen timeline {latest} of it: this is the \
                 server of before a failover or a restore, and what is written to it is lost"
            ));
        }
        drop(known);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.accept(identity)
    }
}

/// What answered first.
#[derive(Debug, Default)]
struct First {
    identity: Option<Identity>,
    /// Another database of the same server has its place by now.
    replaced: bool,
}

impl First {
    fn accept(&mut self, identity: &Identity) -> Result<(), String> {
        match &self.identity {
            None => {}
            Some(first) if self.replaced => identity.same_cluster(first)?,
            Some(first) => return identity.same_server(first),
        }
        self.identity = Some(identity.clone());
        self.replaced = false;
        Ok(())
    }
}

fn describe(holder: &Holder) -> String {
    crate::untrusted::clean_line(&holder.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(system_identifier: &str, database_oid: u32) -> Identity {
        Identity {
            host_shown: "db.example".into(),
            address: "10.0.0.1:5432".into(),
            database: "app".into(),
            database_oid,
            user: "ana".into(),
            server_version: "15.18".into(),
            server_version_num: 150_018,
            system_identifier: Some(system_identifier.into()),
            timeline: Some(1),
            in_recovery: false,
            is_superuser: false,
            bypass_rls: false,
            server_started: "2026-11-21T08:00:00.000000Z".into(),
            tls: true,
        }
    }

    #[test]
    fn a_replaced_database_is_only_taken_from_the_same_server() {
        let mut first = First::default();
        first.accept(&identity("1", 10)).unwrap();
        first.accept(&identity("1", 11)).unwrap_err();
        first.replaced = true;
        let elsewhere = first.accept(&identity("2", 11)).unwrap_err();
        assert!(elsewhere.contains("was 1 and is 2"), "{elsewhere}");
        first.accept(&identity("1", 11)).unwrap();
        // Once it is known it is the target, and no third one is.
        first.accept(&identity("1", 12)).unwrap_err();
    }
}
