//! Which repository a run is about, and what it promotes where: its gates say so.

use std::path::Path;

use crate::engine::Snapshot;
use crate::git::watch::WatchRequest;
use crate::runbook::{self, Gate, Kind};

/// What is watched for a run while a gate is selected: that gate's repository, or else that of the
/// merge, of another gate on a repository, or of the runbook itself.
pub fn source(snapshot: &Snapshot, selected: Option<&str>) -> WatchRequest {
    let book = &snapshot.runbook;
    let has = |gate: &&Gate| repository(&gate.kind).is_some();
    let merges = || {
        book.gates()
            .filter(|gate| matches!(gate.kind, Kind::Merge(_)))
    };
    let gate = selected
        .and_then(|id| book.gate(id))
        .filter(has)
        .or_else(|| merges().next())
        .or_else(|| book.gates().find(|gate| matches!(gate.kind, Kind::Git(_))))
        .or_else(|| book.gates().find(has));
    let base = Path::new(&snapshot.run.base);
    let Some(gate) = gate else {
        return WatchRequest {
            repository: base.to_owned(),
            ..WatchRequest::default()
        };
    };
    let named = repository(&gate.kind).unwrap_or(".");
    let mut request = WatchRequest {
        repository: folder(&base.join(fill(snapshot, named))),
        ..WatchRequest::default()
    };
    // A gate that only looks does not say where the promotion goes; the merge beside it does.
    let same = |other: &&Gate| repository(&other.kind) == Some(named);
    let merge = Some(gate).filter(|gate| matches!(gate.kind, Kind::Merge(_)));
    match (merge.or_else(|| merges().find(same)), &gate.kind) {
        (
            Some(Gate {
                kind: Kind::Merge(merge),
                ..
            }),
            _,
        ) => {
            request.from = Some(fill(snapshot, &merge.from));
            request.into = Some(fill(snapshot, &merge.into));
            request.remote = merge.push.then(|| fill(snapshot, &merge.remote));
        }
        (_, Kind::Git(check)) => {
            request.into = check.not_behind.as_ref().map(|name| fill(snapshot, name));
        }
        _ => {}
    }
    request
}

fn repository(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Merge(merge) => Some(&merge.repository),
        Kind::Git(check) => Some(&check.repository),
        Kind::Commit(commit) => Some(&commit.repository),
        _ => None,
    }
}

/// The path without its dots, as people write it.
fn folder(path: &Path) -> std::path::PathBuf {
    path.components().collect()
}

fn fill(snapshot: &Snapshot, template: &str) -> String {
    let mut values = snapshot.runbook.vars.clone();
    values.extend(snapshot.run.captures.clone());
    values.insert("run.id".to_owned(), snapshot.run.id.clone());
    let date = snapshot.run.opened.strftime("%Y-%m-%d").to_string();
    values.insert("date".to_owned(), date);
    runbook::fill(template, &values).unwrap_or_else(|_| template.to_owned())
}
