//! What an attempt leaves in the run's folder besides its evidence, by digest: the plan's text, the
//! output, samples. The journal names it, so that a change of it is seen later.

use std::collections::BTreeMap;
use std::path::Path;

use crate::digest::digest_of;

/// The files of one attempt with their SHA-256, by their path in the run's folder. What cannot be
/// read is left out: then it is not vouched for.
pub(super) fn files(
    folder: &Path,
    gate: &str,
    attempt: u32,
    plan: Option<&str>,
) -> BTreeMap<String, String> {
    let mut names = vec![format!("samples/{gate}.jsonl")];
    if let Some(plan) = plan.and_then(|digest| digest.get(..16)) {
        names.push(format!("plans/{gate}-{plan}.txt"));
    }
    let outputs = std::fs::read_dir(folder.join("outputs"));
    for entry in outputs.into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_of(&name, gate, attempt) {
            names.push(format!("outputs/{name}"));
        }
    }
    let digested = names.into_iter().filter_map(|name| {
        let file = std::fs::File::open(folder.join(&name)).ok()?;
        Some((name, digest_of(file).ok()?))
    });
    digested.collect()
}

/// Tells whether an output belongs to an attempt: `count-2.log` and `count-2-before.json` do, and
/// `count-2-1.log`, which is the first attempt of a gate `count-2`, does not.
fn is_of(name: &str, gate: &str, attempt: u32) -> bool {
    let Some(rest) = name.strip_prefix(&format!("{gate}-{attempt}")) else {
        return false;
    };
    match rest.strip_prefix('-') {
        None => rest.starts_with('.'),
        Some(more) => {
            let rest = more.trim_start_matches(|c: char| c.is_ascii_digit());
            rest.len() == more.len() || !rest.starts_with(['.', '-'])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_told_from_that_of_a_gate_with_a_longer_name() {
        for name in ["count-2.log", "count-2-before.json", "count-2-2x.json"] {
            assert!(is_of(name, "count", 2), "{name}");
        }
        for name in ["count-2-1.log", "count-21.log", "count-2-1-before.json"] {
            assert!(!is_of(name, "count", 2), "{name}");
        }
    }
}
