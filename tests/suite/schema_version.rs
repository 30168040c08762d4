//! What a target says of its own schema: the migrations it had, the version recorded last, and what
//! migrations made of it.

use crate::site::Site;

const ONE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric);\n";
const TWO: &str = "ALTER TABLE orders ADD COLUMN note text;\nCREATE INDEX ON orders (total);\n";

fn gate(id: &str, kind: &str, body: &str) -> String {
    format!(
        "[[phase.gate]]\nid = \"{id}\"\ntitle = \"Gate\"\n[phase.gate.{kind}]\ntarget = \"db\"\n{body}\n"
    )
}

fn migrate() -> String {
    gate("migrate", "migrate", "files = [\"m/*.sql\"]")
}

fn drift(id: &str, body: &str) -> String {
    gate(id, "drift", &format!("expected = \"schema.sql\"\n{body}"))
}

fn version() -> String {
    gate("version", "schema-version", "verified_by = \"after\"")
}

fn site() -> Site {
    let site = Site::new();
    site.write("schema.sql", &format!("{ONE}{TWO}"));
    site.write("m/1.sql", ONE);
    site.write("m/2.sql", TWO);
    site
}

#[test]
fn a_verified_schema_is_recorded_once_and_a_change_by_hand_is_found_by_it() {
    let site = site();
    let gates = [migrate(), drift("after", ""), version()].concat();
    site.runbook(&gates);
    site.run().exits(0);
    let evidence = site.evidence("version-1.json");
    assert_eq!(evidence["written"], true);
    let recorded = site.one(
        "SELECT (version ~ '^\\d{8}\\.\\d{6}$')::text || ' ' || length(checksum) || ' ' || \
         migrations_applied::text || ' ' || (applied_at IS NOT NULL)::text FROM schema_version",
    );
    assert_eq!(recorded, "true 64 {m/1.sql,m/2.sql} true");
    assert_eq!(
        site.one("SELECT checksum FROM schema_version"),
        site.evidence("after-1.json")["actual_checksum"]
    );
    // The table of versions is no drift, and a second run finds what the first wrote.
    site.run().exits(0);
    assert_eq!(site.evidence("version-1.json")["written"], false);
    assert_eq!(site.one("SELECT count(*) FROM schema_version"), "1");

    let checked = drift("again", "version_table = \"public.schema_version\"");
    site.runbook(&checked);
    site.run().exits(0);
    site.sql("COMMENT ON TABLE orders IS 'by hand'");
    site.run()
        .exits(4)
        .says("schema checksum mismatch: version 2");
}

#[test]
fn without_a_recorded_version_nothing_passes_that_asks_for_one() {
    let site = site();
    site.sql(&format!("{ONE}{TWO}"));
    site.runbook(&drift("drift", "version_table = \"public.schema_version\""));
    site.run()
        .exits(4)
        .says("no schema version is recorded in public.schema_version")
        .says("schema-version gate");
    site.sql("CREATE TABLE schema_version (version_rank int, checksum int)");
    site.run()
        .exits(4)
        .says("public.schema_version is another table: it has no version, applied_at");
    site.runbook(&[drift("after", ""), version()].concat());
    site.run()
        .exits(4)
        .says("the version has no place")
        .says("nothing was written");
}

#[test]
fn every_gap_in_the_history_is_told_at_once() {
    let site = site();
    site.runbook(&migrate());
    site.run().exits(0);
    site.write("m/1.sql", &format!("-- another\n{ONE}"));
    site.write("m/3.sql", "SELECT 1;\n");
    std::fs::remove_file(site.path("m/2.sql")).unwrap();
    site.sql("DROP INDEX orders_total_idx; ALTER TABLE orders DROP COLUMN note");
    site.runbook(&drift("drift", "migrations = [\"m/*.sql\"]"));
    let ended = site.run().exits(4);
    for line in [
        "checksum mismatch of m/1.sql: it has changed since it was applied on 2",
        "missing migration m/3.sql (hard)",
        "unexpected migration m/2.sql: it was applied on 2",
        "missing column public.orders.note (hard)",
        "missing index public.orders_total_idx (hard)",
        "5 differences, 5 hard",
    ] {
        assert!(ended.err.contains(line), "no `{line}` in\n{}", ended.err);
    }
    // Whoever takes the production's schema over finds it as SQL.
    let exported = site.output("drift-1-actual.sql");
    assert!(exported.contains("CREATE TABLE public.orders"));
    assert!(!exported.contains("stagegate.ledger"));
}

