//! Runbooks as operators write them: what loads, and what is said of every kind of mistake.
//!
//! Beside every broken file of `tests/fixtures/invalid` stands what is said of it, to the letter.
//! `STAGEGATE_BLESS=1 cargo nextest run -E 'test(runbooks)'` writes these texts anew; read the
//! difference before you keep it.

// A test that cannot go on says where it stands; it has nobody to hand an error to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stagegate::runbook::{Kind, Problems, Runbook, load};

fn fixtures(folder: &str, extension: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<PathBuf> = fs::read_dir(root.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|is| is == extension))
        .collect();
    found.sort();
    found
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn load_file(path: &Path) -> Result<Runbook, Problems> {
    load(
        name(path),
        &fs::read_to_string(path).unwrap(),
        &BTreeMap::new(),
    )
}

#[test]
fn every_mistake_is_explained() {
    let bless = std::env::var_os("STAGEGATE_BLESS").is_some();
    let files = fixtures("tests/fixtures/invalid", "toml");
    assert!(files.len() >= 35);
    let mut wrong = Vec::new();
    for path in &files {
        let Err(problems) = load_file(path) else {
            wrong.push(format!("{} loads", name(path)));
            continue;
        };
        let said = problems.render(false);
        let beside = path.with_extension("txt");
        if bless {
            fs::write(&beside, &said).unwrap();
        } else if fs::read_to_string(&beside).ok().as_deref() != Some(said.as_str()) {
            wrong.push(format!("{}: this is said now:\n{said}", name(path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The word that stands in the broken files where a password could.
const SECRET: &str = "hunter2secret";

#[test]
fn no_password_of_a_file_is_ever_shown() {
    let mut seen = 0;
    for path in fixtures("tests/fixtures/invalid", "toml") {
        let holds = fs::read_to_string(&path).unwrap().contains(SECRET);
        seen += usize::from(holds);
        let problems = load_file(&path).expect_err("it is broken");
        for shown in [
            problems.render(true),
            problems.to_string(),
            format!("{problems:?}"),
        ] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }
    assert!(seen >= 5, "{seen} files hold one");
}

/// A text that was left beside a file that is gone would never be looked at again.
#[test]
fn every_text_has_its_file() {
    let stems = |extension: &str| -> BTreeSet<PathBuf> {
        let files = fixtures("tests/fixtures/invalid", extension);
        files.iter().map(|path| path.with_extension("")).collect()
    };
    assert_eq!(stems("txt"), stems("toml"));
}

#[test]
fn problems_are_in_the_order_of_the_file() {
    for path in fixtures("tests/fixtures/invalid", "toml") {
        let problems = load_file(&path).expect_err("it is broken").problems;
        let places: Vec<(usize, usize)> = problems.iter().map(|p| (p.line, p.column)).collect();
        assert!(places.is_sorted(), "{}: {places:?}", name(&path));
    }
}

/// Every key of the format, so that none is left without a file that uses it.
const KEYS: [&str; 66] = [
    "format",
    "migrations_disabled_by",
    "plan",
    "paste",
    "recovery",
    "title",
    "summary",
    "root",
    "vars",
    "window",
    "target",
    "role",
    "phase",
    "opens",
    "closes",
    "lasts",
    "last_start",
    "rollback_margin",
    "url",
    "environment",
    "system_identifier",
    "name",
    "members",
    "id",
    "help",
    "gate",
    "waivable",
    "timeout",
    "retry",
    "attempts",
    "every",
    "checklist",
    "items",
    "text",
    "input",
    "unit",
    "capture",
    "query",
    "sql",
    "file",
    "expect",
    "rows",
    "value",
    "table",
    "error",
    "sqlstate",
    "routine",
    "exec",
    "argv",
    "env",
    "cwd",
    "looks",
    "exit",
    "stdout_contains",
    "stdout_lacks",
    "stdout_matches",
    "stdout_last_line",
    "path",
    "exists",
    "contains",
    "lacks",
    "backup",
    "jobs",
    "migrate",
    "files",
    "signoff",
];
const TOOL_KEYS: [&str; 19] = [
    "tool",
    "url_env",
    "url_scheme",
    "user_env",
    "password_env",
    "version",
    "status",
    "pending",
    "applied",
    "none",
    "broken",
    "read_only",
    "plan",
    "until",
    "volatile",
    "apply",
    "revert",
    "use",
    "action",
];
const WATCHING_KEYS: [&str; 22] = [
    "observe",
    "for",
    "metrics",
    "success",
    "failure",
    "min_samples",
    "failures_allowed",
    "errors_allowed",
    "inconclusive_allowed",
    "statistic",
    "ramp",
    "set_sql",
    "read_sql",
    "set",
    "read",
    "pattern",
    "steps",
    "percent",
    "soak",
    "confirm",
    "on_breach",
    "every",
];
const LATER_KEYS: [&str; 19] = [
    "commit",
    "repository",
    "branch",
    "message",
    "template",
    "source",
    "lint",
    "deny",
    "allow",
    "hazard",
    "predicate",
    "reason",
    "boundary",
    "from",
    "may_not_write",
    "recovery-point",
    "max_archive_age",
    "restore_point",
    "require_archiving",
];
const COMPARING_KEYS: [&str; 17] = [
    "pending",
    "drift",
    "expected",
    "schemas",
    "ignore",
    "allow",
    "migrations",
    "version_table",
    "changelog",
    "approvers",
    "change_of",
    "reviewed",
    "record_change",
    "schema-version",
    "verified_by",
    "table",
    "search_path",
];
const VERSIONING_KEYS: [&str; 16] = [
    "git",
    "clean",
    "in_sync",
    "fetch",
    "contains",
    "not_behind",
    "tag",
    "signed_by",
    "allowed_signers",
    "merge",
    "from",
    "into",
    "mode",
    "push",
    "remote",
    "reviewed",
];
const MORE_KEYS: [&str; 21] = [
    "style",
    "adopt",
    "baseline",
    "search_path",
    "lock_timeout",
    "statement_timeout",
    "budget",
    "queue_limit",
    "queue_wait",
    "dumps",
    "out_of_order",
    "roles",
    "distinct",
    "signature",
    "signatures",
    "allowed_signers",
    "revoked",
    "domain",
    "expires",
    "break_glass",
    "reason",
];

fn keys_of(value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                found.insert(key.clone());
                keys_of(value, found);
            }
        }
        toml::Value::Array(list) => list.iter().for_each(|item| keys_of(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_format_loads_somewhere() {
    let mut used = BTreeSet::new();
    let files = fixtures("tests/fixtures/valid", "toml");
    assert!(files.len() >= 8);
    for path in files {
        if let Err(problems) = load_file(&path) {
            panic!("{problems}");
        }
        let text = fs::read_to_string(&path).unwrap();
        let tree: toml::Table = text.trim_start_matches('\u{feff}').parse().unwrap();
        keys_of(&toml::Value::Table(tree), &mut used);
    }
    let unused: Vec<&str> = KEYS
        .into_iter()
        .chain(MORE_KEYS)
        .chain(COMPARING_KEYS)
        .chain(WATCHING_KEYS)
        .chain(LATER_KEYS)
        .chain(VERSIONING_KEYS)
        .chain(TOOL_KEYS)
        .filter(|key| !used.contains(*key))
        .collect();
    assert!(unused.is_empty(), "no file uses {unused:?}");
}

#[test]
fn shipped_runbooks_load() {
    let shipped = fixtures("runbooks", "toml");
    assert!(!shipped.is_empty());
    for path in shipped {
        if let Err(problems) = load_file(&path) {
            panic!("{problems}");
        }
    }
}

fn valid(file: &str) -> Runbook {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/valid");
    load_file(&root.join(file)).unwrap()
}

#[test]
fn values_mean_what_they_say() {
    let runbook = valid("02-checklist.toml");
    let vars: Vec<&str> = runbook.vars.values().map(String::as_str).collect();
    assert_eq!(vars, ["16", "#db-promotion", "false", "0.25"]);
    let runbook = valid("03-query.toml");
    let Kind::Query(rows) = &runbook.gate("rows").unwrap().kind else {
        panic!("a query");
    };
    assert_eq!(rows.expect.rows.as_ref().unwrap().to_string(), "= 1");
    assert_eq!(
        runbook.gate("rows").unwrap().timeout,
        Some(Duration::from_secs(90))
    );
    let Kind::Query(table) = &runbook.gate("table").unwrap().kind else {
        panic!("a query");
    };
    let expected = [["eng", "14", "0.5", "t"], ["vh", "12", "1.0", "f"]];
    assert_eq!(table.expect.table.as_ref().unwrap(), &expected);
    let runbook = valid("05-backup-and-migrate.toml");
    let Kind::Migrate(rest) = &runbook.gate("migrate-rest").unwrap().kind else {
        panic!("a migration");
    };
    assert_eq!(rest.lock_timeout, Duration::from_secs(2));
    assert_eq!(rest.queueing.budget, Duration::from_secs(300));
    assert_eq!(
        (
            rest.queueing.queue_limit,
            rest.queueing.queue_wait.as_secs()
        ),
        (50, 5)
    );
    assert_eq!(rest.statement_timeout, Duration::from_secs(600));
    assert_eq!((rest.attempts, rest.out_of_order), (5, false));
    let runbook = valid("observe-and-ramp.toml");
    let Kind::Ramp(ramp) = &runbook.gate("by-sql").unwrap().kind else {
        panic!("a ramp");
    };
    let soaks: Vec<u64> = ramp.steps.iter().map(|step| step.soak.as_secs()).collect();
    assert_eq!(soaks, [5400, 3600, 0]);
    let window = valid("06-window-by-times.toml").window.unwrap();
    assert_eq!(window.opens.unwrap().to_string(), "2025-11-22T00:00:00Z");
}

/// A file's digest is that of its bytes, whatever an editor put before them.
#[test]
fn a_byte_order_mark_changes_the_digest_and_nothing_else() {
    let (plain, marked) = (
        valid("01-smallest.toml"),
        valid("10-bom-and-windows-line-ends.toml"),
    );
    assert_ne!(plain.digest, marked.digest);
    assert_eq!(plain.phases, marked.phases);
}

#[test]
fn the_command_line_replaces_variables_and_adds_none() {
    let text = "format = 1\ntitle = \"x\"\n\n[vars]\nbatch = 1\n\n[[phase]]\nid = \"a\"\n\
        title = \"A\"\n[[phase.gate]]\nid = \"b\"\ntitle = \"B\"\nfile = { path = \"{batch}\" }\n";
    let given = |name: &str| BTreeMap::from([(name.to_owned(), "{run.id}".to_owned())]);
    let runbook = load("x.toml", text, &given("batch")).unwrap();
    assert_eq!(runbook.vars["batch"], "{run.id}");
    let problems = load("x.toml", text, &given("bacth")).expect_err("there is no such variable");
    assert_eq!(
        problems.to_string(),
        "error: --var names `bacth`, which this runbook does not have\n \
         --> x.toml:4:1\n  |\n4 | [vars]\n  | ^^^^^^ the variables that it has stand here\n  |\n  \
         = help: did you mean `batch`? valid here: `batch`\n\nx.toml: 1 problem; nothing was started\n"
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..Default::default()
    })]

    /// Whatever stands in a file, it loads or is explained; it never ends the program.
    #[test]
    fn no_text_ends_the_program(pick in 0usize..100, at in 0usize..2000, length in 0usize..40, junk in "\\PC{0,12}|[\\[\\]{}=\"'\n ,.#]{0,12}") {
        let mut files = fixtures("tests/fixtures/valid", "toml");
        files.extend(fixtures("tests/fixtures/invalid", "toml"));
        let mut text: Vec<char> = fs::read_to_string(&files[pick % files.len()]).unwrap().chars().collect();
        let from = at.min(text.len());
        let to = (from + length).min(text.len());
        text.splice(from..to, junk.chars());
        let text: String = text.into_iter().collect();
        if let Err(problems) = load("x.toml", &text, &BTreeMap::new()) {
            proptest::prop_assert!(!problems.problems.is_empty());
            proptest::prop_assert!(!problems.render(true).is_empty());
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_shown_with_their_place() {
    let bytes = b"format = 1\ntitle = \"Pr\xfcfung\"\n";
    let problems =
        stagegate::runbook::load_bytes("latin.toml", bytes, &BTreeMap::new()).unwrap_err();
    let said = problems.to_string();
    assert!(said.contains("byte 22 is not UTF-8"), "{said}");
    assert!(said.contains("latin.toml:2:12"), "{said}");
}
