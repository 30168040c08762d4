//! The screen of changed files: the list by folder, and one file.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::diff::sheet;
use super::list::divider;
use super::theme::Theme;
use crate::console::model::Focus;
use crate::console::screen::files::{FileRow, FilesScreen, Filter};
use crate::console::screen::layout::Layout;
use crate::console::screen::text::{Ink, cells, clip, clip_start, wrap};
use crate::git::changes::{ChangedFile, FileChange};
use crate::promotion::ReviewStanding;
use crate::untrusted::clean_line;

/// The titles of the two parts; the list has none while the page has the whole screen.
pub(super) fn titles(files: &FilesScreen, layout: &Layout) -> (String, String) {
    let areas = files.areas(layout);
    let mut list = match &files.changes {
        Some(changes) => format!("{} files", changes.files.len()),
        None => "Files".to_owned(),
    };
    if files.tree.filter == Filter::NotReviewed {
        list.push_str(", not reviewed");
    }
    if areas.list.is_none() {
        list.clear();
    }
    let range = files.request.as_ref().map(|request| request.range.words());
    let mut page = match &files.changes {
        Some(changes) => format!("{} → {}", changes.sides[0], changes.sides[1]),
        None => range.unwrap_or_default(),
    };
    if files.file().is_some() {
        page.push_str(match (files.is_beside(&areas), files.beside) {
            (true, _) => " · side by side",
            (false, None) => " · one column, too narrow for two",
            (false, Some(_)) => " · one column",
        });
    }
    if files.ignore_whitespace {
        page.push_str(" · white space ignored");
    }
    if let Some(at) = files.change {
        let all = files.sheet.changes.len();
        page.push_str(&format!(" · change {} of {all}", at + 1));
    }
    (list, page)
}

pub(super) fn draw(canvas: &mut Canvas<'_>, layout: &Layout, files: &FilesScreen, theme: &Theme) {
    let areas = files.areas(layout);
    if let Some(list) = areas.list {
        rows(canvas, list, files, theme);
        divider(canvas, layout.divider, files.list, theme);
    }
    let text = match (&files.changes, &files.trouble, files.row()) {
        (None, Some(reason), _) => Some((Ink::Bad, format!("✗ {reason}"))),
        (None, None, _) => Some((Ink::Muted, "looking at what differs …".to_owned())),
        (Some(_), _, None) => Some((Ink::Good, "Nothing differs.".to_owned())),
        (Some(_), _, Some(FileRow::Folder(place))) => {
            let name = files
                .tree
                .folders
                .get(*place)
                .map(|folder| shown(&folder.name));
            let fold = "z or Enter folds and unfolds it";
            Some((Ink::Muted, format!("{}\n{fold}", name.unwrap_or_default())))
        }
        (Some(_), _, Some(FileRow::File(_))) => None,
    };
    let Some((ink, text)) = text else {
        let page = with_review(canvas, areas.page, files, theme);
        sheet(
            canvas,
            page,
            (&files.sheet, files.pager, &files.pattern),
            theme,
        );
        return;
    };
    let width = usize::from(areas.page.width);
    let lines = text.split('\n').flat_map(|line| wrap(line, width.max(1)));
    for (y, line) in (areas.page.y..areas.page.bottom()).zip(lines) {
        canvas.put(areas.page.x, y, &line, width, theme.ink(ink));
    }
}

/// Says on the last line who has reviewed the file, and gives what is left of the page.
fn with_review(canvas: &mut Canvas<'_>, area: Rect, files: &FilesScreen, theme: &Theme) -> Rect {
    let (ink, text) = match files.standing() {
        Some(ReviewStanding::Reviewed(mark)) => (
            Ink::Good,
            format!("✓ reviewed by {}, {}", mark.by, day(mark.at)),
        ),
        Some(ReviewStanding::Changed(mark)) => {
            let text = format!("! changed since {} reviewed it, {}", mark.by, day(mark.at));
            (Ink::Warning, text)
        }
        Some(ReviewStanding::NotReviewed) => (Ink::Muted, "not reviewed; r marks it".to_owned()),
        None => return area,
    };
    let y = area.bottom().saturating_sub(1);
    let width = usize::from(area.width);
    canvas.put(
        area.x,
        y,
        &clip(&clean_line(&text), width),
        width,
        theme.ink(ink),
    );
    let height = area.height.saturating_sub(1);
    Rect { height, ..area }
}

fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn shown(folder: &str) -> String {
    match folder {
        "" => "./".to_owned(),
        name => format!("{}/", clean_line(name)),
    }
}

fn rows(canvas: &mut Canvas<'_>, area: Rect, files: &FilesScreen, theme: &Theme) {
    let Some(changes) = &files.changes else {
        return;
    };
    for (line, at) in files.list.range().enumerate() {
        let row = Rect::new(area.x, area.y + line as u16, area.width, 1);
        match files.tree.rows.get(at) {
            Some(FileRow::Folder(place)) => folder(canvas, row, files, *place, theme),
            Some(FileRow::File(place)) => {
                if let Some(file) = changes.files.get(*place) {
                    entry(canvas, row, files, file, theme);
                    canvas.mark(row, row.y, &files.pattern, theme.found());
                }
            }
            None => break,
        }
        if at == files.cursor {
            canvas.paint(row, theme.selected(files.focus == Focus::List));
        }
    }
    if changes.omitted > 0 && area.height > 0 {
        let text = format!(" and {} more files ", changes.omitted);
        let y = area.bottom().saturating_sub(1);
        canvas.put(area.x, y, &text, usize::from(area.width), theme.key());
    }
}

fn folder(canvas: &mut Canvas<'_>, area: Rect, files: &FilesScreen, at: usize, theme: &Theme) {
    let Some(folder) = files.tree.folders.get(at) else {
        return;
    };
    let fold = match files.tree.is_folded(&folder.name) {
        true => "▸",
        false => "▾",
    };
    let count = format!("+{} -{}", folder.lines.0, folder.lines.1);
    let room = usize::from(area.width).saturating_sub(cells(&count) + 4);
    canvas.put(area.x, area.y, fold, 1, theme.ink(Ink::Muted));
    let name = clip_start(&shown(&folder.name), room);
    canvas.put(area.x + 2, area.y, &name, room, theme.ink(Ink::Strong));
    let x = area.right().saturating_sub(cells(&count) as u16 + 1);
    canvas.put(x, area.y, &count, cells(&count), theme.ink(Ink::Muted));
}

fn entry(
    canvas: &mut Canvas<'_>,
    area: Rect,
    files: &FilesScreen,
    file: &ChangedFile,
    theme: &Theme,
) {
    let (mark, ink) = match files.reviews.standing(&file.path, file.content()) {
        ReviewStanding::Reviewed(_) => ("✓", Ink::Good),
        ReviewStanding::Changed(_) => ("!", Ink::Warning),
        ReviewStanding::NotReviewed => ("·", Ink::Muted),
    };
    canvas.put(area.x + 1, area.y, mark, 1, theme.ink(ink));
    let (sign, ink) = match file.change {
        FileChange::Added | FileChange::Copied | FileChange::Untracked => ("+", Ink::Good),
        FileChange::Removed => ("-", Ink::Bad),
        FileChange::Renamed => ("→", Ink::Accent),
        FileChange::Conflicted => ("✗", Ink::Bad),
        FileChange::Modified | FileChange::Type => ("~", Ink::Muted),
    };
    canvas.put(area.x + 3, area.y, sign, 1, theme.ink(ink));
    let count = match file.lines {
        Some((added, removed)) => format!("+{added} -{removed}"),
        None => "no text".to_owned(),
    };
    let room = usize::from(area.width).saturating_sub(cells(&count) + 7);
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let name = clip_start(&clean_line(name), room);
    canvas.put(area.x + 5, area.y, &name, room, theme.ink(Ink::Plain));
    let x = area.right().saturating_sub(cells(&count) as u16 + 1);
    canvas.put(x, area.y, &count, cells(&count), theme.ink(Ink::Muted));
}
