//! The real program in a real terminal: it opens, obeys, refuses, and gives the terminal back.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::pty::Pty;
use crate::site::Site;

const SIZE: (u16, u16) = (100, 30);

/// Gates that need no database.
const OFFLINE: &str = r#"
format = 1
title = "Offline"
[[phase]]
id = "phase"
title = "Phase"
[[phase.gate]]
id = "readme"
title = "There is a readme"
[phase.gate.file]
path = "README.md"
exists = true
[[phase.gate]]
id = "people"
title = "People know"
[phase.gate.checklist]
items = ["They were told"]
[[phase.gate]]
id = "slow"
title = "A slow program"
[phase.gate.exec]
argv = ["sh", "-c", "echo begun; read -r line < go; echo ended"]
"#;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("runbook.toml"), OFFLINE).unwrap();
        std::fs::write(folder.path().join("README.md"), "hello").unwrap();
        // The slow program waits until somebody writes into this.
        let go = folder.path().join("go");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &go, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        Place { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn open(&self, environment: &[(&str, &str)]) -> Pty {
        let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
        let mut pty = Pty::start(&arguments, self.path(), environment, SIZE);
        pty.wait_for("There is a readme");
        pty
    }

    /// A console that stands where the slow program runs.
    fn open_at_work(&self) -> Pty {
        let mut pty = self.open(&[]);
        pty.send("\r");
        pty.wait_for("0 of 1 confirmed");
        // The run has just come here: a key counts when the screen was seen for a while.
        while pty.writes_within(Duration::from_millis(700)) {}
        pty.send(" ");
        pty.wait_for("2 of 3 gates");
        pty.wait_for("What it would do");
        pty.send("\r");
        pty.wait_for("Press y or Enter");
        heard(&mut pty);
        pty.send("y");
        pty.wait_for("running for");
        pty.wait_for("begun");
        pty
    }

    fn journal(&self) -> String {
        let run = std::fs::read_dir(self.path().join("runs")).unwrap().next();
        std::fs::read_to_string(run.unwrap().unwrap().path().join("journal.jsonl")).unwrap()
    }
}

/// Waits until a guarded dialog takes keys.
fn heard(pty: &mut Pty) {
    pty.wait_gone("keys count in a moment");
}

/// Waits for the program's end; returns its exit code.
fn code(pty: &mut Pty) -> u32 {
    pty.wait_end().exit_code()
}

fn given_back(pty: &Pty) {
    assert!(pty.is_restored());
    let text = String::from_utf8_lossy(pty.raw());
    assert_eq!(text.matches("\x1b[?1049h").count(), 1, "entered once");
    assert_eq!(text.matches("\x1b[?1049l").count(), 1, "and left once");
}

#[test]
fn it_opens_explains_itself_and_leaves() {
    let place = Place::new();
    let mut pty = place.open(&[]);
    pty.wait_for("NO DATABASE");
    pty.send("?");
    pty.wait_for("act on the selected gate");
    pty.send("\x1b");
    pty.wait_gone("act on the selected gate");
    pty.send("q");
    assert_eq!(code(&mut pty), 4);
    given_back(&pty);
    assert!(
        pty.text().contains("go on with: stagegate run --resume"),
        "{}",
        pty.text()
    );
}

#[test]
fn a_whole_run_is_driven_to_its_end() {
    let place = Place::new();
    let mut pty = place.open_at_work();
    std::fs::write(place.path().join("go"), "go\n").unwrap();
    pty.wait_for("3 of 3 gates");
    pty.send("\r");
    pty.wait_for("The run is closed");
    pty.send("q");
    assert_eq!(code(&mut pty), 0);
    given_back(&pty);
    assert!(place.journal().contains("run_closed"));
}

#[test]
fn leaving_while_work_is_in_flight_asks() {
    let place = Place::new();
    let mut pty = place.open_at_work();
    pty.send("ql");
    pty.wait_for("Leave while work is in flight?");
    heard(&mut pty);
    pty.send("\x1b");
    pty.wait_gone("Leave while");
    pty.send("\x03");
    pty.wait_for("Leave while work is in flight?");
    heard(&mut pty);
    pty.send("l");
    pty.wait_for("goes on to its end here");
    std::fs::write(place.path().join("go"), "go\n").unwrap();
    assert_eq!(code(&mut pty), 4);
    given_back(&pty);
    let journal = place.journal();
    let last = journal.lines().last().unwrap();
    assert!(
        last.contains("gate_finished") && last.contains("\"slow\""),
        "{last}"
    );
}

