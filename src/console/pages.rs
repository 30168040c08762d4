//! What the run screen shows of each gate, for those who have no console: reports.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::model::Model;
use super::screen::detail;
use super::screen::text::DocLine;
use crate::engine::Snapshot;
use crate::promotion::{Actor, Via};

/// Tall enough for whatever is shown in full when there is room.
const HEIGHT: usize = 200;

/// Makes the page of every gate for lines of `width` cells, with times in UTC.
pub fn pages(snapshot: &Snapshot, width: usize) -> Vec<(String, Vec<DocLine>)> {
    let run = snapshot.run.clone();
    let actor = Actor {
        name: run.operator.clone(),
        via: Via::Console,
    };
    let size = (u16::try_from(width).unwrap_or(u16::MAX), 60);
    let snapshot = Arc::new(snapshot.clone());
    let zone = TimeZone::UTC;
    let mut model = Model::new(snapshot, actor, String::new(), size, run.updated, zone);
    let mut pages = Vec::with_capacity(run.gates.len());
    for (number, gate) in run.gates.iter().enumerate() {
        model.selected = number;
        let page = detail::page(&model, width, HEIGHT);
        pages.push((gate.id.clone(), page.lines));
    }
    pages
}
