//! What the copy of a screen holds.

use std::sync::Arc;

use super::Screen;
use crate::console::model::Model;
use crate::console::msg::Effect;
use crate::untrusted::clean_line;

/// Writes what the screen shows into a file of the run's folder.
pub fn copy(model: &Model) -> Vec<Effect> {
    let (name, text) = match model.screen {
        Screen::Log => ("log".to_owned(), model.log.doc.plain()),
        Screen::Diff => super::diff::to_copy(model),
        Screen::Files => ("files".to_owned(), super::review::told(&model.files)),
        Screen::Git => ("repository".to_owned(), model.git.page.plain()),
        Screen::Locks => ("locks".to_owned(), model.locks.page.plain()),
        Screen::Closing => (
            "closing".to_owned(),
            super::closing::page(model, 100).plain(),
        ),
        Screen::Journal => {
            let line = |record: &Arc<crate::promotion::Record>| {
                let (seq, time, who) = (record.seq, record.time, clean_line(&record.actor.name));
                let gate = record.event.gate().unwrap_or("-");
                let words = clean_line(&record.event.words());
                format!("{seq} {time} {who} {gate} {words} {}\n", record.hash)
            };
            let text = model.snapshot.records.iter().map(line).collect();
            ("journal".to_owned(), text)
        }
        Screen::Run => {
            let gate = model.gate().map_or(String::new(), |gate| gate.id.clone());
            (gate, super::detail::page(model, 100, 100).plain())
        }
    };
    vec![Effect::Save { name, text }]
}
