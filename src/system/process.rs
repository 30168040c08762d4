//! Programs that we start: own session, output streamed and bounded, cancelled as a group.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How much of each output stream is kept at its beginning, and again at its end, in bytes.
const KEPT: usize = 64 * 1024;
/// A line longer than this is cut into several, in bytes.
pub const LONGEST_LINE: usize = 4 * 1024;
/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is still read after a program has ended.
const DRAIN: Duration = Duration::from_secs(1);

/// What to start.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// The whole environment of the program; it inherits nothing.
    pub environment: Vec<(String, String)>,
    pub folder: Option<PathBuf>,
    pub timeout: Option<Duration>,
}

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Exited(ExitStatus),
    TimedOut,
    Canceled,
}

/// What a program left behind: its first and last output, raw.
#[derive(Debug, Clone)]
pub struct Ended {
    pub ending: Ending,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Bytes left out of the middle of both streams.
    pub omitted_bytes: u64,
}

/// Why a program could not be started.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` could not be started: {source}")]
pub struct StartError {
    pub program: String,
    #[source]
    pub source: std::io::Error,
}

/// Finds a program as a shell would: a path with a slash is taken from `folder`, a bare name is
/// looked up in PATH.
pub fn find_program(name: &str, folder: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        let path = folder.join(name);
        return path.is_file().then_some(path);
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|entry| entry.join(name))
        .find(|path| {
            rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
        })
}

/// Runs a program to its end. `on_line` is called for each line of output as it comes.
///
/// When `cancel` fires or the time is over, the whole process group is asked to end, and killed
/// if it does not within five seconds.
///
/// # Errors
/// When the program cannot be started.
pub async fn run(
    invocation: &Invocation,
    cancel: &CancellationToken,
    on_line: impl FnMut(Stream, &[u8]),
) -> Result<Ended, StartError> {
    run_raw(invocation, cancel, on_line, |_| {}).await
}

/// Runs a program as [`run`] does; `on_out` gets its standard output byte for byte besides.
///
/// # Errors
/// When the program cannot be started.
pub async fn run_raw(
    invocation: &Invocation,
    cancel: &CancellationToken,
    mut on_line: impl FnMut(Stream, &[u8]),
    mut on_out: impl FnMut(&[u8]),
) -> Result<Ended, StartError> {
    let mut child = spawn(invocation).map_err(|source| StartError {
        program: invocation.program.display().to_string(),
        source,
    })?;
    // Its own session makes it the leader of a process group of the same number.
    let group = child
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(id as i32));
    let (readers, mut chunks) = read_output(&mut child);
    let mut output = [Captured::default(), Captured::default()];
    let deadline = invocation
        .timeout
        .unwrap_or(Duration::from_secs(u64::from(u32::MAX)));
    let time_over = tokio::time::sleep(deadline);
    tokio::pin!(time_over);
    let mut stopped: Option<Ending> = None;
    let mut exited: Option<ExitStatus> = None;
    let ending = loop {
        tokio::select! {
            biased;
            () = cancel.cancelled(), if stopped.is_none() => {
                stopped = Some(Ending::Canceled);
                signal_group(group, Signal::TERM);
                time_over.as_mut().reset(tokio::time::Instant::now() + GRACE);
            }
            () = &mut time_over, if exited.is_none() => {
                if stopped.is_some() {
                    signal_group(group, Signal::KILL);
                } else {
                    stopped = Some(Ending::TimedOut);
                    signal_group(group, Signal::TERM);
                }
                time_over.as_mut().reset(tokio::time::Instant::now() + GRACE);
            }
            status = child.wait(), if exited.is_none() => {
                // A grandchild may hold the pipes open for ever; its output is no longer ours.
                exited = status.ok();
                let Some(status) = exited else { break stopped.unwrap_or(Ending::Canceled) };
                drain(&mut chunks, |stream, chunk| {
                    if stream == Stream::Out {
                        on_out(chunk);
                    }
                    output[stream as usize].take(chunk, |line| on_line(stream, line));
                })
                .await;
                break stopped.unwrap_or(Ending::Exited(status));
            }
            Some((stream, chunk)) = chunks.recv() => {
                if stream == Stream::Out {
                    on_out(&chunk);
                }
                output[stream as usize].take(&chunk, |line| on_line(stream, line));
            }
        }
    };
    if stopped.is_some() {
        // Whoever of the group did not end with its leader ends now.
        signal_group(group, Signal::KILL);
    }
    readers.iter().for_each(JoinHandle::abort);
    Ok(finished(ending, output, on_line))
}

fn finished(
    ending: Ending,
    [mut out, mut err]: [Captured; 2],
    mut on_line: impl FnMut(Stream, &[u8]),
) -> Ended {
    out.finish(|line| on_line(Stream::Out, line));
    err.finish(|line| on_line(Stream::Err, line));
    Ended {
        ending,
        omitted_bytes: out.omitted + err.omitted,
        stdout: out.bytes(),
        stderr: err.bytes(),
    }
}

/// Output as it comes, from which stream.
type Chunks = mpsc::Receiver<(Stream, Vec<u8>)>;

