//! What migrations made of a schema, compared with the change that was reviewed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::judge::{misworded, not_exported, options, read_target};
use super::{DriftOptions, export};
use crate::digest::digest;
use crate::expectation::Finding;
use crate::gate::{Context, Evidence, Outcome, Plan, Tone, change_words};
use crate::runbook::Drift;
use crate::schema::{Change, Kind, Snapshot};
use crate::untrusted::clean_line;

/// Lines that a finding lists; the evidence has them all.
const LISTED: usize = 100;

/// One difference of a reviewed file, by which it is matched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct ReviewedDifference {
    kind: Kind,
    name: String,
    change: Change,
    #[serde(default)]
    property: Option<String>,
    #[serde(default)]
    expected: Option<String>,
    #[serde(default)]
    actual: Option<String>,
}

impl ReviewedDifference {
    fn with_values(mut self, keep: bool) -> ReviewedDifference {
        if !keep {
            (self.expected, self.actual) = (None, None);
        }
        self
    }

    fn words(&self) -> String {
        let property = self
            .property
            .as_ref()
            .map_or(String::new(), |p| format!(", {p}"));
        let (change, kind, name) = (self.change.word(), self.kind, &self.name);
        clean_line(&format!("{change} {kind} {name}{property}"))
    }
}

/// The reviewed file, as `stagegate drift … --format json` writes it.
#[derive(Deserialize)]
struct Reviewed {
    format: u32,
    change: String,
    differences: Vec<ReviewedDifference>,
}

/// What was made and what was reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSeen {
    /// The gate whose files made it.
    pub of: String,
    pub reviewed: String,
    /// Digests of both changes: with all that is said of every object.
    pub made_change: String,
    pub reviewed_change: String,
    /// How many differences the files made.
    pub made: usize,
    pub not_reviewed: Vec<String>,
    pub not_made: Vec<String>,
    /// Files of the run's folder: the schema before and after.
    pub exported: Vec<String>,
}

impl ChangeSeen {
    /// Computes the verdict: both changes are the same in everything that is said of every object,
    /// and nothing stands in only one of the lists.
    pub fn judge(&self) -> Finding {
        let made = self.made;
        let listed = self.not_reviewed.len() + self.not_made.len();
        if self.made_change == self.reviewed_change && listed == 0 {
            return Finding::passed(format!(
                "what `{}` made is what was reviewed: {made} differences",
                self.of
            ));
        }
        let mut finding = Finding::failed(format!(
            "what `{}` made is not what was reviewed in {}",
            self.of, self.reviewed
        ));
        let lines = [
            ("made, not reviewed", &self.not_reviewed),
            ("reviewed, not made", &self.not_made),
        ];
        let lines: Vec<String> = lines
            .iter()
            .flat_map(|(words, list)| list.iter().map(move |line| format!("{words}: {line}")))
            .collect();
        for line in lines.iter().take(LISTED) {
            finding = finding.because(line.clone());
        }
        if lines.len() > LISTED {
            finding = finding.because(format!(
                "and {} more, in the evidence",
                lines.len() - LISTED
            ));
        }
        if lines.is_empty() {
            finding = finding.because("objects that came or went have other properties inside");
        }
        finding
            .can("review what was made: stagegate drift BEFORE AFTER --format json, with the files of the run's folder")
            .can("or roll back; then retry this gate: it reads the target again")
    }
}

fn read_reviewed(reviewed: &str, context: &Context) -> Result<(String, Reviewed), String> {
    let path = context.path(reviewed);
    let shown = context.shown(&path);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
    let read: Reviewed = serde_json::from_str(&text).map_err(|error| {
        format!("{shown}: it is no comparison that `stagegate drift --format json` wrote: {error}")
    })?;
    if read.format != 1 {
        return Err(format!(
            "{shown}: it has format {}; this version reads format 1",
            read.format
        ));
    }
    Ok((text, read))
}

