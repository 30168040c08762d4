//! The page of the repository: where it stands in words, and the graph of what would be promoted.

use jiff::{SignedDuration, Timestamp};

use super::{GitScreen, Sort};
use crate::console::screen::text::{Doc, Ink, span};
use crate::git::state::{Head, State};
use crate::git::watch::{Reach, Seen};
use crate::untrusted::clean_line;

/// How many names of a sort the page gives; the list has more.
const NAMED: usize = 3;

/// Makes the page.
pub(super) fn page(screen: &GitScreen, width: usize, now: Timestamp) -> Doc {
    let mut doc = Doc::new(width);
    match (&screen.seen, &screen.trouble) {
        (Some(seen), _) => {
            standing(&mut doc, screen, seen, now);
            promotion(&mut doc, screen, seen, now);
        }
        (None, Some(reason)) => trouble(&mut doc, screen, reason),
        (None, None) => doc.text(Ink::Muted, "looking at the repository …"),
    }
    doc
}

fn trouble(doc: &mut Doc, screen: &GitScreen, reason: &str) {
    doc.text(Ink::Strong, "The repository cannot be looked at.");
    doc.blank();
    doc.hanging(&[span(Ink::Bad, "✗ ")], Ink::Plain, &clean_line(reason));
    doc.blank();
    if let Some(request) = screen.request() {
        let shown = clean_line(&request.repository.display().to_string());
        doc.pair("looked at", Ink::Plain, &shown);
    }
    let text = "A gate of the kind `git`, `merge` or `commit` names the repository; without one it is \
                the runbook's folder. It is looked at again by itself.";
    doc.text(Ink::Muted, text);
}

fn standing(doc: &mut Doc, screen: &GitScreen, seen: &Seen, now: Timestamp) {
    let state = &seen.state;
    doc.text(Ink::Strong, &clean_line(&state.folder));
    head(doc, state);
    upstream(doc, state);
    target(doc, screen, seen);
    tree(doc, state);
    let fetched = match state.fetched {
        Some(at) => format!("{} ago", age(now, at as i64)),
        None => "never, or nobody knows when".to_owned(),
    };
    doc.pair("fetched", Ink::Plain, &fetched);
    let (ink, words) = match &screen.reach {
        Reach::NotAsked => (Ink::Muted, "not asked yet".to_owned()),
        Reach::NoRemote => (Ink::Muted, "there is none".to_owned()),
        Reach::Asking(name) => (Ink::Muted, format!("{name}: is being asked …")),
        Reach::Reachable(name) => (Ink::Good, format!("{name}: reachable")),
        Reach::Not(name, why) => (Ink::Warning, format!("{name}: not reachable: {why}")),
    };
    doc.pair("remote", ink, &words);
    others(doc, state);
}

fn head(doc: &mut Doc, state: &State) {
    let commit: String = state
        .commit
        .iter()
        .flat_map(|c| c.chars().take(12))
        .collect();
    match &state.head {
        Head::Branch(name) => doc.pair("branch", Ink::Strong, name),
        Head::Detached => doc.pair("branch", Ink::Warning, "none: detached HEAD"),
        Head::Unborn(name) => {
            let text = format!("{name}, which has no commit yet");
            doc.pair("branch", Ink::Warning, &text);
        }
    }
    let tags = match state.tags_at_head.is_empty() {
        true => String::new(),
        false => format!(", tagged {}", state.tags_at_head.join(", ")),
    };
    if !commit.is_empty() {
        doc.pair("head", Ink::Plain, &format!("{commit}{tags}"));
    }
}

fn upstream(doc: &mut Doc, state: &State) {
    let (ink, text) = match &state.upstream {
        None if state.branch().is_none() => return,
        None => (
            Ink::Muted,
            "none: it follows no branch of a remote".to_owned(),
        ),
        Some(of) => match of.ahead_behind {
            None => (Ink::Warning, format!("{}: gone", of.name)),
            Some((0, 0)) => (Ink::Good, format!("{}: in sync", of.name)),
            Some((ahead, behind)) => (
                Ink::Warning,
                format!("{}: {}", of.name, apart(ahead, behind)),
            ),
        },
    };
    doc.pair("upstream", ink, &text);
}

fn target(doc: &mut Doc, screen: &GitScreen, seen: &Seen) {
    let Some(distance) = &seen.state.target else {
        if screen
            .request()
            .is_some_and(|request| request.into.is_none())
        {
            let text = "no gate says where it is promoted to";
            doc.pair("target", Ink::Muted, text);
        }
        return;
    };
    let (ink, text) = match (&distance.commit, distance.ahead, distance.behind) {
        (None, ..) => (Ink::Bad, "there is no such branch here".to_owned()),
        (_, 0, 0) => (Ink::Good, "at the same commit".to_owned()),
        (_, ahead, behind) => (Ink::Plain, apart(ahead, behind)),
    };
    doc.pair("target", ink, &format!("{}: {text}", distance.name));
}

