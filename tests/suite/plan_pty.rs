//! Plans pasted into the real program in a real terminal.

use crate::pty::Pty;

const BOOK: &str = r#"
format = 1
title = "Publish"
[[phase]]
id = "phase"
title = "Phase"
[[phase.gate]]
id = "canceled"
title = "The publish is canceled"
[phase.gate.checklist]
items = ["The page is closed"]
[[phase.gate]]
id = "publish"
title = "The plan of the publish page"
[phase.gate.lint]
plan = { paste = true }
recovery = ["canceled"]
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("runbook.toml"), BOOK).unwrap();
        Place(folder)
    }

    /// A console that asks for the plan.
    fn asking(&self, size: (u16, u16)) -> Pty {
        let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
        let mut pty = Pty::start(&arguments, self.0.path(), &[], size);
        pty.wait_for("0 of 1 confirmed");
        pty.send("\r");
        pty.wait_for("1 of 2 gates");
        pty.wait_for("asked for when the gate is started");
        pty.send("\r");
        pty.wait_for("Give `publish` the plan");
        pty
    }

    fn run(&self) -> std::path::PathBuf {
        let mut runs = std::fs::read_dir(self.0.path().join("runs")).unwrap();
        runs.next().unwrap().unwrap().path()
    }

    fn given(&self) -> Vec<String> {
        crate::site::names(&self.run().join("given"))
    }
}

fn paste(pty: &mut Pty, text: &str) {
    pty.send(&format!("\x1b[200~{text}\x1b[201~"));
}

#[test]
fn a_pasted_plan_is_judged_refused_and_replaced() {
    let place = Place::new();
    let mut pty = place.asking((80, 24));
    paste(&mut pty, "Plan:\r\n\r\n1. DROP TABLE users;\r\n");
    pty.wait_for("3 │ 1. DROP TABLE users;");
    pty.send("\x13");
    pty.wait_for("1 hazard is refused");
    pty.wait_for("0 of 2 gates");
    // It stays refused, and what comes before it is taken again first.
    pty.send("r");
    pty.wait_for("nothing later starts until it has passed");
    pty.send(".");
    pty.wait_for("0 of 1 confirmed");
    pty.wait_for("refused; it is taken again");
    pty.send(" ");
    pty.wait_for("1 of 2 gates");
    pty.send("\r");
    pty.wait_for("it is failed; r retries it");
    pty.send("r");
    pty.wait_for("The plan before was refused");
    paste(&mut pty, "ALTER TABLE users ADD age int;");
    pty.wait_for("1 │ ALTER TABLE users");
    pty.send("\x13");
    pty.wait_for("2 of 2 gates");
    assert_eq!(place.given().len(), 2);
    // Given again, it is judged again.
    pty.send("k");
    pty.send("j");
    pty.wait_for("v give another plan");
    pty.send("v");
    pty.wait_for("Give `publish` the plan");
    paste(&mut pty, "No changes.");
    pty.wait_for("1 │ No changes.");
    pty.send("\x13");
    pty.wait_for("says: No changes.");
    pty.send("q");
    assert_eq!(pty.wait_end().exit_code(), 4);
    assert_eq!(place.given().len(), 3);
    let journal = std::fs::read_to_string(place.run().join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"type\":\"plan_pasted\"").count(), 3);
    assert!(
        journal.contains("another plan was given since"),
        "{journal}"
    );
}

#[test]
fn control_characters_are_shown_and_kept() {
    let place = Place::new();
    let mut pty = place.asking((120, 40));
    let text = "\x1b[31mALTER TABLE a\x07 ADD b int;\x1b[0m\n-- \x1b]52;c;AA==\x07 end";
    paste(&mut pty, text);
    pty.wait_for("␛[31mALTER TABLE a␇ ADD b int;␛[0m");
    pty.wait_for("␛]52;c;AA==␇ end");
    pty.send("\x13");
    pty.wait_for("2 of 2 gates");
    let given = place.given();
    let kept = std::fs::read_to_string(place.run().join("given").join(&given[0])).unwrap();
    assert_eq!(kept, text);
    let raw = String::from_utf8_lossy(pty.raw());
    assert!(!raw.contains("\x1b]52") && !raw.contains("\x1b[31mALTER"));
    pty.send("q");
    pty.wait_end();
}

#[test]
fn ten_thousand_lines_are_taken_at_once() {
    let place = Place::new();
    let mut pty = place.asking((80, 24));
    let mut text: String = (1..10_000)
        .map(|n| format!("-- line {n} of the plan\n"))
        .collect();
    text.push_str("ALTER TABLE a ADD b int;");
    paste(&mut pty, &text);
    pty.wait_for("10000 lines");
    pty.wait_for("10000 │ ALTER TABLE a ADD b int;");
    pty.send("\x13");
    pty.wait_for("2 of 2 gates");
    let given = place.given();
    let kept = std::fs::read_to_string(place.run().join("given").join(&given[0])).unwrap();
    assert!(kept == text, "{} bytes of {}", kept.len(), text.len());
    pty.send("q");
    pty.wait_end();
}

#[test]
fn a_plan_is_typed_or_loaded_and_an_empty_one_is_not_taken() {
    let place = Place::new();
    std::fs::write(place.0.path().join("plan.txt"), "DROP TABLE loaded;\n").unwrap();
    let mut pty = place.asking((80, 24));
    pty.send("\x13");
    pty.wait_for("it is not given: it is empty");
    pty.send("ALTER TABLE typed");
    pty.wait_for("1 │ ALTER TABLE typed");
    pty.send("\x0f");
    pty.wait_for("file >");
    pty.send("missing.txt\r");
    pty.wait_for("missing.txt was not loaded");
    pty.send("\x0fplan.txt\r");
    pty.wait_for("1 │ DROP TABLE loaded;");
    assert!(!pty.text().contains("typed"));
    // More than may be taken is not taken, and what was there stays.
    paste(&mut pty, &"x".repeat(2 * 1024 * 1024));
    pty.wait_for("larger than 2 MB");
    pty.wait_for("1 │ DROP TABLE loaded;");
    pty.send("\x1b");
    pty.wait_gone("Give `publish` the plan");
    assert!(place.given().is_empty());
    // Pasted beside the gate that waits for it, it is the plan.
    paste(&mut pty, "DROP TABLE beside;");
    pty.wait_for("1 │ DROP TABLE beside;");
    pty.send("\x1b");
    pty.wait_gone("Give `publish` the plan");
    pty.send("q");
    pty.wait_end();
}
