//! Tests of the difference: laws that hold for all pairs, and the rules one by one.

use proptest::prelude::*;

use super::super::HIDDEN;
use super::super::snapshot::tests::snapshots;
use super::*;

fn id(kind: Kind, name: &str) -> ObjectId {
    ObjectId::new(kind, name)
}

fn object(parent: Option<ObjectId>, properties: &[(&str, &str)]) -> Object {
    Object {
        schema: Some("public".to_owned()),
        parent,
        position: None,
        properties: properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

/// A table with three columns and an index.
fn shop() -> Snapshot {
    let mut snapshot = Snapshot {
        server_version: 150_018,
        ..Snapshot::default()
    };
    let table = id(Kind::Table, "public.orders");
    snapshot.add(
        table.clone(),
        object(Some(id(Kind::Schema, "public")), &[("owner", "app")]),
    );
    for (position, name) in ["id", "total", "note"].into_iter().enumerate() {
        let mut column = object(Some(table.clone()), &[("type", "bigint")]);
        column.position = Some(position as u32);
        snapshot.add(id(Kind::Column, &format!("public.orders.{name}")), column);
    }
    snapshot.add(
        id(Kind::Index, "public.orders_total"),
        object(Some(table), &[("definition", "ON public.orders (total)")]),
    );
    snapshot
}

fn found(expected: &Snapshot, actual: &Snapshot) -> Vec<Difference> {
    compare(expected, actual, &Options::default()).differences
}

fn mirrored(mut difference: Difference) -> Difference {
    std::mem::swap(&mut difference.expected, &mut difference.actual);
    difference.change = match difference.change {
        Change::Added => Change::Removed,
        Change::Removed => Change::Added,
        Change::Changed => Change::Changed,
    };
    difference.direction = match difference.direction {
        Direction::Ahead => Direction::Behind,
        Direction::Behind => Direction::Ahead,
        Direction::Diverged => Direction::Diverged,
    };
    difference
}

proptest! {
    #[test]
    fn a_schema_equals_itself(a in snapshots()) {
        let comparison = compare(&a, &a, &Options::default());
        prop_assert!(comparison.equal && comparison.differences.is_empty());
        prop_assert!(comparison.ignored.is_empty() && comparison.notes.is_empty());
    }

    #[test]
    fn the_other_way_round_is_the_mirror(a in snapshots(), b in snapshots()) {
        let mut there: Vec<Difference> = found(&a, &b).into_iter().map(mirrored).collect();
        there.sort_by(|x, y| order(x).cmp(&order(y)));
        prop_assert_eq!(there, found(&b, &a));
    }

    #[test]
    fn equal_means_equal_objects(a in snapshots(), b in snapshots()) {
        let equal = compare(&a, &b, &Options::default()).equal;
        // Only the order of common columns counts, so gaps in positions make no difference.
        if a.objects == b.objects {
            prop_assert!(equal);
        }
        let strip = |s: &Snapshot| -> Vec<_> {
            s.objects.iter().map(|(id, o)| (id.clone(), o.properties.clone())).collect()
        };
        if equal {
            prop_assert_eq!(strip(&a), strip(&b));
        }
    }
}

#[test]
fn a_missing_table_takes_what_is_in_it_along() {
    let mut bare = Snapshot {
        server_version: 150_018,
        ..Snapshot::default()
    };
    let differences = found(&shop(), &bare);
    assert_eq!(differences.len(), 1);
    let [table] = differences.as_slice() else {
        return;
    };
    assert_eq!((table.kind, table.change), (Kind::Table, Change::Removed));
    assert_eq!(table.severity, Severity::Hard);
    assert_eq!(table.direction, Direction::Behind);
    assert_eq!(table.dependants.len(), 4);
    bare.add(id(Kind::Schema, "extra"), object(None, &[]));
    let extra = found(&bare, &shop());
    assert_eq!(extra.len(), 2);
    assert_eq!(extra[0].severity, Severity::Soft);
    assert_eq!(extra[1].direction, Direction::Ahead);
}

#[test]
fn a_changed_property_says_both_values_and_how_bad_it_is() {
    let mut actual = shop();
    let mut set = |kind, name: &str, property: &str, value: &str| {
        let object = actual.objects.get_mut(&id(kind, name)).unwrap();
        object.properties.insert(property.into(), value.into());
    };
    set(Kind::Column, "public.orders.total", "type", "numeric");
    set(Kind::Column, "public.orders.id", "not null", "not null");
    set(Kind::Index, "public.orders_total", "comment", "for reports");
    set(Kind::Index, "public.orders_total", "valid", "no");
    let told: Vec<_> = found(&shop(), &actual)
        .into_iter()
        .map(|d| (d.name, d.property.unwrap(), d.severity, d.direction))
        .collect();
    assert_eq!(
        told,
        [
            (
                "public.orders.id",
                "not null",
                Severity::Hard,
                Direction::Ahead
            ),
            (
                "public.orders.total",
                "type",
                Severity::Soft,
                Direction::Diverged
            ),
            (
                "public.orders_total",
                "comment",
                Severity::Soft,
                Direction::Ahead
            ),
            (
                "public.orders_total",
                "valid",
                Severity::Hard,
                Direction::Ahead
            ),
        ]
        .map(|(name, property, s, d)| (name.to_owned(), property.to_owned(), s, d))
    );
}

#[test]
fn the_order_of_columns_is_told_once_and_apart() {
    let mut actual = shop();
    for (name, position) in [("id", 7), ("total", 9), ("note", 8)] {
        let column = id(Kind::Column, &format!("public.orders.{name}"));
        actual.objects.get_mut(&column).unwrap().position = Some(position);
    }
    let differences = found(&shop(), &actual);
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].expected.as_deref(), Some("id, total, note"));
    assert_eq!(differences[0].actual.as_deref(), Some("id, note, total"));
    assert_eq!(differences[0].severity, Severity::Soft);
}

