//! What the source held while it was backed up: read beside the dump, in its very snapshot.

use super::drift::export_snapshot;
use super::{Context, Source};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::postgres::dump::{self, DumpError, DumpRequest, Manifest};
use crate::postgres::dump_witness::{self, Witness, WitnessError, Witnessed};
use crate::untrusted::clean_line;

/// How many tables that differ are named.
const NAMED: usize = 10;

/// The source, if it could be held still.
pub(super) struct Seen(Option<Witness>);

impl Seen {
    /// Takes a snapshot of the source. Without one there is still a backup, and a rehearsal compares
    /// with what the dump says of itself.
    pub(super) async fn begin(target: &str, context: &Context) -> Seen {
        let opened = context
            .targets
            .open(target, &context.gate.id, dump_witness::settings())
            .await;
        let began = match opened {
            Ok((session, _)) => {
                let began = Witness::begin(session);
                tokio::select! {
                    began = began => began.map_err(|error| error.to_string()),
                    () = context.cancel.cancelled() => Err("it was canceled".to_owned()),
                }
            }
            Err(error) => Err(error.to_string()),
        };
        match began {
            Ok(witness) => Seen(Some(witness)),
            Err(reason) => {
                let reason = clean_line(&reason);
                context
                    .feed
                    .say(format!("the source is not read beside the dump: {reason}"));
                Seen(None)
            }
        }
    }

    pub(super) fn snapshot(&self) -> Option<&str> {
        self.0.as_ref().map(Witness::snapshot)
    }

    /// Reads the source while it is dumped; the dump's end ends both where it fails.
    pub(super) async fn beside(
        &self,
        dumping: impl Future<Output = Result<Manifest, DumpError>>,
        context: &Context,
    ) -> (
        Result<Manifest, DumpError>,
        Option<Result<Witnessed, WitnessError>>,
    ) {
        let Some(witness) = &self.0 else {
            return (dumping.await, None);
        };
        let stop = context.cancel.child_token();
        let dumping = async {
            let dumped = dumping.await;
            if dumped.is_err() {
                stop.cancel();
            }
            dumped
        };
        let feed = &context.feed;
        let reading = witness.read(&stop, |table| {
            feed.line(Source::Own, &format!("adding up {table} at the source"));
        });
        let (dumped, mut read) = tokio::join!(dumping, reading);
        if let Ok(seen) = &mut read {
            match export_snapshot(context, "schema", &witness.schema) {
                Ok(name) => {
                    let kept = std::fs::read(context.folder.join(&name));
                    seen.schema_sha256 = kept.ok().map(|bytes| digest(&bytes));
                    seen.schema_file = Some(name);
                }
                Err(reason) => feed.say(format!("the schema could not be kept: {reason}")),
            }
        }
        (dumped, Some(read))
    }
}

/// Compares the dump with what its source held, and writes that down. A dump that differs is no
/// backup: it is removed.
pub(super) fn join(
    request: &DumpRequest<'_>,
    mut manifest: Manifest,
    source: Option<Result<Witnessed, WitnessError>>,
) -> Result<Manifest, Box<Finding>> {
    let Some(source) = source else {
        return Ok(manifest);
    };
    let trouble = |finding: Finding| {
        let removed = match dump::discard(request) {
            Ok(()) => "the dump was removed".to_owned(),
            Err(error) => format!("the dump could not be removed: {error}"),
        };
        Box::new(finding.because(removed))
    };
    let source = match source {
        Ok(source) => source,
        Err(error) => {
            let finding = Finding::errored("the dump could not be compared with its source")
                .because(clean_line(&error.to_string()))
                .can("mend what it says, then retry this gate");
            return Err(trouble(finding));
        }
    };
    let differences = differences(&manifest, &source);
    if let Some(first) = differences.first() {
        let mut finding = Finding::failed("the dump does not hold what its source held");
        finding = finding.because(first.clone());
        for difference in differences.iter().skip(1).take(NAMED) {
            finding = finding.because(difference.clone());
        }
        return Err(trouble(finding.can(
            "look at the disk and at pg_dump's own version, then retry this gate",
        )));
    }
    match dump::add_source(request, &mut manifest, source) {
        Ok(()) => Ok(manifest),
        Err(error) => Err(Box::new(
            Finding::errored("the manifest could not be written")
                .because(clean_line(&error.to_string()))
                .can("make room, then retry this gate"),
        )),
    }
}

/// Where a dump holds something else than its source did in the same snapshot.
fn differences(manifest: &Manifest, source: &Witnessed) -> Vec<String> {
    let mut differences = Vec::new();
    for (table, held) in &source.contents {
        match manifest.contents.get(table) {
            None => differences.push(format!("{table} is not in the dump")),
            Some(dumped) if dumped.rows != held.rows => differences.push(format!(
                "{table} has {} rows in the dump, and had {}",
                dumped.rows, held.rows
            )),
            // Amounts of money are written by the database's own locale, here and there.
            Some(dumped) if dumped.digest != held.digest && !source.has_money(table) => {
                differences.push(format!("{table} has other values in the dump"));
            }
            Some(_) => {}
        }
    }
    differences
}
