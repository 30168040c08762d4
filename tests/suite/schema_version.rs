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

    // What the gate allows is still not what was recorded.
    let checked = drift(
        "again",
        "version_table = \"public.schema_version\"\nallow = [\"*.comment:*\"]",
    );
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