#[test]
fn canceled_work_is_waited_for() {
    let place = Place::new();
    let mut pty = place.open_at_work();
    pty.send("q");
    pty.wait_for("Leave while work is in flight?");
    heard(&mut pty);
    pty.send("c");
    assert_eq!(code(&mut pty), 4);
    given_back(&pty);
    assert!(place.journal().contains("gate_canceled"));
}

#[test]
fn a_request_to_end_gives_the_terminal_back() {
    let place = Place::new();
    let mut pty = place.open_at_work();
    pty.signal(Signal::TERM);
    assert_eq!(code(&mut pty), 130);
    given_back(&pty);
    let journal = place.journal();
    assert!(
        journal.lines().last().unwrap().contains("gate_canceled"),
        "{journal}"
    );
}

#[test]
fn a_lost_terminal_answers_nothing() {
    let place = Place::new();
    let mut pty = place.open_at_work();
    pty.send("q");
    pty.wait_for("Leave while work is in flight?");
    pty.hang_up();
    std::fs::write(place.path().join("go"), "go\n").unwrap();
    assert_eq!(code(&mut pty), 130);
    let journal = place.journal();
    assert!(journal.contains("the terminal was lost"), "{journal}");
    assert!(
        journal.contains("run_held"),
        "nothing is started before somebody is back"
    );
    assert!(!journal.contains("cancel_requested"), "{journal}");
    assert!(journal.contains("\"summary\":\"exit 0\""), "{journal}");
}

#[test]
fn suspending_is_refused_and_coming_back_draws_all() {
    let place = Place::new();
    let mut pty = place.open(&[]);
    pty.send("\x1a");
    pty.wait_for("not suspended");
    pty.send("\x1b");
    pty.wait_gone("not suspended");
    pty.signal(Signal::TSTP);
    pty.wait_for("not suspended");
    let before = pty.raw().len();
    pty.signal(Signal::CONT);
    while !String::from_utf8_lossy(&pty.raw()[before..]).contains("There is a readme") {
        assert!(pty.writes_within(Duration::from_secs(20)));
    }
}

#[test]
fn resizing_draws_anew_and_says_when_it_is_too_small() {
    let place = Place::new();
    let mut pty = place.open(&[]);
    pty.resize(40, 10);
    pty.wait_for("This window is too small");
    pty.send("\r?");
    // Both keys are taken while it is too small, and do nothing.
    while pty.writes_within(Duration::from_millis(500)) {}
    pty.resize(80, 24);
    pty.wait_for("There is a readme");
    assert!(!pty.text().contains("act on the selected gate"));
    pty.resize(200, 60);
    pty.wait_for("leave");
    pty.send("q");
    assert_eq!(code(&mut pty), 4);
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let place = Place::new();
    let mut pty = place.open(&[]);
    pty.wait_for("What it would do");
    while pty.writes_within(Duration::from_millis(700)) {}
    assert!(!pty.writes_within(Duration::from_millis(2_500)));
}

#[test]
fn no_color_means_no_colour_and_nothing_is_ever_said_to_the_clipboard() {
    let place = Place::new();
    let mut pty = place.open(&[("NO_COLOR", "1")]);
    pty.send("5");
    pty.wait_for("nothing was said yet");
    pty.send("6");
    pty.wait_for("run opened");
    pty.send("q");
    assert_eq!(code(&mut pty), 4);
    let text = String::from_utf8_lossy(pty.raw());
    assert!(
        !text.contains("\x1b]"),
        "an operating system command was sent"
    );
    for part in text.split("\x1b[").skip(1) {
        let Some((numbers, _)) = part.split_once('m') else {
            continue;
        };
        let colour = |n: &str| matches!(n.parse(), Ok(30..=38 | 40..=48 | 90..=107));
        if numbers.chars().all(|c| c.is_ascii_digit() || c == ';') {
            assert!(!numbers.split(';').any(colour), "{numbers}");
        }
    }
}

