//! A program in a terminal of its own: keys in, screen out, and everything waits for a condition.

use std::io::{Read as _, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(40);

#[derive(Default)]
struct Seen {
    parser: Option<vt100::Parser>,
    raw: Vec<u8>,
    ended: bool,
}

/// What reader and test share.
#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    /// The reader lets the terminal go with the next thing that it reads.
    stop: AtomicBool,
}

pub(crate) struct Pty {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

fn parser(columns: u16, rows: u16) -> vt100::Parser {
    let size = |n: u16| std::num::NonZeroU16::new(n).unwrap();
    vt100::Parser::new(size(rows), size(columns), 0)
}

fn pty_size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

impl Pty {
    /// Starts a program with nothing in its environment but what is given.
    pub(crate) fn spawn(
        program: &str,
        arguments: &[&str],
        folder: &Path,
        environment: &[(&str, &str)],
        (columns, rows): (u16, u16),
    ) -> Pty {
        let pair = native_pty_system()
            .openpty(pty_size(columns, rows))
            .unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(folder);
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", folder);
        command.env("TERM", "xterm-256color");
        for (name, value) in environment {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let shared = Arc::new(Shared::default());
        shared.seen.lock().unwrap().parser = Some(parser(columns, rows));
        let source = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let reader = std::thread::spawn({
            let shared = shared.clone();
            move || read(source, &shared)
        });
        Pty {
            master: Some(pair.master),
            writer: Some(writer),
            child,
            shared,
            reader: Some(reader),
        }
    }

    /// Sends bytes as if they were typed, in one write.
    pub(crate) fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// The screen as text.
    pub(crate) fn screen(&self) -> String {
        let seen = self.shared.seen.lock().unwrap();
        seen.parser.as_ref().unwrap().screen().contents()
    }

    /// Everything that was written so far.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.shared.seen.lock().unwrap().raw.clone()
    }

    /// Waits until the terminal is as it should be; panics with what it is.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        let begun = Instant::now();
        let mut seen = self.shared.seen.lock().unwrap();
        loop {
            let screen = seen.parser.as_ref().unwrap().screen();
            if holds(screen) {
                return;
            }
            let left = DEADLINE.saturating_sub(begun.elapsed());
            assert!(
                !left.is_zero() && !seen.ended,
                "{what} did not come; the screen is\n{}",
                screen.contents()
            );
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until the screen holds a text.
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_until(text, |screen| screen.contents().contains(text));
    }

    /// Tells whether anything is written within a time.
    pub(crate) fn writes_within(&self, time: Duration) -> bool {
        let begun = Instant::now();
        let mut seen = self.shared.seen.lock().unwrap();
        let before = seen.raw.len();
        while begun.elapsed() < time {
            let left = time.saturating_sub(begun.elapsed());
            seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
            if seen.raw.len() != before {
                return true;
            }
        }
        false
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let mut seen = self.shared.seen.lock().unwrap();
        let size = |n: u16| std::num::NonZeroU16::new(n).unwrap();
        let screen = seen.parser.as_mut().unwrap().screen_mut();
        screen.set_size(size(rows), size(columns));
        drop(seen);
        let master = self.master.as_ref().unwrap();
        master.resize(pty_size(columns, rows)).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Takes the terminal away, as when a window or a connection is closed.
    pub(crate) fn hang_up(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // It draws for the new size, and with that the reader wakes and lets go.
        self.resize(100, 30);
        self.reader.take().unwrap().join().unwrap();
        self.writer = None;
        self.master = None;
    }

    /// Waits for the program to end; returns its exit code.
    pub(crate) fn exit_code(&mut self) -> u32 {
        if let Some(reader) = self.reader.take() {
            // The terminal is read to its end first: nothing that was written is missed.
            let begun = Instant::now();
            let mut seen = self.shared.seen.lock().unwrap();
            while !seen.ended {
                let left = DEADLINE.saturating_sub(begun.elapsed());
                let screen = seen.parser.as_ref().unwrap().screen();
                assert!(!left.is_zero(), "it does not end; {}", screen.contents());
                seen = self.shared.changed.wait_timeout(seen, left).unwrap().0;
            }
            drop(seen);
            reader.join().unwrap();
        }
        self.child.wait().unwrap().exit_code()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut source: Box<dyn std::io::Read + Send>, shared: &Shared) {
    let mut buffer = [0; 8192];
    loop {
        let count = source.read(&mut buffer).unwrap_or(0);
        let mut seen = shared.seen.lock().unwrap();
        seen.ended = count == 0;
        seen.raw.extend_from_slice(&buffer[..count]);
        if let Some(parser) = &mut seen.parser {
            parser.process(&buffer[..count]);
        }
        drop(seen);
        shared.changed.notify_all();
        if count == 0 || shared.stop.load(Ordering::SeqCst) {
            return;
        }
    }
}
