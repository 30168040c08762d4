//! What a rehearsal saw.

use crate::console::screen::text::Doc;
use crate::gate::rehearse::Rehearsed;

pub(super) fn seen(doc: &mut Doc, target: &str, seen: &Rehearsed) {
    doc.heading(target);
    let _ = seen;
}
