//! The changed files inside a run: opened from the repository, marked in the journal.

use super::Screen;
use super::files::{FilesScreen, Said};
use super::git::GitRow;
use crate::console::keymap::Action;
use crate::console::model::{Model, Tone};
use crate::console::msg::{Effect, Origin};
use crate::git::changes::{ChangesRequest, Range};
use crate::promotion::{Command, Reviews};
use crate::untrusted::clean_line;

/// Opens what the row of the repository's list is about.
pub fn open(model: &mut Model) {
    let git = &model.git;
    let (Some(request), Some(seen)) = (git.request(), &git.seen) else {
        model.say(Tone::Refusal, "there is no repository to look into yet");
        return;
    };
    let head = || Range::WorkTree("HEAD".to_owned());
    let (range, file) = match (git.row(), &request.into) {
        (None | Some(GitRow::Promotion), Some(into)) => {
            let from = request.from.as_deref().unwrap_or("HEAD");
            (Range::SinceFork(into.clone(), from.to_owned()), None)
        }
        (None | Some(GitRow::Promotion), None) => {
            let text = "no gate says where it is promoted to; stagegate review REV..REV compares \
                        any two revisions";
            model.say(Tone::Refusal, text);
            return;
        }
        (Some(GitRow::File(_, name)), _) => (head(), Some(name.clone())),
        (Some(GitRow::Head(..) | GitRow::More(..)), _) => (head(), None),
    };
    if seen.state.bare && matches!(range, Range::WorkTree(_)) {
        model.say(Tone::Refusal, "a bare repository has no work tree");
        return;
    }
    let request = ChangesRequest {
        repository: request.repository.clone(),
        range,
        variables: Vec::new(),
    };
    model.files.open(request, file);
    model.screen = Screen::Files;
}

/// Carries an action out.
pub fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(layout) = model.layout() else {
        return Vec::new();
    };
    if action == Action::Review {
        return mark(model);
    }
    let said = model.files.act(action, &layout);
    files_say(model, said);
    Vec::new()
}

/// Marks the file that is shown as reviewed, or takes the mark away; the journal has it.
fn mark(model: &mut Model) -> Vec<Effect> {
    let Some((top, file)) = model.files.to_review() else {
        model.say(Tone::Refusal, super::files::NOT_READ);
        return Vec::new();
    };
    let (repository, path) = (top.display().to_string(), file.path.clone());
    let [old, new] = file.content().map(|id| id.map(str::to_owned));
    let reviewed = model.files.standing().is_some_and(|of| of.is_reviewed());
    let command = match reviewed {
        false => Command::ReviewFile {
            repository,
            path,
            old,
            new,
        },
        true => Command::WithdrawReview {
            repository,
            path,
            old,
            new,
        },
    };
    if let Some(refusal) = model.refusal(&command) {
        model.say(Tone::Refusal, refusal.to_string());
        return Vec::new();
    }
    let origin = Origin::Key;
    vec![Effect::Command { command, origin }]
}

/// Brings the marks of the run to the screen.
pub fn know(model: &mut Model) {
    let Some(changes) = &model.files.changes else {
        return;
    };
    let top = changes.top.display().to_string();
    let none = Reviews::default();
    let run = std::sync::Arc::clone(&model.snapshot.run);
    model.files.know(run.reviews.get(&top).unwrap_or(&none));
}

/// Says what the screen of files has to say.
pub(super) fn files_say(model: &mut Model, said: Said) {
    if let Some((tone, text)) = said {
        model.say(tone, text);
    }
}

/// The list and the file that is shown, as text.
pub fn told(files: &FilesScreen) -> String {
    let mut out = String::new();
    if let Some(changes) = &files.changes {
        for file in &changes.files {
            let counts = match file.lines {
                Some((added, removed)) => format!("+{added} -{removed}"),
                None => "no text".to_owned(),
            };
            let (word, path) = (file.change.word(), clean_line(&file.path));
            out.push_str(&format!("{word:<12} {counts:<12} {path}\n"));
        }
    }
    out.push('\n');
    for line in 0..files.sheet.lines.len() {
        out.push_str(files.sheet.plain(line).trim_end());
        out.push('\n');
    }
    out
}
