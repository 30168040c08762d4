//! One property of one object is changed at a time: exactly that is found, and nothing else.
//!
//! The changes are in `drift_mutations.sql`. Each runs in a transaction that is rolled back, in
//! two databases with the same schema and other object ids.

use std::collections::BTreeSet;

use stagegate::postgres::{Session, catalog};
use stagegate::schema::{Comparison, Kind, Options, Snapshot, compare};

use crate::drift_world::{database, majors, server, world};
use crate::server::run;

const MUTATIONS: &str = include_str!("drift_mutations.sql");

/// One entry of the list: `--# change | kind | name | property | versions`, then its SQL.
struct Mutation {
    line: usize,
    expected: String,
    versions: std::ops::RangeInclusive<u32>,
    sql: String,
}

fn mutations() -> Vec<Mutation> {
    let mut all: Vec<Mutation> = Vec::new();
    for (index, line) in MUTATIONS.lines().enumerate() {
        let Some(head) = line.strip_prefix("--# ") else {
            let last = all.last_mut().unwrap();
            last.sql.push_str(line);
            last.sql.push('\n');
            continue;
        };
        let mut words: Vec<&str> = head.split('|').map(str::trim).collect();
        let versions = words.get(4).copied().unwrap_or("13-");
        let (first, last) = versions.split_once('-').unwrap();
        let versions = first.parse().unwrap()..=last.parse().unwrap_or(99);
        words.truncate(4);
        all.push(Mutation {
            line: index + 1,
            expected: words.join(" | "),
            versions,
            sql: String::new(),
        });
    }
    all
}

fn found(comparison: &Comparison) -> Vec<String> {
    let said = comparison.differences.iter().map(|d| {
        let property = d.property.as_deref().unwrap_or_default();
        format!(
            "{} | {} | {} | {property}",
            d.change.word(),
            d.kind.word(),
            d.name
        )
    });
    said.collect()
}

fn differs(expected: &Snapshot, actual: &Snapshot) -> Comparison {
    compare(expected, actual, &Options::default())
}

/// Reads the schema as it is after the change, which is then undone.
async fn mutated(session: &Session, sql: &str) -> Result<Snapshot, String> {
    run(session, "BEGIN; SET LOCAL client_min_messages = error").await;
    let after = match session.client.batch_execute(sql).await {
        Ok(()) => catalog::read_within(session)
            .await
            .map_err(|error| format!("{error:?}")),
        Err(error) => Err(format!("{error:?}")),
    };
    run(session, "ROLLBACK").await;
    after
}

/// Grants are one property, whoever has them.
fn property_class(property: &str) -> String {
    let class = property
        .split_once(" to ")
        .map_or(property, |(class, _)| class);
    class.to_owned()
}

fn pairs(snapshot: &Snapshot) -> impl Iterator<Item = (Kind, String)> {
    snapshot.objects.iter().flat_map(|(id, object)| {
        let properties = object.properties.keys();
        properties.map(|property| (id.kind, property_class(property)))
    })
}

async fn on_version(major: u32) -> (usize, Vec<String>) {
    let cluster = server(major).await;
    let (one, two) = (
        database(&cluster, "one").await,
        database(&cluster, "two").await,
    );
    run(&one, &world(major)).await;
    run(&two, &world(major)).await;
    let before = catalog::read(&one).await.unwrap();
    let beside = catalog::read(&two).await.unwrap();
    let mut wrong = found(&differs(&before, &beside));
    let mut read: BTreeSet<(Kind, String)> = pairs(&before).collect();
    let mut covered: BTreeSet<(Kind, String)> = BTreeSet::new();
    let mut count = 0;
    for mutation in mutations() {
        if !mutation.versions.contains(&major) {
            continue;
        }
        count += 1;
        let (here, there) =
            tokio::join!(mutated(&one, &mutation.sql), mutated(&two, &mutation.sql));
        let (here, there) = match (here, there) {
            (Ok(here), Ok(there)) => (here, there),
            (Err(error), _) | (_, Err(error)) => {
                wrong.push(format!("line {}: {error}", mutation.line));
                continue;
            }
        };
        let comparison = differs(&before, &here);
        let seen = found(&comparison);
        if seen != [mutation.expected.as_str()] {
            wrong.push(format!(
                "line {}: {}\n  found {seen:#?}",
                mutation.line, mutation.expected
            ));
        }
        let left = found(&differs(&here, &there));
        if !left.is_empty() || here.checksum() != there.checksum() {
            wrong.push(format!(
                "line {}: on both sides, and yet {left:#?}",
                mutation.line
            ));
        }
        read.extend(pairs(&here));
        for difference in comparison.differences {
            let property = difference.property.as_deref().map(property_class);
            covered.extend(property.map(|property| (difference.kind, property)));
        }
    }
    let missing: Vec<_> = read.difference(&covered).collect();
    if !missing.is_empty() {
        wrong.push(format!("nothing changes {missing:?}"));
    }
    let kinds: BTreeSet<Kind> = before.objects.keys().map(|id| id.kind).collect();
    let without = Kind::ALL.iter().filter(|kind| !kinds.contains(kind));
    wrong.extend(without.map(|kind| format!("the world has no {kind}")));
    (count, wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_mutation_is_exactly_one_difference_and_on_both_sides_none() {
    let mut wrong = Vec::new();
    for major in majors() {
        let (count, of_version) = on_version(major).await;
        assert!(count > 300, "{count}");
        wrong.extend(of_version.iter().map(|text| format!("{major}: {text}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
