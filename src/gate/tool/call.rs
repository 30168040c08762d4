//! Starts a tool: its arguments, its surroundings with the target's address, and what it says.

use std::time::{Duration, Instant};

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::expectation::{ExitSeen, Finding, ProcessSeen};
use crate::gate::exec::what_was_seen;
use crate::gate::{Context, Source};
use crate::postgres::child_address::{self, ChildAddress, Told};
use crate::runbook::{TOOL_ID, Tool, ToolGate};
use crate::system::process::{self, Ended, Invocation, Stream};
use crate::untrusted::{clean_bytes, clean_line, clip};

/// How much of the standard output is read, in bytes; what is longer cannot be judged.
pub(super) const MOST: usize = 10 * 1024 * 1024;
/// How long a call that only looks may take when the gate does not say.
const LOOKING: Duration = Duration::from_secs(60);
/// What a question looks like that waits for an answer.
const QUESTION: &str =
    r"(?i)(\[y(es)?/n(o)?\]|\(y(es)?/n(o)?\)|pass(word|phrase)[^:]*:|\?|continue:?)[\s:>]*$";

/// One call of a tool, as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What it was asked: `status`, `plan`, `apply`, `revert`.
    pub part: String,
    pub argv: Vec<String>,
    pub seen: ProcessSeen,
    /// Its output was not UTF-8; what was not is shown as `�`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_utf8: bool,
    /// What it asked, when nobody could answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    pub duration_ms: u64,
}

/// What is called, and how.
pub(super) struct Call<'a> {
    pub(super) part: &'static str,
    pub(super) argv: &'a [String],
    pub(super) exit: &'a [i32],
    /// Stands for `{id}`.
    pub(super) id: Option<&'a str>,
    /// The server lets its sessions change nothing.
    pub(super) read_only: bool,
}

/// What a call gave.
pub(super) struct Ran {
    pub(super) call: ToolCall,
    /// Its whole standard output, as it was given.
    pub(super) out: String,
    /// The same without the password.
    pub(super) masked: String,
    /// There was more than can be read.
    pub(super) too_much: bool,
    /// It ended as it must.
    pub(super) well: bool,
}

/// A tool on a target.
pub(super) struct Caller<'a> {
    pub(super) tool: &'a Tool,
    pub(super) gate: &'a ToolGate,
    pub(super) context: &'a Context,
}

/// The name of the tool's sessions on the server.
pub(super) fn sessions_of(context: &Context) -> String {
    let id = &context.gate.id;
    context.targets.application_name(&format!("tool {id}"))
}

