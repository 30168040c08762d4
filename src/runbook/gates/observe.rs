//! Reads an observation: for how long, how often, and of what.

use std::time::Duration;

use super::metric::{Rules, read_every, read_metrics};
use crate::runbook::names::{Names, optional_target};
use crate::runbook::reader::TableReader;
use crate::runbook::watching::Observe;

/// More looks than this would be kept for ever, for a number that fewer give as well.
const MOST_LOOKS: u128 = 100_000;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &mut Names) -> Observe {
    let target = optional_target(&mut table, names);
    let lasts = table.span_of_time("for");
    if !table.has("for") {
        table.missing("for", "write for = \"5m\"");
    }
    let every = read_every(&mut table);
    if let Some(lasts) = &lasts
        && lasts.value.as_millis() / every.as_millis().max(1) > MOST_LOOKS
    {
        let message = format!("{} looks more than {MOST_LOOKS} times", table.name);
        let label = "look less often, or for a shorter time";
        table.findings.add(lasts.span.clone(), message, label, None);
    }
    let rules = Rules {
        captures: true,
        target: target.is_some(),
    };
    let metrics = read_metrics(&mut table, "phase.gate.observe.metrics", rules, names);
    table.finish();
    Observe {
        target,
        lasts: lasts.map_or(Duration::ZERO, |given| given.value),
        every,
        metrics,
    }
}
