//! The whole demo by keys: to the signed-off end, and to the refusal of every fault and back.

use std::path::Path;

use stagegate::demo::{DemoWorld, faults};

use crate::pty::Pty;
use crate::walker::{Stop, Walker, bottom};

/// A demo world, with a folder for runs.
pub(crate) struct Demo {
    world: DemoWorld,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl Demo {
    pub(crate) fn new(fault: Option<&str>) -> Demo {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let world = runtime
            .block_on(DemoWorld::build("housekeeping", fault, folder.path()))
            .unwrap();
        Demo {
            world,
            runtime,
            folder,
        }
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        let pairs = self.world.environment.iter();
        pairs
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }

    pub(crate) fn console(&self, more: &[&str], size: (u16, u16)) -> Walker {
        self.console_with(more, size, &[])
    }

    fn console_with(&self, more: &[&str], size: (u16, u16), variables: &[(&str, &str)]) -> Walker {
        let runs = self.folder.path().join("runs");
        let runbook = self.world.runbook.to_str().unwrap();
        let mut arguments = vec!["run", runbook, "--runs-dir", runs.to_str().unwrap()];
        arguments.extend(more);
        let vars: Vec<String> = self
            .world
            .vars
            .iter()
            .map(|(name, value)| format!("--var={name}={value}"))
            .collect();
        // A run that is taken up has its values already.
        if !more.contains(&"--resume") {
            arguments.extend(vars.iter().map(String::as_str));
        }
        let mut environment = self.environment();
        environment.extend(variables);
        let mut pty = Pty::start(&arguments, &self.world.repository, &environment, size);
        pty.wait_for("PG ");
        Walker { pty }
    }

    /// Runs a command on the demo's runbook to its end, with the demo's variables.
    pub(crate) fn command(&self, name: &str, more: &[&str]) -> crate::site::Ended {
        let vars = self.world.vars.iter();
        let vars: Vec<String> = vars
            .map(|(name, value)| format!("--var={name}={value}"))
            .collect();
        let mut command = std::process::Command::new(crate::site::BINARY);
        command
            .arg(name)
            .arg(&self.world.runbook)
            .args(vars)
            .args(more)
            .current_dir(&self.world.repository)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .envs(self.environment());
        crate::site::ended(command.output().unwrap())
    }

    /// Verifies the only run with the databases that it had, puts it into a bundle, and has that
    /// checked by the stock tools; gives what verifying said.
    fn verified(&self) -> String {
        let runs = self.folder.path().join("runs");
        let name = stagegate::engine::list(&runs)[0].name.clone();
        let stagegate = |arguments: &[&str]| {
            let mut command = std::process::Command::new(crate::site::BINARY);
            command.args(arguments).arg("--runs-dir").arg(&runs);
            command
                .current_dir(self.folder.path())
                .envs(self.environment());
            crate::site::ended(command.output().unwrap()).exits(0).out
        };
        let said = stagegate(&["verify", &name]);
        stagegate(&["bundle", &name, "--out", "run.tar.zst"]);
        let bundle = self.folder.path().join("run.tar.zst");
        let bundle = std::fs::File::open(bundle).unwrap();
        let folder = stagegate::report::unpack(bundle, &self.folder.path().join("unpacked"));
        let mut script = std::process::Command::new("sh");
        let script = script.arg(folder.unwrap().join("verify.sh"));
        crate::site::ended(script.output().unwrap())
            .exits(0)
            .shows("well");
        said
    }

    /// The first value of a query on production, by the superuser.
    fn ask(&self, sql: &str) -> String {
        let info = crate::server::resolve(&self.world.admin_url("production"));
        self.runtime
            .block_on(async { crate::server::one(&crate::server::open(&info).await, sql).await })
    }

    fn status(&self) -> (String, usize) {
        let runs = stagegate::engine::list(&self.folder.path().join("runs"));
        let run = runs[0].run.as_ref().unwrap();
        (run.status.word().to_owned(), run.progress().0)
    }
}

#[test]
fn the_demo_runs_by_keys_to_its_signed_end() {
    let demo = Demo::new(None);
    let mut walker = demo.console(&[], (120, 40));
    assert_eq!(walker.walk(), Stop::AllThrough);
    walker.pty.send("\r");
    walker.pty.wait_until("the end of the run", |screen| {
        screen.contains("closed") && !screen.contains("Enter close the run")
    });
    walker.pty.send("q");
    let status = walker.pty.wait_end();
    assert_eq!(status.exit_code(), 0, "{}", walker.pty.text());
    assert!(walker.pty.is_restored());
    assert_eq!(demo.status(), ("closed".to_owned(), 50));
    let said = demo.verified();
    for part in [
        "well       run: closed, 50 of 50 gates let it through",
        "rows remember this journal",
        "it holds",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
}

#[test]
fn the_immediate_way_back_by_keys() {
    let demo = Demo::new(Some("rollback-needed"));
    let before = demo.ask("SELECT count(*) FROM eng.services");
    let mut walker = demo.console(&[], (120, 40));
    assert_eq!(walker.walk(), Stop::Refused);
    walker.pty.wait_for("─ no-cross-boundary-attempts ─");
    walker.roll_back(&["\r"], "production");
    walker.pty.wait_for("ROLLING BACK");
    assert_eq!(walker.walk(), Stop::AllThrough);
    walker.pty.send("\r");
    walker.pty.wait_for("rolled back by `immediate`");
    walker.pty.send("q");
    assert_eq!(walker.pty.wait_end().exit_code(), 4);
    assert_eq!(demo.status().0, "rolled back");
    // Production is as it was, and what it was before going back is kept.
    let relations = "SELECT to_regclass('eng.strategic_directives_v2') IS NULL";
    assert_eq!(demo.ask(relations), "t");
    assert_eq!(demo.ask("SELECT count(*) FROM eng.services"), before);
    let kept = "SELECT count(*) FROM pg_database WHERE datname LIKE 'production_before_%'";
    assert_eq!(demo.ask(kept), "1");
    let said = demo.verified();
    assert!(said.contains("run: rolled back"), "{said}");
}

#[test]
fn two_files_are_undone_by_keys() {
    let demo = Demo::new(Some("failing-migration"));
    let mut walker = demo.console(&[], (80, 24));
    assert_eq!(walker.walk(), Stop::Refused);
    let applied = "SELECT count(*) FROM stagegate.ledger WHERE state = 'applied'";
    let before: i64 = demo.ask(applied).parse().unwrap();
    walker.pty.send("b");
    walker.pty.wait_for("Roll back?");
    // The plans of the ways are made meanwhile; the files come with them.
    walker.pty.wait_for("undo ");
    walker.pty.send("\x1b");
    walker.pty.wait_gone("Roll back?");
    walker.roll_back(&["j", "\r", " ", "j", " ", "\r"], "production");
    assert_eq!(walker.walk(), Stop::AllThrough);
    walker.pty.send("\r");
    walker.pty.wait_for("rolled back by `partial`");
    let after: i64 = demo.ask(applied).parse().unwrap();
    assert_eq!(after, before - 2);
    let undone = "SELECT count(*) FROM stagegate.ledger WHERE state = 'reverted'";
    assert_eq!(demo.ask(undone), "2");
}

#[test]
fn a_console_that_was_killed_is_taken_up_where_the_database_stands() {
    let demo = Demo::new(None);
    // The third file of the engineering migrations: everything was sent but COMMIT.
    let mut killed = demo.console_with(&[], (120, 40), &[("STAGEGATE_DIE_AT", "before_commit:3")]);
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| killed.walk()));
    assert!(walked.is_err(), "it was not killed");
    assert!(killed.pty.wait_end().exit_code() != 0);
    let mut walker = demo.console(&["--resume"], (120, 40));
    walker.pty.wait_for("2 of 10 files are applied");
    assert_eq!(walker.walk(), Stop::AllThrough);
    walker.pty.send("\r");
    walker
        .pty
        .wait_until("the end", |screen| !screen.contains("Enter close the run"));
    walker.pty.send("q");
    assert_eq!(walker.pty.wait_end().exit_code(), 0);
    let counts = demo.ask(
        "SELECT count(*) || ' ' || count(DISTINCT file) FROM stagegate.ledger \
         WHERE state = 'applied'",
    );
    assert_eq!(counts, "22 22");
    let twice = "SELECT count(*) FROM (SELECT version FROM audit.migration_log \
                 GROUP BY version HAVING count(*) > 1) AS twice";
    assert_eq!(demo.ask(twice), "0");
}