impl Caller<'_> {
    /// Fills a call's arguments in.
    pub(super) fn filled(&self, argv: &[String], id: Option<&str>) -> Vec<String> {
        let one = |argument: &String| match id {
            Some(id) => self.context.fill(&argument.replace(TOOL_ID, id)),
            None => self.context.fill(argument),
        };
        argv.iter().map(one).collect()
    }

    /// Why a program cannot be started, if it is not there.
    pub(super) fn absent(&self, argv: &[String]) -> Option<String> {
        let program = self.context.fill(argv.first()?);
        process::find_program(&program, &self.context.base)
            .is_none()
            .then(|| format!("there is no program `{program}`"))
    }

    /// Runs a call to its end.
    ///
    /// # Errors
    /// Why it could not be started; nothing has happened then.
    pub(super) async fn run(&self, call: &Call<'_>) -> Result<Ran, Finding> {
        let context = self.context;
        let argv = self.filled(call.argv, call.id);
        let info = context.targets.conninfo(&self.gate.target);
        let info = info.map_err(|error| not_started(self.tool, &error.to_string()))?;
        let (name, options) = (sessions_of(context), self.options(call.read_only));
        let told = Told {
            url: self.tool.url_env.as_deref(),
            scheme: &self.tool.url_scheme,
            user: self.tool.user_env.as_deref(),
            password: self.tool.password_env.as_deref(),
            application_name: &name,
            options: &options,
        };
        let address = ChildAddress::make(&info, &told, &context.folder)
            .map_err(|reason| not_started(self.tool, &reason))?;
        let looks = matches!(call.part, "status" | "plan");
        let invocation = Invocation {
            program: process::find_program(&argv[0], &context.base)
                .ok_or_else(|| no_program(self.tool, &argv[0]))?,
            arguments: argv[1..].to_vec(),
            environment: self.environment(address.variables()),
            folder: Some(self.folder()),
            timeout: context.gate.timeout.or(looks.then_some(LOOKING)),
        };
        let started = Instant::now();
        let mut whole: Vec<u8> = Vec::new();
        let mut too_much = false;
        let on_line = |stream: Stream, line: &[u8]| {
            let source = match stream {
                Stream::Out => Source::Out,
                Stream::Err => Source::Err,
            };
            let said = address.masked(&without_colour(&String::from_utf8_lossy(line)));
            context.feed.line(source, &said);
        };
        let on_out = |chunk: &[u8]| {
            let room = MOST.saturating_sub(whole.len()).min(chunk.len());
            whole.extend_from_slice(&chunk[..room]);
            too_much |= room < chunk.len();
        };
        let ended = process::run_raw(&invocation, &context.cancel, on_line, on_out)
            .await
            .map_err(|error| not_started(self.tool, &error.to_string()))?;
        let not_utf8 = std::str::from_utf8(&whole).is_err() || !is_text(&ended);
        if not_utf8 {
            context
                .feed
                .say("its output is not UTF-8; what is not is shown as �");
        }
        if too_much {
            context.feed.say(format!(
                "its output is longer than {MOST} bytes; the rest is not read"
            ));
        }
        let out = without_colour(&String::from_utf8_lossy(&whole));
        let mut seen = what_was_seen(&ended);
        for text in [&mut seen.stdout, &mut seen.stderr] {
            *text = address.masked(text);
        }
        let well = matches!(seen.exit, ExitSeen::Code(code) if call.exit.contains(&code));
        let question = (!well).then(|| question(&seen)).flatten();
        Ok(Ran {
            call: ToolCall {
                part: call.part.to_owned(),
                argv,
                seen,
                not_utf8,
                question,
                duration_ms: started.elapsed().as_millis() as u64,
            },
            masked: address.masked(&out),
            out,
            too_much,
            well,
        })
    }

    /// Says which version of the program is there; it gets no address.
    pub(super) async fn version(&self) -> Option<String> {
        let argv = self.filled(&self.tool.version, None);
        let invocation = Invocation {
            program: process::find_program(argv.first()?, &self.context.base)?,
            arguments: argv[1..].to_vec(),
            environment: self.environment(&[]),
            folder: Some(self.folder()),
            timeout: Some(LOOKING),
        };
        let ended = process::run(&invocation, &self.context.cancel, |_, _| {}).await;
        let ended = ended.ok()?;
        let said = [&ended.stdout, &ended.stderr].map(|bytes| clean_bytes(bytes));
        let mut lines = said.iter().flat_map(|text| text.lines());
        let line = lines.find(|line| !line.trim().is_empty())?;
        Some(clip(line.trim(), 100))
    }

    /// Takes the password of the target out of a text.
    pub(super) fn masked(&self, text: &str) -> String {
        let info = self.context.targets.conninfo(&self.gate.target);
        let secret = info.ok().and_then(|info| info.password);
        child_address::masked(secret.as_ref(), text)
    }

    fn folder(&self) -> std::path::PathBuf {
        let cwd = self.tool.cwd.as_ref();
        cwd.map_or_else(|| self.context.base.clone(), |cwd| self.context.path(cwd))
    }

    /// Settings that the server gives the tool's sessions before they say anything.
    fn options(&self, read_only: bool) -> String {
        let timeout = self.gate.lock_timeout.as_millis();
        match read_only {
            true => "-c default_transaction_read_only=on".to_owned(),
            false => format!("-c lock_timeout={timeout}"),
        }
    }

    fn environment(&self, address: &[(String, String)]) -> Vec<(String, String)> {
        let named = self.tool.env.iter().map(String::as_str);
        let passed = std::iter::once("PATH").chain(named).filter_map(|name| {
            let value = self.context.targets.variable(name)?;
            Some((name.to_owned(), value.to_owned()))
        });
        let mut all: Vec<(String, String)> = vec![("NO_COLOR".to_owned(), "1".to_owned())];
        all.extend(passed);
        // The target's own address wins over whatever the surroundings call by the same name.
        all.extend(address.iter().cloned());
        all
    }
}

