//! A rehearsal on a screen of 80 columns: what it is going to do, why it refuses, what it saw, and
//! what it lets one expect.

use crate::pty::Pty;
use crate::rehearse::{BACK, BACKUP, LOOK, MIGRATE, REHEARSE, world};
use crate::walker::{Stop, Walker};

/// Selects the gate before until its page says something.
fn up_to(walker: &mut Walker, text: &str) {
    for _ in 0..6 {
        if walker.pty.text().contains(text) {
            return;
        }
        walker.press_and_wait("k");
    }
    walker.pty.wait_for(text);
}

#[test]
fn a_rehearsal_is_read_on_a_small_screen() {
    let site = world();
    site.write(
        "db/3.sql",
        "DO $$ BEGIN EXECUTE 'dr' || 'op view app.spent'; \
         EXECUTE 'dr' || 'op table app.orders'; END $$;\n",
    );
    site.write("down/3.sql", "SELECT 1;\n");
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}{LOOK}{BACK}"));
    let url = site.cluster.url("postgres", "postgres");
    let folder = site.path("");
    let run = ["run", "runbook.toml", "--runs-dir", "runs"];
    let mut pty = Pty::start(&run, &folder, &[("DB", url.as_str())], (80, 24));
    pty.wait_for("PG ");
    let mut walker = Walker { pty };
    assert_eq!(walker.walk(), Stop::Refused);
    walker.pty.wait_for("a file does what its text does");
    walker.pty.wait_for("Caused by");
    std::fs::remove_file(site.path("db/3.sql")).unwrap();
    walker.retry();
    assert_eq!(walker.walk(), Stop::AllThrough);
    up_to(&mut walker, "Rehearsed, and in earnest");
    up_to(&mut walker, "backup verified: 2 tables, 1100 rows");
    walker.pty.wait_for("The backup, restored");
    walker.pty.wait_for("verified   2 tables, 1100 rows");
    for line in walker.pty.text().lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
