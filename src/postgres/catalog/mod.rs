//! Reads the schema of a database from its catalogs.
//!
//! A constant number of queries, whatever the size of the database, sent together in one
//! read-only transaction. Each query's columns name the properties that it reads, so that a query
//! is the whole of what has to be said about a kind.

mod assemble;
mod foreign;
mod initial;
mod locked;
mod relations;
mod rights;
mod routines;
mod searching;
mod structure;
mod user_defined;

use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio_postgres::SimpleQueryMessage;

use self::assemble::Assembly;
use super::{DatabaseError, PostgresError, Session};
use crate::schema::Snapshot;

/// The versions whose catalogs are known here.
pub const MAJORS: std::ops::RangeInclusive<u32> = 13..=18;

/// Names are qualified in every definition: nothing but the system's own schema is searched.
const SETTINGS: &str = "SET LOCAL search_path = pg_catalog; \
     SET LOCAL quote_all_identifiers = off; \
     SET LOCAL enable_nestloop = on; \
     SET LOCAL jit = off";

const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Why the catalogs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error(
        "the server is PostgreSQL {major}; catalogs of {} to {} can be read",
        MAJORS.start(),
        MAJORS.end()
    )]
    Version { major: u32 },
    #[error("the {section} cannot be read: {error}")]
    Section {
        section: &'static str,
        error: PostgresError,
    },
    /// Somebody holds a lock that nobody may read past.
    #[error("the {section} cannot be read: {error}; {held}")]
    Locked {
        section: &'static str,
        held: String,
        error: Box<DatabaseError>,
    },
    #[error("the {section} answered with a kind of object that is not known: {word}")]
    UnknownKind { section: &'static str, word: String },
    #[error("the catalogs hold {0} twice")]
    Twice(crate::schema::ObjectId),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// One query and what it reads, in words.
struct Section {
    name: &'static str,
    sql: String,
}

fn section(name: &'static str, sql: String) -> Section {
    Section { name, sql }
}

/// The rows of a query, with the names of their columns.
struct Read {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

/// Reads the whole schema in one transaction, which is ended whatever happens.
///
/// # Errors
/// What the server says, and about which part of the catalogs.
pub async fn read(session: &Session) -> Result<Snapshot, CatalogError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    match read_between(session, begin, "ROLLBACK").await {
        Err(CatalogError::Section {
            section,
            error: PostgresError::Database(error),
        }) if error.sqlstate == LOCK_NOT_AVAILABLE => Err(CatalogError::Locked {
            section,
            held: locked::held(session).await,
            error,
        }),
        read => read,
    }
}

/// Reads the schema as the session's own open transaction sees it, which then goes on as before.
///
/// # Errors
/// What the server says, and about which part of the catalogs.
pub async fn read_within(session: &Session) -> Result<Snapshot, CatalogError> {
    let end = "ROLLBACK TO stagegate_catalog; RELEASE stagegate_catalog";
    read_between(session, "SAVEPOINT stagegate_catalog", end).await
}

async fn read_between(session: &Session, begin: &str, end: &str) -> Result<Snapshot, CatalogError> {
    let major = session.server_version().major();
    if !MAJORS.contains(&major) {
        return Err(CatalogError::Version { major });
    }
    session
        .client
        .batch_execute(&format!("{begin}; {SETTINGS}"))
        .await
        .map_err(PostgresError::from)?;
    let read = read_all(session, major).await;
    let ended = session
        .client
        .batch_execute(end)
        .await
        .map_err(PostgresError::from);
    let snapshot = read?;
    ended?;
    Ok(snapshot)
}

/// Asks only which version this is, and what the database and its owner are called. The snapshot has
/// no objects.
///
/// # Errors
/// What the server says.
pub async fn about(session: &Session) -> Result<Snapshot, PostgresError> {
    let read = ask(session, &rights::about().sql).await?;
    let value = |n: usize| read.rows.first().and_then(|row| row.get(n)?.clone());
    Ok(Snapshot {
        server_version: session.server_version().num,
        database: value(0).unwrap_or_default(),
        owner: value(1).unwrap_or_default(),
        ..Snapshot::default()
    })
}

async fn read_all(session: &Session, major: u32) -> Result<Snapshot, CatalogError> {
    let sections = sections(major);
    // All are on their way before the first answer comes, and what has come is put together while
    // the server is busy with the next.
    let mut answers: FuturesOrdered<_> = sections
        .iter()
        .map(|section| async { (section.name, ask(session, &section.sql).await) })
        .collect();
    let mut assembly = Assembly::new(session.server_version().num);
    while let Some((section, read)) = answers.next().await {
        let read = read.map_err(|error| CatalogError::Section { section, error })?;
        assembly.take(section, read)?;
    }
    Ok(assembly.snapshot())
}

/// Computes a hash of the questions that are asked of a version: a snapshot that was kept is as
/// good as a new one only when they are the same.
pub fn fingerprint(major: u32) -> String {
    let texts: Vec<String> = sections(major).into_iter().map(|s| s.sql).collect();
    crate::digest::digest(texts.join("\n").as_bytes())
}

/// How many queries a version is asked, whatever the size of its database.
pub fn queries(major: u32) -> usize {
    sections(major).len()
}

fn sections(major: u32) -> Vec<Section> {
    let mut all = vec![rights::about(), rights::defaults(major)];
    all.extend(structure::sections(major));
    all.extend(relations::sections(major));
    all.extend(routines::sections(major));
    all.extend(user_defined::sections(major));
    all.extend(searching::sections());
    all.extend(foreign::sections(major));
    all.extend(rights::sections(major));
    all.extend(initial::sections());
    all
}

async fn ask(session: &Session, sql: &str) -> Result<Read, PostgresError> {
    let mut stream = pin!(session.client.simple_query_raw(sql).await?);
    let mut read = Read {
        columns: Vec::new(),
        rows: Vec::new(),
    };
    while let Some(message) = stream.next().await {
        match message? {
            SimpleQueryMessage::RowDescription(columns) => {
                read.columns = columns.iter().map(|c| c.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|n| row.get(n).map(str::to_owned));
                read.rows.push(values.collect());
            }
            _ => {}
        }
    }
    Ok(read)
}

/// Names of schemas that are a user's.
fn user_schema(alias: &str) -> String {
    format!("({alias}.nspname !~ '^pg_' AND {alias}.nspname <> 'information_schema')")
}

/// Tells that an object is not a part of an extension.
fn not_of_extension(catalog: &str, oid: &str) -> String {
    format!(
        "{oid} NOT IN (SELECT e.objid FROM pg_depend e WHERE e.deptype = 'e' \
         AND e.classid = '{catalog}'::regclass)"
    )
}

/// What people remark on an object, as a property.
fn comment(catalog: &str, oid: &str) -> String {
    format!(
        "(SELECT d.description FROM pg_description d WHERE d.objoid = {oid} \
         AND d.classoid = '{catalog}'::regclass AND d.objsubid = 0) AS comment"
    )
}

/// The extensions without which an object goes, as a property and the join that it needs.
fn goes_with(catalog: &str, oid: &str) -> [String; 2] {
    [
        "goes.along AS \"depends on extension\"".to_owned(),
        format!(
            "LEFT JOIN (SELECT d.objid, string_agg(quote_ident(x.extname), ', ' \
             ORDER BY x.extname) AS along FROM pg_depend d JOIN pg_extension x \
             ON x.oid = d.refobjid WHERE d.refclassid = 'pg_extension'::regclass \
             AND d.classid = '{catalog}'::regclass AND d.deptype = 'x' GROUP BY 1) goes \
             ON goes.objid = {oid} "
        ),
    ]
}

/// A list of `name=value` settings in an order that says nothing.
fn sorted(list: &str) -> String {
    format!("(SELECT string_agg(o, ', ' ORDER BY o) FROM unnest({list}) o)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_queries_is_small_for_every_version() {
        for major in MAJORS {
            assert!(sections(major).len() <= 40);
        }
    }
}
