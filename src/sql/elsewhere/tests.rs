//! Texts as publish pages show them, and what must come of them.

use super::*;

/// What a gate would make of a text, by the classes that usually refuse.
fn verdict(text: &str) -> &'static str {
    let deny = ["data-loss".to_owned(), "host-level".to_owned()];
    let seen = read(text);
    if seen.hazards.iter().any(|h| Elsewhere::refuses(h, &deny)) {
        "refused"
    } else if !seen.unclear.is_empty() {
        "unclear"
    } else if seen.statements > 0 || seen.nothing_to_do.is_some() {
        "passed"
    } else {
        "unclear"
    }
}

fn all(wanted: &str, texts: &[&str]) {
    let wrong: Vec<String> = texts
        .iter()
        .filter(|text| verdict(text) != wanted)
        .map(|text| format!("{text:?} is {}: {:#?}", verdict(text), read(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn harmless_plans_pass() {
    all(
        "passed",
        &[
            "ALTER TABLE users ADD COLUMN age integer;",
            "alter table users add age integer",
            "-- made by drizzle\nCREATE TABLE a (b int);\n--> statement-breakpoint\nCREATE INDEX i ON a (b);",
            "Migrations to be applied:\n\n```sql\nALTER TABLE users ADD COLUMN age integer;\n```\n\nApprove and publish",
            "1. ALTER TABLE a ADD b int\n2. ALTER TABLE c ADD d int;\n",
            "- `CREATE TABLE a (b int)`\n- `ALTER TABLE c ADD d int`",
            "> 2026-11-21 10:00:00 INFO Executing: ALTER TABLE a ADD b int;",
            "[INFO] sql: CREATE TABLE a (\n  b int,\n  c text\n);\nDone.",
            "/* drops nothing; DROP TABLE x is not here */ ALTER TABLE a ADD b int;",
            "COMMENT ON TABLE a IS 'do not DROP TABLE a';",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$;",
            "ALTER TABLE a DROP CONSTRAINT c;",
            "DROP INDEX i;",
            "DELETE FROM a WHERE id = 4;",
            "We add a column. No data loss.\nALTER TABLE a ADD b int;",
            "No changes",
            "Migration plan\n\n  ✓ No schema changes detected.\n",
            "Your database is up to date!",
        ],
    );
}

#[test]
fn destructive_plans_are_refused() {
    all(
        "refused",
        &[
            "DROP TABLE users;",
            "drop\n  table\tusers",
            "DROP/**/TABLE users;",
            "CREATE TABLE x (a int); DROP TABLE x;",
            "ALTER TABLE a ADD b int;\nDROP TABLE users;",
            "ALTER TABLE a ADD b int; it isn't; DROP TABLE users; don't",
            "don't DROP TABLE users; it's bad",
            "```sql\nALTER TABLE a ADD b int;\n```\n* **DROP TABLE** `users`",
            "- DROP TABLE \"users\" CASCADE",
            "Plan: ALTER TABLE a ADD b int -- then DROP TABLE users",
            "Plan: ALTER TABLE a ADD b int /* DROP TABLE users */;",
            "-- in prose\nHello. -- DROP TABLE users\nALTER TABLE a ADD b int;",
            "1) TRUNCATE TABLE orders",
            "2026-11-21T10:00 INFO DELETE FROM orders",
            "DELETE FROM orders WHERE true;",
            "UPDATE orders SET a = 1;",
            "alter table a drop column b",
            "alter table a drop b",
            "DROP DATABASE app;",
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public;",
            "We will reset the schema.",
            "Warning: you will lose data!",
            "ALTER TABLE a ADD b int;\n\nThis may cause data loss.",
            "You're about to delete users table with 5 items\nALTER TABLE a ADD b int;",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE a; END $$;",
            "DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$;",
            "COPY a FROM stdin;\n1\n\\.\nDROP TABLE a;",
            "\x1b[31mDROP\x1b[0m TABLE users;",
            "\x1b[DROP TABLE users",
            "DR\u{200b}OP\u{a0}TABLE users",
            "ALTER TABLE a ADD b int;\n\\echo DROP TABLE users\n",
            "op.drop_table('users')",
            "No changes.\nDROP TABLE users;",
            "COPY a TO PROGRAM 'rm';",
        ],
    );
}

#[test]
fn what_is_not_recognised_is_unclear() {
    all(
        "unclear",
        &[
            "Publishing your app …",
            "SHOW changes",
            "Select database",
            "grant access to users",
            "begin",
            "No changes to your app. The table was altered.",
            "No changes\nThe orders table is migrated",
            "ALTER TABLE a FROBNICATE b;",
            "```\nALTER TABLE a ADD\n```",
            "ALTER TABLE a ADD b int;\n… output truncated",
            "x was dropped\nALTER TABLE a ADD b int;",
            "DO $$ BEGIN EXECUTE 'DR' || 'OP TABLE users'; END $$;",
        ],
    );
}

#[test]
fn places_are_those_of_the_text() {
    let text = "Plan:\r\n\r\n1. ALTER TABLE a ADD b int\r\n2. drop table c\r\n\r\n```\nALTER TABLE a DROP COLUMN b;\n```\n";
    let seen = read(text);
    let lines: Vec<(usize, &str)> = seen
        .hazards
        .iter()
        .filter(|h| h.class == HazardClass::DataLoss)
        .map(|h| (h.line, h.code.as_str()))
        .collect();
    assert_eq!(lines, [(4, "DS102"), (7, "DS103")], "{seen:#?}");
    assert_eq!(seen.statements, 3);
    assert_eq!(read("a\n\nyou will lose data").hazards[0].line, 3);
}

#[test]
fn a_mention_is_shown_and_refuses_nothing() {
    let seen = read("-- DROP TABLE a;\nALTER TABLE a ADD b text DEFAULT 'drop table';");
    let codes: Vec<(usize, &str)> = seen
        .hazards
        .iter()
        .map(|h| (h.line, h.code.as_str()))
        .collect();
    assert!(codes.contains(&(1, "plan-mentions-loss")), "{codes:?}");
    assert!(codes.contains(&(2, "plan-mentions-loss")), "{codes:?}");
    assert!(
        seen.hazards
            .iter()
            .all(|h| h.class != HazardClass::DataLoss)
    );
}

#[test]
fn what_is_no_text_is_told() {
    assert_eq!(readable(b" \n\x1b[0m").unwrap_err(), "it is empty");
    assert!(
        readable(b"a\xff")
            .unwrap_err()
            .contains("byte 1 is not UTF-8")
    );
    assert!(readable(b"a\0").unwrap_err().contains("NUL"));
    let large = vec![b'a'; LARGEST_PLAN + 1];
    assert_eq!(readable(&large).unwrap_err(), "it is larger than 2 MB");
    assert!(readable(&large[1..]).is_ok());
}

#[test]
fn a_long_text_is_read_in_time() {
    let mut text = String::from("Plan of 10000 statements:\n");
    for n in 0..10_000 {
        text.push_str(&format!("{n}. ALTER TABLE t{n} ADD COLUMN c{n} integer;\n"));
    }
    assert_eq!(read(&text).statements, 10_000);
    text.push_str("DROP TABLE t1;\n");
    assert_eq!(verdict(&text), "refused");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, cases: 200, ..Default::default() })]

    /// Wherever it stands, beside whatever.
    #[test]
    fn drop_table_on_a_line_of_its_own_never_passes(
        before in "[ -~\n]{0,80}", drop in "(?i)drop[ \t\n]{1,3}table", after in "[ -~\n]{0,80}"
    ) {
        let text = format!("{before}\nALTER TABLE a ADD b int;\n{drop} users;\n{after}");
        // A comment or a string that is open here and ends behind it is the one excuse.
        let excuse = before.contains(['\'', '"', '$']) || before.contains("/*");
        if !excuse {
            proptest::prop_assert_eq!(verdict(&text), "refused", "{}", text);
        }
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,60}|[ -~\n]{0,200}") {
        let _ = read(&text);
    }
}
