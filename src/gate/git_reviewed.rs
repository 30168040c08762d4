//! What people have read of what would be promoted, against what there is to read.

use serde::{Deserialize, Serialize};

use super::Context;
use super::git::variables;
use super::git_seen::GitRules;
use crate::digest::digest;
use crate::git::changes::{ChangesRequest, Range, changes};
use crate::git::state::{Names, StateError};
use crate::promotion::{ReviewStanding, Reviews};
use crate::untrusted::clean_line;

/// The files that match, and how they stand with reviewers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewedSeen {
    /// The repository's top folder, by which the journal knows it.
    pub repository: String,
    pub since: String,
    /// Files that match, with who has read them.
    pub files: Vec<ReviewedFile>,
    pub not_reviewed: Names,
    /// Other content of them was read.
    pub changed: Names,
    /// There is more than can be listed, so that not everything was looked at.
    pub too_many: bool,
}

/// A file that was read as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewedFile {
    pub path: String,
    pub by: String,
    /// What both sides have, as git names it.
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Tells whether a path is one of those that must be read. `*` stays inside a folder, `**` does not.
fn matches(patterns: &[String], path: &str) -> bool {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    let one = |pattern: &String| {
        glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_with(path, options))
    };
    patterns.iter().any(one)
}

/// Looks at what the head has made since it left `since`. `None` where nothing has to be read.
pub(super) async fn look(
    rules: &GitRules,
    repository: &std::path::Path,
    context: &Context,
) -> Result<Option<ReviewedSeen>, StateError> {
    let Some(since) = rules
        .reviewed_since
        .as_ref()
        .filter(|_| !rules.reviewed.is_empty())
    else {
        return Ok(None);
    };
    let request = ChangesRequest {
        repository: repository.to_owned(),
        range: Range::SinceFork(since.clone(), "HEAD".to_owned()),
        variables: variables(context),
    };
    let listed = changes(&request, &context.cancel).await?;
    let repository = listed.top.display().to_string();
    let none = Reviews::default();
    let reviews = context.reviews.get(&repository).unwrap_or(&none);
    let mut seen = ReviewedSeen {
        repository,
        since: clean_line(since),
        too_many: listed.omitted > 0,
        ..ReviewedSeen::default()
    };
    for file in &listed.files {
        // A file that was moved away from there must be read as well.
        let moved = file.old_path.as_deref();
        if !matches(&rules.reviewed, &file.path)
            && !moved.is_some_and(|old| matches(&rules.reviewed, old))
        {
            continue;
        }
        let [old, new] = file.content();
        match reviews.standing(&file.path, [old, new]) {
            ReviewStanding::NotReviewed => seen.not_reviewed.add(&file.path),
            ReviewStanding::Changed(_) => seen.changed.add(&file.path),
            ReviewStanding::Reviewed(review) => seen.files.push(ReviewedFile {
                path: clean_line(&file.path),
                by: review.by.clone(),
                old: old.map(str::to_owned),
                new: new.map(str::to_owned),
            }),
        }
    }
    Ok(Some(seen))
}

impl ReviewedSeen {
    /// Why it does not pass, with what can be done about it.
    pub(super) fn causes(&self) -> Vec<(String, String)> {
        let press = "read them on screen 3 of the console: Enter on what would be promoted, then r on \
                     each file";
        let mut causes = Vec::new();
        let all = self.files.len() as u64 + self.not_reviewed.count + self.changed.count;
        if self.not_reviewed.count > 0 {
            let (count, names) = (self.not_reviewed.count, self.not_reviewed.shown(10));
            causes.push((
                format!("{count} of {all} files are not reviewed: {names}"),
                press.to_owned(),
            ));
        }
        if self.changed.count > 0 {
            let (count, names) = (self.changed.count, self.changed.shown(10));
            causes.push((
                format!("{count} of {all} files have changed since they were reviewed: {names}"),
                press.to_owned(),
            ));
        }
        if self.too_many {
            causes.push((
                format!("more has changed since `{}` than can be listed", self.since),
                "promote it in smaller parts".to_owned(),
            ));
        }
        causes
    }
}

/// A hash over the marks of files that match, so that a mark that is taken back is noticed.
pub(super) fn marks(patterns: &[String], context: &Context) -> String {
    let mut out = String::new();
    for (repository, reviews) in &context.reviews {
        for (path, all) in reviews.files().filter(|(path, _)| matches(patterns, path)) {
            for review in all {
                out.push_str(&format!("{repository}\0{path}\0{review:?}\n"));
            }
        }
    }
    digest(out.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_inside_a_folder() {
        let patterns = |text: &str| vec![text.to_owned()];
        assert!(matches(&patterns("db/*.sql"), "db/a.sql"));
        assert!(!matches(&patterns("db/*.sql"), "db/old/a.sql"));
        assert!(matches(&patterns("db/**"), "db/old/a.sql"));
        assert!(matches(&patterns("**/*.sql"), "db/old/a.sql"));
        assert!(!matches(&patterns("db/**"), "src/db/a.sql"));
    }

    #[test]
    fn each_sort_of_unread_file_is_a_cause() {
        let mut seen = ReviewedSeen::default();
        assert!(seen.causes().is_empty());
        seen.not_reviewed.add("db/a.sql");
        seen.changed.add("db/b.sql");
        let causes = seen.causes();
        assert_eq!(causes[0].0, "1 of 2 files are not reviewed: db/a.sql");
        assert!(
            causes[1]
                .0
                .contains("have changed since they were reviewed: db/b.sql")
        );
    }
}