#[test]
fn a_rename_is_suspected_and_nothing_is_assumed() {
    let mut actual = shop();
    let column = actual
        .objects
        .remove(&id(Kind::Column, "public.orders.note"))
        .unwrap();
    actual.add(id(Kind::Column, "public.orders.remark"), column);
    let comparison = compare(&shop(), &actual, &Options::default());
    assert_eq!(comparison.differences.len(), 2);
    assert_eq!(comparison.renames.len(), 1);
    assert_eq!(comparison.renames[0].expected, "public.orders.note");
    assert_eq!(
        comparison.differences[0].maybe_renamed.as_deref(),
        Some("public.orders.remark")
    );
    assert!(!comparison.equal);
    assert_eq!(comparison.direction(), Some(Direction::Diverged));
}

#[test]
fn what_is_ignored_is_shown_with_its_rule() {
    let mut actual = shop();
    let table = id(Kind::Table, "public.orders");
    let column = id(Kind::Column, "public.orders.total");
    let said = |o: &mut Object, p: &str| o.properties.insert(p.into(), "other".into());
    said(actual.objects.get_mut(&table).unwrap(), "owner");
    said(actual.objects.get_mut(&column).unwrap(), "type");
    let ignored = |rule: &str| {
        let options = Options {
            ignore: vec![rule.parse().unwrap()],
        };
        let comparison = compare(&shop(), &actual, &options);
        for difference in &comparison.ignored {
            assert_eq!(difference.ignored_by.as_deref(), Some(rule));
        }
        assert_eq!(comparison.ignored.len() + comparison.differences.len(), 2);
        assert_eq!(comparison.equal, comparison.ignored.len() == 2);
        comparison.ignored.len()
    };
    // A table is ignored with all that is in it.
    assert_eq!(ignored("table:public.*"), 2);
    assert_eq!(ignored("*.owner:*"), 1);
    assert_eq!(ignored("column:public.orders.t*"), 1);
    assert_eq!(ignored("view:*"), 0);
}

#[test]
fn another_version_is_said_and_its_own_privilege_means_nothing() {
    let mut newer = shop();
    newer.server_version = 170_002;
    let mut older = shop();
    let table = id(Kind::Table, "public.orders");
    for (side, value) in [
        (&mut newer, "INSERT, MAINTAIN, SELECT*"),
        (&mut older, "INSERT, SELECT*"),
    ] {
        let object = side.objects.get_mut(&table).unwrap();
        object
            .properties
            .insert("grants to app".into(), value.into());
    }
    let comparison = compare(&older, &newer, &Options::default());
    assert!(comparison.equal);
    assert_eq!(comparison.notes.len(), 1);
}

/// One object with one property, as a server of that version says it.
fn said(major: u32, kind: Kind, property: &str, value: Option<&str>) -> Snapshot {
    let mut snapshot = Snapshot {
        server_version: major * 10_000,
        ..Snapshot::default()
    };
    let properties: Vec<(&str, &str)> = value.map(|value| (property, value)).into_iter().collect();
    snapshot.add(id(kind, "a"), object(None, &properties));
    snapshot
}

#[test]
fn what_only_one_of_two_versions_has_is_no_difference_and_between_equals_it_is() {
    let pair = |versions: [u32; 2], kind, property| {
        let [one, two] = versions;
        let (one, two) = (
            said(one, kind, property, None),
            said(two, kind, property, Some("x")),
        );
        compare(&one, &two, &Options::default())
    };
    for (kind, property, versions, equal) in [
        (Kind::RangeType, "multirange", [13, 15], true),
        (Kind::RangeType, "multirange", [14, 15], false),
        (Kind::Column, "not null constraint", [17, 18], true),
        (Kind::Column, "not null constraint", [18, 18], false),
        (Kind::Extension, "version", [15, 16], true),
        (Kind::Extension, "version", [16, 16], false),
        (Kind::Extension, "in schema", [15, 16], false),
    ] {
        let comparison = pair(versions, kind, property);
        assert_eq!(comparison.equal, equal, "{property} {versions:?}");
        assert_eq!(comparison.notes.is_empty(), versions[0] == versions[1]);
    }
}

#[test]
fn what_a_role_may_not_read_is_told_and_not_compared() {
    let mapping = |value| said(15, Kind::UserMapping, "option names", value);
    let unread = mapping(Some(HIDDEN));
    for known in [mapping(None), mapping(Some("password"))] {
        for [one, two] in [[&known, &unread], [&unread, &known]] {
            let comparison = compare(one, two, &Options::default());
            assert!(comparison.equal);
            assert!(comparison.notes[0].starts_with("option names of user mapping a could not"));
        }
    }
}

#[test]
fn a_remark_that_reads_like_what_is_hidden_hides_nothing() {
    let side = |comment: &str| {
        let mut snapshot = Snapshot::default();
        let mut object = Object::default();
        object.properties.insert("comment".into(), comment.into());
        snapshot.add(ObjectId::new(Kind::Table, "s.t"), object);
        snapshot
    };
    let comparison = compare(&side(HIDDEN), &side("x"), &Options::default());
    assert_eq!(comparison.differences.len(), 1);
    assert!(comparison.notes.is_empty());
}
