//! Work that ends in good order when somebody interrupts it, and says how far it is on a terminal.

use std::io::{IsTerminal as _, Write as _};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, runtime, say};

/// Runs work to its end. An interrupt or a request to end cancels it; it is still waited for, so
/// that it can clean up.
pub(super) fn run<T, W: Future<Output = T>>(
    work: impl FnOnce(CancellationToken) -> W,
) -> Result<T, Exit> {
    let runtime = runtime().map_err(|error| {
        say::note(&format!("stagegate: {error}"));
        Exit::Error
    })?;
    Ok(runtime.block_on(async {
        let cancel = CancellationToken::new();
        let mut work = std::pin::pin!(work(cancel.clone()));
        tokio::select! {
            done = &mut work => return done,
            () = asked_to_end() => cancel.cancel(),
        }
        work.await
    }))
}

async fn asked_to_end() {
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut ended) => {
            tokio::select! {
                _ = interrupted => {}
                _ = ended.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupted.await;
        }
    }
}

/// One line that is written over and over, on a terminal only.
#[derive(Debug)]
pub(super) struct Ticker {
    shown: bool,
}

impl Ticker {
    pub(super) fn new() -> Ticker {
        Ticker {
            shown: std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn tell(&self, text: &str) {
        if self.shown {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[K{}", crate::untrusted::clean_line(text));
            let _ = err.flush();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Writes a number of bytes for people.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut shown = format!("{count} B");
    for unit in UNITS {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        shown = format!("{value:.1} {unit}");
    }
    shown
}
