//! Plans that somebody else made, judged by the real binary: from files, programs and people.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::site::{Ended, Site, ended};

const HARMLESS: &str = "Plan:\n\n1. ALTER TABLE a ADD COLUMN b integer\n";
const DESTRUCTIVE: &str = "Plan:\n\n1. ALTER TABLE a ADD b int\n2. DROP TABLE users\n";

fn in_file(site: &Site, text: &str) -> Ended {
    site.write("plan.txt", text);
    site.gate("[phase.gate.lint]\nplan = { file = \"plan.txt\" }")
}

#[test]
fn a_plan_in_a_file_is_judged_whole() {
    let site = Site::new();
    in_file(&site, HARMLESS).exits(0);
    let evidence = site.evidence("gate-1.json");
    let sha256 = evidence["plan"]["file"]["sha256"].as_str().unwrap();
    assert_eq!(evidence["plan"]["file"]["statements"], 1);
    let kept = site.run_folder().join(format!("given/{sha256}.txt"));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), HARMLESS);
    in_file(&site, DESTRUCTIVE)
        .exits(4)
        .says("plan.txt:4: DS102 data-loss DELETES_DATA users")
        .says("do not approve it; cancel it where it is shown");
    in_file(&site, "All tables are fine. You will lose data.\n")
        .exits(4)
        .says("plan.txt:1: plan-warns-of-loss");
    in_file(&site, "-- DROP TABLE users;\nALTER TABLE a ADD b int;\n").exits(0);
    in_file(&site, "Publishing …\n")
        .exits(4)
        .says("inconclusive")
        .says("nothing in it is recognised as SQL");
    in_file(&site, "No schema changes.\n").exits(0);
    for (text, why) in [("", "it is empty"), ("a\0b", "NUL byte")] {
        in_file(&site, text).exits(4).says("errored").says(why);
    }
    in_file(&site, &"-- long\n".repeat(300_000))
        .exits(4)
        .says("larger than 2 MB");
    std::fs::remove_file(site.path("plan.txt")).unwrap();
    site.gate("[phase.gate.lint]\nplan = { file = \"plan.txt\" }")
        .exits(4)
        .says("cannot be read");
}

#[test]
fn a_plan_that_changes_after_it_was_judged_stops_what_acts() {
    let site = Site::new();
    site.write("plan.txt", HARMLESS);
    site.runbook(
        "[[phase.gate]]\nid = \"lint\"\ntitle = \"Lint\"\n[phase.gate.lint]\nplan = { file = \"plan.txt\" }\n\
         [[phase.gate]]\nid = \"change\"\ntitle = \"Change\"\n[phase.gate.exec]\n\
         argv = [\"sh\", \"-c\", \"echo 'DROP TABLE t;' > plan.txt\"]\n\
         [[phase.gate]]\nid = \"act\"\ntitle = \"Act\"\n[phase.gate.exec]\nargv = [\"touch\", \"acted\"]\n",
    );
    site.run().exits(4).says("`lint` is stale");
    assert!(!site.path("acted").exists());
}

fn printed(site: &Site, script: &str) -> Ended {
    site.gate(&format!(
        "timeout = \"20s\"\n[phase.gate.lint]\nplan = {{ argv = [\"sh\", \"-c\", \"{script}\"] }}"
    ))
}

#[test]
fn a_plan_that_a_program_prints_is_judged_when_it_ended_well() {
    let site = Site::new();
    printed(&site, "echo 'ALTER TABLE a ADD b int;'").exits(0);
    assert_eq!(
        site.evidence("gate-1.json")["plan"]["file"]["file"],
        "the output of sh"
    );
    printed(&site, "echo 'DROP TABLE a;'")
        .exits(4)
        .says("the output of sh:1: DS102");
    printed(
        &site,
        "echo 'ALTER TABLE a ADD b int;'; echo why >&2; exit 3",
    )
    .exits(4)
    .says("errored")
    .says("exit status: 3: why");
    printed(&site, "true").exits(4).says("it is empty");
    printed(&site, "yes 'x' | head -c 3000000")
        .exits(4)
        .says("larger than 2 MB");
}

