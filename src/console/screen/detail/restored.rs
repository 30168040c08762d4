//! What a restore did.

use crate::console::screen::text::{Doc, Ink, span};
use crate::console::screen::times::took;
use crate::gate::Evidence;
use crate::untrusted::clean_line;

pub(super) fn restored(doc: &mut Doc, evidence: &Evidence) {
    let Evidence::Restore {
        server,
        backup,
        mode,
        kept,
        tables,
        rows,
        differences,
        ended_sessions,
        warnings,
        duration_ms,
        ..
    } = evidence
    else {
        return;
    };
    doc.heading("The restore");
    doc.pair("of", Ink::Strong, &clean_line(backup));
    doc.pair("into", Ink::Plain, &clean_line(server));
    doc.pair("mode", Ink::Plain, mode);
    if let Some(kept) = kept {
        doc.pair("kept", Ink::Strong, &clean_line(kept));
    }
    let compared = format!("{tables} tables, {rows} rows, compared by content");
    doc.pair("holds", Ink::Plain, &compared);
    if *ended_sessions > 0 {
        let ended = format!("{ended_sessions} sessions of others");
        doc.pair("ended", Ink::Warning, &ended);
    }
    doc.pair("took", Ink::Plain, &took(*duration_ms));
    for warning in warnings {
        doc.hanging(
            &[span(Ink::Warning, "! ")],
            Ink::Warning,
            &clean_line(warning),
        );
    }
    for difference in differences {
        doc.hanging(&[span(Ink::Bad, "✗ ")], Ink::Bad, &clean_line(difference));
    }
}
