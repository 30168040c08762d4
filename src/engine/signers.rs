//! The lists of keys: read when a run is opened, and compared with the disk whenever they are used.

use std::path::Path;

use crate::digest::digest;
use crate::promotion::Definition;
use crate::promotion::signature::{PinnedList, SignatureRules};
use crate::runbook::Runbook;

/// A list is read whole; what is larger is no list of people's keys.
const LARGEST_LIST: u64 = 1024 * 1024;

/// Adds to a definition the lists of keys that its runbook names. `base` is where relative paths
/// start.
///
/// # Errors
/// Everything that is wrong with the lists, one line each, with file and line.
pub fn pin(definition: &mut Definition, runbook: &Runbook, base: &Path) -> Result<(), Vec<String>> {
    let Some(given) = &runbook.signatures else {
        return Ok(());
    };
    let list = |path: &str| pinned(base, path).map_err(|why| vec![format!("{path}: {why}")]);
    let rules = SignatureRules {
        domain: given.domain.clone(),
        expires_seconds: given.expires.as_secs() as i64,
        allowed_signers: list(&given.allowed_signers)?,
        revoked: given.revoked.as_deref().map(list).transpose()?,
    };
    let problems = rules.problems(definition);
    if !problems.is_empty() {
        let words =
            |(path, problem): &(String, crate::promotion::signature::LineProblem)| match problem
                .line
            {
                0 => format!("{path}: {}", problem.what),
                line => format!("{path}:{line}: {}", problem.what),
            };
        return Err(problems.iter().map(words).collect());
    }
    definition.signatures = Some(Box::new(rules));
    Ok(())
}

fn pinned(base: &Path, path: &str) -> Result<PinnedList, String> {
    let file = base.join(path);
    let size = std::fs::metadata(&file)
        .map_err(|error| error.to_string())?
        .len();
    if size > LARGEST_LIST {
        return Err(format!("it is larger than {LARGEST_LIST} bytes"));
    }
    let bytes = std::fs::read(&file).map_err(|error| error.to_string())?;
    let sha256 = digest(&bytes);
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A revocation list of the binary kind is no text; its beginning says so.
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    Ok(PinnedList {
        path: path.to_owned(),
        sha256,
        text,
    })
}

/// Says which list is another one than when the run was opened, if one is.
pub(super) fn changed(rules: &SignatureRules, base: &Path) -> Option<String> {
    let lists = std::iter::once(&rules.allowed_signers).chain(&rules.revoked);
    lists.into_iter().find_map(|list| {
        let words = match pinned(base, &list.path) {
            Ok(now) if now.sha256 == list.sha256 => return None,
            Ok(_) => "has changed".to_owned(),
            Err(why) => format!("cannot be read any more ({why})"),
        };
        Some(format!(
            "{} {words} since the run was opened; put it back, or open a new run for the new list",
            list.path
        ))
    })
}
