//! The real binary in a pseudo-terminal: keys in, screen out, never a fixed wait.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use crate::site::BINARY;

/// How long anything may take to show. A loaded machine is slow, a hang is longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Pty {
    child: Box<dyn Child + Send + Sync>,
    /// Dropping both ends is what closing the terminal's window does.
    writer: Option<Box<dyn std::io::Write + Send>>,
    master: Option<Box<dyn MasterPty + Send>>,
    chunks: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    raw: Vec<u8>,
    /// What came of a frame that is not whole yet.
    partial: Vec<u8>,
    /// The reader lets the terminal go with the next thing that it reads.
    stop: Arc<AtomicBool>,
}

impl Pty {
    /// Starts the binary in a terminal of that size, with an environment of its own.
    pub(crate) fn start(
        arguments: &[&str],
        folder: &Path,
        environment: &[(&str, &str)],
        size: (u16, u16),
    ) -> Pty {
        Pty::start_program(BINARY, arguments, folder, environment, size)
    }

    /// Starts any program like that.
    pub(crate) fn start_program(
        program: &str,
        arguments: &[&str],
        folder: &Path,
        environment: &[(&str, &str)],
        (columns, rows): (u16, u16),
    ) -> Pty {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(folder);
        command.env_clear();
        let path = std::env::var_os("PATH").unwrap();
        let own = [
            ("PATH", path),
            ("HOME", folder.into()),
            ("TERM", OsString::from("xterm-256color")),
            ("LANG", OsString::from("C.UTF-8")),
            ("TZ", OsString::from("UTC")),
        ];
        own.iter()
            .for_each(|(name, value)| command.env(name, value));
        environment
            .iter()
            .for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, chunks) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                let sent = sender.send(buffer[..read].to_vec());
                if sent.is_err() || stopped.load(Ordering::SeqCst) {
                    return;
                }
            }
        });
        Pty {
            child,
            writer: Some(pair.master.take_writer().unwrap()),
            master: Some(pair.master),
            chunks,
            screen: vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0),
            raw: Vec::new(),
            partial: Vec::new(),
            stop,
        }
    }

    /// What the screen shows now.
    pub(crate) fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// The screen itself, with colours.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    /// Every byte that was written so far.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(crate) fn send(&mut self, keys: &str) {
        let writer = self.writer.as_mut().unwrap();
        // A program that has just ended takes no keys; the next wait says so.
        let _ = writer.write_all(keys.as_bytes());
        let _ = writer.flush();
    }

    /// Puts what came on the screen, whole frames only, as a terminal does that knows where they
    /// begin and end: nobody acts on half of one.
    fn show(&mut self, chunk: Vec<u8>) {
        self.partial.extend_from_slice(&chunk);
        self.raw.extend(chunk);
        let last = |mark: &[u8]| self.partial.windows(mark.len()).rposition(|at| at == mark);
        let whole = match (last(b"\x1b[?2026h"), last(b"\x1b[?2026l")) {
            (Some(begin), None) => begin,
            (Some(begin), Some(end)) if end < begin => begin,
            _ => self.partial.len(),
        };
        let rest = self.partial.split_off(whole);
        self.screen.process(&self.partial);
        self.partial = rest;
    }

    /// Takes what came; `false` when the terminal was closed by the program.
    fn take(&mut self, wait: Duration) -> bool {
        match self.chunks.recv_timeout(wait) {
            Ok(chunk) => {
                self.show(chunk);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Waits until the screen satisfies `wanted`.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.text()) {
            let open = self.take(Duration::from_millis(50));
            let text = self.text();
            assert!(
                open || wanted(&text),
                "the program ended before {what}:\n{text}"
            );
            assert!(Instant::now() < deadline, "{what} was not seen in:\n{text}");
        }
    }

    /// Waits until the screen satisfies `wanted`, or the program has ended; tells which: `true` when
    /// it goes on.
    #[track_caller]
    pub(crate) fn goes_on_until(&mut self, wanted: impl Fn(&str) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.take(Duration::from_millis(20));
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let text = self.text();
            if wanted(&text) {
                return true;
            }
            assert!(Instant::now() < deadline, "nothing happens:\n{text}");
        }
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(&format!("`{text}`"), |screen| screen.contains(text));
    }

    /// Waits until the screen shows `text` no more.
    #[track_caller]
    pub(crate) fn wait_gone(&mut self, text: &str) {
        self.wait_until(&format!("the end of `{text}`"), |screen| {
            !screen.contains(text)
        });
    }

    /// Tells whether anything is written within a time.
    pub(crate) fn writes_within(&mut self, time: Duration) -> bool {
        let (deadline, before) = (Instant::now() + time, self.raw.len());
        while self.raw.len() == before && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if !self.take(left) {
                return false;
            }
        }
        self.raw.len() != before
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        self.master.as_ref().unwrap().resize(size).unwrap();
        let (rows, columns) = (rows.try_into().unwrap(), columns.try_into().unwrap());
        self.screen.screen_mut().set_size(rows, columns);
    }

    /// The program's process.
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(self.child.process_id().unwrap() as i32).unwrap()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Closes the terminal, as closing its window does.
    pub(crate) fn hang_up(&mut self) {
        // The terminal is gone when its last end is closed, and the reader holds one until the
        // program draws for another size.
        self.stop.store(true, Ordering::SeqCst);
        self.resize(97, 29);
        let deadline = Instant::now() + PATIENCE;
        while self.take(Duration::from_millis(50)) {
            assert!(
                Instant::now() < deadline,
                "nothing was drawn for a new size"
            );
        }
        self.writer = None;
        self.master = None;
    }

    /// Waits until the program has ended and everything it wrote was read.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open = self.take(Duration::from_millis(20));
            if let Some(status) = self.child.try_wait().unwrap() {
                while self.master.is_some()
                    && let Ok(chunk) = self.chunks.recv_timeout(Duration::from_millis(200))
                {
                    self.show(chunk);
                }
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it has not ended; open {open}:\n{}",
                self.text()
            );
        }
    }

    /// Tells whether the terminal is as it was before: main screen, cursor shown, no mouse, no
    /// bracketed paste.
    pub(crate) fn is_restored(&self) -> bool {
        let screen = self.screen.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
