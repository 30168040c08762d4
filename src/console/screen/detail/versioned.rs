//! What a git gate saw in a repository, and what a merge did.

use crate::console::screen::text::{Doc, Ink};
use crate::gate::{Evidence, GitSeen};
use crate::git::state::Names;
use crate::untrusted::clean_line;

pub(super) fn seen(doc: &mut Doc, repository: &str, seen: &GitSeen) {
    let state = &seen.found.state;
    doc.heading("The repository");
    doc.pair("in", Ink::Plain, &clean_line(repository));
    let branch = state.branch().unwrap_or("none (detached HEAD)");
    doc.pair("branch", Ink::Strong, &clean_line(branch));
    if let Some(commit) = &state.commit {
        doc.pair("commit", Ink::Plain, &clean_line(commit));
    }
    if let Some(upstream) = &state.upstream {
        let name = clean_line(&upstream.name);
        let far = upstream.ahead_behind.map_or_else(
            || "gone".to_owned(),
            |(ahead, behind)| format!("{ahead} ahead, {behind} behind"),
        );
        doc.pair("upstream", Ink::Plain, &format!("{name}, {far}"));
    }
    if let Some(target) = &state.target {
        let name = clean_line(&target.name);
        let far = format!("{name}, {} ahead, {} behind", target.ahead, target.behind);
        doc.pair("against", Ink::Plain, &far);
    }
    if let Some(what) = &state.in_progress {
        doc.pair("unfinished", Ink::Bad, what);
    }
    if !state.tags_at_head.is_empty() {
        doc.pair(
            "tags",
            Ink::Plain,
            &clean_line(&state.tags_at_head.join(", ")),
        );
    }
    if let Some(signature) = &seen.found.signature {
        let by = signature.by.as_deref().unwrap_or("nobody who is known");
        doc.pair("signed by", Ink::Plain, &clean_line(by));
    }
    if let Some(reviewed) = &seen.reviewed {
        doc.heading(&format!(
            "Reviewed since {}, {}",
            reviewed.since,
            reviewed.files.len()
        ));
        for file in reviewed.files.iter().take(50) {
            doc.text(
                Ink::Plain,
                &clean_line(&format!("{} by {}", file.path, file.by)),
            );
        }
        names(doc, "Not reviewed", &reviewed.not_reviewed);
        names(doc, "Changed since they were reviewed", &reviewed.changed);
    }
    names(doc, "Changed", &state.changed);
    names(doc, "In conflict", &state.conflicted);
    names(doc, "Not tracked", &state.untracked);
}

fn names(doc: &mut Doc, title: &str, names: &Names) {
    if names.count == 0 {
        return;
    }
    doc.heading(&format!("{title}, {}", names.count));
    for name in &names.first {
        doc.text(Ink::Plain, &clean_line(name));
    }
    let more = names.count.saturating_sub(names.first.len() as u64);
    if more > 0 {
        doc.text(Ink::Muted, &format!("… and {more} more"));
    }
}

pub(super) fn merged(doc: &mut Doc, evidence: &Evidence) {
    let Evidence::Merge {
        repository,
        from,
        into,
        remote,
        done,
        planned,
    } = evidence
    else {
        return;
    };
    doc.heading("The merge");
    doc.pair("commit", Ink::Strong, &clean_line(&done.commit));
    doc.pair("tree", Ink::Plain, &clean_line(&done.tree));
    let both = format!("{} into {}", clean_line(from), clean_line(into));
    doc.pair("branches", Ink::Plain, &both);
    doc.pair("from", Ink::Plain, &clean_line(&planned.from));
    doc.pair("before", Ink::Plain, &clean_line(&planned.into));
    let place = remote.as_deref().unwrap_or("nowhere");
    doc.pair("pushed to", Ink::Plain, &clean_line(place));
    doc.pair("in", Ink::Plain, &clean_line(repository));
    for note in &done.notes {
        doc.text(Ink::Warning, &clean_line(note));
    }
    for word in &done.words {
        doc.text(Ink::Muted, &clean_line(&format!("the remote says: {word}")));
    }
    names(doc, "Files", &planned.files);
}