/// Walks to the refusal, shows that no key goes past it, mends the cause and goes on.
fn refuse_and_mend(name: &str) {
    let fault = faults("housekeeping")
        .iter()
        .find(|fault| fault.name == name)
        .unwrap();
    let demo = Demo::new(Some(name));
    // A narrow terminal, as over SSH at night.
    let mut walker = demo.console(&[], (100, 30));
    assert_eq!(walker.walk(), Stop::Refused);
    let refused = walker.pty.text();
    assert!(
        refused.contains(&format!("─ {} ─", fault.gate)),
        "{name}:\n{refused}"
    );
    assert!(
        refused.contains("Caused by") || refused.contains("↓"),
        "{name}:\n{refused}"
    );
    let (_, through) = demo.status();
    no_key_goes_past(&mut walker);
    assert_eq!(
        demo.status().1,
        through,
        "{name}: something went past the gate"
    );
    demo.runtime.block_on(demo.world.mend(name)).unwrap();
    walker.pty.send("r");
    let title = format!("─ {} ─", fault.gate);
    let passed = |screen: &str| !screen.contains(&title) || screen.contains("✓ passed");
    walker
        .pty
        .wait_until("the dialog of a retry, or its end", |screen| {
            screen.contains("Type the name") || passed(screen)
        });
    walker.type_name();
    loop {
        walker
            .pty
            .wait_until("the gate to pass, or to ask", |screen| {
                passed(screen) || bottom(screen).contains("g go on")
            });
        if !bottom(&walker.pty.text()).contains("g go on") {
            break;
        }
        walker.choose();
    }
    assert!(
        demo.status().1 > through,
        "{name}: it has not passed:\n{}",
        walker.pty.text()
    );
    walker.pty.send("q");
    let status = walker.pty.wait_end();
    assert_eq!(status.exit_code(), 4);
}

