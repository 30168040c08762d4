//! Gates on a git repository: looking at it, committing to it, promoting one branch into another.

/// Files to commit, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The repository's top folder.
    pub repository: String,
    /// The branch that must be checked out.
    pub branch: String,
    pub message: String,
    pub files: Vec<CommittedFile>,
}

/// A file and where its content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedFile {
    /// Relative to the repository.
    pub path: String,
    pub content: ContentSource,
}

/// Where a file's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentSource {
    /// Filled in by [`super::fill_content`].
    Template(String),
    /// A file that is taken as it is.
    File(String),
}

/// What must be true of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCheck {
    pub repository: String,
    /// The branch that must be checked out.
    pub branch: Option<String>,
    /// Nothing may be changed, untracked or unfinished.
    pub clean: bool,
    /// Neither ahead of the upstream nor behind it.
    pub in_sync: bool,
    /// Branches of remotes are fetched first.
    pub fetch: bool,
    /// Revisions that the head must contain.
    pub contains: Vec<String>,
    /// The revision that the head must contain all of.
    pub not_behind: Option<String>,
    /// The annotated tag that must be at the head.
    pub tag: Option<String>,
    /// Whose signature counts: the tag's when one is named, else the commit's.
    pub signed_by: Vec<String>,
    /// The file that says whose keys count; without one it is the user's own.
    pub allowed_signers: Option<String>,
    /// Patterns of files that must be read, as they are, by people in the run.
    pub reviewed: Vec<String>,
    /// The revision since which they have changed.
    pub reviewed_since: Option<String>,
}

/// One branch that goes into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    pub repository: String,
    pub from: String,
    pub into: String,
    pub mode: MergeMode,
    /// The merge commit's message; git's own words without one.
    pub message: Option<String>,
    pub push: bool,
    pub remote: String,
    /// The commit or tree whose content the result must have.
    pub reviewed: Option<String>,
}

/// How a branch goes into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeMode {
    FastForward,
    MergeCommit,
}
