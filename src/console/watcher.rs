//! Keeps one watcher at work for the repository that the screen shows, and none when it shows none.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::msg::Msg;
use super::screen::git::Watched;
use crate::git::program::PASSED_ON;
use crate::git::watch::{News, watch};

/// How much a watcher may have said that nobody has heard yet.
const WAITING: usize = 16;

/// The watcher at work, if there is one.
pub(super) struct Watcher {
    round: Option<u64>,
    /// Dropping it ends the watcher.
    guard: Option<DropGuard>,
    sender: mpsc::Sender<Msg>,
    receiver: mpsc::Receiver<Msg>,
}

impl Watcher {
    pub(super) fn new() -> Watcher {
        let (sender, receiver) = mpsc::channel(WAITING);
        Watcher {
            round: None,
            guard: None,
            sender,
            receiver,
        }
    }

    /// Lets the right watcher work. Gives what must be spawned for it.
    pub(super) fn keep(&mut self, wanted: Option<&Watched>) -> Option<BoxFuture<'static, ()>> {
        let round = wanted.map(|wanted| wanted.round);
        if round == self.round {
            return None;
        }
        self.round = round;
        self.guard = None;
        let wanted = wanted?;
        let mut request = wanted.request.clone();
        request.variables = variables();
        let cancel = CancellationToken::new();
        self.guard = Some(cancel.clone().drop_guard());
        let (sender, round) = (self.sender.clone(), wanted.round);
        let panicked = sender.clone();
        let say = move |news| {
            // The console takes them at once; a full queue means that it is gone.
            let _ = sender.try_send(Msg::Git(round, Box::new(news)));
        };
        let work = AssertUnwindSafe(watch(request, cancel, say)).catch_unwind();
        Some(Box::pin(async move {
            if work.await.is_err() {
                let text = "looking at it ended in a defect of this program; r looks again";
                let news = News::Trouble(text.to_owned());
                let _ = panicked.try_send(Msg::Git(round, Box::new(news)));
            }
        }))
    }

    /// What a watcher says next.
    pub(super) async fn next(&mut self) -> Option<Msg> {
        self.receiver.recv().await
    }
}

/// The user's variables that git may need.
pub(super) fn variables() -> Vec<(String, String)> {
    let variable = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
    let numbered = std::env::vars().filter(|(name, _)| {
        name.starts_with("GIT_CONFIG_KEY_") || name.starts_with("GIT_CONFIG_VALUE_")
    });
    PASSED_ON
        .iter()
        .filter_map(variable)
        .chain(numbered)
        .collect()
}