fn not_started(tool: &Tool, reason: &str) -> Finding {
    Finding::errored(format!("{} could not be started", tool.name))
        .because(clean_line(reason))
        .because("nothing was run")
        .can("mend what it says, then retry this gate")
}

pub(super) fn no_program(tool: &Tool, program: &str) -> Finding {
    Finding::errored(format!("there is no program `{program}`"))
        .because("it is neither in PATH nor at that path")
        .because("nothing was run")
        .can(format!(
            "install it, or mend argv in [tool.{}], then retry this gate",
            tool.name
        ))
}

fn is_text(ended: &Ended) -> bool {
    // Where the middle was left out, the cut may be in a character.
    ended.omitted_bytes > 0 || std::str::from_utf8(&ended.stderr).is_ok()
}

/// Takes the colours out, which would stand in the way of every pattern.
pub(super) fn without_colour(text: &str) -> String {
    match Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]") {
        Ok(colours) if text.contains('\x1b') => colours.replace_all(text, "").into_owned(),
        _ => text.to_owned(),
    }
}

/// The question at the end of what it said. Its standard input is empty, so nobody answers.
fn question(seen: &ProcessSeen) -> Option<String> {
    let form = Regex::new(QUESTION).ok()?;
    [&seen.stdout, &seen.stderr].into_iter().find_map(|text| {
        let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
        // An error about the missing answer may stand behind the question.
        let asked = lines.by_ref().take(3).find(|line| form.is_match(line))?;
        Some(clip(&clean_line(asked.trim()), 200))
    })
}

impl ToolCall {
    /// What is wrong with how it ended, in words; none where it ended as it must.
    pub fn bad_end(&self, exit: &[i32]) -> Option<String> {
        match &self.seen.exit {
            ExitSeen::Code(code) if exit.contains(code) => None,
            ExitSeen::Code(code) => Some(format!("exited with {code}")),
            ExitSeen::Signal(signal) => Some(format!("was ended by signal {signal}")),
            ExitSeen::TimedOut => Some("took longer than the gate allows and was ended".to_owned()),
            ExitSeen::Canceled => Some("was canceled".to_owned()),
        }
    }

    /// The last thing that it said about itself.
    pub fn last_words(&self) -> Option<String> {
        let last = |text: &str| {
            let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
            Some(clip(&clean_line(line.trim()), 400))
        };
        last(&self.seen.stderr).or_else(|| last(&self.seen.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(stdout: &str, stderr: &str) -> Option<String> {
        question(&ProcessSeen {
            exit: ExitSeen::Code(1),
            stdout: stdout.into(),
            stderr: stderr.into(),
            omitted_bytes: 0,
        })
    }

    #[test]
    fn a_question_is_told_from_an_error() {
        assert_eq!(
            asked("Apply 2 migrations? [y/N]", "").as_deref(),
            Some("Apply 2 migrations? [y/N]")
        );
        assert!(asked("", "Password for user app: \nerror: end of input\n").is_some());
        assert!(asked("Are you sure?\n", "aborted").is_some());
        assert!(asked("done", "ERROR: relation \"t\" does not exist (42P01)").is_none());
    }

    #[test]
    fn colours_are_no_part_of_a_line() {
        assert_eq!(without_colour("\x1b[1;32m[X]\x1b[0m a"), "[X] a");
    }
}