pub(super) fn plan(gate: &Drift, of: &str, reviewed: &str, context: &Context) -> Plan {
    let reviewed = context.fill(reviewed);
    let read = read_reviewed(&reviewed, context);
    let text = read.as_ref().map_or("", |(text, _)| text.as_str());
    let mut plan = Plan::new(
        format!("compare what `{of}` made with {reviewed}"),
        &[&gate.target, of, &reviewed, &digest(text.as_bytes())],
    );
    plan.line(
        Tone::Plain,
        format!("before    as `{of}` found {}", gate.target),
    );
    plan.line(Tone::Plain, format!("after     {}, read only", gate.target));
    match read {
        Ok((_, read)) => {
            let count = read.differences.len();
            plan.line(
                Tone::Plain,
                format!("reviewed  {reviewed}, {count} differences"),
            );
        }
        Err(reason) => {
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
        }
    }
    plan
}

/// The schema as the gate's first attempt found it.
fn before(of: &str, context: &Context) -> Result<Snapshot, String> {
    let place = |attempt: u32| -> PathBuf {
        context
            .folder
            .join(format!("outputs/{of}-{attempt}-before.json"))
    };
    let last = 1000;
    let path = (1..=last).map(place).find(|path| path.is_file()).ok_or_else(|| {
        format!("the schema before `{of}` is not in the run's folder: it applied nothing, or does not record")
    })?;
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    Snapshot::from_json(&text).map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) async fn run(gate: &Drift, of: &str, reviewed: &str, context: &Context) -> Outcome {
    let inputs = plan(gate, of, reviewed, context).digest;
    let reviewed = context.fill(reviewed);
    let read = read_reviewed(&reviewed, context)
        .and_then(|(_, read)| Ok((read, options(gate, &context.runbook)?)));
    let (read, options) = match read {
        Ok(read) => read,
        Err(reason) => return misworded(reason),
    };
    let before = match before(of, context) {
        Ok(before) => before,
        Err(reason) => {
            return Outcome::of(
                Finding::errored("nobody knows what was made")
                    .because(reason)
                    .can("compare the schema itself: a drift gate with `expected`"),
            );
        }
    };
    let (after, _, identity) = match read_target(gate, &[], context).await {
        Ok(read) => read,
        Err(error) => return error.outcome(&gate.target),
    };
    let exported = [("before", &before), ("after", &after)]
        .map(|(side, snapshot)| export::snapshot(context, side, snapshot));
    let exported: Result<Vec<String>, String> = exported.into_iter().collect();
    let exported = match exported {
        Ok(exported) => exported,
        Err(reason) => return not_exported(reason),
    };
    let seen = seen((of, reviewed), read, [before, after], &options, exported);
    Outcome::of(seen.judge()).with(Evidence::Change {
        target: gate.target.clone(),
        server: identity.describe(),
        inputs,
        seen: Box::new(seen),
    })
}

fn seen(
    (of, name): (&str, String),
    reviewed: Reviewed,
    mut sides: [Snapshot; 2],
    options: &DriftOptions,
    exported: Vec<String>,
) -> ChangeSeen {
    for side in &mut sides {
        side.only_schemas(&options.schemas);
    }
    let [before, after] = sides;
    let made = options.compare(&before, &after).differences;
    let made_change = options.change_digest(&before, &after);
    // What is the same in every value may have been written for an owner of another name.
    let by_name = made_change == reviewed.change;
    let key = |difference: &crate::schema::Difference| {
        ReviewedDifference {
            kind: difference.kind,
            name: difference.name.clone(),
            change: difference.change,
            property: difference.property.clone(),
            expected: difference.expected.clone(),
            actual: difference.actual.clone(),
        }
        .with_values(!by_name)
    };
    let keys: Vec<ReviewedDifference> = made.iter().map(key).collect();
    let told = reviewed.differences.into_iter();
    let told: Vec<ReviewedDifference> = told.map(|one| one.with_values(!by_name)).collect();
    let not_reviewed = made.iter().filter(|one| !told.contains(&key(one)));
    let not_made = told.iter().filter(|one| !keys.contains(one));
    ChangeSeen {
        of: of.to_owned(),
        reviewed: name,
        made_change,
        reviewed_change: reviewed.change,
        made: made.len(),
        not_reviewed: not_reviewed.map(change_words).collect(),
        not_made: not_made.map(ReviewedDifference::words).collect(),
        exported,
    }
}
