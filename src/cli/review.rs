//! `review`: the files that differ between two revisions, for people to read and to mark.

use std::io::IsTerminal as _;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::arguments::{Format, ReviewArguments};
use super::run::console_options;
use super::{Exit, runtime, say};
use crate::console::{ConsoleEnd, alone};
use crate::git::changes::{Changes, ChangesRequest, Range, changes};
use crate::git::program::Git;
use crate::git::state::StateError;
use crate::system::user_name;
use crate::untrusted::clean_line;

pub(super) fn run(arguments: &ReviewArguments) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            say::note(&format!("stagegate: {error}"));
            return Exit::Error;
        }
    };
    runtime.block_on(reviewed(arguments))
}

async fn reviewed(arguments: &ReviewArguments) -> Exit {
    let cancel = CancellationToken::new();
    let variables: Vec<(String, String)> = std::env::vars().collect();
    let range = match &arguments.range {
        Some(text) => Range::read(text),
        None => usual(&arguments.repository, &variables, &cancel).await,
    };
    let request = ChangesRequest {
        repository: arguments.repository.clone(),
        range,
        variables,
    };
    // What cannot be listed is said before a screen is opened for it.
    let listed = match changes(&request, &cancel).await {
        Ok(listed) => listed,
        Err(error) => return trouble(&error),
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if arguments.list || arguments.format == Format::Json || !terminal {
        say::data(&list(&listed, arguments.format));
        return match listed.files.is_empty() {
            true => Exit::Well,
            false => Exit::Differs,
        };
    }
    let who = arguments.reviewer.clone().unwrap_or_else(user_name);
    let options = console_options(arguments.look);
    match Box::pin(alone::review(request, who, alone::kept_folder(), options)).await {
        Ok(ConsoleEnd::Terminated | ConsoleEnd::HungUp) => Exit::Interrupted,
        Ok(_) => Exit::Well,
        Err(error) => {
            say::Trouble {
                what: error.to_string(),
                untouched: "nothing was changed",
                next: "run it in a terminal, or with --list".to_owned(),
                evidence: "this message".to_owned(),
            }
            .say();
            Exit::Error
        }
    }
}

/// What somebody reviews who names nothing: what the branch has and the main branch has not, or
/// else what is not committed.
async fn usual(
    repository: &Path,
    variables: &[(String, String)],
    cancel: &CancellationToken,
) -> Range {
    let uncommitted = Range::WorkTree("HEAD".to_owned());
    let Ok(git) = Git::find(repository, variables, cancel) else {
        return uncommitted;
    };
    for main in ["origin/HEAD", "main", "master"] {
        let range = format!("{main}..HEAD");
        let asked = ["rev-list", "--count", "--end-of-options", &range, "--"];
        match git.ask(&asked).await {
            Ok(answer) if answer.code == 0 && answer.text() != "0" => {
                return Range::SinceFork(main.to_owned(), "HEAD".to_owned());
            }
            Ok(answer) if answer.code == 0 => return uncommitted,
            _ => {}
        }
    }
    uncommitted
}

/// The files that differ, one on a line.
fn list(changes: &Changes, format: Format) -> String {
    if format == Format::Json {
        let file = |file: &crate::git::changes::ChangedFile| {
            let [old, new] = file.content();
            serde_json::json!({
                "path": file.path,
                "was": file.old_path,
                "change": file.change.word(),
                "added": file.lines.map(|lines| lines.0),
                "removed": file.lines.map(|lines| lines.1),
                "old": old,
                "new": new,
            })
        };
        let files: Vec<serde_json::Value> = changes.files.iter().map(file).collect();
        let [old, new] = &changes.sides;
        let whole = serde_json::json!({
            "format": 1,
            "old": old,
            "new": new,
            "files": files,
            "omitted": changes.omitted,
        });
        return format!("{whole}\n");
    }
    let mut out = String::new();
    for file in &changes.files {
        let counts = match file.lines {
            Some((added, removed)) => format!("+{added} -{removed}"),
            None => "no text".to_owned(),
        };
        let was = file.old_path.as_ref();
        let was = was.map_or(String::new(), |old| format!(" (was {})", clean_line(old)));
        let (word, path) = (file.change.word(), clean_line(&file.path));
        out.push_str(&format!("{word:<12} {counts:<12} {path}{was}\n"));
    }
    out
}

fn trouble(error: &StateError) -> Exit {
    let next = match error {
        StateError::NoFolder(_) | StateError::NoRepository(_) => {
            "name a repository: stagegate review --repository FOLDER"
        }
        StateError::Owner { .. } => "do what git says, if you trust it",
        StateError::Git(_) => "name revisions that `git rev-parse` finds: stagegate review --help",
    };
    say::Trouble {
        what: clean_line(&error.to_string()),
        untouched: "nothing was changed",
        next: next.to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    Exit::Error
}
