//! A server process whose life is tied to ours.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// A child that is reaped by a thread of its own.
///
/// That thread also spawned it and lives exactly as long: the kernel's death signal follows the
/// spawning *thread*, so a child of a pooled thread would be killed when the pool shrinks.
#[derive(Debug)]
pub(super) struct Postmaster {
    pid: u32,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    exited: Mutex<Option<ExitStatus>>,
    changed: Condvar,
}

impl State {
    fn exited(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.exited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postmaster {
    /// Runs a command that dies with this process, whatever ends it.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        // Ctrl-C at the terminal is for us; the server is stopped when we are done.
        command.process_group(0);
        die_with_us(&mut command);
        let state = Arc::new(State::default());
        let (sender, receiver) = mpsc::channel();
        let kept = Arc::clone(&state);
        thread::Builder::new()
            .name("private server".to_owned())
            .spawn(move || keep(command, &sender, &kept))?;
        let pid = receiver
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that starts it ended")))?;
        Ok(Self { pid, state })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns how it ended, if it did.
    pub(super) fn exited(&self) -> Option<ExitStatus> {
        *self.state.exited()
    }

    /// Sends a signal and waits for the end. `None` when it is still there at the deadline.
    pub(super) fn end(&self, signal: Signal, deadline: Duration) -> Option<ExitStatus> {
        let exited = self.state.exited();
        if exited.is_some() {
            return *exited;
        }
        // The lock is held: the process is not reaped, so the number is still its own.
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, signal);
        }
        let (exited, _) = self
            .state
            .changed
            .wait_timeout_while(exited, deadline, |exited| exited.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *exited
    }
}

fn keep(mut command: Command, started: &mpsc::Sender<io::Result<u32>>, state: &State) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    // Holds the log file; the child has its own.
    drop(command);
    let _ = started.send(Ok(child.id()));
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Waits without reaping, so that the number cannot be given to another process while
        // somebody is about to signal it.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options)
        {
        }
    }
    let mut exited = state.exited();
    // It cannot fail for a child of ours that nobody else reaps; if it did, gone is gone.
    *exited = Some(child.wait().unwrap_or_default());
    state.changed.notify_all();
}

/// Has the kernel stop the child at once when the spawning thread ends, and with it this process.
///
/// Other systems than Linux have no such request; there [`super::cluster::sweep`] finds what a
/// killed owner left.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)] // `pre_exec` runs between fork and exec, where only system calls are sound.
fn die_with_us(command: &mut Command) {
    let us = rustix::process::getpid();
    let request = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::QUIT))?;
        // The owner may have died between the fork and the request.
        if rustix::process::getppid() != Some(us) {
            return Err(io::Error::from_raw_os_error(
                rustix::io::Errno::SRCH.raw_os_error(),
            ));
        }
        Ok(())
    };
    // SAFETY: the closure makes two system calls; it allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(request);
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_us(_command: &mut Command) {}
