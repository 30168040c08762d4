//! Reads the maintenance window.

use std::time::Duration;

use jiff::Timestamp;
use toml::de::DeValue;

use super::findings::At;
use super::model::Window;
use super::reader::TableReader;

pub(super) fn read_window(mut table: TableReader<'_, '_>) -> Window {
    let opens = timestamp(&mut table, "opens");
    let closes = timestamp(&mut table, "closes");
    let last_start = timestamp(&mut table, "last_start");
    let lasts = table.span_of_time("lasts");
    let margin = table.duration("rollback_margin");
    if closes.is_none() && lasts.is_none() && !table.has("closes") && !table.has("lasts") {
        table.missing("lasts", "write lasts = \"2h\", or give `closes`");
    }
    if let (Some(_), Some(lasts)) = (&closes, &lasts) {
        table.findings.add(
            lasts.span.clone(),
            "the window gives both `closes` and `lasts`",
            "`closes` says it already; keep one of the two",
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
                "the window opens no earlier than this",
                None,
            );
        }
    }
    check_margin(&table, &opens, &closes, &lasts, &margin);
    table.finish();
    Window {
        opens: opens.map(|at| at.value),
        closes: closes.map(|at| at.value),
        lasts: lasts.map(|at| at.value),
        last_start: last_start.map(|at| at.value),
        rollback_margin: margin.map(|at| at.value).unwrap_or_default(),
    }
}

/// A rollback that takes longer than the window is never safe to begin.
fn check_margin(
    table: &TableReader<'_, '_>,
    opens: &Option<At<Timestamp>>,
    closes: &Option<At<Timestamp>>,
    lasts: &Option<At<Duration>>,
    margin: &Option<At<Duration>>,
) {
    let between = || {
        let (opens, closes) = (opens.as_ref()?, closes.as_ref()?);
        Duration::try_from(closes.value.duration_since(opens.value)).ok()
    };
    let length = lasts.as_ref().map(|lasts| lasts.value).or_else(between);
    if let (Some(margin), Some(length)) = (margin, length)
        && margin.value >= length
    {
        table.findings.add(
            margin.span.clone(),
            "`rollback_margin` is as long as the window itself",
            "there would be no moment at which going back is still safe",
            None,
        );
    }
}

fn timestamp(table: &mut TableReader<'_, '_>, key: &'static str) -> Option<At<Timestamp>> {
    let found = table.any(key)?;
    let given = found.get_ref().as_datetime();
    let time = given.and_then(|time| time.to_string().parse().ok());
    if let Some(value) = time {
        let span = found.span();
        return Some(At { value, span });
    }
    let written = table.findings.text(found.span());
    let (label, help) = match found.get_ref() {
        DeValue::Datetime(time) if time.date.is_some() && time.time.is_some() => (
            "whose time is this? the offset is missing",
            format!("write {key} = {written}Z for UTC, or {written}+01:00"),
        ),
        DeValue::String(_) => (
            "this is a string",
            format!("write it without quotes: {key} = 2025-11-22T01:00:00Z"),
        ),
        _ => (
            "not a date-time",
            format!("write {key} = 2025-11-22T01:00:00Z"),
        ),
    };
    let message = format!("`{key}` of the window must be a date-time with its offset");
    table.findings.add(found.span(), message, label, Some(help));
    None
}
