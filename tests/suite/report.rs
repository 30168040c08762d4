//! Reports, bundles and their verification, on runs of the real binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::{Ended, Site, ended};

/// A value of a row that nobody may find outside.
const CANARY: &str = "canary-4711@example.com";

const GATES: &str = r#"
[[phase.gate]]
id = "who"
title = "Who <script>alert(1)</script> | is there"
[phase.gate.query]
target = "db"
sql = "SELECT name, mail FROM people"
expect = { rows = 2 }

[[phase.gate]]
id = "count"
title = "How many"
[phase.gate.query]
target = "db"
sql = "SELECT count(*) FROM people"
expect = { value = 2 }

[[phase.gate]]
id = "told"
title = "A program tells"
[phase.gate.exec]
argv = ["printf", "::set-output name=a::b\\n\\033[31mred"]
looks = true

[[phase.gate]]
id = "mig"
title = "Migrate"
[phase.gate.migrate]
target = "db"
files = ["db/*.sql"]

[[phase.gate]]
id = "never"
title = "Never"
[phase.gate.query]
target = "db"
sql = "SELECT 1 WHERE false"
expect = { rows = 1 }
"#;

fn site() -> Site {
    let site = Site::new();
    site.sql(&format!(
        "CREATE TABLE people (name text, mail text); \
         INSERT INTO people VALUES ('a', '{CANARY}'), ('b', 'b@example.com')"
    ));
    site.write("db/1.sql", "CREATE TABLE one (id int);\n");
    site.write("db/2.sql", "CREATE TABLE two (id int);\n");
    site.runbook(GATES);
    site.run().exits(4);
    site
}

