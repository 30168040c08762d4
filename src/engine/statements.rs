//! The files of statements that wait for signatures, beside a run or beside whoever watches it.

use std::io;
use std::path::Path;

use super::signing::{STATEMENTS, statement_file};
use crate::promotion::Run;
use crate::system::durable::{make_private_folder, write_whole};

/// The gates whose statements wait for signatures, and the records that issued them.
pub(super) fn waiting(run: &Run) -> Vec<(String, u64)> {
    let open = run.course().iter().filter(|gate| !gate.state.advances());
    open.filter_map(|gate| Some((gate.id.clone(), gate.signed.issued.as_ref()?.head.seq)))
        .collect()
}

/// Writes the statements of these gates below a run's folder. The others that lie there are taken
/// away: nobody is to sign them any more. Gives the names of those that could not be written.
pub(super) fn lay(folder: &Path, run: &Run, waiting: &[(String, u64)]) -> Vec<(String, io::Error)> {
    let folder = folder.join(STATEMENTS);
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let _ = std::fs::remove_file(path);
        }
    }
    let mut lost = Vec::new();
    if !waiting.is_empty()
        && let Err(error) = make_private_folder(&folder)
    {
        lost.push((folder.display().to_string(), error));
        return lost;
    }
    for statement in waiting.iter().flat_map(|(gate, _)| run.statements_of(gate)) {
        let name = statement_file(&statement);
        if let Err(error) = write_whole(&folder.join(&name), &statement.canonical()) {
            lost.push((name, error));
        }
    }
    lost
}
