//! Draws a review without a run.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::canvas::Canvas;
use super::theme::Theme;
use super::{bar, files, page, two_titles};
use crate::console::alone::model::Alone;
use crate::console::keymap;
use crate::console::screen::text::Ink;
use crate::untrusted::clean_line;

/// Draws the whole screen; returns where the cursor stands, if it is to be seen.
pub fn draw(buffer: &mut Buffer, model: &Alone, theme: &Theme) -> Option<Position> {
    let area = buffer.area;
    let mut canvas = Canvas::new(buffer);
    let width = usize::from(area.width);
    let fits = area.as_size() == model.size.into();
    let Some(layout) = model.layout().filter(|_| fits) else {
        let lines = [
            "This window is too small:",
            "60 by 16 are needed.",
            "q leaves.",
        ];
        for (y, text) in lines.into_iter().enumerate() {
            canvas.put(0, y as u16, text, width, theme.ink(Ink::Plain));
        }
        return None;
    };
    header(&mut canvas, layout.header, model, theme);
    canvas.put(0, layout.rule.y, &"─".repeat(width), width, theme.rule());
    if let Some(pager) = model.help {
        let doc = keymap::review_help(usize::from(layout.body.width));
        page::lines(&mut canvas, layout.body, &doc, pager, 0, theme);
    } else {
        let (list, titled) = files::titles(&model.files, &layout);
        let focused = model.files.focus == crate::console::model::Focus::List;
        let titles = (list.as_str(), titled.as_str());
        two_titles(
            &mut canvas,
            layout.rule,
            layout.divider.x,
            titles,
            focused,
            theme,
        );
        files::draw(&mut canvas, &layout, &model.files, theme);
    }
    bar::said(&mut canvas, &layout, model.toast.as_ref(), theme);
    if let Some(input) = &model.search {
        return Some(bar::search(&mut canvas, layout.bar, input, theme));
    }
    let keys = match model.help {
        Some(_) => vec![("Esc", "back"), ("q", "leave")],
        None => keymap::review_bar(width.saturating_sub(1)),
    };
    bar::keys(&mut canvas, layout.bar, &keys, theme);
    None
}

fn header(canvas: &mut Canvas<'_>, area: Rect, model: &Alone, theme: &Theme) {
    let width = usize::from(area.width);
    let x = canvas.put(area.x, area.y, " REVIEW ", width, theme.title(true));
    let Some(changes) = &model.files.changes else {
        return;
    };
    let reviews = &model.files.reviews;
    let reviewed = changes
        .files
        .iter()
        .filter(|file| reviews.standing(&file.path, file.content()).is_reviewed());
    let text = format!(
        " {} of {} files reviewed in {}",
        reviewed.count(),
        changes.files.len(),
        clean_line(&changes.top.display().to_string())
    );
    canvas.put(
        x,
        area.y,
        &text,
        width.saturating_sub(8),
        theme.ink(Ink::Plain),
    );
}
