//! The list on the left: folders, and in each the files that differ.

use std::collections::BTreeSet;

use crate::git::changes::ChangedFile;

/// What the list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Filter {
    #[default]
    All,
    /// Only what still has to be reviewed.
    NotReviewed,
}

/// A row of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRow {
    /// The folder's place among the folders.
    Folder(usize),
    /// The file's place among the files.
    File(usize),
}

/// A folder with what its files add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    pub name: String,
    pub files: usize,
    pub lines: (u64, u64),
}

/// The folders, and which rows of them are listed.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub rows: Vec<FileRow>,
    pub folders: Vec<Folder>,
    pub filter: Filter,
    folded: BTreeSet<String>,
}

/// The folder of a path; that of the top has no name.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Tree {
    /// Makes the rows anew. Files come sorted by path; those of a folder stand together.
    pub(super) fn list(&mut self, files: &[ChangedFile], reviewed: impl Fn(&ChangedFile) -> bool) {
        self.rows.clear();
        self.folders.clear();
        let mut places: Vec<usize> = (0..files.len()).collect();
        places.sort_by_key(|place| (folder_of(&files[*place].path), *place));
        for place in places {
            let file = &files[place];
            if self.filter == Filter::NotReviewed && reviewed(file) {
                continue;
            }
            let name = folder_of(&file.path);
            if self.folders.last().is_none_or(|last| last.name != name) {
                self.rows.push(FileRow::Folder(self.folders.len()));
                self.folders.push(Folder {
                    name: name.to_owned(),
                    files: 0,
                    lines: (0, 0),
                });
            }
            if let Some(folder) = self.folders.last_mut() {
                folder.files += 1;
                let (added, removed) = file.lines.unwrap_or_default();
                folder.lines = (folder.lines.0 + added, folder.lines.1 + removed);
            }
            if !self.folded.contains(name) {
                self.rows.push(FileRow::File(place));
            }
        }
    }

    /// Tells whether the files of a folder are hidden.
    pub fn is_folded(&self, name: &str) -> bool {
        self.folded.contains(name)
    }

    pub(super) fn fold(&mut self, name: &str) {
        if !self.folded.remove(name) {
            self.folded.insert(name.to_owned());
        }
    }

    pub(super) fn unfold(&mut self, name: &str) {
        self.folded.remove(name);
    }

    /// The row of a file.
    pub(super) fn row_of(&self, place: usize) -> Option<usize> {
        self.rows
            .iter()
            .position(|row| *row == FileRow::File(place))
    }

    /// The row of a folder.
    pub(super) fn head(&self, name: &str) -> Option<usize> {
        let place = self.folders.iter().position(|folder| folder.name == name)?;
        self.rows
            .iter()
            .position(|row| *row == FileRow::Folder(place))
    }
}