#[test]
fn a_schema_that_changed_after_it_was_verified_is_not_recorded() {
    let site = site();
    site.write("m2/1.sql", "CREATE TABLE late (id int);\n");
    let late = gate("late", "migrate", "files = [\"m2/*.sql\"]");
    site.runbook(&[migrate(), drift("after", ""), late, version()].concat());
    site.run()
        .exits(4)
        .says("the schema has changed since it was verified");
    assert_eq!(
        site.one("SELECT to_regclass('schema_version') IS NULL"),
        "t"
    );
}

#[test]
fn what_each_file_made_is_recorded_and_must_be_what_was_reviewed() {
    let site = site();
    site.write("before.sql", ONE);
    site.sql(ONE);
    std::fs::remove_file(site.path("m/1.sql")).unwrap();
    site.write("m/3.sql", "INSERT INTO orders VALUES (1, 2);\n");
    let reviewed = |site: &Site| {
        let drift = ["drift", "before.sql", "schema.sql", "--format", "json"];
        site.stagegate(&drift).exits(2).out
    };
    let change = reviewed(&site);
    site.write("change.json", &change);
    let as_reviewed = gate(
        "as-reviewed",
        "drift",
        "change_of = \"migrate\"\nreviewed = \"change.json\"",
    );
    site.runbook(&[migrate(), as_reviewed.clone()].concat());
    site.run().exits(0);
    let made = &site.evidence("migrate-1.json")["made"];
    let of_file = |n: usize| made["files"][n].to_string();
    assert!(
        of_file(0).contains("added column public.orders.note"),
        "{made}"
    );
    assert!(of_file(0).contains("added index public.orders_total_idx"));
    assert_eq!(made["files"][1]["changes"], serde_json::json!([]));
    assert_eq!(
        made["comparison"]["differences"].as_array().unwrap().len(),
        2
    );
    assert!(
        site.output("migrate-1-before.json")
            .contains("public.orders")
    );

    // One more thing that nobody reviewed, inside an object that was.
    let site = self::site();
    site.sql(ONE);
    std::fs::remove_file(site.path("m/1.sql")).unwrap();
    site.write("change.json", &change);
    site.write("m/2.sql", &TWO.replace("text", "varchar(20)"));
    site.runbook(&[migrate(), as_reviewed].concat());
    site.run()
        .exits(4)
        .says("what `migrate` made is not what was reviewed in change.json")
        .says("made, not reviewed: added column public.orders.note")
        .says("reviewed, not made: added column public.orders.note");
}

#[test]
fn a_migration_does_not_wait_for_what_is_recorded_of_it() {
    let site = site();
    // One connection is all that the role may have beside the operator's lock.
    site.sql("CREATE ROLE narrow LOGIN CONNECTION LIMIT 2; GRANT CREATE ON DATABASE postgres TO narrow; GRANT CREATE ON SCHEMA public TO narrow");
    site.runbook(&migrate());
    let arguments = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    let mut command = site.command(&arguments);
    command.env("DB", site.cluster.url("postgres", "narrow"));
    crate::site::ended(command.output().unwrap()).exits(0);
    assert_eq!(site.one("SELECT to_regclass('orders') IS NOT NULL"), "t");
    assert!(site.evidence("migrate-1.json")["made"].is_null());
}

#[test]
fn a_schema_that_is_nowhere_is_an_error_and_compares_nothing() {
    let site = site();
    site.sql(&format!("{ONE}{TWO}"));
    site.runbook(&drift("drift", "schemas = [\"pubic\"]"));
    site.run()
        .exits(4)
        .says("there is no schema `pubic` on either side");
    let drift = ["drift", "schema.sql", "env:DB", "--schema", "pubic"];
    site.stagegate(&drift)
        .exits(78)
        .says("there is no schema `pubic`");
}

