//! Two schemas, wherever they come from, read and compared.

mod change;
mod changelog;
mod export;
mod history;
mod judge;
mod kept;
mod load;
mod seen;
mod settle;
mod texts;

use tokio_util::sync::CancellationToken;

pub use change::ChangeSeen;
pub use changelog::document;
pub(super) use export::snapshot as export_snapshot;
pub(super) use judge::{options, plan, run};
pub use load::{LoadError, Loaded, Surroundings};
pub use seen::DriftSeen;

use crate::schema::{self, Comparison, Counted, IgnoreRule, Kind, ObjectId, Snapshot, Source};

/// The ledger is ours: it is in every database that a runbook has migrated, and in no canonical
/// schema.
const LEDGER: &str = "schema:stagegate";
/// So is the schema through which other terminals follow runs.
const CONTROL: &str = "schema:stagegate_control";

/// How two sources are compared.
#[derive(Debug, Clone, Default)]
pub struct DriftOptions {
    /// Only these schemas; all when none is named.
    pub schemas: Vec<String>,
    pub ignore: Vec<IgnoreRule>,
    /// Soft differences that are passed over: they are told, and no part of checksums.
    pub allow: Vec<IgnoreRule>,
    /// Nobody reads the checksums: they need not be computed.
    pub without_checksums: bool,
}

impl DriftOptions {
    /// The rules, and those that every comparison has.
    fn rules(&self) -> Vec<IgnoreRule> {
        let mut rules = self.ignore.clone();
        rules.extend(
            [LEDGER, CONTROL]
                .iter()
                .flat_map(|rule| rule.parse::<IgnoreRule>()),
        );
        rules
    }

    /// Compares two schemas as they are.
    pub(super) fn compare(&self, expected: &Snapshot, actual: &Snapshot) -> Comparison {
        let ignore = self.rules();
        schema::compare(expected, actual, &schema::Options { ignore })
    }

    /// The digest of what became of a schema, of what counts.
    pub(super) fn change_digest(&self, before: &Snapshot, after: &Snapshot) -> String {
        let rules = self.rules();
        let before = Counted::of(before, &rules, &self.schemas);
        Counted::of(after, &rules, &self.schemas).change_from(&before)
    }

    /// The checksum of what counts of a schema.
    pub(super) fn checksum(&self, snapshot: &Snapshot) -> String {
        Counted::but(snapshot, &self.rules(), &self.allow, &self.schemas).checksum()
    }
}

/// Both sides, and what they differ in.
#[derive(Debug, Clone)]
pub struct Compared {
    pub expected: Snapshot,
    pub actual: Snapshot,
    /// Of what counts on each side, as each server writes it; empty where nobody reads them.
    pub checksums: [String; 2],
    options: DriftOptions,
    pub comparison: Comparison,
}

impl Compared {
    /// Tells what lies between the two from every other change of a schema.
    pub fn change(&self) -> String {
        self.options.change_digest(&self.expected, &self.actual)
    }
}

/// Reads one source.
///
/// # Errors
/// Why it cannot be read.
pub async fn read(
    source: &Source,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Loaded, LoadError> {
    load::load(source, None, surroundings, cancel).await
}

/// Reads both sources and compares them. A database is read first, so that files are loaded into
/// the version that it runs, for the role that owns it.
///
/// # Errors
/// Which side cannot be read, and why.
pub async fn compared(
    expected: &Source,
    actual: &Source,
    options: &DriftOptions,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Compared, LoadError> {
    let load = |source, like| load::load(source, like, surroundings, cancel);
    let (one, other) = if let (true, Source::Database(address)) = (expected.is_loaded(), actual) {
        load::beside(expected, (actual, address), surroundings, cancel).await?
    } else if expected.is_loaded() && !actual.is_loaded() {
        let other = load(actual, None).await?;
        (load(expected, Some(&other.snapshot)).await?, other)
    } else {
        let one = load(expected, None).await?;
        let other = load(actual, Some(&one.snapshot)).await?;
        (one, other)
    };
    both(
        [expected, actual],
        (one, other),
        options,
        surroundings,
        cancel,
    )
    .await
}

/// Compares a schema that was read already with what is expected.
///
/// # Errors
/// Why what is expected cannot be read.
pub(super) async fn against(
    expected: &Source,
    actual: Snapshot,
    options: &DriftOptions,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Compared, LoadError> {
    let one = load::load(expected, Some(&actual), surroundings, cancel).await?;
    let other = Loaded {
        snapshot: actual,
        notes: Vec::new(),
        of_files: false,
    };
    both(
        [expected, expected],
        (one, other),
        options,
        surroundings,
        cancel,
    )
    .await
}

/// Members of roles belong to the whole server, and a dump of one database names none: such files
/// say nothing about them.
fn without_memberships(files: &Loaded, other: &mut Loaded) {
    let is_membership = |id: &ObjectId| id.kind == Kind::RoleMembership;
    if !files.of_files || files.snapshot.objects.keys().any(is_membership) {
        return;
    }
    let before = other.snapshot.objects.len();
    other.snapshot.objects.retain(|id, _| !is_membership(id));
    let left_out = before - other.snapshot.objects.len();
    if left_out > 0 {
        other.notes.push(format!(
            "{left_out} role memberships are not compared: the files name none"
        ));
    }
}

async fn both(
    sources: [&Source; 2],
    (mut expected, mut actual): (Loaded, Loaded),
    options: &DriftOptions,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<Compared, LoadError> {
    for schema in &options.schemas {
        // A name that is nowhere would compare nothing with nothing.
        let has = |side: &Loaded| {
            let mut objects = side.snapshot.objects.values();
            objects.any(|object| object.schema.as_ref() == Some(schema))
        };
        if !has(&expected) && !has(&actual) {
            return Err(LoadError::NoSchema(schema.clone()));
        }
    }
    let checksums = match options.without_checksums {
        true => [const { String::new() }; 2],
        false => [&expected, &actual].map(|side| options.checksum(&side.snapshot)),
    };
    load::settled(sources, &expected, &mut actual, surroundings, cancel).await?;
    without_memberships(&expected, &mut actual);
    without_memberships(&actual, &mut expected);
    expected.snapshot.only_schemas(&options.schemas);
    actual.snapshot.only_schemas(&options.schemas);
    let mut comparison = options.compare(&expected.snapshot, &actual.snapshot);
    comparison.notes.extend(expected.notes);
    comparison.notes.extend(actual.notes);
    comparison.notes.dedup();
    Ok(Compared {
        expected: expected.snapshot,
        actual: actual.snapshot,
        checksums,
        options: options.clone(),
        comparison,
    })
}
