//! A flag that is a number in a file of the repository: edited in place, and committed alone.

use std::path::{Path, PathBuf};

use regex::Regex;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::flag::percent;
use crate::git::commit::{self, CommitFile, CommitRequest};
use crate::git::program::{Git, PASSED_ON};
use crate::system::durable::write_whole;
use crate::untrusted::clean_line;

/// Where the number stands in a text.
struct Place {
    text: String,
    start: usize,
    end: usize,
}

fn find(path: &Path, pattern: &str) -> Result<Place, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let regex = Regex::new(pattern).map_err(|error| error.to_string())?;
    let mut found = regex.captures_iter(&text);
    let (first, second) = (found.next(), found.next());
    let group = first.and_then(|found| found.get(1));
    let Some(group) = group.filter(|_| second.is_none()) else {
        let many = if second.is_some() {
            "more than once"
        } else {
            "nowhere"
        };
        return Err(format!("the pattern is found {many} in {}", path.display()));
    };
    let (start, end) = (group.start(), group.end());
    Ok(Place { text, start, end })
}

impl Place {
    fn with(&self, value: u8) -> String {
        let (before, after) = (&self.text[..self.start], &self.text[self.end..]);
        format!("{before}{value}{after}")
    }
}

/// Reads the number that stands in the file.
pub(super) fn read(path: &Path, pattern: &str) -> Result<u8, String> {
    let place = find(path, pattern)?;
    let written = &place.text[place.start..place.end];
    let number = written
        .parse()
        .map_err(|_| format!("`{}` is not a number", clean_line(written)))?;
    percent(&number)
}

/// Writes the number and nothing else, without a commit.
pub(super) fn write_only(path: &Path, pattern: &str, value: u8) -> Result<(), String> {
    let place = find(path, pattern)?;
    write_whole(path, place.with(value).as_bytes())
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Writes the number and commits that one file. Returns the commit.
pub(super) async fn set(
    context: &Context,
    path: &str,
    pattern: &str,
    value: u8,
) -> Result<String, String> {
    let request = request(context, path, pattern, value).await?;
    // What has begun is not stopped half way.
    let token = CancellationToken::new();
    let refuse = |error: commit::CommitError| clean_line(&error.to_string());
    let plan = commit::plan(&request, &token).await.map_err(refuse)?;
    let done = commit::commit(&request, &plan, &token)
        .await
        .map_err(refuse)?;
    Ok(format!("commit {}", short(&done.commit)))
}

/// The difference that setting the value would make, and on which branch.
pub(super) async fn difference(
    context: &Context,
    path: &str,
    pattern: &str,
    value: u8,
) -> Result<(String, String), String> {
    let request = request(context, path, pattern, value).await?;
    let plan = commit::plan(&request, &context.cancel)
        .await
        .map_err(|error| clean_line(&error.to_string()))?;
    let diffs: Vec<&str> = plan.files.iter().map(|file| file.diff.as_str()).collect();
    Ok((plan.branch, diffs.join("\n")))
}

async fn request(
    context: &Context,
    path: &str,
    pattern: &str,
    value: u8,
) -> Result<CommitRequest, String> {
    let absolute = context.path(path);
    let content = find(&absolute, pattern)?.with(value);
    let variables: Vec<(String, String)> = PASSED_ON
        .into_iter()
        .filter_map(|name| {
            let value = context.targets.variable(name)?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let folder = absolute.parent().unwrap_or(&context.base);
    let git = Git::find(folder, &variables, &CancellationToken::new())
        .map_err(|error| error.to_string())?;
    let said = |error: crate::git::program::GitError| clean_line(&error.to_string());
    let top = git
        .must(&["rev-parse", "--show-toplevel"])
        .await
        .map_err(said)?;
    let branch = git
        .must(&["symbolic-ref", "--short", "HEAD"])
        .await
        .map_err(said)?;
    let repository = PathBuf::from(top.text());
    let inside = std::fs::canonicalize(&absolute)
        .ok()
        .and_then(|real| Some(real.strip_prefix(&repository).ok()?.to_owned()))
        .ok_or_else(|| format!("{} is not in its repository", absolute.display()))?;
    Ok(CommitRequest {
        repository,
        branch: branch.text(),
        message: format!(
            "{}: {value} %\n\nBy stagegate, run {}.",
            context.gate.id, context.run
        ),
        files: vec![CommitFile {
            path: inside.display().to_string(),
            content,
        }],
        variables,
    })
}

fn short(commit: &str) -> String {
    commit.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERN: &str = r"const PERCENTAGE = (\d+);";

    #[test]
    fn only_the_number_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.js");
        let text = "// flags\r\nconst PERCENTAGE = 10;\r\nconst OTHER = 10;";
        std::fs::write(&path, text).unwrap();
        assert_eq!(read(&path, PATTERN), Ok(10));
        write_only(&path, PATTERN, 50).unwrap();
        let now = std::fs::read_to_string(&path).unwrap();
        assert_eq!(now, text.replacen("10", "50", 1));
    }

    #[test]
    fn what_is_not_one_number_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.js");
        for (text, said) in [
            ("", "nowhere"),
            (
                "const PERCENTAGE = 1;\nconst PERCENTAGE = 2;",
                "more than once",
            ),
            ("const PERCENTAGE = 101;", "no whole number"),
        ] {
            std::fs::write(&path, text).unwrap();
            let refused = read(&path, PATTERN).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
