//! Reviewed marks: who has read which content of a file. A mark counts for that content alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// More marks than that are not kept for one file: the oldest go.
const KEPT: usize = 16;

/// Somebody has read a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// What was there before, as git names it; `None` where there was nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What is there after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    pub by: String,
    pub at: Timestamp,
}

/// The reviews of one repository, by the path of the file; the newest of a file last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reviews(BTreeMap<String, Vec<Review>>);

/// How a file stands with reviewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewStanding<'a> {
    NotReviewed,
    Reviewed(&'a Review),
    /// Other content of it was reviewed.
    Changed(&'a Review),
}

impl ReviewStanding<'_> {
    /// Tells whether what is there now was reviewed.
    pub fn is_reviewed(&self) -> bool {
        matches!(self, ReviewStanding::Reviewed(_))
    }
}

/// What both sides of a change have, as git names it.
pub type Sides<'a> = [Option<&'a str>; 2];

impl Review {
    fn is_of(&self, sides: Sides<'_>) -> bool {
        [self.old.as_deref(), self.new.as_deref()] == sides
    }
}

impl Reviews {
    /// How a file stands.
    pub fn standing(&self, path: &str, sides: Sides<'_>) -> ReviewStanding<'_> {
        let all = self.0.get(path).map_or(&[][..], Vec::as_slice);
        match (all.iter().rfind(|review| review.is_of(sides)), all.last()) {
            (Some(review), _) => ReviewStanding::Reviewed(review),
            (None, Some(last)) => ReviewStanding::Changed(last),
            (None, None) => ReviewStanding::NotReviewed,
        }
    }

    /// Adds a review.
    pub fn add(&mut self, path: &str, review: Review) {
        let all = self.0.entry(path.to_owned()).or_default();
        all.push(review);
        if all.len() > KEPT {
            all.remove(0);
        }
    }

    /// Takes back what was said of a content.
    pub fn withdraw(&mut self, path: &str, sides: Sides<'_>) {
        if let Some(all) = self.0.get_mut(path) {
            all.retain(|review| !review.is_of(sides));
            if all.is_empty() {
                self.0.remove(path);
            }
        }
    }

    /// All files with their reviews.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[Review])> {
        self.0
            .iter()
            .map(|(path, all)| (path.as_str(), all.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(new: &str) -> Review {
        Review {
            old: None,
            new: Some(new.to_owned()),
            by: "ana".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_review_counts_for_its_content_alone() {
        let mut reviews = Reviews::default();
        let standing = |reviews: &Reviews, new| match reviews.standing("a", [None, Some(new)]) {
            ReviewStanding::NotReviewed => "not",
            ReviewStanding::Reviewed(_) => "reviewed",
            ReviewStanding::Changed(_) => "changed",
        };
        assert_eq!(standing(&reviews, "1"), "not");
        reviews.add("a", review("1"));
        assert_eq!(standing(&reviews, "1"), "reviewed");
        assert_eq!(standing(&reviews, "2"), "changed");
        reviews.add("a", review("2"));
        assert_eq!(
            standing(&reviews, "1"),
            "reviewed",
            "content that comes back"
        );
        reviews.withdraw("a", [None, Some("2")]);
        assert_eq!(standing(&reviews, "2"), "changed");
        reviews.withdraw("a", [None, Some("1")]);
        assert_eq!(reviews.files().count(), 0);
    }
}
