//! The files that differ between two revisions, for reviewers: a list by folder, and one file.
//!
//! Nothing here reads a file. What is to be read is asked for, and comes back as news; until then
//! the screen shows what it had.

mod act;
mod find;
mod news;
mod tree;

use std::path::Path;
use std::sync::Arc;

pub use act::Said;
pub use news::{Ask, FilesNews, Material, SheetAsk, SheetMade, made};
pub use tree::{FileRow, Filter, Tree};

pub use super::areas::Areas;
use super::diff::sheet::{Look, Sheet};
use super::layout::Layout;
use super::pager::Pager;
use crate::console::model::Focus;
use crate::git::changes::{ChangedFile, Changes, ChangesRequest};
use crate::promotion::{ReviewStanding, Reviews};
use crate::untrusted::clean_line;

/// Why nothing is marked.
pub const NOT_READ: &str = "a file is marked once it is shown: put the cursor on one";

/// The screen of changed files.
#[derive(Debug, Clone)]
pub struct FilesScreen {
    pub request: Option<ChangesRequest>,
    /// Counts listings; what comes of an older one does not count.
    round: u64,
    listed: Option<u64>,
    pub changes: Option<Arc<Changes>>,
    /// Why nothing can be listed.
    pub trouble: Option<String>,
    /// The file to which the cursor goes once it is listed.
    wanted: Option<String>,
    pub reviews: Reviews,
    pub tree: Tree,
    pub cursor: usize,
    pub list: Pager,
    pub focus: Focus,
    /// Two columns or one, where somebody has chosen.
    pub beside: Option<bool>,
    pub ignore_whitespace: bool,
    /// Lines far from a change are shown too.
    pub all_lines: bool,
    pub pattern: String,
    pub sheet: Arc<Sheet>,
    /// What the sheet shows.
    shown: Option<SheetAsk>,
    asked: Option<SheetAsk>,
    look: Look,
    pub pager: Pager,
    /// The change that was jumped to.
    pub change: Option<usize>,
}

impl Default for FilesScreen {
    fn default() -> FilesScreen {
        FilesScreen {
            request: None,
            round: 0,
            listed: None,
            changes: None,
            trouble: None,
            wanted: None,
            reviews: Reviews::default(),
            tree: Tree::default(),
            cursor: 0,
            list: Pager::default(),
            focus: Focus::List,
            beside: None,
            ignore_whitespace: false,
            all_lines: false,
            pattern: String::new(),
            sheet: Arc::default(),
            shown: None,
            asked: None,
            look: Look::default(),
            pager: Pager::default(),
            change: None,
        }
    }
}

impl FilesScreen {
    /// Shows a range, with the cursor on a file if it is among them.
    pub fn open(&mut self, request: ChangesRequest, file: Option<String>) {
        if self.request.as_ref() != Some(&request) {
            *self = FilesScreen {
                round: self.round + 1,
                beside: self.beside,
                reviews: std::mem::take(&mut self.reviews),
                ..FilesScreen::default()
            };
            self.request = Some(request);
        } else {
            self.list_again();
        }
        if file.is_some() {
            self.wanted = file;
        }
    }

    /// Asks for the list anew; until it comes the old one is shown.
    pub fn list_again(&mut self) {
        self.round += 1;
    }

    /// What must be read now, if anything: asked for once.
    pub fn ask(&mut self) -> Option<Ask> {
        let request = self.request.as_ref()?;
        if self.listed != Some(self.round) {
            self.listed = Some(self.round);
            return Some(Ask::List(self.round, request.clone()));
        }
        let wanted = self.wanted_sheet()?;
        if self.asked.as_ref() == Some(&wanted) || self.shown.as_ref() == Some(&wanted) {
            return None;
        }
        self.asked = Some(wanted.clone());
        let top = self.changes.as_ref()?.top.clone();
        // The comparison itself is the same at every width.
        let same = self
            .shown
            .as_ref()
            .is_some_and(|shown| shown.has_text_of(&wanted));
        let known = self.sheet.texts.first().filter(|_| same);
        Some(Ask::Sheet(
            Box::new(wanted),
            top,
            known.map(|text| Arc::clone(&text.diff)),
        ))
    }

    fn wanted_sheet(&self) -> Option<SheetAsk> {
        (self.look.width > 0).then_some(())?;
        Some(SheetAsk {
            round: self.round,
            file: self.file()?.clone(),
            look: self.look,
        })
    }

    /// The file under the cursor.
    pub fn file(&self) -> Option<&ChangedFile> {
        let changes = self.changes.as_ref()?;
        match self.row()? {
            FileRow::File(place) => changes.files.get(*place),
            FileRow::Folder(_) => None,
        }
    }

    /// The row under the cursor.
    pub fn row(&self) -> Option<&FileRow> {
        self.tree.rows.get(self.cursor)
    }

