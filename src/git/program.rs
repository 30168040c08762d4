//! Runs the `git` program: found in PATH, never asking anybody, with bounded output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::system::process::{self, Ending, Invocation};
use crate::untrusted::clean_bytes;

/// How long one command may take that only looks, or that commits without hooks.
const LONGEST: Duration = Duration::from_secs(120);

/// Variables of the user's that `git`, its hooks and its signing programs may need. Those that
/// would lead it to another repository or another index are not among them.
pub const PASSED_ON: [&str; 34] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "LANG",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "GNUPGHOME",
    "GPG_AGENT_INFO",
    "EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_EXEC_PATH",
    "GIT_CEILING_DIRECTORIES",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// Why `git` gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    #[error("there is no program `git` in PATH; install git")]
    Missing,
    #[error("git {command}: {said}")]
    Said { command: String, said: String },
    #[error("git {0} took longer than it may")]
    TimedOut(String),
    #[error("git {0} was canceled")]
    Canceled(String),
    #[error("git {0} answered with more than can be looked at here")]
    TooMuch(String),
}

/// What a command of `git` answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub out: Vec<u8>,
    /// What it wrote to stderr, cleaned.
    pub said: String,
}

impl Answer {
    /// The answer as text without its last line end.
    pub fn text(&self) -> String {
        clean_bytes(&self.out).trim_end().to_owned()
    }
}

/// The `git` program at work in one folder.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    cancel: CancellationToken,
    longest: Duration,
}