#[test]
fn production_asks_for_its_name_and_forgets_what_was_typed_ahead() {
    let site = Site::new();
    site.write("db/1.sql", "CREATE TABLE made (n int);\n");
    site.write(
        "runbook.toml",
        "format = 1\ntitle = \"Test\"\n[target.production]\nurl = \"env:DB\"\n\
         environment = \"production\"\n[[phase]]\nid = \"phase\"\ntitle = \"Phase\"\n\
         [[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
         target = \"production\"\nfiles = [\"db/*.sql\"]\n",
    );
    let url = site.cluster.url("postgres", "postgres");
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let folder = site.path("");
    let mut pty = Pty::start(&arguments, &folder, &[("DB", &url)], SIZE);
    pty.wait_for("apply 1 files");
    pty.wait_for("▲ PRODUCTION ▲  ");
    let colour = pty.screen().cell(0, 4).unwrap().bgcolor();
    assert_eq!(colour, vt100::Color::Idx(160), "the header is not red");
    pty.send("\rproduction\r");
    pty.wait_for("Type the name of the target");
    heard(&mut pty);
    pty.send("\x1b[200~production\r\x1b[201~\r");
    pty.wait_for("nothing was typed");
    assert_eq!(site.one("SELECT to_regclass('made')"), "");
    pty.send("production");
    pty.wait_for("> production_");
    pty.send("\r");
    pty.wait_for("1 of 1 gates");
    assert_eq!(site.one("SELECT to_regclass('made')"), "made");
    pty.send("\r");
    pty.wait_for("The run is closed");
    pty.send("q");
    assert_eq!(code(&mut pty), 0);
}

/// Names the variable that makes the test below the program in the terminal.
const CHILD: &str = "STAGEGATE_TEST_PANIC";

#[test]
fn a_panic_gives_the_terminal_back_and_one_elsewhere_does_not_tear_it() {
    if std::env::var_os(CHILD).is_some() {
        return panic_in_a_console();
    }
    let place = Place::new();
    let binary = std::env::current_exe().unwrap();
    let name = "console_pty::a_panic_gives_the_terminal_back_and_one_elsewhere_does_not_tear_it";
    let arguments = [name, "--exact", "--nocapture"];
    let mut pty = Pty::start_program(
        binary.to_str().unwrap(),
        &arguments,
        place.path(),
        &[(CHILD, "1")],
        SIZE,
    );
    assert_ne!(code(&mut pty), 0);
    given_back(&pty);
    let text = String::from_utf8_lossy(pty.raw());
    assert!(!text.contains("panic of another thread"));
    let (_, after) = text.rsplit_once("\x1b[?1049l").unwrap();
    assert!(after.contains("panic of the thread that draws"), "{after}");
}

/// Opens a console on this test's own thread; panics elsewhere, and then here.
fn panic_in_a_console() {
    use stagegate::console::{self, ConsoleOptions};
    use stagegate::engine::{OpenOptions, Which, open};
    use stagegate::postgres::environment::Environment;
    use stagegate::promotion::Via;

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = OpenOptions {
        which: Which::New("runbook.toml".into()),
        vars: std::collections::BTreeMap::new(),
        runs_folder: "runs".into(),
        operator: "ana".to_owned(),
        via: Via::Console,
        surroundings: Environment::of_process(),
    };
    let handle = open(&options, runtime.handle()).unwrap();
    let mut snapshots = handle.snapshots();
    let trouble = async {
        // The console asks for this plan when its first frame is drawn.
        let planned = snapshots.wait_for(|snapshot| snapshot.plans.contains_key("readme"));
        planned.await.unwrap();
        let elsewhere = std::thread::spawn(|| panic!("panic of another thread")).join();
        assert!(elsewhere.is_ok(), "panic of the thread that draws");
    };
    let handle = std::sync::Arc::new(handle);
    let console = console::open(&handle, ConsoleOptions::default()).unwrap();
    let both = async { tokio::join!(console.live(), trouble) };
    let _ = runtime.block_on(both);
}