/// Begins to read both streams of a program.
fn read_output(child: &mut Child) -> (Vec<JoinHandle<()>>, Chunks) {
    let (sender, chunks) = mpsc::channel(64);
    let mut readers = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        readers.push(tokio::spawn(pump(pipe, Stream::Out, sender.clone())));
    }
    if let Some(pipe) = child.stderr.take() {
        readers.push(tokio::spawn(pump(pipe, Stream::Err, sender)));
    }
    (readers, chunks)
}

async fn drain(chunks: &mut Chunks, mut on_chunk: impl FnMut(Stream, &[u8])) {
    // A program may leave children behind that hold its output open and go on talking.
    let until = tokio::time::Instant::now() + DRAIN;
    while let Ok(Some((stream, chunk))) = tokio::time::timeout_at(until, chunks.recv()).await {
        on_chunk(stream, &chunk);
    }
}

#[allow(unsafe_code)] // `pre_exec` is the only way to a session of its own.
fn spawn(invocation: &Invocation) -> std::io::Result<Child> {
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.arguments)
        .env_clear()
        .envs(
            invocation
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(folder) = &invocation.folder {
        command.current_dir(folder);
    }
    // SAFETY: between fork and exec only async-signal-safe system calls are made. An own session
    // keeps a hang-up of our terminal from the program; the death signal keeps a program from
    // working on when we were killed, with nobody left to record what it does.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            #[cfg(target_os = "linux")]
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
    command.spawn()
}

fn signal_group(group: Option<rustix::process::Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

async fn pump(
    mut pipe: impl AsyncRead + Unpin,
    stream: Stream,
    sender: mpsc::Sender<(Stream, Vec<u8>)>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = pipe.read(&mut buffer).await {
        if read == 0
            || sender
                .send((stream, buffer[..read].to_vec()))
                .await
                .is_err()
        {
            return;
        }
    }
}

/// One stream's output: its head, its tail, and the line that is being read.
#[derive(Default)]
struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    omitted: u64,
    line: Vec<u8>,
}

impl Captured {
    fn take(&mut self, chunk: &[u8], mut on_line: impl FnMut(&[u8])) {
        let room = KEPT.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..room]);
        self.tail.extend(&chunk[room..]);
        let excess = self.tail.len().saturating_sub(KEPT);
        self.tail.drain(..excess);
        self.omitted += excess as u64;
        for byte in chunk {
            // Progress meters rewrite a line with a carriage return.
            if matches!(byte, b'\n' | b'\r') || self.line.len() >= LONGEST_LINE {
                if !self.line.is_empty() {
                    on_line(&self.line);
                    self.line.clear();
                }
                if matches!(byte, b'\n' | b'\r') {
                    continue;
                }
            }
            self.line.push(*byte);
        }
    }

    fn finish(&mut self, mut on_line: impl FnMut(&[u8])) {
        if !self.line.is_empty() {
            on_line(&self.line);
            self.line.clear();
        }
    }

    fn bytes(mut self) -> Vec<u8> {
        if self.omitted > 0 {
            self.head.extend_from_slice(b"\n[...]\n");
        }
        self.head.extend(self.tail);
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(program: &str, arguments: &[&str]) -> Invocation {
        Invocation {
            program: find_program(program, Path::new("/")).unwrap(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            folder: None,
            timeout: None,
        }
    }

    async fn lines(invocation: &Invocation) -> (Ended, Vec<String>) {
        let mut lines = Vec::new();
        let ended = run(invocation, &CancellationToken::new(), |_, line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
        })
        .await
        .unwrap();
        (ended, lines)
    }

    #[tokio::test]
    async fn output_comes_line_by_line() {
        let (ended, lines) =
            lines(&invocation("sh", &["-c", "echo a; printf 'b\\rc'; exit 3"])).await;
        assert_eq!(lines, ["a", "b", "c"]);
        assert!(matches!(ended.ending, Ending::Exited(status) if status.code() == Some(3)));
    }

    #[tokio::test]
    async fn nothing_is_inherited() {
        let (_, lines) = lines(&invocation("env", &[])).await;
        assert_eq!(lines, ["PATH=/usr/bin:/bin"]);
    }

    #[tokio::test]
    async fn output_is_bounded_in_the_middle() {
        let (ended, _) = lines(&invocation("seq", &["1", "200000"])).await;
        assert!(ended.omitted_bytes > 0);
        assert!(ended.stdout.len() < 3 * KEPT);
        assert!(ended.stdout.starts_with(b"1\n") && ended.stdout.ends_with(b"200000\n"));
    }

    #[tokio::test]
    async fn time_limit_and_cancel_end_the_whole_group() {
        let mut slow = invocation("sh", &["-c", "sleep 60 & sleep 60"]);
        slow.timeout = Some(Duration::from_millis(50));
        let (ended, _) = lines(&slow).await;
        assert_eq!(ended.ending, Ending::TimedOut);

        slow.timeout = None;
        let cancel = CancellationToken::new();
        cancel.cancel();
        let ended = run(&slow, &cancel, |_, _| {}).await.unwrap();
        assert_eq!(ended.ending, Ending::Canceled);
    }
}
