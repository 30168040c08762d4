//! `run --record`, in a real terminal.

use crate::pty::Pty;
use crate::site::Site;
use crate::walker::{Stop, Walker};

const GATES: &str = r#"
[[phase.gate]]
id = "tell"
title = "A program tells what it should not"
exec = { argv = ["printenv", "API_TOKEN"], env = ["API_TOKEN"], looks = true }

[[phase.gate]]
id = "count"
title = "Count"
query = { target = "db", sql = "SELECT 1", expect = { value = 1 } }
"#;

#[test]
fn a_recording_plays_marks_every_gate_and_holds_no_secret() {
    let site = Site::new();
    site.runbook(GATES);
    let url = site.cluster.url("postgres", "postgres");
    let run = [
        "run",
        "runbook.toml",
        "--runs-dir",
        "runs",
        "--record",
        "run.cast",
    ];
    let environment = [("DB", url.as_str()), ("API_TOKEN", "hush-4711-hush")];
    let mut pty = Pty::start(&run, &site.path(""), &environment, (100, 30));
    pty.wait_for("PG ");
    let mut walker = Walker { pty };
    assert_eq!(walker.walk(), Stop::AllThrough);
    walker.pty.send("q");
    walker.pty.wait_end();
    let text = std::fs::read_to_string(site.path("run.cast")).unwrap();
    let mut lines = text.lines();
    let header: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(
        (&header["version"], &header["title"]),
        (&3.into(), &"Test".into())
    );
    let mut screen = vt100::Parser::new(30.try_into().unwrap(), 100.try_into().unwrap(), 0);
    let (mut markers, mut played) = (Vec::new(), String::new());
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event[0].as_f64().unwrap() >= 0.0);
        let data = event[2].as_str().unwrap();
        match event[1].as_str().unwrap() {
            "o" => screen.process(data.as_bytes()),
            "m" => markers.push(data.to_owned()),
            "r" => assert_eq!(data, "100x30"),
            other => panic!("what is `{other}`?"),
        }
        let now = screen.screen().contents();
        assert!(!now.contains("4711"), "{now}");
        if now.contains("A program tells") {
            played = now;
        }
    }
    assert_eq!(markers, ["tell", "count"]);
    assert!(played.contains("Test"), "{played}");
    assert!(!text.contains("hush-4711-hush"));

    let mut again = Pty::start(&run, &site.path(""), &environment, (100, 30));
    assert_eq!(again.wait_end().exit_code(), 1);
    assert!(
        again.text().contains("cannot be recorded to"),
        "{}",
        again.text()
    );
}