/// Every key that acts, on the gate behind the refused one and on itself.
fn no_key_goes_past(walker: &mut Walker) {
    walker.press_and_wait("j");
    walker.press_and_wait("\r");
    walker
        .pty
        .wait_for("nothing later starts until it has passed");
    for key in ["r", "w", "s", " ", "c"] {
        walker.pty.send(key);
    }
    walker.pty.send(".");
    walker.pty.wait_until("the gate as it was", |screen| {
        bottom(screen).contains("r retry")
    });
    walker.pty.send("\r");
    walker.pty.wait_until("the gate as it is", |screen| {
        bottom(screen).contains("r retry")
    });
}

macro_rules! faults {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            refuse_and_mend($name);
        })*

        #[test]
        fn every_fault_is_walked() {
            let walked = [$($name),*];
            let known: Vec<&str> = faults("housekeeping").iter().map(|fault| fault.name).collect();
            assert_eq!(known.len(), walked.len());
            assert!(known.iter().all(|name| walked.contains(name)), "{known:?}");
        }
    };
}

faults! {
    audit_errors "audit-errors"
    missing_role "missing-role"
    role_not_granted "role-not-granted"
    backup_forbidden "backup-forbidden"
    archiver_failing "archiver-failing"
    destructive_migration "destructive-migration"
    locked_table "locked-table"
    rls_off "rls-off"
    failing_migration "failing-migration"
    cross_boundary_grant "cross-boundary-grant"
    boundary_violation "boundary-violation"
    view_broken "view-broken"
    analyst_grant "analyst-grant"
    rollback_needed "rollback-needed"
    ramp_breach "ramp-breach"
    p95_regression "p95-regression"
}

#[test]
fn the_demo_command_opens_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut pty = Pty::start(
        &["demo", "--fault", "audit-errors"],
        folder.path(),
        &[],
        (80, 24),
    );
    pty.wait_for("PRODUCTION");
    pty.wait_for("plan ");
    pty.send("\r");
    pty.wait_for("✗ failed");
    let mend = std::process::Command::new(crate::site::BINARY)
        .args(["demo", "--mend", "audit-errors"])
        .env("HOME", folder.path())
        .status()
        .unwrap();
    assert!(mend.success());
    pty.send("r");
    pty.wait_for("✓ No errors");
    let world = world_folder(folder.path()).unwrap();
    assert!(world.exists());
    pty.send("q");
    assert_eq!(pty.wait_end().exit_code(), 4);
    assert!(pty.is_restored());
    assert!(!world.exists());
}

/// The folder of the demo's world, from the file that lets another terminal reach it.
fn world_folder(home: &Path) -> Option<std::path::PathBuf> {
    let pointer = home.join(".cache/stagegate/demo-control");
    let socket = std::fs::read_to_string(pointer).ok()?;
    Some(Path::new(&socket).parent()?.to_owned())
}

#[test]
fn what_is_left_of_a_demo_offers_nothing_to_go_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let environment = [("HOME", home)];
    let mut pty = Pty::start(&["demo"], folder.path(), &environment, (120, 40));
    pty.wait_for("0 of 50 gates");
    pty.send("q");
    assert_eq!(pty.wait_end().exit_code(), 4);
    let said = pty.text();
    assert!(
        said.contains("are removed, and the run with them"),
        "{said}"
    );
    assert!(!said.contains("go on with"), "{said}");
}
