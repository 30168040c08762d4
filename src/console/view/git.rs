//! The screen of the repository: the list, and the page beside it.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::list::divider;
use super::page;
use super::theme::Theme;
use crate::console::model::{Focus, Model};
use crate::console::screen::git::{GitRow, Sort};
use crate::console::screen::layout::Layout;
use crate::console::screen::text::{Ink, cells, clip, clip_start};
use crate::untrusted::clean_line;

pub(super) fn draw(canvas: &mut Canvas<'_>, layout: &Layout, model: &Model, theme: &Theme) {
    let git = &model.git;
    for (line, at) in git.list.range().enumerate() {
        let area = layout.list;
        let row = Rect::new(area.x, area.y + line as u16, area.width, 1);
        let Some(entry) = git.rows.get(at) else { break };
        entry_of(canvas, row, model, entry, theme);
        if at == git.cursor {
            canvas.paint(row, theme.selected(git.focus == Focus::List));
        }
    }
    divider(canvas, layout.divider, git.list, theme);
    page::lines(
        canvas,
        layout.detail,
        &git.page,
        git.pager,
        model.sideways,
        theme,
    );
    for y in layout.detail.top()..layout.detail.bottom() {
        canvas.mark(layout.detail, y, &git.pattern, theme.found());
    }
}

fn entry_of(canvas: &mut Canvas<'_>, area: Rect, model: &Model, row: &GitRow, theme: &Theme) {
    let width = usize::from(area.width);
    let mut beside = |text: &str, word: &str, ink: Ink| {
        let room = width.saturating_sub(cells(word) + 3);
        canvas.put(area.x + 1, area.y, &clip(text, room), room, theme.ink(ink));
        let at = area.right().saturating_sub(cells(word) as u16 + 1);
        canvas.put(at, area.y, word, cells(word), theme.ink(Ink::Muted));
    };
    match row {
        GitRow::Promotion => {
            let (text, word) = promotion(model);
            beside(&text, &word, Ink::Strong);
        }
        GitRow::Head(sort, count) => beside(sort.words(), &count.to_string(), ink(*sort)),
        GitRow::File(sort, name) => {
            let room = width.saturating_sub(4);
            let glyph = match sort {
                Sort::Conflicted => "✗",
                Sort::Changed => "~",
                Sort::Untracked => "+",
            };
            canvas.put(area.x + 1, area.y, glyph, 1, theme.ink(ink(*sort)));
            let name = clip_start(name, room);
            canvas.put(area.x + 3, area.y, &name, room, theme.ink(Ink::Plain));
        }
        GitRow::More(_, count) => {
            let text = format!("  and {count} more");
            canvas.put(area.x + 1, area.y, &text, width, theme.ink(Ink::Muted));
        }
    }
}

fn ink(sort: Sort) -> Ink {
    match sort {
        Sort::Conflicted => Ink::Bad,
        Sort::Changed | Sort::Untracked => Ink::Warning,
    }
}

/// What goes where, and how much of it.
fn promotion(model: &Model) -> (String, String) {
    let git = &model.git;
    let (Some(request), Some(seen)) = (git.request(), &git.seen) else {
        return (String::new(), String::new());
    };
    let Some(distance) = seen.distance() else {
        return ("no promotion here".to_owned(), String::new());
    };
    let from = request.from.as_deref().or(seen.state.branch());
    let text = format!("{} → {}", from.unwrap_or("HEAD"), distance.name);
    let word = match distance.ahead {
        1 => "1 commit".to_owned(),
        count => format!("{count} commits"),
    };
    (clean_line(&text), word)
}
