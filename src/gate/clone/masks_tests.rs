//! Rules are found by table and by partitioned table; what is personal needs one.

use super::*;
use crate::runbook::{Previous, Sessions};

fn gate(rules: &[(&str, Mask)], personal: &[&str]) -> CloneDatabase {
    CloneDatabase {
        from: "production".into(),
        target: "development".into(),
        backup: "backup".into(),
        safety: "backups".into(),
        jobs: 2,
        sessions: Sessions::Refuse,
        maintenance: "postgres".into(),
        may_drop: Vec::new(),
        may_call: Vec::new(),
        large_objects: None,
        rows: true,
        previous: Previous::Keep,
        users: None,
        mask: rules
            .iter()
            .map(|(name, rule)| ((*name).to_owned(), rule.clone()))
            .collect(),
        personal: personal.iter().map(|p| (*p).to_owned()).collect(),
    }
}

fn column(name: &str) -> Column {
    Column {
        name: name.into(),
        type_name: "text".into(),
        type_oid: 25,
        generated: false,
        identity: None,
        not_null: name == "id",
    }
}

fn tables() -> Tables {
    let table = |oid: u32, name: &str, columns: &[&str]| Table {
        oid,
        schema: "app".into(),
        name: name.into(),
        quoted: format!("app.{name}"),
        unlogged: false,
        partition: oid == 2,
        extension: None,
        bytes: u64::from(oid),
        estimated_rows: None,
        columns: columns.iter().map(|name| column(name)).collect(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
        row_security: false,
        row_security_forced: false,
    };
    Tables {
        tables: vec![
            table(1, "people", &["id", "Email"]),
            table(2, "log_2026", &["id", "who"]),
        ],
        ..Tables::default()
    }
}

fn decided(rules: &[(&str, Mask)], personal: &[&str]) -> Result<Masked, Finding> {
    let above = Above::from([(2, vec!["app.log".to_owned()])]);
    decide(&gate(rules, personal), &tables(), &above, "salt")
}

#[test]
fn a_partition_is_hidden_as_its_table_says() {
    let rules = [
        ("app.log.who", Mask::Hash),
        ("app.people.Email", Mask::Keep),
    ];
    let masked = decided(&rules, &["*mail*"]).unwrap();
    assert_eq!(masked.said, ["app.log_2026.who: hash"]);
    assert_eq!(masked.plans[0].quoted, "app.log_2026", "the largest first");
    assert_eq!(masked.plans[0].instead[0].0, "\"who\"");
    assert!(masked.plans[1].instead.is_empty());
}

#[test]
fn nothing_personal_leaves_without_a_decision() {
    let finding = decided(&[], &["*mail*"]).unwrap_err();
    assert!(finding.caused_by[0].starts_with("app.people.Email matches"));
}

#[test]
fn a_rule_of_nothing_and_one_that_cannot_hold_are_refused() {
    let of_nothing = decided(&[("app.people.phone", Mask::Null)], &[]).unwrap_err();
    assert_eq!(of_nothing.summary, "there is no column app.people.phone");
    let null = decided(&[("app.people.id", Mask::Null)], &[]).unwrap_err();
    assert_eq!(null.summary, "app.people.id cannot be null");
}
