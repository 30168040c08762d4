//! What the screen asks to be read, what comes back, and the sheet that is made of it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::console::screen::diff::sheet::{Look, Sheet};
use crate::console::screen::text::{Ink, span};
use crate::git::changes::{ChangedFile, Changes, ChangesRequest, FileChange};
use crate::git::content::Content;
use crate::textdiff::{self, Options, TextDiff};
use crate::untrusted::clean_line;

/// Something to be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    List(u64, ChangesRequest),
    /// A file of the repository whose top folder is there. The comparison may be known already.
    Sheet(Box<SheetAsk>, PathBuf, Option<Arc<TextDiff>>),
}

/// Which sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetAsk {
    pub round: u64,
    pub file: ChangedFile,
    pub look: Look,
}

impl SheetAsk {
    /// Tells whether another sheet compares the same texts in the same way.
    pub(super) fn has_text_of(&self, other: &SheetAsk) -> bool {
        let way = |ask: &SheetAsk| ask.look.ignore_whitespace;
        self.round == other.round && self.file == other.file && way(self) == way(other)
    }
}

/// A sheet that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct SheetMade {
    pub of: SheetAsk,
    pub sheet: Sheet,
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub enum FilesNews {
    Listed(u64, Box<Result<Changes, String>>),
    /// Something has moved since a list was made.
    Moved(u64),
    Sheet(Box<SheetMade>),
}

/// What a sheet is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Material {
    Read(Result<[Content; 2], String>),
    Known(Arc<TextDiff>),
}

/// Makes a sheet. Takes as long as the texts are: never on the thread that draws.
pub fn made(ask: SheetAsk, material: Material) -> SheetMade {
    let mut sheet = Sheet::new(ask.look);
    head(&mut sheet, &ask.file);
    match material {
        Material::Known(diff) => texts(&mut sheet, &ask.file, diff),
        Material::Read(Err(reason)) => sheet.words(|doc| {
            let text = format!("it cannot be read: {}", clean_line(&reason));
            doc.hanging(&[span(Ink::Bad, "✗ ")], Ink::Plain, &text);
        }),
        Material::Read(Ok([old, new])) => match (text(old), text(new)) {
            (Ok(old), Ok(new)) => {
                let options = Options {
                    ignore_whitespace: ask.look.ignore_whitespace,
                };
                let diff = textdiff::compare(old, new, options);
                texts(&mut sheet, &ask.file, Arc::new(diff));
            }
            (old, new) => undrawn(&mut sheet, &ask.file, [&side(old), &side(new)]),
        },
    }
    SheetMade { of: ask, sheet }
}

fn head(sheet: &mut Sheet, file: &ChangedFile) {
    let counts = match file.lines {
        Some((added, removed)) => format!(", +{added} -{removed}"),
        None => String::new(),
    };
    sheet.words(|doc| {
        doc.text(Ink::Strong, &clean_line(&file.path));
        if let Some(old) = &file.old_path {
            doc.text(Ink::Plain, &format!("was {}", clean_line(old)));
        }
        doc.text(Ink::Muted, &format!("{}{counts}", file.change.word()));
        if let (Some(old), Some(new)) = (&file.old, &file.new)
            && old.mode != new.mode
        {
            let text = format!("the mode was {} and is {}", old.mode, new.mode);
            doc.text(Ink::Warning, &text);
        }
        if file.change == FileChange::Conflicted {
            let text = "it is in conflict: the work tree's side has git's marks";
            doc.text(Ink::Bad, text);
        }
    });
    sheet.blank();
}

fn texts(sheet: &mut Sheet, file: &ChangedFile, diff: Arc<TextDiff>) {
    let sql = file.path.to_ascii_lowercase().ends_with(".sql");
    if !sheet.show(diff, sql) {
        let text = match (sheet.look.ignore_whitespace, &file.old_path) {
            (true, _) => "nothing but white space differs; w compares that too",
            (_, Some(_)) => "the content is the same; only the name is another",
            _ => "the content is the same",
        };
        sheet.words(|doc| doc.text(Ink::Muted, text));
    }
}

/// A side that has text; a file that is not there has none of it.
fn text(content: Content) -> Result<String, Content> {
    match content {
        Content::Text(text) => Ok(text),
        Content::Missing => Ok(String::new()),
        content => Err(content),
    }
}

/// What a side was before it was asked for its text.
fn side(text: Result<String, Content>) -> Content {
    match text {
        Ok(text) if text.is_empty() => Content::Missing,
        Ok(text) => Content::Text(text),
        Err(content) => content,
    }
}

/// Says what cannot be drawn.
fn undrawn(sheet: &mut Sheet, file: &ChangedFile, sides: [&Content; 2]) {
    let said = |content: &Content| match content {
        Content::Missing => "not there".to_owned(),
        Content::Text(text) => format!("text, {} bytes", text.len()),
        Content::Binary(size) => format!("binary, {size} bytes"),
        Content::TooLarge(size) => format!("{size} bytes: too large to be drawn here"),
        Content::Submodule(commit) => format!("a submodule at {commit}"),
    };
    sheet.words(|doc| {
        doc.pair("before", Ink::Plain, &said(sides[0]));
        doc.pair("after", Ink::Plain, &said(sides[1]));
        doc.blank();
        let [old, new] = file.content().map(|id| id.unwrap_or("none"));
        doc.text(Ink::Muted, &format!("{old} to {new}"));
        let text = "It is not drawn line by line. Look at it with a program of its own before it is \
                    marked as reviewed.";
        doc.text(Ink::Muted, text);
    });
}