fn run_of(site: &Site) -> String {
    let folder = site.run_folder();
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

fn asks(site: &Site, words: &[&str]) -> Ended {
    let run = run_of(site);
    let mut arguments = words.to_vec();
    arguments.insert(1, &run);
    arguments.extend(["--runs-dir", "runs"]);
    site.stagegate(&arguments)
}

fn bundle(site: &Site, name: &str) -> PathBuf {
    asks(site, &["bundle", "--out", name]).exits(0);
    site.path(name)
}

/// Unpacks a bundle with the stock program.
fn unpacked(site: &Site, bundle: &Path, name: &str) -> PathBuf {
    let into = site.path(name);
    fs::create_dir_all(&into).unwrap();
    let tar = Command::new("tar")
        .args(["--use-compress-program=zstd", "-xf"])
        .arg(bundle)
        .arg("-C")
        .arg(&into)
        .output();
    // Without a zstd program, our own reader of the same format serves.
    if !tar.is_ok_and(|tar| tar.status.success()) {
        stagegate::report::unpack(fs::File::open(bundle).unwrap(), &into).unwrap();
    }
    let mut folders = fs::read_dir(&into).unwrap();
    folders.next().unwrap().unwrap().path()
}

fn script(folder: &Path) -> Ended {
    let mut command = Command::new("sh");
    ended(command.arg(folder.join("verify.sh")).output().unwrap())
}

#[test]
fn every_format_tells_the_run_and_no_row_leaves() {
    let site = site();
    let text = asks(&site, &["report"]).exits(0).out;
    for part in [
        "# Test",
        "| Gates | 4 of 5 |",
        "| Migrate | migrate | passed |",
        "**failed**",
        "Who &lt;script>",
        "· ::set-output",
        "1.sql",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let html = asks(&site, &["report", "--format", "html"]).exits(0).out;
    assert!(html.contains("Who &lt;script&gt;alert(1)&lt;&#x2f;script&gt;"));
    for outside in [
        "<script", "http:", "https:", "url(", "@import", "src=", "\u{1b}",
    ] {
        assert!(!html.contains(outside), "`{outside}` in the page");
    }
    let json = asks(&site, &["report", "--format", "json"]).exits(0).out;
    let facts: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(facts["run"]["through"], 4);
    assert_eq!(
        facts["phases"][0]["gates"][3]["attempts"][0]["parts"][1]["outcome"],
        "committed"
    );
    let junit = asks(&site, &["report", "--format", "junit"]).exits(0).out;
    assert!(
        junit.contains(
            "<testsuite name=\"Phase\" tests=\"5\" disabled=\"0\" errors=\"0\" failures=\"1\">"
        ),
        "{junit}"
    );
    assert!(junit.contains("type=\"failed\">caused by"), "{junit}");
    for report in [&text, &html, &json, &junit] {
        assert!(!report.contains(CANARY), "a row left:\n{report}");
    }
    assert!(text.contains("withheld"), "{text}");

    site.write(
        "runbook.toml",
        &fs::read_to_string(site.path("runbook.toml"))
            .unwrap()
            .replace(
                "sql = \"SELECT name, mail FROM people\"",
                "sql = \"SELECT name, mail FROM people\"\nreport_rows = true",
            ),
    );
    site.run().exits(4);
    let marked = asks(&site, &["report"]).exits(0).out;
    assert!(marked.contains(CANARY), "{marked}");
}

#[test]
fn a_bundle_is_the_same_every_time_and_is_checked_with_stock_tools() {
    let site = site();
    let (one, two) = (bundle(&site, "one.tar.zst"), bundle(&site, "two.tar.zst"));
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    // Whoever made a bundle chose the addresses in it.
    let alone = site.stagegate(&["verify", "one.tar.zst"]).exits(0).out;
    assert!(!alone.contains("ledger"), "{alone}");
    site.stagegate(&["verify", "one.tar.zst", "--database"])
        .exits(0)
        .shows("well       journal")
        .shows("1 with rows of queries did not travel")
        .shows("ledger of db: 2 rows remember this journal");
    let folder = unpacked(&site, &one, "unpacked");
    script(&folder).exits(0).shows("records, head");
    for file in [
        "journal.jsonl",
        "runbook.toml",
        "report.html",
        "VERIFY.md",
        "WITHHELD",
    ] {
        assert!(folder.join(file).is_file(), "no {file}");
    }
    assert!(folder.join("evidence/mig-1.json").is_file());
    assert!(!folder.join("evidence/who-1.json").exists());
    let all = walk(&folder);
    for file in &all {
        let bytes = fs::read(file).unwrap();
        let found = bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes());
        assert!(!found, "a row left in {}", file.display());
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

#[test]
fn any_changed_bit_of_any_file_and_any_cut_is_found() {
    let site = site();
    let bundle = bundle(&site, "one.tar.zst");
    let folder = unpacked(&site, &bundle, "unpacked");
    assert!(stagegate::report::verify(&folder).holds());
    let mut tried = 0;
    for file in walk(&folder) {
        let bytes = fs::read(&file).unwrap();
        // Every bit of small files; of larger ones a stride that meets every place of a byte.
        let stride = (bytes.len() * 8 / 60).max(1) | 1;
        for bit in (0..bytes.len() * 8).step_by(stride) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &changed).unwrap();
            let holds = stagegate::report::verify(&folder).holds();
            assert!(!holds, "bit {bit} of {}", file.display());
            tried += 1;
        }
        for cut in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
            fs::write(&file, &bytes[..cut]).unwrap();
            let holds = stagegate::report::verify(&folder).holds();
            assert!(
                !holds || bytes.is_empty(),
                "cut at {cut} of {}",
                file.display()
            );
        }
        fs::remove_file(&file).unwrap();
        assert!(!stagegate::report::verify(&folder).holds() || file.ends_with("SHA256SUMS"));
        fs::write(&file, &bytes).unwrap();
    }
    assert!(tried > 300, "{tried}");
    assert!(stagegate::report::verify(&folder).holds());
    let before = contents(&folder);
    fs::write(folder.join("evidence/more.json"), "{}").unwrap();
    assert!(!stagegate::report::verify(&folder).holds());

    let whole = fs::read(&bundle).unwrap();
    let into = tempfile::tempdir().unwrap();
    let unpacked = |bytes: &[u8], name: &str| {
        let into = into.path().join(name);
        stagegate::report::unpack(bytes, &into).ok()
    };
    for part in 0..40 {
        let cut = whole.len() * part / 40;
        let shorter = unpacked(&whole[..cut], &format!("cut{part}"));
        assert_eq!(shorter, None, "cut at {cut}");
        let mut changed = whole.clone();
        changed[cut] ^= 1 << (part % 8);
        // A bit of the packing may change nothing of what is packed; what it changes is found.
        if let Some(other) = unpacked(&changed, &format!("bit{part}"))
            && contents(&other) != before
        {
            let holds = stagegate::report::verify(&other).holds();
            assert!(!holds, "bit at byte {cut}");
        }
    }
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = walk(folder).into_iter();
    let named = |file: PathBuf| {
        let bytes = fs::read(&file).unwrap();
        (file.strip_prefix(folder).unwrap().to_owned(), bytes)
    };
    files.map(named).collect()
}