impl Git {
    /// Finds the program. `variables` are handed to it besides those that keep it from asking.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn find(
        folder: &Path,
        variables: &[(String, String)],
        cancel: &CancellationToken,
    ) -> Result<Git, GitError> {
        let program = process::find_program("git", Path::new("/")).ok_or(GitError::Missing)?;
        let mut environment: Vec<(String, String)> = variables
            .iter()
            .filter(|(name, _)| passes(name))
            .cloned()
            .collect();
        for (name, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", ""),
            ("GIT_EDITOR", ":"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("SSH_ASKPASS_REQUIRE", "never"),
            ("LC_ALL", "C"),
        ] {
            environment.push((name.to_owned(), value.to_owned()));
        }
        Ok(Git {
            program,
            folder: folder.to_owned(),
            environment,
            cancel: cancel.clone(),
            longest: LONGEST,
        })
    }

    /// The same program in another folder.
    #[must_use]
    pub fn in_folder(&self, folder: &Path) -> Git {
        Git {
            folder: folder.to_owned(),
            ..self.clone()
        }
    }

    /// The same program, for what talks to a remote: as long as `longest`, and ssh asks nobody.
    /// An ssh command that the user has set is left as it is; without a terminal it cannot ask.
    pub async fn on_the_network(&self, longest: Duration) -> Git {
        let mut git = Git {
            longest,
            ..self.clone()
        };
        let given = |name: &str| git.environment.iter().any(|(has, _)| has == name);
        let own = given("GIT_SSH") || given("GIT_SSH_COMMAND");
        let configured = self.ask(&["config", "core.sshCommand"]).await;
        if !own && configured.is_ok_and(|answer| answer.code != 0) {
            let command = "ssh -o BatchMode=yes".to_owned();
            git.environment
                .push(("GIT_SSH_COMMAND".to_owned(), command));
        }
        git
    }

    /// The same program, which no request to stop reaches any more: for finding out what became of
    /// work that was stopped, and for putting back what it left.
    #[must_use]
    pub fn to_its_end(&self) -> Git {
        Git {
            cancel: CancellationToken::new(),
            ..self.clone()
        }
    }

    /// Runs a command and gives its answer, whatever its exit code.
    ///
    /// # Errors
    /// When it cannot be started, does not end, or says too much.
    pub async fn ask(&self, arguments: &[&str]) -> Result<Answer, GitError> {
        let (answer, omitted) = self.start(arguments, |_| {}).await?;
        if omitted > 0 {
            return Err(GitError::TooMuch(named(arguments)));
        }
        Ok(answer)
    }

    /// Runs a command and hands its output over as it comes, however much it is.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub async fn read(
        &self,
        arguments: &[&str],
        on_out: impl FnMut(&[u8]),
    ) -> Result<Answer, GitError> {
        Ok(self.start(arguments, on_out).await?.0)
    }

    async fn start(
        &self,
        arguments: &[&str],
        on_out: impl FnMut(&[u8]),
    ) -> Result<(Answer, u64), GitError> {
        let command = || named(arguments);
        let invocation = Invocation {
            program: self.program.clone(),
            arguments: literal(arguments),
            environment: self.environment.clone(),
            folder: Some(self.folder.clone()),
            timeout: Some(self.longest),
        };
        let running = process::run_raw(&invocation, &self.cancel, |_, _| {}, on_out);
        let ended = Box::pin(running).await.map_err(|error| GitError::Said {
            command: command(),
            said: error.to_string(),
        })?;
        let status = match ended.ending {
            Ending::Exited(status) => status,
            Ending::TimedOut => return Err(GitError::TimedOut(command())),
            Ending::Canceled => return Err(GitError::Canceled(command())),
        };
        let answer = Answer {
            code: status.code().unwrap_or(-1),
            out: ended.stdout,
            said: clean_bytes(&ended.stderr).trim().to_owned(),
        };
        Ok((answer, ended.omitted_bytes))
    }

    /// Runs a command to its end without a runtime, for the few places that cannot wait for one.
    pub(super) fn at_once(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        let output = std::process::Command::new(&self.program)
            .args(literal(arguments))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(std::process::Stdio::null())
            .output()
            .ok()?;
        output.status.success().then_some(output.stdout)
    }

    /// Names the object that `REV:path` is now, at once and without a runtime: a look into the
    /// repository that takes a few milliseconds.
    ///
    /// # Errors
    /// When there is no such object, or git cannot be started.
    pub fn object_now(&self, spec: &str) -> Result<String, GitError> {
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", spec];
        let said = |said: String| GitError::Said {
            command: named(&arguments),
            said,
        };
        let output = std::process::Command::new(&self.program)
            .args(literal(&arguments))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|error| said(error.to_string()))?;
        if !output.status.success() {
            return Err(said(format!("there is no {spec}")));
        }
        Ok(clean_bytes(&output.stdout).trim().to_owned())
    }

    /// Runs a command that must end well.
    ///
    /// # Errors
    /// As [`Self::ask`], and with the program's own words when it ends otherwise.
    pub async fn must(&self, arguments: &[&str]) -> Result<Answer, GitError> {
        let answer = self.ask(arguments).await?;
        if answer.code == 0 {
            return Ok(answer);
        }
        let said = match (answer.said.is_empty(), answer.text()) {
            (false, _) => answer.said,
            (true, text) if !text.is_empty() => text,
            _ => format!("it ended with {}", answer.code),
        };
        Err(GitError::Said {
            command: named(arguments),
            said,
        })
    }
}

fn passes(name: &str) -> bool {
    PASSED_ON.contains(&name)
        || name.starts_with("GIT_CONFIG_KEY_")
        || name.starts_with("GIT_CONFIG_VALUE_")
}

/// The arguments, with every path taken as it is written: `*` in a name is no pattern. The one
/// command that refuses to be told so takes no patterns.
fn literal(arguments: &[&str]) -> Vec<String> {
    let first = (named(arguments) != "check-ignore").then_some("--literal-pathspecs");
    let arguments = first.iter().chain(arguments);
    arguments.map(|argument| (*argument).to_owned()).collect()
}

/// The command's own name, without the settings that stand before it.
fn named(arguments: &[&str]) -> String {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if *argument == "-c" {
            rest.next();
        } else {
            return (*argument).to_owned();
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_without_its_settings() {
        assert_eq!(named(&["-c", "a=b", "commit", "--only"]), "commit");
    }

    #[test]
    fn variables_that_lead_elsewhere_are_not_passed_on() {
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_ASKPASS"] {
            assert!(!passes(name), "{name}");
        }
        assert!(passes("GIT_CONFIG_KEY_0"));
    }
}
