//! Draws a model. Nothing here changes anything or knows where it is drawn.

pub mod alone;
mod bar;
mod canvas;
mod dialog;
mod diff;
mod files;
mod git;
mod header;
mod journal;
mod list;
mod locks;
mod page;
pub mod theme;

pub(super) use locks::area as locks_area;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use self::canvas::Canvas;
use self::theme::Theme;
use super::model::{Focus, Model};
use super::screen::text::{Ink, clip};
use super::screen::{Screen, closing};
use crate::runbook::Environment;
use crate::untrusted::clean_line;

/// Draws the whole screen; returns where the cursor stands, if it is to be seen.
pub fn draw(buffer: &mut Buffer, model: &Model, theme: &Theme) -> Option<Position> {
    let area = buffer.area;
    let mut canvas = Canvas::new(buffer);
    let Some(layout) = model
        .layout()
        .filter(|_| area.as_size() == model.size.into())
    else {
        too_small(&mut canvas, area, model, theme);
        return None;
    };
    header::draw(&mut canvas, &layout, model, theme);
    rule(&mut canvas, layout.rule, layout.divider.x, model, theme);
    match model.screen {
        Screen::Run => {
            list::draw(&mut canvas, layout.list, model, theme);
            list::divider(&mut canvas, layout.divider, model.list, theme);
            page::detail(&mut canvas, layout.detail, model, theme);
        }
        Screen::Diff => diff::draw(&mut canvas, &layout, model, theme),
        Screen::Files => files::draw(&mut canvas, &layout, &model.files, theme),
        Screen::Git => git::draw(&mut canvas, &layout, model, theme),
        Screen::Locks => locks::draw(&mut canvas, &layout, model, theme),
        Screen::Log => page::log(&mut canvas, layout.body, model, theme),
        Screen::Journal => journal::draw(&mut canvas, layout.body, model, theme),
        Screen::Closing => {
            let doc = closing::page(model, usize::from(layout.body.width.saturating_sub(2)));
            let body = Rect {
                x: 1,
                width: layout.body.width.saturating_sub(1),
                ..layout.body
            };
            page::lines(&mut canvas, body, &doc, model.closing, 0, theme);
        }
    }
    let toast = model.toast.as_ref().filter(|_| model.dialog.is_none());
    bar::said(&mut canvas, &layout, toast, theme);
    let cursor = dialog::draw(&mut canvas, &layout, model, theme);
    cursor.or(bar::draw(&mut canvas, &layout, model, theme))
}

/// The line below the header: it names what is below it.
fn rule(canvas: &mut Canvas<'_>, area: Rect, divider: u16, model: &Model, theme: &Theme) {
    let width = usize::from(area.width);
    canvas.put(area.x, area.y, &"─".repeat(width), width, theme.rule());
    let mut title = |x: u16, text: &str, room: usize, focused: bool| {
        let text = clip(text, room.saturating_sub(2));
        canvas.put(x, area.y, &format!(" {text} "), room, theme.title(focused));
    };
    match model.screen {
        Screen::Run => {
            let focused = model.focus == Focus::List;
            let left = usize::from(divider);
            title(1, "Gates", left.saturating_sub(2), focused);
            let id = model.gate().map_or("", |gate| gate.id.as_str());
            title(divider + 2, id, width.saturating_sub(left + 3), !focused);
            canvas.put(divider, area.y, "┬", 1, theme.rule());
        }
        Screen::Diff => {
            let titles = diff::titles(model);
            let focused = model.diff.focus == Focus::List;
            let titles = (titles.list.as_str(), titles.page.as_str());
            two_titles(canvas, area, divider, titles, focused, theme);
        }
        Screen::Files => {
            let focused = model.files.focus == Focus::List;
            let (list, page) = match model.layout() {
                Some(layout) => files::titles(&model.files, &layout),
                None => return,
            };
            two_titles(canvas, area, divider, (&list, &page), focused, theme);
        }
        Screen::Git => {
            let focused = model.git.focus == Focus::List;
            let titles = ("Repository", "Where it stands");
            two_titles(canvas, area, divider, titles, focused, theme);
        }
        Screen::Locks => title(1, "Locks", width, true),
        Screen::Log => title(1, "Log", width, true),
        Screen::Journal => {
            let zone = model.zone.iana_name().unwrap_or("local time");
            let text = format!("Journal, times in {zone}");
            title(1, &text, width, true);
        }
        Screen::Closing => title(1, "The end of the run", width, true),
    }
}

/// The titles of a list and of the page beside it; a list without a title is not there.
fn two_titles(
    canvas: &mut Canvas<'_>,
    area: Rect,
    divider: u16,
    (list, page): (&str, &str),
    focused: bool,
    theme: &Theme,
) {
    let width = usize::from(area.width);
    let mut title = |x: u16, text: &str, room: usize, focused: bool| {
        let text = clip(text, room.saturating_sub(2));
        canvas.put(x, area.y, &format!(" {text} "), room, theme.title(focused));
    };
    if list.is_empty() {
        title(1, page, width, true);
        return;
    }
    let left = usize::from(divider);
    title(1, list, left.saturating_sub(2), focused);
    title(divider + 2, page, width.saturating_sub(left + 3), !focused);
    canvas.put(divider, area.y, "┬", 1, theme.rule());
}

/// The word and the style of the environment that the header names.
fn environment(model: &Model, theme: &Theme) -> (String, Style, Option<Environment>) {
    match model.header_target() {
        Some(target) => {
            let word = target.environment.word().to_uppercase();
            let style = theme.environment(target.environment);
            (word, style, Some(target.environment))
        }
        None => ("NO DATABASE".to_owned(), theme.ink(Ink::Strong), None),
    }
}

/// What a screen shows that is too small to work on. The environment is named on all of them.
fn too_small(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let (word, style, _) = environment(model, theme);
    let width = usize::from(area.width);
    canvas.put(area.x, area.y, &clip(&word, width), width, style);
    let current = model.run().current();
    let state = match current {
        Some(gate) => format!("{}: {}", clean_line(&gate.id), gate.state.word()),
        None => "every gate lets the run through".to_owned(),
    };
    let work = if model.at_work() {
        "Work goes on. Keys do nothing here."
    } else {
        "Keys do nothing here but q."
    };
    let lines = [
        state,
        "This window is too small: 60 by 16 are needed.".to_owned(),
        format!("It is {} by {}.", area.width, area.height),
        work.to_owned(),
    ];
    let mut y = area.y.saturating_add(1);
    for text in lines {
        for part in super::screen::text::wrap(&text, width.max(1)) {
            canvas.put(area.x, y, &part, width, Style::new());
            y = y.saturating_add(1);
        }
    }
}
