//! The drift gate in a run: it stops, exports, shows, and passes only on a new look.

use crate::pty::Pty;
use crate::site::Site;
use crate::walker::{Stop, Walker};

const BEFORE: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric);\n";

fn gate(more: &str) -> String {
    format!("[phase.gate.drift]\ntarget = \"db\"\nexpected = \"schema.sql\"\n{more}")
}

#[test]
fn a_hard_difference_stops_the_run_and_a_new_look_lets_it_go_on() {
    let site = Site::new();
    site.write("schema.sql", BEFORE);
    site.sql(BEFORE);
    site.sql("ALTER TABLE orders ADD COLUMN by_hand text");
    // A rule that allows everything allows nothing hard.
    site.gate(&gate("allow = [\"*:*\"]")).exits(4);
    let evidence = site.evidence("gate-1.json");
    assert_eq!(evidence["kind"], "drift");
    assert_eq!(
        evidence["comparison"]["differences"][0]["name"],
        "public.orders.by_hand"
    );
    assert_eq!(
        evidence["comparison"]["differences"][0]["direction"],
        "ahead"
    );
    assert!(
        site.output("gate-1-expected.json")
            .contains("public.orders")
    );
    assert!(site.output("gate-1-actual.json").contains("by_hand"));
    site.sql("ALTER TABLE orders DROP COLUMN by_hand");
    site.stagegate(&["run", "runbook.toml", "--headless", "--runs-dir", "again"])
        .exits(0);
}

#[test]
fn soft_differences_pass_only_by_a_rule_and_are_still_told() {
    let site = Site::new();
    site.write("schema.sql", BEFORE);
    site.sql(BEFORE);
    site.sql("COMMENT ON TABLE orders IS 'by hand'; CREATE TABLE tmp_a (b int)");
    let ignore = "ignore = [\"table:public.tmp_*\"]";
    site.gate(&gate(ignore)).exits(4);
    site.gate(&gate(&format!("{ignore}\nallow = [\"*.comment:*\"]")))
        .exits(0);
    let evidence = site.evidence("gate-1.json");
    assert_eq!(evidence["allowed"], serde_json::json!([0]));
    assert_eq!(
        evidence["comparison"]["ignored"][0]["ignored_by"],
        "table:public.tmp_*"
    );
}

#[test]
fn what_cannot_be_read_is_an_error_and_never_a_pass() {
    let site = Site::new();
    site.gate(&gate("")).exits(4);
    site.write("schema.sql", "CREATE TABLE a (b nope);\n");
    site.gate(&gate("")).exits(4);
    site.write("schema.sql", "");
    // What is wrong with the words is told before anything starts.
    site.gate(&gate("ignore = [\"tabel:x\"]")).exits(78);
}

#[test]
fn the_console_shows_what_a_real_database_differs_in() {
    let site = Site::new();
    let schema =
        format!("{BEFORE}CREATE VIEW big AS SELECT id, total FROM orders WHERE total > 100;\n");
    site.write("schema.sql", &schema);
    site.sql(&schema);
    site.sql(
        "CREATE OR REPLACE VIEW big AS SELECT id, total FROM orders WHERE total > 250; \
         ALTER TABLE orders ADD COLUMN by_hand text",
    );
    site.runbook(&format!(
        "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n{}\n",
        gate("")
    ));
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let url = site.cluster.url("postgres", "postgres");
    let pty = Pty::start(&arguments, &site.path(""), &[("DB", &url)], (120, 40));
    let mut walker = Walker { pty };
    walker.pty.wait_for("PG ");
    assert_eq!(walker.walk(), Stop::Refused);
    walker.pty.wait_for("2 differences");
    walker.pty.send("2");
    walker.pty.wait_for("column public.orders.by_hand");
    walker
        .pty
        .wait_for("update the canonical schema, with approval");
    walker.pty.send("/250\r");
    walker.pty.wait_for("view public.big");
    walker
        .pty
        .wait_until("both definitions side by side", |screen| {
            let both =
                |line: &str| line.contains("(100)::numeric") && line.contains("(250)::numeric");
            screen.lines().any(both)
        });
    walker.pty.send("1");
    walker.pty.wait_for("What you can do");
}
