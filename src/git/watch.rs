//! Watches a repository: looks at it, and looks again when something in it has moved.
//!
//! What git writes is noticed by the times of a few files, which costs nothing; what only the work
//! tree knows is found by a whole look now and then, the rarer the longer such a look takes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::distance::{between, revision};
use super::graph::{GraphLine, drawn};
use super::program::Git;
use super::remote;
use super::standing::IN_PROGRESS;
use super::state::{Distance, State, StateError, StateRequest, look};
use crate::digest::digest;
use crate::untrusted::clean_line;

/// How often the times of git's own files are read.
const GLANCE: Duration = Duration::from_millis(400);
/// The shortest time between two whole looks that nothing asked for.
const REST: Duration = Duration::from_secs(3);
/// So many times as long as a look took, none follows by itself.
const SPARING: u32 = 40;
/// How long the remote may take to answer.
const REMOTE: Duration = Duration::from_secs(10);
/// More folders of references than that are not looked into.
const FOLDERS: usize = 200;

/// What is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchRequest {
    pub repository: PathBuf,
    /// What would be promoted; what is checked out when nothing is named.
    pub from: Option<String>,
    /// Where it would go.
    pub into: Option<String>,
    /// The remote that it is pushed to.
    pub remote: Option<String>,
    /// The user's variables; only those that git may need are handed to it.
    pub variables: Vec<(String, String)>,
}

/// Where the repository stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub state: State,
    /// What would be promoted, where that is not what is checked out.
    pub promoted: Option<Distance>,
    /// There is no such revision as the one to be promoted.
    pub from_missing: bool,
    pub graph: Vec<GraphLine>,
}

impl Seen {
    /// How far what would be promoted is from where it goes.
    pub fn distance(&self) -> Option<&Distance> {
        self.promoted.as_ref().or(self.state.target.as_ref())
    }
}

/// Whether the remote answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    #[default]
    NotAsked,
    NoRemote,
    Asking(String),
    Reachable(String),
    /// The remote, and why it does not answer.
    Not(String, String),
}

/// What a watcher says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    Seen(Box<Seen>),
    /// It cannot be looked at, and why.
    Trouble(String),
    Reach(Reach),
}

/// Looks once.
///
/// # Errors
/// Why it could not be looked at.
pub async fn see(request: &WatchRequest, cancel: &CancellationToken) -> Result<Seen, StateError> {
    let asked = StateRequest {
        repository: request.repository.clone(),
        target: request.into.clone(),
        variables: request.variables.clone(),
    };
    let state = look(&asked, cancel).await?;
    let mut seen = Seen {
        promoted: None,
        from_missing: false,
        graph: Vec::new(),
        state,
    };
    if let (Some(from), Some(into)) = (&request.from, &request.into)
        && seen.state.branch() != Some(from)
    {
        let git = Git::find(&request.repository, &request.variables, cancel)?;
        seen.from_missing = revision(&git, from).await?.is_none();
        seen.promoted = Some(between(&git, into, from).await?);
    }
    if let Some(distance) = seen.distance() {
        seen.graph = drawn(&distance.commits);
    }
    Ok(seen)
}

/// Watches until it is canceled. Says what has changed, and nothing else.
pub async fn watch(
    request: WatchRequest,
    cancel: CancellationToken,
    say: impl Fn(News) + Send + Sync,
) {
    let (first, followed) = oneshot::channel();
    // The remote is asked beside it: a look never waits for the network.
    let asking = async {
        if let Ok(upstream) = followed.await {
            reach(&request, upstream, &cancel, &say).await;
        }
    };
    tokio::join!(looking(&request, first, &cancel, &say), asking);
}