fn apart(ahead: u64, behind: u64) -> String {
    match (ahead, behind) {
        (ahead, 0) => format!("{ahead} ahead"),
        (0, behind) => format!("{behind} behind"),
        (ahead, behind) => format!("{ahead} ahead, {behind} behind"),
    }
}

fn tree(doc: &mut Doc, state: &State) {
    if state.bare {
        doc.pair(
            "files",
            Ink::Warning,
            "none: a bare repository has no work tree",
        );
    } else if state.is_clean() {
        doc.pair("files", Ink::Good, "clean: everything is committed");
    }
    let sorts = [&state.conflicted, &state.changed, &state.untracked];
    for (sort, names) in Sort::ALL.into_iter().zip(sorts) {
        if names.count > 0 {
            let ink = match sort {
                Sort::Conflicted => Ink::Bad,
                Sort::Changed | Sort::Untracked => Ink::Warning,
            };
            let text = format!("{} {}: {}", names.count, sort.words(), names.shown(NAMED));
            doc.pair("files", ink, &text);
        }
    }
    if let Some(what) = &state.in_progress {
        let text = format!("{what} is in progress; git status says how to end it");
        doc.pair("unfinished", Ink::Bad, &text);
    }
    if state.shallow {
        let text = "the history is cut off (a shallow clone): counts may be too small";
        doc.pair("shallow", Ink::Warning, text);
    }
}

fn others(doc: &mut Doc, state: &State) {
    if let Some(latest) = &state.latest_tag {
        doc.pair("last tag", Ink::Plain, latest);
    }
    for tree in &state.worktrees {
        let branch = tree.branch.as_deref().unwrap_or("detached");
        doc.pair(
            "work tree",
            Ink::Plain,
            &clean_line(&format!("{branch} in {}", tree.path)),
        );
    }
    let modules = &state.submodules;
    if modules.count > 0 {
        doc.pair("submodules", Ink::Plain, &modules.shown(NAMED));
    }
    let moved = &state.submodules_changed;
    if moved.count > 0 {
        let text = format!("{} not as recorded: {}", moved.count, moved.shown(NAMED));
        doc.pair("submodules", Ink::Warning, &text);
    }
}

fn promotion(doc: &mut Doc, screen: &GitScreen, seen: &Seen, now: Timestamp) {
    let (Some(request), Some(distance)) = (screen.request(), seen.distance()) else {
        return;
    };
    let from = request
        .from
        .as_deref()
        .or(seen.state.branch())
        .unwrap_or("HEAD");
    doc.heading(&clean_line(&format!(
        "What would be promoted: {from} into {}",
        distance.name
    )));
    if seen.from_missing {
        doc.text(
            Ink::Bad,
            &clean_line(&format!("There is no `{from}` here.")),
        );
        return;
    }
    if distance.commit.is_none() {
        doc.text(
            Ink::Bad,
            &clean_line(&format!("There is no `{}` here.", distance.name)),
        );
        return;
    }
    if distance.behind > 0 {
        let text = format!(
            "`{}` has {} that `{from}` lacks",
            distance.name,
            commits(distance.behind)
        );
        doc.text(Ink::Warning, &clean_line(&text));
    }
    match distance.ahead {
        0 => doc.text(Ink::Muted, "nothing: every commit is there already"),
        ahead => doc.text(Ink::Plain, &commits(ahead)),
    }
    for line in &seen.graph {
        let lanes = span(Ink::Accent, format!("{} ", line.lanes));
        let Some(commit) = line.commit.and_then(|place| distance.commits.get(place)) else {
            doc.fixed(vec![lanes]);
            continue;
        };
        let short: String = commit.commit.chars().take(8).collect();
        let old = age(now, commit.time);
        doc.fixed(vec![
            lanes,
            span(Ink::Muted, format!("{short} ")),
            span(Ink::Plain, commit.subject.clone()),
            span(Ink::Muted, format!("  {}, {old}", commit.author)),
        ]);
    }
    let more = distance.ahead.saturating_sub(distance.commits.len() as u64);
    if more > 0 {
        doc.text(Ink::Muted, &format!("and {} before them", commits(more)));
    }
}

fn commits(count: u64) -> String {
    match count {
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    }
}

/// How long ago something was, in the largest unit that fits.
fn age(now: Timestamp, then: i64) -> String {
    let span = SignedDuration::from_secs(now.as_second().saturating_sub(then));
    let minutes = span.as_secs().max(0) / 60;
    match minutes {
        0 => "less than a minute".to_owned(),
        1..60 => format!("{minutes} min"),
        60..2_880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}
