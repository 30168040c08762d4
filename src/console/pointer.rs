//! What the mouse does: the wheel scrolls what is under it, a click selects.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::model::{Focus, Model};
use super::msg::Effect;
use super::screen::Row;
use super::screen::{Screen, run};

/// Lines that one turn of the wheel moves.
const WHEEL: isize = 3;

pub(super) fn on_mouse(model: &mut Model, mouse: MouseEvent) -> Vec<Effect> {
    let at = Position::new(mouse.column, mouse.row);
    let Some(layout) = model.layout().filter(|_| model.dialog.is_none()) else {
        return Vec::new();
    };
    let turn = match mouse.kind {
        MouseEventKind::ScrollDown => WHEEL,
        MouseEventKind::ScrollUp => -WHEEL,
        MouseEventKind::Down(MouseButton::Left) if model.screen == Screen::Run => {
            return click(model, at);
        }
        MouseEventKind::Down(MouseButton::Left) if model.screen == Screen::Diff => {
            click_difference(model, at);
            return Vec::new();
        }
        MouseEventKind::Down(MouseButton::Left) if model.screen == Screen::Files => {
            model.dirty = true;
            model.toast = None;
            model.files.click_at(&layout, at);
            return Vec::new();
        }
        MouseEventKind::Down(MouseButton::Left) if model.screen == Screen::Git => {
            click_git(model, at);
            return Vec::new();
        }
        _ => return Vec::new(),
    };
    model.dirty = true;
    match model.screen {
        Screen::Diff => {
            let areas = model.diff.areas(&layout);
            match areas.list.filter(|list| list.contains(at)) {
                Some(_) => model.diff.list.by(turn),
                None => model.diff.pager.by(turn),
            }
        }
        Screen::Files => {
            let areas = model.files.areas(&layout);
            match areas.list.filter(|list| list.contains(at)) {
                Some(_) => model.files.by(turn),
                None => model.files.pager.by(turn),
            }
        }
        Screen::Git if layout.list.contains(at) => model.git.list.by(turn),
        Screen::Git => model.git.pager.by(turn),
        Screen::Locks => model.locks.pager.by(turn),
        Screen::Log => model.log.pager.by(turn),
        Screen::Journal => model.journal.by(turn),
        Screen::Closing => model.closing.by(turn),
        Screen::Run if layout.list.contains(at) => model.list.by(turn),
        Screen::Run => model.pager.by(turn),
    }
    Vec::new()
}

fn click_git(model: &mut Model, at: Position) {
    let Some(layout) = model.layout() else { return };
    model.dirty = true;
    model.toast = None;
    if layout.list.contains(at) {
        let row = model.git.list.offset + usize::from(at.y - layout.list.y);
        model.git.click(row);
    } else if layout.detail.contains(at) {
        model.git.focus = Focus::Detail;
    }
}

fn click_difference(model: &mut Model, at: Position) {
    let Some(layout) = model.layout() else { return };
    model.dirty = true;
    model.toast = None;
    let areas = model.diff.areas(&layout);
    match areas.list.filter(|list| list.contains(at)) {
        Some(list) => {
            let row = model.diff.list.offset + usize::from(at.y - list.y);
            model.diff.click(row);
        }
        None if areas.page.contains(at) => model.diff.focus = Focus::Detail,
        None => {}
    }
}

fn click(model: &mut Model, at: Position) -> Vec<Effect> {
    let Some(layout) = model.layout() else {
        return Vec::new();
    };
    model.dirty = true;
    model.toast = None;
    if layout.list.contains(at) {
        let row = model.list.offset + usize::from(at.y - layout.list.y);
        model.focus = Focus::List;
        if let Some(Row::Gate(gate)) = model.rows.get(row).copied() {
            model.select(gate);
            return run::wanted_plan(model);
        }
    } else if layout.detail.contains(at) {
        model.focus = Focus::Detail;
        let line = model.pager.offset + usize::from(at.y - layout.detail.y);
        if let Some(item) = model.detail.lines.get(line).and_then(|line| line.item) {
            model.item = item;
        }
    }
    Vec::new()
}