#[test]
fn a_column_that_was_dropped_and_added_again_is_not_what_was_reviewed() {
    let site = site();
    let before = "CREATE TABLE t (a int, b text, c int);\n";
    site.write("before.sql", before);
    site.write("after.sql", &before.replace("c int", "c int, d int"));
    site.sql(before);
    std::fs::remove_file(site.path("m/1.sql")).unwrap();
    site.write(
        "m/2.sql",
        "ALTER TABLE t DROP COLUMN b, ADD COLUMN b text, ADD COLUMN d int;\n",
    );
    let drift = ["drift", "before.sql", "after.sql", "--format", "json"];
    let change = site.stagegate(&drift).exits(2).out;
    site.write("change.json", &change);
    let as_reviewed = gate(
        "as-reviewed",
        "drift",
        "change_of = \"migrate\"\nreviewed = \"change.json\"",
    );
    site.runbook(&[migrate(), as_reviewed].concat());
    site.run()
        .exits(4)
        .says("made, not reviewed: changed table public.t, column order");
}

#[test]
fn a_lost_ledger_and_a_renamed_folder_are_gaps_even_where_files_may_be_pending() {
    let site = site();
    site.runbook(&[migrate(), drift("after", ""), version()].concat());
    site.run().exits(0);
    let body = "migrations = [\"PLACE/*.sql\"]\npending = true\n\
                version_table = \"public.schema_version\"";
    let checked = |place: &str| site.runbook(&drift("again", &body.replace("PLACE", place)));
    checked("m");
    site.run().exits(0);
    std::fs::rename(site.path("m"), site.path("m2")).unwrap();
    checked("m2");
    site.run()
        .exits(4)
        .says("moved migration m2/1.sql: it was applied as m/1.sql");
    std::fs::rename(site.path("m2"), site.path("m")).unwrap();
    site.sql("DROP SCHEMA stagegate CASCADE");
    checked("m");
    site.run()
        .exits(4)
        .says("forgotten migration m/1.sql: version 2");
}

#[test]
fn a_column_that_was_dropped_and_added_last_is_the_same_schema_once_it_was_restored() {
    let site = site();
    site.sql(&format!("{ONE}{TWO}"));
    site.sql("ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN note text");
    site.runbook(&[drift("after", ""), version()].concat());
    site.run().exits(0);
    let evidence = site.evidence("after-1.json");
    assert_eq!(evidence["expected_checksum"], evidence["actual_checksum"]);
    site.sql("CREATE TABLE fresh (LIKE orders INCLUDING ALL); DROP TABLE orders; ALTER TABLE fresh RENAME TO orders; ALTER INDEX fresh_pkey RENAME TO orders_pkey; ALTER INDEX fresh_total_idx RENAME TO orders_total_idx");
    site.runbook(&drift("again", "version_table = \"public.schema_version\""));
    site.run().exits(0);
}

#[test]
fn what_the_runbook_allows_is_no_checksum_mismatch() {
    let site = site();
    site.sql(&format!("{ONE}{TWO}"));
    let allow = "allow = [\"*.comment:*\"]\n";
    site.runbook(&[drift("after", allow), version()].concat());
    site.run().exits(0);
    site.sql("COMMENT ON TABLE orders IS 'said since'");
    let body = format!("{allow}version_table = \"public.schema_version\"");
    site.runbook(&drift("again", &body));
    site.run().exits(0);
}

#[test]
fn a_schema_whose_differences_were_waived_is_not_recorded() {
    let site = site();
    site.sql(ONE);
    let waived = drift("after", "").replace("id = \"after\"", "id = \"after\"\nwaivable = true");
    site.runbook(&[waived, version()].concat());
    let url = site.cluster.url("postgres", "postgres");
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let mut pty = crate::pty::Pty::start(&arguments, &site.path(""), &[("DB", &url)], (100, 30));
    pty.wait_for("PG ");
    pty.send("\r");
    pty.wait_for("w waive");
    pty.send("w");
    pty.wait_for("Waive `after`: why?");
    pty.send("known, and mended on Monday, OPS-4711");
    pty.wait_for("OPS-4711");
    pty.send("\r");
    pty.wait_for("waived");
    let mut walker = crate::walker::Walker { pty };
    assert_eq!(walker.walk(), crate::walker::Stop::Refused);
    walker.pty.wait_for("what was waived is not");
    walker.pty.send("q");
    walker.pty.wait_end();
    assert_eq!(
        site.one("SELECT to_regclass('schema_version') IS NULL"),
        "t"
    );
}