#[test]
fn the_first_wrong_record_is_named() {
    let site = site();
    let journal = site.run_folder().join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let third = text.lines().nth(2).unwrap();
    let changed = text.replace(third, &third.replacen("root", "toor", 1));
    assert_ne!(changed, text);
    fs::write(&journal, changed).unwrap();
    asks(&site, &["verify"])
        .exits(1)
        .shows("WRONG      journal, record 3: its hash does not match its content")
        .shows("IT DOES NOT HOLD; first at record 3")
        .says("compare with another copy");
}

#[test]
fn a_journal_that_was_cut_off_cleanly_is_behind_the_ledger() {
    let site = site();
    let journal = site.run_folder().join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    asks(&site, &["verify"]).exits(0);
    let started = text
        .lines()
        .position(|line| line.contains("gate_started") && line.contains("\"mig\""));
    let lines: Vec<&str> = text.lines().take(started.unwrap()).collect();
    fs::write(&journal, lines.join("\n") + "\n").unwrap();
    asks(&site, &["verify", "--no-database"])
        .exits(1)
        .shows("is of an attempt that the journal does not know");
    for cut in ["mig-1.json", "never-1.json"] {
        fs::remove_file(site.run_folder().join("evidence").join(cut)).unwrap();
    }
    asks(&site, &["verify", "--no-database"]).exits(0);
    asks(&site, &["verify"])
        .exits(1)
        .shows("WRONG      ledger of db")
        .shows("has seen record");
    // It is not gone on with either, and nothing is written into it.
    let before = fs::read(&journal).unwrap();
    site.resume()
        .exits(6)
        .says("is behind its witnesses")
        .says("the ledger of db, at db/1.sql, has seen record");
    assert_eq!(fs::read(&journal).unwrap(), before);
}

#[test]
fn a_record_that_verifies_and_cannot_have_been_is_named() {
    use stagegate::promotion::{Event, Journal, Record};
    let site = site();
    let journal = site.run_folder().join("journal.jsonl");
    let read = Journal::read(&fs::read(&journal).unwrap()).unwrap();
    // Somebody writes the whole journal anew, and lets the gate that refused pass.
    let mut last = (0, stagegate::promotion::GENESIS.to_owned());
    let mut bytes = Vec::new();
    for record in &read.records {
        let mut event = record.event.clone();
        if let Event::GateStarted { gate, .. } = &mut event
            && gate == "mig"
        {
            *gate = "never".to_owned();
        }
        let made = Record::after((last.0, &last.1), record.time, &record.actor, event);
        let (made, line) = made.unwrap();
        last = (made.seq, made.hash.clone());
        bytes.extend(line);
    }
    fs::write(&journal, bytes).unwrap();
    asks(&site, &["verify", "--no-database"])
        .exits(1)
        .shows("gate `never` starts while `mig` before it is pending");
}

#[test]
fn what_stayed_with_an_earlier_holder_is_said_and_is_not_wrong() {
    use stagegate::promotion::{Event, Journal, Record};
    let site = site();
    let folder = site.run_folder();
    let journal = folder.join("journal.jsonl");
    fs::remove_file(folder.join("outputs/who-1.log")).unwrap();
    asks(&site, &["verify", "--no-database"])
        .exits(1)
        .shows("outputs/who-1.log, which record");
    let mut bytes = fs::read(&journal).unwrap();
    let read = Journal::read(&bytes).unwrap();
    let last = read.records.last().unwrap();
    let event = Event::ConnTaken {
        from: "otto@one".into(),
        epoch: 2,
        unanswered: false,
    };
    let made = Record::after(read.last(), last.time, &last.actor, event);
    bytes.extend(made.unwrap().1);
    fs::write(&journal, bytes).unwrap();
    asks(&site, &["verify", "--no-database"])
        .exits(0)
        .shows("unchecked  documents: 1 with what programs wrote lie where the conn was before");
    // What is there must still be what it was.
    fs::write(folder.join("outputs/count-1.log"), "other").unwrap();
    asks(&site, &["verify", "--no-database"]).exits(1);
}

#[test]
fn what_is_no_run_is_said() {
    let site = Site::new();
    let none = ["--runs-dir", "runs"];
    for command in ["report", "bundle", "verify"] {
        site.stagegate(&[&[command, "nothing"], &none[..]].concat())
            .exits(1)
            .says("there is no run `nothing`")
            .says("stagegate runs");
    }
    site.write("x.tar.zst", "this is no bundle");
    site.stagegate(&["verify", "x.tar.zst"])
        .exits(1)
        .shows("WRONG      bundle: it does not unpack");
}