/// A check, then a plan that people give; the check is its recovery.
fn judging(site: &Site) {
    site.write("audit.txt", "well");
    site.runbook(
        "[[phase.gate]]\nid = \"audit\"\ntitle = \"Run the audit\"\n[phase.gate.exec]\n\
         argv = [\"sh\", \"-c\", \"echo ran >> audit.log\"]\n\
         [[phase.gate]]\nid = \"know\"\ntitle = \"Audit is well\"\n[phase.gate.file]\npath = \"audit.txt\"\n\
         [[phase.gate]]\nid = \"publish\"\ntitle = \"Plan\"\n[phase.gate.lint]\nplan = { paste = true }\n\
         recovery = [\"know\", \"audit\"]\n",
    );
}

const RUN: [&str; 5] = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];

fn with(site: &Site, more: &[&str]) -> Ended {
    let arguments: Vec<&str> = RUN.iter().chain(more).copied().collect();
    site.stagegate(&arguments)
}

fn events(site: &Site) -> Vec<serde_json::Value> {
    std::fs::read_to_string(site.run_folder().join("journal.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn of_type(site: &Site, kind: &str) -> Vec<serde_json::Value> {
    let events = events(site)
        .into_iter()
        .map(|record| record["event"].clone());
    events.filter(|event| event["type"] == kind).collect()
}

#[test]
fn a_refused_paste_makes_its_recovery_stale_until_another_is_given() {
    let site = Site::new();
    judging(&site);
    with(&site, &[])
        .exits(4)
        .says("gate `publish` needs a person: it judges a plan");
    site.write("bad.txt", DESTRUCTIVE);
    site.write("good.txt", HARMLESS);
    with(&site, &["--resume", "--paste", "publish=bad.txt"])
        .exits(4)
        .says("gate `publish` is failed")
        .shows("refused; taken again before it: audit, know");
    let journal = events(&site);
    let failed = journal.iter().find(|record| {
        record["event"]["type"] == "gate_finished" && record["event"]["gate"] == "publish"
    });
    let can = failed.unwrap()["event"]["finding"]["what_you_can_do"].clone();
    assert_eq!(can[0], "take gate 1 of 2 again: Run the audit");
    assert_eq!(can[1], "take gate 2 of 2 again: Audit is well");
    let given = of_type(&site, "plan_pasted");
    assert_eq!(given.len(), 1);
    assert_eq!(given[0]["bytes"], DESTRUCTIVE.len());
    let sha256 = given[0]["sha256"].as_str().unwrap();
    let kept = site.run_folder().join(format!("given/{sha256}.txt"));
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), DESTRUCTIVE);
    assert_eq!(
        std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // What needs nobody was taken again at once; then only another plan is judged.
    assert_eq!(
        std::fs::read_to_string(site.path("audit.log")).unwrap(),
        "ran\nran\n"
    );
    site.resume()
        .exits(4)
        .says("has refused the plan that was given");
    with(&site, &["--resume", "--paste", "publish=good.txt"]).exits(0);
    assert_eq!(of_type(&site, "recovery_begun").len(), 1);
    assert_eq!(site.evidence("publish-2.json")["plan"]["file"]["sha256"], {
        of_type(&site, "plan_pasted")[1]["sha256"].clone()
    });
}

#[test]
fn a_plan_comes_from_standard_input_and_is_found_again() {
    let site = Site::new();
    judging(&site);
    let arguments = [&RUN[..], &["--paste", "publish=-"]].concat();
    let mut child = site
        .command(&arguments)
        .env("STAGEGATE_DIE_AT", "after_intent:3")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(HARMLESS.as_bytes())
        .unwrap();
    let first = ended(child.wait_with_output().unwrap());
    assert_eq!(first.signal, Some(9), "{}{}", first.out, first.err);
    site.resume().exits(0);
    assert_eq!(of_type(&site, "plan_pasted").len(), 1);
}

#[test]
fn a_text_without_its_record_counts_for_nothing() {
    let site = Site::new();
    judging(&site);
    site.write("good.txt", HARMLESS);
    let arguments = [&RUN[..], &["--paste", "publish=good.txt"]].concat();
    let output = site
        .command(&arguments)
        .env("STAGEGATE_DIE_AT", "after_plan_kept")
        .output()
        .unwrap();
    assert_eq!(ended(output).signal, Some(9));
    assert_eq!(of_type(&site, "plan_pasted").len(), 0);
    assert_eq!(
        crate::site::names(&site.run_folder().join("given")).len(),
        1
    );
    site.resume().exits(4).says("it judges a plan");
    with(&site, &["--resume", "--paste", "publish=good.txt"]).exits(0);
}

#[test]
fn what_cannot_be_given_is_told_before_anything_starts() {
    let site = Site::new();
    judging(&site);
    site.write("empty.txt", " \n");
    site.write("good.txt", HARMLESS);
    for (paste, why) in [
        ("publish=missing.txt", "No such file"),
        ("publish=empty.txt", "it is empty"),
        ("audit=good.txt", "no gate `audit` that takes a plan"),
        ("nothing=good.txt", "no gate `nothing` that takes a plan"),
        ("publish", "gate=file"),
    ] {
        with(&site, &["--paste", paste]).exits(64).says(why);
    }
    assert!(!site.path("runs").exists());
}

#[test]
fn a_changed_text_in_the_runs_folder_is_not_believed() {
    let site = Site::new();
    judging(&site);
    site.write("good.txt", HARMLESS);
    let book = std::fs::read_to_string(site.path("runbook.toml")).unwrap();
    let more = "[[phase.gate]]\nid = \"last\"\ntitle = \"Last\"\n[phase.gate.checklist]\nitems = [\"x\"]\n";
    site.write("runbook.toml", &format!("{book}{more}"));
    with(&site, &["--paste", "publish=good.txt"]).exits(4);
    let given = of_type(&site, "plan_pasted")[0]["sha256"].clone();
    let kept = format!("given/{}.txt", given.as_str().unwrap());
    std::fs::write(site.run_folder().join(kept), "DROP TABLE a;").unwrap();
    site.resume()
        .exits(4)
        .says("`publish`")
        .says("another one by now");
}

#[test]
fn the_command_line_judges_a_plan() {
    let site = Site::new();
    site.write("db/a.sql", "create table t (a int);\n");
    let lint = |text: &str, more: &[&str]| {
        site.write("plan.txt", text);
        let arguments: Vec<&str> = ["lint", "--plan", "plan.txt"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        site.stagegate(&arguments)
    };
    lint(HARMLESS, &["db"])
        .exits(0)
        .shows("plan.txt: 1 statements");
    lint(DESTRUCTIVE, &[])
        .exits(3)
        .shows("plan.txt:4:4: refused: DS102");
    // What is allowed in files is not allowed in the plan of somebody else.
    lint(DESTRUCTIVE, &["--allow", "DS102"]).exits(3);
    lint("Hello", &[])
        .exits(4)
        .shows("nothing in it is recognised as SQL");
    lint("No changes", &[]).exits(0);
    lint("", &[]).exits(78).says("it is empty");
    let sarif = lint(DESTRUCTIVE, &["--format", "sarif"]).exits(3).out;
    assert!(sarif.contains("\"level\": \"error\""), "{sarif}");
    let json = lint(HARMLESS, &["--format", "json"]).exits(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["files"][0]["statements"], 1);
    let mut child = site
        .command(&["lint", "--plan", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"drop table a")
        .unwrap();
    ended(child.wait_with_output().unwrap())
        .exits(3)
        .shows("standard input:1:1");
}