/// Looks again and again; hands over what is followed after the first look that shows it.
async fn looking(
    request: &WatchRequest,
    first: oneshot::Sender<Option<String>>,
    cancel: &CancellationToken,
    say: &(impl Fn(News) + Send + Sync),
) {
    let mut first = Some(first);
    let mut last: Option<Result<Seen, String>> = None;
    let mut places = None;
    loop {
        if places.is_none() && request.repository.is_dir() {
            let git = Git::find(&request.repository, &request.variables, cancel);
            places = match git {
                Ok(git) => places_of(&git).await,
                Err(_) => None,
            };
        }
        let marks = marks(places.as_ref());
        let began = Instant::now();
        let seen = see(request, cancel).await;
        let cost = began.elapsed();
        if cancel.is_cancelled() {
            return;
        }
        let seen = seen.map_err(|error| error.to_string());
        if last.as_ref() != Some(&seen) {
            say(match &seen {
                Ok(seen) => News::Seen(Box::new(seen.clone())),
                Err(reason) => News::Trouble(reason.clone()),
            });
        }
        if let Ok(seen) = &seen
            && let Some(first) = first.take()
        {
            let upstream = seen.state.upstream.as_ref();
            let _ = first.send(upstream.map(|of| of.name.clone()));
        }
        last = Some(seen);
        let until = began + REST.max(cost * SPARING);
        while Instant::now() < until && self::marks(places.as_ref()) == marks {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(GLANCE) => {}
            }
        }
    }
}

/// Asks the remote whether it answers.
async fn reach(
    request: &WatchRequest,
    upstream: Option<String>,
    cancel: &CancellationToken,
    say: &(impl Fn(News) + Send + Sync),
) {
    let Ok(git) = Git::find(&request.repository, &request.variables, cancel) else {
        return;
    };
    let remotes = remote::remotes(&git).await.unwrap_or_default();
    let followed = upstream.and_then(|of| {
        let follows = |remote: &&String| of.starts_with(&format!("{remote}/"));
        remotes.iter().find(follows)
    });
    let named = request
        .remote
        .as_ref()
        .filter(|name| remotes.contains(name));
    let Some(name) = named.or(followed).or(remotes.first()) else {
        say(News::Reach(Reach::NoRemote));
        return;
    };
    let shown = clean_line(name);
    say(News::Reach(Reach::Asking(shown.clone())));
    let answered = remote::answers(&git, name, REMOTE).await;
    if !cancel.is_cancelled() {
        say(News::Reach(match answered {
            Ok(()) => Reach::Reachable(shown),
            Err(error) => Reach::Not(shown, clean_line(&error.to_string())),
        }));
    }
}

/// The folders of git's own state: this work tree's, and the one that all share.
pub(super) async fn places_of(git: &Git) -> Option<[PathBuf; 2]> {
    let arguments = [
        "rev-parse",
        "--path-format=absolute",
        "--git-dir",
        "--git-common-dir",
    ];
    let text = git.must(&arguments).await.ok()?.out;
    let text = String::from_utf8(text).ok()?;
    let mut lines = text.lines().map(PathBuf::from);
    Some([lines.next()?, lines.next()?])
}

/// A hash over the times of everything that git writes when something moves.
pub(super) fn marks(places: Option<&[PathBuf; 2]>) -> String {
    let Some([own, common]) = places else {
        return String::new();
    };
    let mut out = String::new();
    let files = ["HEAD", "index", "FETCH_HEAD", "logs/HEAD"];
    let unfinished = IN_PROGRESS.iter().map(|(name, _)| *name);
    for name in files.into_iter().chain(unfinished) {
        mark(&own.join(name), &mut out);
    }
    for name in ["packed-refs", "config", "worktrees", "shallow"] {
        mark(&common.join(name), &mut out);
    }
    // A reference is written beside itself and renamed, so that its folder's time moves.
    let mut folders = vec![common.join("refs")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        mark(&folder, &mut out);
        count += 1;
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|t| t.is_dir());
        let entries = entries.flatten().filter(is_folder).map(|e| e.path());
        if count < FOLDERS {
            folders.extend(entries.take(FOLDERS));
        }
    }
    digest(out.as_bytes())
}

fn mark(path: &Path, out: &mut String) {
    use std::os::unix::fs::MetadataExt as _;
    if let Ok(found) = std::fs::metadata(path) {
        let (seconds, nanos) = (found.mtime(), found.mtime_nsec());
        out.push_str(&format!(
            "{seconds}.{nanos} {} {}\n",
            found.ino(),
            found.len()
        ));
    } else {
        out.push_str("-\n");
    }
}
