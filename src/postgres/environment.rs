//! What the surroundings say about where to connect: variables, home folder, user, socket folders.
//!
//! All of it is read once and passed on as a value, so that resolving an address is a function of
//! its inputs and a test can say what they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// Where servers put their sockets when nobody says otherwise: Debian's place, then the
/// project's own.
const SOCKET_FOLDERS: &[&str] = &["/var/run/postgresql", "/tmp"];
/// Where packages put the services of the whole machine.
const SYSTEM_FOLDERS: &[&str] = &[
    "/etc/postgresql-common",
    "/etc/sysconfig/pgsql",
    "/usr/local/etc/postgresql",
    "/opt/homebrew/etc/postgresql",
];

/// Who connects when an address names nobody.
#[derive(Clone, Default)]
enum User {
    #[default]
    Nobody,
    Named(String),
    /// Whom this process runs as. Asked for only when an address needs it: the answer may come from
    /// a directory server.
    OfProcess(Arc<LazyLock<Option<String>>>),
}

/// The inputs of [`super::conninfo::Conninfo::resolve`] other than the address itself.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
    user: User,
    socket_folders: Vec<PathBuf>,
    system_folders: Vec<PathBuf>,
}

impl Environment {
    /// Reads the environment of this process.
    pub fn of_process() -> Self {
        Self {
            // A variable that is not text can be no part of an address.
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            home: std::env::home_dir(),
            user: User::OfProcess(Arc::new(LazyLock::new(|| whoami::username().ok()))),
            socket_folders: SOCKET_FOLDERS.iter().map(PathBuf::from).collect(),
            system_folders: SYSTEM_FOLDERS.iter().map(PathBuf::from).collect(),
        }
    }

    /// Makes one of these variables and nothing else.
    pub fn from_variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..Self::default()
        }
    }

    /// Sets variables, over those that are there.
    #[must_use]
    pub fn with_variables(mut self, variables: &[(String, String)]) -> Self {
        self.variables.extend(variables.iter().cloned());
        self
    }

    /// Sets the home folder.
    #[must_use]
    pub fn with_home(mut self, home: &Path) -> Self {
        self.home = Some(home.to_owned());
        self
    }

    /// Sets the name of the operating system's user.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        self.user = User::Named(user.to_owned());
        self
    }

    /// Sets where sockets are looked for.
    #[must_use]
    pub fn with_socket_folders(mut self, folders: &[&Path]) -> Self {
        self.socket_folders = folders.iter().map(|&folder| folder.to_owned()).collect();
        self
    }

    /// Returns a variable; an empty one counts as unset, as it does for PostgreSQL's programs.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns the operating system's user.
    pub fn user(&self) -> Option<&str> {
        match &self.user {
            User::Nobody => None,
            User::Named(name) => Some(name),
            User::OfProcess(name) => name.as_deref(),
        }
    }

    /// Returns a path under the home folder.
    pub fn in_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    /// Returns the folder in which a server listens at that port, else the first that exists.
    pub(super) fn socket_folder(&self, port: u16) -> Option<&Path> {
        let socket = format!(".s.PGSQL.{port}");
        let folders = || self.socket_folders.iter().map(PathBuf::as_path);
        folders()
            .find(|folder| folder.join(&socket).exists())
            .or_else(|| folders().find(|folder| folder.is_dir()))
    }

    /// Returns the service files to look in, in order.
    pub(super) fn service_files(&self) -> Vec<PathBuf> {
        let own = match self.variable("PGSERVICEFILE") {
            Some(file) => Some(PathBuf::from(file)),
            None => self.in_home(".pg_service.conf"),
        };
        let system = match self.variable("PGSYSCONFDIR") {
            Some(folder) => vec![PathBuf::from(folder)],
            None => self.system_folders.clone(),
        };
        own.into_iter()
            .chain(
                system
                    .into_iter()
                    .map(|folder| folder.join("pg_service.conf")),
            )
            .collect()
    }
}
