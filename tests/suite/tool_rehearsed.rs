//! Tools in a rehearsal: what one would do to production is done on the private server first.

use crate::rehearse::{BACKUP, REHEARSE};
use crate::tool_world::{OUR_TOOL, done, gate, ours};

const BACK: &str = "[[rollback]]\nid = \"back\"\ntitle = \"Back\"\nscope = \"partial\"\n\
    valid_from = \"gate\"\nexpect_duration = \"1m\"\n[[rollback.gate]]\nid = \"down\"\n\
    title = \"Down\"\n[rollback.gate.tool]\nuse = \"ours\"\naction = \"revert\"\ntarget = \"db\"\n\
    undoes = \"gate\"\n";

fn runbook() -> String {
    let gates = [
        gate("look", "ours", "status", "expect = { pending = 2 }"),
        gate("gate", "ours", "apply", ""),
    ];
    format!("{BACKUP}{REHEARSE}{}{BACK}{OUR_TOOL}", gates.concat())
}

#[test]
fn a_tool_is_rehearsed_up_down_and_up_again() {
    let site = ours();
    site.sql("CREATE TABLE old (n int); INSERT INTO old VALUES (1)");
    site.runbook(&runbook());
    site.run().exits(0).shows("2 migrations applied");
    let seen = site.evidence("try-1.json");
    let gates = seen["gates"].as_array().unwrap();
    assert_eq!(gates.len(), 2, "{gates:?}");
    assert_eq!(gates[1]["files"][0]["file"], "ours");
    assert_eq!(gates[1]["files"][0]["statements"], 2);
    let changes = gates[1]["files"][0]["changes"].to_string();
    assert!(changes.contains("added table public.t2"), "{changes}");
    assert_eq!(seen["backs"][0]["state"], "reversed", "{}", seen["backs"]);
    assert_eq!(seen["again"]["files"], 2);
    assert_eq!(done(&site), "1,2");
    // What production got is what was rehearsed.
    assert!(
        site.output("gate-1.log")
            .contains("the schema is the rehearsed one")
    );
}

#[test]
fn a_drop_that_no_text_names_is_seen_and_a_bad_way_back_too() {
    let site = ours();
    site.sql("CREATE TABLE old (n int); INSERT INTO old VALUES (1)");
    site.write(
        "m/2.sql",
        "CREATE TABLE t2 (n int);\nDO $$ BEGIN EXECUTE 'DROP' || ' TABLE old'; END $$;\n",
    );
    site.runbook(&runbook());
    site.run()
        .exits(4)
        .says("DS102")
        .says("production was not touched");
    assert_eq!(done(&site), "");
    site.write("m/2.sql", "CREATE TABLE t2 (n int);\n");
    site.write("down/1.sql", "SELECT 1;\n");
    site.run().exits(4).says("table public.t1 is left");
    assert_eq!(done(&site), "");
}
