//! The signals that a console listens to.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What signals ask for.
pub(super) struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    resume: Signal,
    suspend: Signal,
}

/// A signal that counts.
pub(super) enum Asked {
    Terminate,
    HangUp,
    Interrupt,
    Resume,
    Suspend,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Signals> {
        let raw = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            resume: signal(raw(rustix::process::Signal::CONT))?,
            suspend: signal(raw(rustix::process::Signal::TSTP))?,
        })
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.hang_up.recv() => Asked::HangUp,
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.resume.recv() => Asked::Resume,
            _ = self.suspend.recv() => Asked::Suspend,
        }
    }
}
