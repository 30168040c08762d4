//! The checker itself, held against files that break each of its rules.

use super::{Floors, LONGEST_FILE, LONGEST_FUNCTION, check, check_map, floors};

const MAP: &str = "//! The map.\n//!\n//! | floor | room | what |\n//! |---|---|---|\n\
    //! | 0 | [`untrusted`], [`digest`] | words |\n//! | 1 | [`runbook`] | format |\n\
    //! | 1 | [`promotion`] | states |\n//! | 2 | [`postgres`] | sessions |\n\
    //! | 2 | [`system`] | processes |\n//! | 3 | [`gate`] | kinds |\n//! | 4 | [`engine`] | runs |\n";

fn map() -> Floors {
    floors(MAP)
}

/// Checks a file whose first line is in order.
fn found(path: &str, code: &str) -> Vec<String> {
    check(path, &format!("//! Owns it.\n{code}"), &map())
}

fn assert_found(path: &str, code: &str, line: usize, words: &str) {
    let found = found(path, code);
    let wanted = format!("{path}:{line}: ");
    assert_eq!(found.len(), 1, "{code}: {found:?}");
    assert!(
        found[0].starts_with(&wanted) && found[0].contains(words),
        "{found:?}"
    );
}

#[test]
fn a_file_in_order_is_left_alone() {
    let code = "//! See [`crate::engine`] and std::fs; a comment may name them.\n\
        use crate::digest::digest;\nuse super::model::Runbook;\n\
        /// Not `todo!()`, and crate::gate::Gate only in words.\n\
        fn a() -> &'static str { \"use std::fs; TODO crate::engine::x\" }\n\
        #[cfg(test)]\nmod tests {\n    use super::*;\n    use std::fs;\n}\n";
    assert_eq!(found("src/runbook/load.rs", code), Vec::<String>::new());
    assert_eq!(
        found("src/postgres/dump_files.rs", "use crate::system::x;"),
        Vec::<String>::new()
    );
    assert_eq!(
        found("src/gate/query.rs", "use tokio::time::sleep;"),
        Vec::<String>::new()
    );
}

#[test]
fn a_file_says_what_it_owns() {
    let wrong = check("src/gate/query.rs", "use crate::digest::digest;\n", &map());
    assert_eq!(
        wrong,
        ["src/gate/query.rs:1: does not open with `//!`, saying what it owns"]
    );
}

#[test]
fn nobody_imports_from_above() {
    let above = "imports from above";
    assert_found("src/runbook/load.rs", "use crate::gate::Plan;", 2, above);
    assert_found(
        "src/promotion/run.rs",
        "\nfn a() { crate::engine::start() }",
        3,
        above,
    );
    assert_found(
        "src/digest.rs",
        "use crate::{untrusted_not, runbook::{load, Gate}};",
        2,
        above,
    );
    assert_found(
        "src/postgres/ask.rs",
        "use super::super::gate::Plan;",
        2,
        above,
    );
    assert_found("src/gate/mod.rs", "use super::engine::Engine;", 2, above);
    assert_found(
        "src/runbook/gates/file.rs",
        "use super::super::super::gate::Plan;",
        2,
        above,
    );
    assert_found(
        "src/runbook/load.rs",
        "#[cfg(test)]\nuse crate::gate::Plan;",
        3,
        above,
    );
}

#[test]
fn neighbours_leave_each_other_alone_but_for_one_door() {
    let one_floor = "are on one floor";
    assert_found(
        "src/promotion/run.rs",
        "use crate::runbook::Runbook;",
        2,
        one_floor,
    );
    assert_found(
        "src/system/process.rs",
        "use crate::postgres::Session;",
        2,
        one_floor,
    );
    assert_found(
        "src/digest.rs",
        "use crate::untrusted::clean;",
        2,
        one_floor,
    );
}

#[test]
fn what_serves_a_run_does_not_know_it() {
    let plain = "hand it plain values";
    assert_found(
        "src/postgres/ask.rs",
        "use crate::promotion::Verdict;",
        2,
        plain,
    );
    assert_found(
        "src/system/durable.rs",
        "use crate::runbook::Runbook;",
        2,
        plain,
    );
}

