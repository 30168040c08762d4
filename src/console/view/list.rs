//! The phases and gates on the left.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::theme::Theme;
use crate::console::model::{Focus, Model};
use crate::console::screen::Row;
use crate::console::screen::glyph;
use crate::console::screen::pager::Pager;
use crate::console::screen::text::{Ink, cells, clip};
use crate::promotion::GateState;
use crate::untrusted::clean_line;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let current = model.current();
    for (line, at) in model.list.range().enumerate() {
        let row = Rect {
            y: area.y + line as u16,
            height: 1,
            ..area
        };
        match model.rows.get(at) {
            Some(Row::Phase(phase)) => phase_row(canvas, row, model, *phase, theme),
            Some(Row::Gate(gate)) => gate_row(canvas, row, model, *gate, current, theme),
            None => {}
        }
    }
}

/// The line between the panes; its ends say where the list goes on.
pub(super) fn divider(canvas: &mut Canvas<'_>, area: Rect, list: Pager, theme: &Theme) {
    let last = area.bottom().saturating_sub(1);
    for y in area.top()..area.bottom() {
        let (mark, style) = match y {
            y if y == area.y && list.offset > 0 => ("↑", theme.key()),
            y if y == last && list.more_below() => ("↓", theme.key()),
            _ => ("│", theme.rule()),
        };
        canvas.put(area.x, y, mark, 1, style);
    }
}

fn phase_row(canvas: &mut Canvas<'_>, area: Rect, model: &Model, phase: usize, theme: &Theme) {
    let run = model.run();
    let Some(definition) = run.definition.phases.get(phase) else {
        return;
    };
    let through = definition
        .gates
        .iter()
        .filter(|gate| run.gate(&gate.id).is_some_and(|g| g.state.advances()))
        .count();
    let count = format!("{through}/{}", definition.gates.len());
    let room = usize::from(area.width).saturating_sub(cells(&count) + 3);
    let title = clip(&clean_line(&definition.title), room);
    canvas.put(area.x, area.y, &title, room, theme.ink(Ink::Strong));
    let at = area.right().saturating_sub(cells(&count) as u16 + 1);
    let ink = if through == definition.gates.len() {
        Ink::Good
    } else {
        Ink::Muted
    };
    canvas.put(at, area.y, &count, cells(&count), theme.ink(ink));
}

fn gate_row(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    number: usize,
    current: Option<usize>,
    theme: &Theme,
) {
    let run = model.run();
    let Some(gate) = run.gates.get(number) else {
        return;
    };
    let title = run.definition_of(&gate.id).map_or("", |g| g.title.as_str());
    let state = theme.ink(Ink::State(gate.state));
    let word = short_word(gate.state);
    let here = current == Some(number);
    if here {
        canvas.put(area.x, area.y, "›", 1, theme.ink(Ink::Accent));
    }
    canvas.put(area.x + 1, area.y, glyph(gate.state), 1, state);
    let room = usize::from(area.width).saturating_sub(cells(word) + 5);
    let ink = match gate.state {
        _ if here => Ink::Strong,
        GateState::Pending => Ink::Muted,
        _ => Ink::Plain,
    };
    let title = clip(&clean_line(title), room);
    canvas.put(area.x + 3, area.y, &title, room, theme.ink(ink));
    let at = area.right().saturating_sub(cells(word) as u16 + 1);
    canvas.put(at, area.y, word, cells(word), state);
    if number == model.selected {
        canvas.paint(area, theme.selected(model.focus == Focus::List));
    }
}

/// The word for a state where there is little room.
fn short_word(state: GateState) -> &'static str {
    match state {
        GateState::NotApplicable => "n/a",
        state => state.word(),
    }
}
