//! The recovery point of a run, once a gate has found it: the one line that whoever must go back
//! looks for first.

use crate::console::model::Model;
use crate::gate::Evidence;
use crate::untrusted::clean_line;

/// Below this height the line is left out: gates need the room more.
const TALL_ENOUGH: u16 = 20;

/// The recovery point in one line: that of the last gate that found one.
pub fn recovery_point(model: &Model) -> Option<String> {
    if model.size.1 < TALL_ENOUGH {
        return None;
    }
    let passed = model.run().gates.iter().rev();
    passed
        .filter(|gate| gate.state.advances())
        .find_map(
            |gate| match model.snapshot.evidence.get(&gate.id)?.as_ref() {
                Evidence::RecoveryPoint { target, seen, .. } => {
                    let named = match &seen.restore_point {
                        Some((name, _)) => format!(" · `{name}`"),
                        None => String::new(),
                    };
                    Some(clean_line(&format!(
                        "Recovery point {target} {}{named}",
                        seen.point()
                    )))
                }
                _ => None,
            },
        )
}