#[test]
fn a_pure_floor_has_no_world_and_no_clock() {
    let pure = "a pure floor names";
    for code in [
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::File};",
        "fn a() { std::env::var(\"X\") }",
        "use std::net::TcpStream;",
        "use std::process::Command;",
        "use std::time::{Duration, Instant};",
        "use std::time::SystemTime;",
        "fn a() { jiff::Timestamp::now() }",
        "use tokio::sync::mpsc;",
    ] {
        assert_found("src/promotion/run.rs", code, 2, pure);
        assert_eq!(
            found("src/engine/actor_loop.rs", code),
            Vec::<String>::new()
        );
    }
}

#[test]
fn files_and_functions_stay_short() {
    let long = "// x\n".repeat(LONGEST_FILE);
    assert_found("src/gate/query.rs", &long, 1, "of 400 at most");
    let with_tests = format!("#[cfg(test)]\nmod tests {{}}\n{long}");
    assert_eq!(
        found("src/gate/query.rs", &with_tests),
        Vec::<String>::new()
    );
    let body = "    a();\n".repeat(LONGEST_FUNCTION - 1);
    let function = format!("\nfn long() {{\n{body}}}\n");
    assert_found("src/gate/query.rs", &function, 3, "`long` has 71 lines");
    let body = "    a();\n".repeat(LONGEST_FUNCTION - 2);
    let function = format!("fn short() {{\n{body}}}\n");
    assert_eq!(found("src/gate/query.rs", &function), Vec::<String>::new());
}

#[test]
fn nothing_is_left_for_later() {
    let marker = ["TO", "DO"].concat();
    assert_found(
        "src/gate/query.rs",
        &format!("// {marker}: more"),
        2,
        "leftover marker",
    );
    let marker = ["FIX", "ME"].concat();
    assert_found(
        "tests/suite/query.rs",
        &format!("/// {marker}"),
        2,
        "leftover marker",
    );
    assert_found("src/gate/query.rs", "fn a() { todo!() }", 2, "not finished");
    assert_found(
        "src/gate/query.rs",
        "fn a() { unimplemented!(\"x\") }",
        2,
        "not finished",
    );
    assert_found(
        "tests/suite/query.rs",
        "#[test]\n#[ignore]\nfn a() {}",
        3,
        "ignores",
    );
    assert_found(
        "tests/suite/query.rs",
        "#[should_panic(expected = \"x\")]",
        2,
        "panic",
    );
}

#[test]
fn tests_never_sleep() {
    let waits = "waits for a condition";
    for code in [
        "fn a() { std::thread::sleep(b) }",
        "use std::{thread::sleep, time::Duration};",
        "async fn a() { tokio::time::sleep(b).await }",
    ] {
        assert_found("tests/suite/query.rs", code, 2, waits);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{code}\n}}");
        assert_found("src/gate/query.rs", &tests, 4, waits);
    }
}

#[test]
fn every_module_owns_something() {
    let owns_nothing = "owns nothing";
    assert_found("src/gate/utils.rs", "", 1, owns_nothing);
    assert_found("src/gate/helpers/query.rs", "", 1, owns_nothing);
    assert_found("src/gate/mod.rs", "pub mod types;", 2, owns_nothing);
}

#[test]
fn the_map_and_the_house_agree() {
    let rooms = [
        "untrusted",
        "digest",
        "runbook",
        "promotion",
        "postgres",
        "system",
        "gate",
    ];
    let mut files: Vec<String> = rooms
        .iter()
        .map(|room| format!("src/{room}/mod.rs"))
        .collect();
    files.push("src/cellar.rs".into());
    files.push("src/main.rs".into());
    files.push("tests/suite/main.rs".into());
    assert_eq!(
        check_map(MAP, &files),
        [
            "src/lib.rs:1: the map lacks the room `cellar`",
            "src/lib.rs:1: the map shows `engine`, which is not there",
        ]
    );
}
