//! The screen of differences: the list, and two texts compared.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::list::divider;
use super::theme::Theme;
use crate::console::model::{Focus, Model};
use crate::console::screen::diff::sheet::{Part, Sheet, SheetLine, Side};
use crate::console::screen::diff::tree::{Counts, Entry, Group, TreeRow, sign};
use crate::console::screen::diff::words;
use crate::console::screen::layout::Layout;
use crate::console::screen::pager::Pager;
use crate::console::screen::text::{Ink, cells, clip, clip_start};
use crate::textdiff::RowKind;
use crate::untrusted::clean_line;

/// The titles of the two parts; the list has none while the page has the whole screen.
pub(super) struct Titles {
    pub(super) list: String,
    pub(super) page: String,
}

pub(super) fn titles(model: &Model) -> Titles {
    let diff = &model.diff;
    let (Some(layout), true) = (model.layout(), diff.seen().is_some()) else {
        let page = "Differences".to_owned();
        let list = String::new();
        return Titles { list, page };
    };
    let areas = diff.areas(&layout);
    let filter = diff.tree.filter;
    let mut list = "Differences".to_owned();
    if let Some(standing) = filter {
        list.push_str(&format!(", only {}", standing.word()));
    }
    let mut page = clean_line(diff.gate.as_deref().unwrap_or_default());
    page.push_str(match (diff.is_beside(&areas), diff.beside) {
        (true, _) => " · side by side",
        (false, None) => " · one column, too narrow for two",
        (false, Some(_)) => " · one column",
    });
    if diff.ignore_whitespace {
        page.push_str(" · white space ignored");
    }
    if let Some(at) = diff.change {
        let all = diff.sheet.changes.len();
        page.push_str(&format!(" · change {} of {all}", at + 1));
    }
    if areas.list.is_none() {
        list.clear();
    }
    Titles { list, page }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, layout: &Layout, model: &Model, theme: &Theme) {
    let areas = model.diff.areas(layout);
    if let Some(list) = areas.list {
        rows(canvas, list, model, theme);
        divider(canvas, layout.divider, model.diff.list, theme);
    }
    let diff = &model.diff;
    sheet(
        canvas,
        areas.page,
        (&diff.sheet, diff.pager, &diff.pattern),
        theme,
    );
}

fn rows(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let diff = &model.diff;
    for (line, at) in diff.list.range().enumerate() {
        let row = Rect::new(area.x, area.y + line as u16, area.width, 1);
        match diff.tree.rows.get(at) {
            Some(TreeRow::Group(group)) => head(canvas, row, model, *group, theme),
            Some(TreeRow::Object(place)) => {
                if let Some(entry) = diff.tree.entries.get(*place) {
                    object(canvas, row, entry, theme);
                    canvas.mark(row, row.y, &diff.pattern, theme.found());
                }
            }
            None => break,
        }
        if at == diff.cursor {
            canvas.paint(row, theme.selected(diff.focus == Focus::List));
        }
    }
}

fn head(canvas: &mut Canvas<'_>, area: Rect, model: &Model, group: Group, theme: &Theme) {
    let tree = &model.diff.tree;
    let fold = if tree.folded.contains(&group) {
        "▸"
    } else {
        "▾"
    };
    let title = match group {
        Group::Kind(kind) => kind.to_string(),
        Group::Ignored => "by the rules".to_owned(),
    };
    let mut counts = tree.counts(group);
    if let Some(standing) = tree.filter {
        let kept = counts[standing as usize];
        counts = Counts::default();
        counts[standing as usize] = kept;
    }
    let count = words(counts);
    let count = clip(&count, usize::from(area.width).saturating_sub(12));
    let room = usize::from(area.width).saturating_sub(cells(&count) + 4);
    canvas.put(area.x, area.y, fold, 1, theme.ink(Ink::Muted));
    let title = clip(&title, room);
    canvas.put(area.x + 2, area.y, &title, room, theme.ink(Ink::Strong));
    let at = area.right().saturating_sub(cells(&count) as u16 + 1);
    canvas.put(at, area.y, &count, cells(&count), theme.ink(Ink::Muted));
}

