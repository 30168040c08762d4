//! Reads what the screen of changed files asks for, beside the thread that draws.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::msg::Msg;
use super::screen::files::{Ask, FilesNews, Material, SheetAsk, SheetMade, made};
use super::watcher::variables;
use crate::git::changes::{ChangesRequest, changes, moved};
use crate::git::content::{Content, contents};
use crate::git::program::Git;

/// How much may have been read that nobody has taken yet.
const WAITING: usize = 8;
const DEFECT: &str = "reading it ended in a defect of this program";

/// The readers at work: one of the list, one of a file. A new one ends the one before.
pub(super) struct Reader {
    list: Option<DropGuard>,
    file: Option<DropGuard>,
    sender: mpsc::Sender<Msg>,
    receiver: mpsc::Receiver<Msg>,
}

impl Reader {
    pub(super) fn new() -> Reader {
        let (sender, receiver) = mpsc::channel(WAITING);
        Reader {
            list: None,
            file: None,
            sender,
            receiver,
        }
    }

    /// Gives the work that reads what is asked for.
    pub(super) fn read(&mut self, ask: Ask) -> BoxFuture<'static, ()> {
        let cancel = CancellationToken::new();
        let guard = Some(cancel.clone().drop_guard());
        let sender = self.sender.clone();
        match ask {
            Ask::List(round, mut request) => {
                self.list = guard;
                request.variables = variables();
                Box::pin(list(round, request, cancel, sender))
            }
            Ask::Sheet(ask, top, known) => {
                self.file = guard;
                Box::pin(async move {
                    let material = match known {
                        Some(diff) => Material::Known(diff),
                        None => Material::Read(both_sides(&ask, &top, &cancel).await),
                    };
                    if !cancel.is_cancelled() {
                        send(
                            &sender,
                            FilesNews::Sheet(Box::new(sheet(*ask, material).await)),
                        )
                        .await;
                    }
                })
            }
        }
    }

    /// What was read next.
    pub(super) async fn next(&mut self) -> Option<Msg> {
        self.receiver.recv().await
    }

    /// Ends the readers: nobody looks at the screen.
    pub(super) fn rest(&mut self) {
        self.list = None;
        self.file = None;
    }
}

async fn send(sender: &mpsc::Sender<Msg>, news: FilesNews) {
    // A console that is gone reads nothing any more.
    let _ = sender.send(Msg::Files(Box::new(news))).await;
}

/// Lists what differs, and says when the list may be another one.
async fn list(
    round: u64,
    request: ChangesRequest,
    cancel: CancellationToken,
    sender: mpsc::Sender<Msg>,
) {
    let listed = AssertUnwindSafe(changes(&request, &cancel))
        .catch_unwind()
        .await;
    let listed = match listed {
        Ok(listed) => listed.map_err(|error| error.to_string()),
        Err(_) => Err(DEFECT.to_owned()),
    };
    if cancel.is_cancelled() {
        return;
    }
    let seen = listed.as_ref().ok().cloned();
    send(&sender, FilesNews::Listed(round, Box::new(listed))).await;
    if let Some(seen) = seen {
        moved(&request, &seen, &cancel).await;
        if !cancel.is_cancelled() {
            send(&sender, FilesNews::Moved(round)).await;
        }
    }
}

async fn both_sides(
    ask: &SheetAsk,
    top: &Path,
    cancel: &CancellationToken,
) -> Result<[Content; 2], String> {
    let git = Git::find(top, &variables(), cancel).map_err(|error| error.to_string())?;
    let read = contents(&git, top, &ask.file).await;
    read.map_err(|error| error.to_string())
}

/// Compares, which takes as long as the texts are.
async fn sheet(ask: SheetAsk, material: Material) -> SheetMade {
    let again = ask.clone();
    let work = tokio::task::spawn_blocking(move || made(ask, material));
    match work.await {
        Ok(made) => made,
        Err(_) => made(again, Material::Read(Err(DEFECT.to_owned()))),
    }
}
