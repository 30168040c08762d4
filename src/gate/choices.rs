//! What a person may choose at a gate that is at work, and how the choice reaches the work.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

/// How many choices may wait for the work. The engine refuses more.
const QUEUE: usize = 8;

/// Something that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub key: char,
    /// What the journal says of it.
    pub word: String,
    /// What it does, in a few words.
    pub label: String,
    /// The question that is asked before it counts; `None` where the key alone is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
}

/// A question that is open at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Tells this question from those before it: an answer counts for the one that was read.
    pub serial: u64,
    pub text: String,
    /// What led to it, most telling first.
    pub causes: Vec<String>,
    pub choices: Vec<Choice>,
    pub since: jiff::Timestamp,
}

/// A choice that the journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// 0 when it was chosen without being asked.
    pub question: u64,
    pub word: String,
}

/// The work's end of the channel. Cloning gives the same end.
#[derive(Debug, Clone)]
pub struct Choices(Arc<Mutex<mpsc::Receiver<Chosen>>>);

impl Choices {
    /// Makes both ends.
    pub fn channel() -> (mpsc::Sender<Chosen>, Choices) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (sender, Choices(Arc::new(Mutex::new(receiver))))
    }

    /// Choices that nobody can make, for work that asks nothing.
    pub fn none() -> Choices {
        Choices::channel().1
    }

    /// Waits for the next choice; for ever when none can come any more.
    pub async fn next(&self) -> Chosen {
        let next = self.0.lock().await.recv().await;
        match next {
            Some(chosen) => chosen,
            None => std::future::pending().await,
        }
    }
}