fn object(canvas: &mut Canvas<'_>, area: Rect, entry: &Entry, theme: &Theme) {
    let standing = entry.standing();
    let ink = theme.ink(standing.ink());
    let word = standing.word();
    canvas.put(area.x + 1, area.y, standing.glyph(), 1, ink);
    let mark = theme.ink(Ink::Muted);
    canvas.put(area.x + 3, area.y, sign(entry.change), 1, mark);
    let room = usize::from(area.width).saturating_sub(cells(word) + 7);
    let name = match entry.group {
        Group::Kind(_) => entry.name.clone(),
        Group::Ignored => format!("{} {}", entry.kind, entry.name),
    };
    // The last part of a qualified name tells most; that of a routine is its arguments.
    let name = match name.contains('(') {
        true => clip(&name, room),
        false => clip_start(&name, room),
    };
    canvas.put(area.x + 5, area.y, &name, room, theme.ink(Ink::Plain));
    let at = area.right().saturating_sub(cells(word) as u16 + 1);
    canvas.put(at, area.y, word, cells(word), ink);
}

/// Draws the visible lines of the sheet; nothing else of it is looked at.
pub(super) fn sheet(
    canvas: &mut Canvas<'_>,
    area: Rect,
    (sheet, pager, pattern): (&Sheet, Pager, &str),
    theme: &Theme,
) {
    for (line, at) in pager.range().enumerate() {
        let row = Rect::new(area.x, area.y + line as u16, area.width, 1);
        match sheet.lines.get(at) {
            Some(SheetLine::Words(line)) => canvas.spans(row, row.y, &line.spans, 0, theme),
            Some(SheetLine::Folded(count)) => {
                let lines = if *count == 1 { "line" } else { "lines" };
                let text = format!("┄┄ {count} {lines} alike ┄┄");
                let width = usize::from(row.width);
                canvas.put(row.x, row.y, &text, width, theme.ink(Ink::Muted));
            }
            Some(SheetLine::Unified { text, part }) => {
                numbered(canvas, row, sheet, (*text, part), Side::New, theme);
            }
            Some(SheetLine::Beside { text, left, right }) => {
                let column = sheet.column() as u16;
                let left_row = Rect {
                    width: column,
                    ..row
                };
                if let Some(part) = left {
                    numbered(canvas, left_row, sheet, (*text, part), Side::Old, theme);
                }
                let x = row.x + column;
                canvas.put(x, row.y, " │ ", 3, theme.rule());
                let right_row = Rect {
                    x: x + 3,
                    width: column,
                    ..row
                };
                if let Some(part) = right {
                    numbered(canvas, right_row, sheet, (*text, part), Side::New, theme);
                }
            }
            None => break,
        }
        canvas.mark(row, row.y, pattern, theme.found());
    }
    let more = pager.len.saturating_sub(pager.range().end);
    if more > 0 && pager.height > 0 {
        let word = format!(" ↓ {more} more ");
        let x = area.right().saturating_sub(cells(&word) as u16);
        let y = area.bottom().saturating_sub(1);
        canvas.put(x, y, &word, cells(&word), theme.key());
    }
}

/// A part of a line of a text with its numbers and its sign.
fn numbered(
    canvas: &mut Canvas<'_>,
    area: Rect,
    sheet: &Sheet,
    (text, part): (usize, &Part),
    side: Side,
    theme: &Theme,
) {
    let (Some(row), Some(of)) = (sheet.row(text, part), sheet.texts.get(text)) else {
        return;
    };
    let digits = of.digits;
    let number = |number: Option<u32>| match number.filter(|_| part.first) {
        Some(number) => format!("{number:>digits$} "),
        None => " ".repeat(digits + 1),
    };
    let gutter = match (digits, sheet.look.beside, side) {
        (0, ..) => String::new(),
        (_, false, _) => number(row.old) + &number(row.new),
        (_, true, Side::Old) => number(row.old),
        (_, true, Side::New) => number(row.new),
    };
    let width = usize::from(area.width);
    let x = canvas.put(area.x, area.y, &gutter, width, theme.ink(Ink::Muted));
    let (sign, ink) = match row.kind {
        RowKind::Kept => ("  ", Ink::Muted),
        RowKind::Removed => ("- ", Ink::Bad),
        RowKind::Added => ("+ ", Ink::Good),
    };
    let removed = row.kind == RowKind::Removed;
    let ground = |words: bool| match row.is_change() {
        true => theme.changed(removed, words),
        false => ratatui::style::Style::new(),
    };
    let right = area.right();
    let room = |x: u16| usize::from(right.saturating_sub(x));
    let mut x = canvas.put(
        x,
        area.y,
        sign,
        room(x),
        theme.ink(ink).patch(ground(false)),
    );
    for (span, words) in sheet.spans(text, part, side) {
        let style = theme.ink(span.ink).patch(ground(words));
        x = canvas.put(x, area.y, &span.text, room(x), style);
    }
}
