//! Carries out what signing with keys asks for: statements, replies, files of replies.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::msg::Msg;
use crate::engine::{CommandError, EngineHandle};
use crate::promotion::signature::{LARGEST_REPLY, Purpose};
use crate::untrusted::clean_line;

/// What is asked of the engine or the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningEffect {
    /// Let statements of a gate wait for signatures.
    Issue {
        gate: String,
        purpose: Purpose,
        reason: String,
    },
    /// Hand a signed text in.
    HandIn(String),
    /// Read the file of one.
    Load(String),
}

/// What came of it.
#[derive(Debug)]
pub enum SigningNews {
    Issued(Result<(), CommandError>),
    /// In words what was taken, or why not.
    HandedIn(Result<String, CommandError>),
    Loaded(Result<String, String>),
}

/// Does it, and says what came of it.
pub(super) fn carry_out(
    handle: &Arc<EngineHandle>,
    effect: SigningEffect,
) -> LocalBoxFuture<'static, Msg> {
    let handle = Arc::clone(handle);
    let news = async move {
        match effect {
            SigningEffect::Issue {
                gate,
                purpose,
                reason,
            } => SigningNews::Issued(handle.issue_statements(gate, purpose, reason).await),
            SigningEffect::HandIn(text) => {
                let from = format!("handed in at the console of {}", handle.actor().name);
                SigningNews::HandedIn(handle.hand_in(text.into_bytes(), from).await)
            }
            SigningEffect::Load(path) => {
                let read = tokio::task::spawn_blocking(move || read(&path)).await;
                let defect = "reading ended in a defect of this program";
                let read = read.unwrap_or_else(|_| Err(defect.to_owned()));
                SigningNews::Loaded(read.map_err(|why| clean_line(&why)))
            }
        }
    };
    async move { Msg::Signing(Box::new(news.await)) }.boxed_local()
}

/// Hands a text in to the holder of a run that is watched.
pub(super) fn pass(handle: &Arc<EngineHandle>, text: String) -> LocalBoxFuture<'static, Msg> {
    let handle = Arc::clone(handle);
    let passed = async move {
        let from = format!("handed in at the console of {}", handle.actor().name);
        Msg::HandedIn(handle.hand_in(text.into_bytes(), from).await)
    };
    passed.boxed_local()
}

fn read(path: &str) -> Result<String, String> {
    use std::io::Read as _;
    let told = |why: &dyn std::fmt::Display| format!("{path} was not loaded: {why}");
    let place = match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    };
    let found = std::fs::metadata(&place).map_err(|error| told(&error))?;
    if !found.is_file() {
        return Err(told(&"it is no file"));
    }
    let mut text = String::new();
    std::fs::File::open(&place)
        .and_then(|file| {
            file.take(LARGEST_REPLY as u64 + 1)
                .read_to_string(&mut text)
        })
        .map_err(|error| told(&error))?;
    Ok(text)
}