    /// How the file under the cursor stands with reviewers.
    pub fn standing(&self) -> Option<ReviewStanding<'_>> {
        let file = self.file()?;
        Some(self.reviews.standing(&file.path, file.content()))
    }

    /// The file whose sheet is shown, if it is the one under the cursor as it is now.
    pub fn read(&self) -> Option<&ChangedFile> {
        let shown = &self.shown.as_ref()?.file;
        (self.file()? == shown).then_some(shown)
    }

    /// The file that may be marked: the one under the cursor, once it can be read as it is now.
    pub fn to_review(&self) -> Option<(&Path, &ChangedFile)> {
        Some((self.changes.as_ref()?.top.as_path(), self.read()?))
    }

    /// Takes what was read. Tells whether the screen has changed.
    pub fn hear(&mut self, news: FilesNews) -> bool {
        match news {
            FilesNews::Moved(round) if round == self.round => self.list_again(),
            FilesNews::Listed(round, listed) if round == self.round => self.take(*listed),
            FilesNews::Sheet(made) if self.asked.as_ref() == Some(&made.of) => self.show(*made),
            _ => return false,
        }
        true
    }

    fn take(&mut self, listed: Result<Changes, String>) {
        let before = match self.row() {
            Some(FileRow::File(_)) => self.file().map(|file| file.path.clone()),
            _ => None,
        };
        match listed {
            Err(reason) => {
                self.trouble = Some(clean_line(&reason));
                self.changes = None;
                self.tree = Tree::default();
            }
            Ok(changes) => {
                self.trouble = None;
                let same = self.changes.as_deref() == Some(&changes);
                self.changes = Some(Arc::new(changes));
                if same {
                    return;
                }
            }
        }
        let first = self.tree.rows.is_empty();
        self.list_rows();
        let again = self.wanted.take().or(before);
        let place = again.and_then(|path| self.place_of(&path));
        match place.and_then(|place| self.reveal(place)) {
            Some(row) => self.cursor = row,
            None if first => self.first(),
            None => self.cursor = self.cursor.min(self.tree.rows.len().saturating_sub(1)),
        }
        self.asked = None;
    }

    fn show(&mut self, made: SheetMade) {
        let other = self
            .shown
            .as_ref()
            .is_none_or(|shown| shown.file.path != made.of.file.path);
        self.sheet = Arc::new(made.sheet);
        self.change = None;
        let height = self.pager.height;
        self.pager.fit(self.sheet.lines.len(), height);
        if other {
            self.pager.top();
        }
        self.shown = Some(made.of);
        self.asked = None;
    }

    fn list_rows(&mut self) {
        let files = self
            .changes
            .as_ref()
            .map_or(&[][..], |changes| &changes.files);
        let reviews = &self.reviews;
        self.tree.list(files, |file| {
            reviews.standing(&file.path, file.content()).is_reviewed()
        });
    }

    /// Takes the reviews that are known now.
    pub fn know(&mut self, reviews: &Reviews) {
        if self.reviews != *reviews {
            self.reviews.clone_from(reviews);
            let path = self.file().map(|file| file.path.clone());
            self.list_rows();
            let place = path.and_then(|path| self.place_of(&path));
            if let Some(row) = place.and_then(|place| self.tree.row_of(place)) {
                self.cursor = row;
            }
            self.cursor = self.cursor.min(self.tree.rows.len().saturating_sub(1));
        }
    }

    fn place_of(&self, path: &str) -> Option<usize> {
        let files = &self.changes.as_ref()?.files;
        files.iter().position(|file| file.path == path)
    }

    /// The row of a file, unfolding what hides it.
    fn reveal(&mut self, place: usize) -> Option<usize> {
        let file = self.changes.as_ref()?.files.get(place)?;
        self.tree.unfold(tree::folder_of(&file.path));
        self.list_rows();
        self.tree.row_of(place)
    }

    fn first(&mut self) {
        let is_file = |row: &FileRow| matches!(row, FileRow::File(_));
        self.cursor = self.tree.rows.iter().position(is_file).unwrap_or(0);
        self.list.top();
    }

    /// Where the parts stand on a screen.
    pub fn areas(&self, layout: &Layout) -> Areas {
        let one = self.beside == Some(true) && self.focus == Focus::Detail;
        Areas::of(layout, one, self.tree.rows.is_empty())
    }

    /// Tells whether two columns stand on the page.
    pub fn is_beside(&self, areas: &Areas) -> bool {
        areas.holds_two(self.beside)
    }

    /// Takes the size of the screen.
    pub fn fit(&mut self, layout: &Layout) {
        let areas = self.areas(layout);
        let height = usize::from(layout.list.height);
        self.list.fit(self.tree.rows.len(), height);
        self.list.show(self.cursor);
        self.look = Look {
            width: usize::from(areas.page.width),
            beside: self.is_beside(&areas),
            ignore_whitespace: self.ignore_whitespace,
            all_lines: self.all_lines,
        };
        // The last line says who has reviewed it.
        let height = usize::from(areas.page.height).saturating_sub(1);
        self.pager.fit(self.sheet.lines.len(), height);
    }
}
