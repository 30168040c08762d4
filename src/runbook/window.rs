//! Reads the maintenance window.

use super::model::Window;
use super::reader::{At, TableReader};

pub(super) fn read_window(mut table: TableReader<'_, '_>) -> Window {
    let opens = timestamp(&mut table, "opens");
    let closes = timestamp(&mut table, "closes");
    let last_start = timestamp(&mut table, "last_start");
    let lasts = table.duration("lasts");
    let margin = table.duration("rollback_margin");
    if closes.is_none() && lasts.is_none() && !table.has("closes") && !table.has("lasts") {
        table.missing("lasts", "how long the window lasts, or give `closes`");
    }
    if let (Some(_), Some(lasts)) = (&closes, &lasts) {
        table.findings.add(
            lasts.span.clone(),
            "the window gives both `closes` and `lasts`",
            "only one of them",
            None,
        );
    }
    for (name, later) in [("closes", &closes), ("last_start", &last_start)] {
        if let (Some(opens), Some(later)) = (&opens, later)
            && later.value <= opens.value
        {
            table.findings.add(
                later.span.clone(),
                format!("`{name}` is not after `opens`"),
                "too early",
                None,
            );
        }
    }
    table.finish();
    Window {
        opens: opens.map(|at| at.value),
        closes: closes.map(|at| at.value),
        lasts: lasts.map(|at| at.value),
        last_start: last_start.map(|at| at.value),
        rollback_margin: margin.map(|at| at.value).unwrap_or_default(),
    }
}

fn timestamp(table: &mut TableReader<'_, '_>, key: &'static str) -> Option<At<jiff::Timestamp>> {
    let found = table.any(key)?;
    let time = found
        .get_ref()
        .as_datetime()
        .and_then(|time| time.to_string().parse::<jiff::Timestamp>().ok());
    if time.is_none() {
        table.findings.add(
            found.span(),
            format!("`{key}` of the window must be a date-time with its offset"),
            "not an offset date-time",
            Some("write it without quotes, such as 2026-11-22T01:00:00Z".into()),
        );
    }
    time.map(|value| At {
        value,
        span: found.span(),
    })
}
