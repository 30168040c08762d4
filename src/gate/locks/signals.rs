//! How what an operator asks of a session in our way reaches the watcher, and its outcome the
//! journal.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use crate::promotion::{BlockerEnd, BlockerRecord};

/// How many may wait for the watcher. The engine refuses more.
const QUEUE: usize = 4;

/// The watcher's end: what the journal holds comes in, what became of it goes out.
#[derive(Debug, Clone)]
pub struct Signals {
    asked: Arc<Mutex<mpsc::Receiver<BlockerRecord>>>,
    ended: mpsc::Sender<BlockerEnd>,
}

impl Signals {
    /// Makes the channel of a gate's work: what the engine sends into, the work's end of it, and
    /// what the engine hears.
    pub fn channel() -> (
        mpsc::Sender<BlockerRecord>,
        Signals,
        mpsc::Receiver<BlockerEnd>,
    ) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (ended, heard) = mpsc::channel(QUEUE);
        let signals = Signals {
            asked: Arc::new(Mutex::new(receiver)),
            ended,
        };
        (sender, signals, heard)
    }

    /// Signals that nobody can send.
    pub fn none() -> Signals {
        Signals::channel().1
    }

    /// Waits for the next one; for ever when none can come any more.
    pub(super) async fn next(&self) -> BlockerRecord {
        let next = self.asked.lock().await.recv().await;
        match next {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }

    /// Says what became of one.
    pub(super) async fn say(&self, ended: BlockerEnd) {
        let _ = self.ended.send(ended).await;
    }

    /// Takes no more; gives those that were recorded and nobody has taken.
    pub(super) async fn close(&self) -> Vec<BlockerRecord> {
        let mut receiver = self.asked.lock().await;
        receiver.close();
        let mut left = Vec::new();
        while let Some(asked) = receiver.recv().await {
            left.push(asked);
        }
        left
    }
}
