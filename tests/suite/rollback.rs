//! Going back against a real server: restore by swap and in place, undoing chosen files, messages.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use stagegate::engine::{
    Announcement, CommandError, EngineHandle, OpenOptions, Request, Snapshot, Which, open,
};
use stagegate::gate::Evidence;
use stagegate::postgres::environment::Environment;
use stagegate::promotion::{Command, GateState, Refusal, RunStatus, Via};
use tokio::runtime::Runtime;

use crate::site::Site;

const HEAD: &str = r#"
format = 1
title = "Going back"
[target.db]
url = "env:DB"
environment = "production"
[[phase]]
id = "forward"
title = "Forward"
[[phase.gate]]
id = "dump"
title = "Backup"
backup = { target = "db", path = "backups" }
[[phase.gate]]
id = "migrations"
title = "Migrations"
migrate = { target = "db", files = ["up/*.sql"] }
[[phase.gate]]
id = "look"
title = "Look"
query = { target = "db", sql = "SELECT 1", expect = { value = "= 1" } }
"#;

const BASE: &str = "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, v text); \
    INSERT INTO app.t SELECT n, 'row ' || n FROM generate_series(1, 500) n; \
    CREATE VIEW app.v AS SELECT count(*) FROM app.t;";

/// A run in this process, with a person in front of it.
pub(crate) struct Bench {
    pub(crate) site: Site,
    pub(crate) runtime: Runtime,
    pub(crate) handle: EngineHandle,
}

impl Bench {
    pub(crate) fn new(site: Site, rest: &str) -> Bench {
        let url = site.cluster.url("shop", "postgres");
        Bench::at(site, rest, &url)
    }

    /// The same, whose target is at `url`.
    pub(crate) fn at(site: Site, rest: &str, url: &str) -> Bench {
        site.sql_in("shop", BASE);
        site.write(
            "up/1_a.sql",
            "ALTER TABLE app.t ADD COLUMN a int DEFAULT 7;",
        );
        site.write("up/2_b.sql", "CREATE TABLE app.u (id int);");
        site.write(
            "up/3_c.sql",
            "INSERT INTO app.t (id, v) VALUES (1000, 'new');",
        );
        site.write("down/1_a.sql", "ALTER TABLE app.t DROP COLUMN a;");
        site.write("down/2_b.sql", "DROP TABLE app.u;");
        site.write("down/3_c.sql", "DELETE FROM app.t WHERE id = 1000;");
        site.write("runbook.toml", &format!("{HEAD}{rest}"));
        let runtime = Runtime::new().unwrap();
        let handle = start_at(&site, &runtime, Which::New(site.path("runbook.toml")), url);
        Bench {
            site,
            runtime,
            handle,
        }
    }

    pub(crate) fn until(&self, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.handle.snapshots();
        let wait = async {
            snapshots
                .wait_for(|snapshot| what(snapshot))
                .await
                .unwrap()
                .clone()
        };
        let limit = std::time::Duration::from_secs(60);
        let waited = self
            .runtime
            .block_on(async { tokio::time::timeout(limit, wait).await });
        waited.unwrap_or_else(|_| {
            let run = &self.handle.snapshot().run;
            let gates: Vec<_> = run
                .gates
                .iter()
                .map(|g| (&g.id, g.state, &g.finding))
                .collect();
            panic!("waited in vain: {gates:#?}")
        })
    }

    pub(crate) fn command(&self, command: Command) -> Result<(), CommandError> {
        self.runtime.block_on(self.handle.command(command))
    }

    /// Plans and starts a gate, types the target's name, and waits for its end.
    pub(crate) fn gate(&self, id: &str) -> Arc<Snapshot> {
        let plan = self.plan(id);
        self.start(id, plan)
    }

    /// Plans a gate; returns the plan's digest.
    pub(crate) fn plan(&self, id: &str) -> String {
        self.runtime.block_on(self.handle.ask(Request::Plan {
            gate: id.to_owned(),
        }));
        let planned = self.until(|s| s.plans.contains_key(id) && !s.planning.contains(id));
        planned.plans[id].digest.clone()
    }

    /// Starts a gate by a plan made before, and waits for its end.
    pub(crate) fn start(&self, id: &str, plan: String) -> Arc<Snapshot> {
        let snapshot = self.handle.snapshot();
        let attempt = snapshot.run.gate(id).unwrap().attempt;
        let again = snapshot.run.gate(id).unwrap().state.may_retry();
        let (gate, plan) = (id.to_owned(), Some(plan));
        let typed_name = Some("db".to_owned());
        self.command(if again {
            Command::Retry {
                gate,
                plan,
                typed_name,
            }
        } else {
            Command::Start {
                gate,
                plan,
                typed_name,
            }
        })
        .unwrap();
        self.until(|s| {
            let gate = s.run.gate(id).unwrap();
            gate.attempt > attempt && gate.state != GateState::Running
        })
    }

    #[track_caller]
    pub(crate) fn passes(&self, id: &str) {
        let snapshot = self.gate(id);
        let gate = snapshot.run.gate(id).unwrap();
        assert_eq!(gate.state, GateState::Passed, "{:#?}", gate.finding);
    }

    pub(crate) fn finding(&self, id: &str) -> String {
        let snapshot = self.handle.snapshot();
        let finding = snapshot.run.gate(id).unwrap().finding.clone().unwrap();
        serde_json::to_string(&finding).unwrap()
    }

    pub(crate) fn back(&self, id: &str, choices: &[&str]) -> Result<(), CommandError> {
        self.command(Command::RollBack {
            rollback: id.to_owned(),
            reason: "the test says so".to_owned(),
            typed_name: Some("db".to_owned()),
            choices: choices.iter().map(|c| (*c).to_owned()).collect(),
        })
    }

    pub(crate) fn close(&self) -> RunStatus {
        self.command(Command::Close).unwrap();
        self.handle.snapshot().run.status.clone()
    }
}

pub(crate) fn start(site: &Site, runtime: &Runtime, which: Which) -> EngineHandle {
    start_at(site, runtime, which, &site.cluster.url("shop", "postgres"))
}

fn start_at(site: &Site, runtime: &Runtime, which: Which, url: &str) -> EngineHandle {
    let hook = std::env::var("STAGEGATE_TEST_HOOK").unwrap_or_default();
    let options = OpenOptions {
        which,
        vars: BTreeMap::new(),
        runs_folder: site.path("runs"),
        operator: "ana".to_owned(),
        via: Via::Console,
        surroundings: Environment::from_variables([("DB", url), ("HOOK", hook.as_str())]),
    };
    open(&options, runtime.handle()).unwrap()
}

pub(crate) fn site() -> Site {
    let site = Site::new();
    site.sql_in("postgres", "CREATE DATABASE shop");
    site
}

const SWAP: &str = r#"
[[rollback]]
id = "at-once"
title = "Immediate"
scope = "immediate"
valid_from = "migrations"
expect_duration = "5m"
[[rollback.gate]]
id = "restore"
title = "Restore"
restore = { target = "db", backup = "dump", sessions = "end" }
[[rollback.gate]]
id = "columns"
title = "The column is gone"
query = { target = "db", sql = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'app.t'::regclass AND attname = 'a'", expect = { value = "= 0" } }
"#;

#[test]
fn a_swap_brings_the_backup_back_and_keeps_the_old_database() {
    let bench = Bench::new(site(), SWAP);
    let early = bench.back("at-once", &[]).unwrap_err();
    assert!(
        matches!(early, CommandError::Refused(Refusal::WayBackClosed { .. })),
        "{early}"
    );
    bench.site.sql_in("shop", "ALTER DATABASE shop SET work_mem = '7MB'; \
        ALTER DATABASE shop SET search_path = \"$user\", app; GRANT CONNECT ON DATABASE shop TO PUBLIC");
    bench.passes("dump");
    bench.passes("migrations");
    bench
        .site
        .sql_in("shop", "DELETE FROM app.t WHERE id < 100");
    bench.back("at-once", &[]).unwrap();
    let forward = bench.command(Command::Start {
        gate: "look".into(),
        plan: None,
        typed_name: None,
    });
    assert!(
        matches!(
            forward,
            Err(CommandError::Refused(Refusal::GoingBack { .. }))
        ),
        "{forward:?}"
    );
    // Somebody is connected and comes back at once when ended.
    let other = bench.site.hold_open("shop");
    bench.passes("restore");
    drop(other);
    bench.passes("columns");
    assert_eq!(
        bench
            .site
            .one_in("shop", "SELECT count(*) || ' ' || max(id) FROM app.t"),
        "500 500"
    );
    assert_eq!(bench.site.one_in("shop", "SHOW work_mem"), "7MB");
    assert_eq!(
        bench.site.one_in("shop", "SHOW search_path"),
        "\"$user\", app"
    );
    let snapshot = bench.handle.snapshot();
    let Evidence::Restore {
        kept,
        differences,
        rows,
        ..
    } = snapshot.evidence["restore"].as_ref()
    else {
        panic!("no evidence");
    };
    assert!(differences.is_empty());
    assert_eq!(*rows, 500);
    let kept = kept.clone().unwrap();
    assert_eq!(
        bench
            .site
            .one_in(&kept, "SELECT count(*) FROM app.t WHERE a = 7"),
        "402"
    );
    assert_eq!(bench.close(), RunStatus::RolledBack("at-once".into()));
}

#[test]
fn a_backup_that_changed_is_not_restored() {
    let bench = Bench::new(site(), SWAP);
    bench.passes("dump");
    bench.passes("migrations");
    let dump = std::fs::read_dir(bench.site.path("backups"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "dump"))
        .unwrap();
    let mut bytes = std::fs::read(&dump).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&dump, bytes).unwrap();
    bench.back("at-once", &[]).unwrap();
    bench.gate("restore");
    assert!(
        bench.finding("restore").contains("has changed"),
        "{}",
        bench.finding("restore")
    );
    assert_eq!(
        bench
            .site
            .one_in("shop", "SELECT count(*) FROM app.t WHERE a = 7"),
        "501"
    );
}

#[test]
fn an_archive_that_names_another_live_database_reaches_only_the_target() {
    // The dump carries the name of the database it was taken of; another one of the old name is live.
    let bench = Bench::new(site(), SWAP);
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("at-once", &[]).unwrap();
    bench.passes("restore");
    // The run's own backup again, while the address leads to a database made since.
    bench.site.end_sessions("shop");
    bench
        .site
        .sql_in("postgres", "ALTER DATABASE shop RENAME TO shop_real");
    bench.site.sql_in("postgres", "CREATE DATABASE shop");
    bench.site.sql_in(
        "shop",
        "CREATE TABLE precious (id int); INSERT INTO precious VALUES (1)",
    );
    let snapshot = bench.gate("columns");
    assert_ne!(
        snapshot.run.gate("columns").unwrap().state,
        GateState::Passed
    );
    assert!(
        bench.finding("columns").contains("another"),
        "{}",
        bench.finding("columns")
    );
    assert_eq!(
        bench.site.one_in("shop", "SELECT count(*) FROM precious"),
        "1"
    );
}

#[test]
fn a_restore_refuses_a_database_that_was_not_backed_up() {
    let bench = Bench::new(site(), SWAP);
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("at-once", &[]).unwrap();
    // Another process takes the run up, and the name leads elsewhere by then.
    let Bench {
        site,
        runtime,
        handle,
    } = bench;
    let run = handle.snapshot().run.id.clone();
    handle.close();
    site.sql_in("postgres", "ALTER DATABASE shop RENAME TO shop_real");
    site.sql_in("postgres", "CREATE DATABASE shop");
    site.sql_in("shop", "CREATE TABLE precious (id int)");
    let handle = start(&site, &runtime, Which::Named(run));
    let bench = Bench {
        site,
        runtime,
        handle,
    };
    bench.gate("restore");
    let finding = bench.finding("restore");
    assert!(
        finding.contains("not the database that was backed up"),
        "{finding}"
    );
    assert_eq!(
        bench.site.one_in(
            "shop",
            "SELECT count(*) FROM pg_tables WHERE tablename = 'precious'"
        ),
        "1"
    );
    let databases =
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate";
    assert_eq!(
        bench.site.one_in("shop", databases),
        "postgres shop shop_real"
    );
}

const IN_PLACE: &str = r#"
[[rollback]]
id = "in-place"
title = "In place"
scope = "immediate"
valid_from = "migrations"
expect_duration = "5m"
[[rollback.gate]]
id = "restore"
title = "Restore"
restore = { target = "db", backup = "dump", mode = "in-place" }
"#;

#[test]
fn in_place_refuses_newer_tables_and_sessions_and_then_restores() {
    let bench = Bench::new(site(), IN_PLACE);
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("in-place", &[]).unwrap();
    bench.gate("restore");
    assert!(
        bench.finding("restore").contains("app.u"),
        "{}",
        bench.finding("restore")
    );
    bench
        .site
        .sql_in("shop", "DROP TABLE app.u; DROP SCHEMA stagegate CASCADE");
    let other = bench.site.hold_open("shop");
    bench.gate("restore");
    assert!(
        bench.finding("restore").contains("others are connected"),
        "{}",
        bench.finding("restore")
    );
    assert_eq!(
        bench
            .site
            .one_in("shop", "SELECT count(*) FROM app.t WHERE a = 7"),
        "501"
    );
    drop(other);
    bench.site.until_alone("shop");
    bench.passes("restore");
    assert_eq!(
        bench
            .site
            .one_in("shop", "SELECT count(*) || ' ' || max(id) FROM app.t"),
        "500 500"
    );
    assert_eq!(bench.site.one_in("shop", "SELECT count(*) FROM app.v"), "1");
}

const PARTIAL: &str = r#"
[[rollback]]
id = "in-part"
title = "In part"
scope = "partial"
valid_from = "migrations"
expect_duration = "5m"
[[rollback.gate]]
id = "down"
title = "Down"
migrate = { target = "db", files = ["down/*.sql"], undoes = ["migrations"] }
"#;

#[test]
fn chosen_files_are_undone_the_last_applied_first() {
    let bench = Bench::new(site(), PARTIAL);
    bench.passes("dump");
    bench.passes("migrations");
    let none = bench.back("in-part", &[]).unwrap_err();
    assert!(
        matches!(none, CommandError::Refused(Refusal::NothingChosen(_))),
        "{none}"
    );
    bench
        .back("in-part", &["up/2_b.sql", "up/3_c.sql"])
        .unwrap();
    bench.passes("down");
    let snapshot = bench.handle.snapshot();
    let effects: Vec<&str> = snapshot
        .run
        .gate("down")
        .unwrap()
        .effects
        .iter()
        .map(|e| e.name.as_str())
        .collect();
    assert_eq!(effects, ["down/3_c.sql", "down/2_b.sql"]);
    let ledger =
        "SELECT string_agg(file || ' ' || state, ', ' ORDER BY file) FROM stagegate.ledger";
    assert_eq!(
        bench.site.one_in("shop", ledger),
        "down/2_b.sql undo, down/3_c.sql undo, up/1_a.sql applied, up/2_b.sql reverted, \
         up/3_c.sql reverted"
    );
    assert_eq!(
        bench
            .site
            .one_in("shop", "SELECT count(*) || ' ' || sum(a) FROM app.t"),
        "500 3500"
    );
    assert_eq!(bench.close(), RunStatus::RolledBack("in-part".into()));
    // What was undone is pending again for a run after it.
    let Bench {
        site,
        runtime,
        handle,
    } = bench;
    handle.close();
    let handle = start(&site, &runtime, Which::New(site.path("runbook.toml")));
    let bench = Bench {
        site,
        runtime,
        handle,
    };
    bench.passes("dump");
    bench.passes("migrations");
    assert_eq!(bench.site.one_in("shop", "SELECT count(*) FROM app.u"), "0");
}

const MESSAGES: &str = r#"
[[message]]
id = "going-back"
subject = "[ROLLBACK] {title}"
body = "Status: {issue}\nETA: {eta}\nNext: {next_update}"
next_update = "15m"
webhook = { url = "env:HOOK", shape = "slack" }
[[rollback]]
id = "told"
title = "Told"
scope = "immediate"
valid_from = "dump"
expect_duration = "5m"
[[rollback.gate]]
id = "tell"
title = "Tell people"
message = { send = "going-back" }
"#;

#[test]
fn a_message_is_kept_recorded_and_promises_the_next() {
    let bench = Bench::new(site(), MESSAGES);
    bench.passes("dump");
    bench
        .command(Command::RollBack {
            rollback: "told".into(),
            reason: "the test says so".into(),
            // No gate of this way acts on production, so its own name is typed.
            typed_name: Some("told".into()),
            choices: Vec::new(),
        })
        .unwrap();
    let announce = |post| {
        bench.runtime.block_on(bench.handle.announce(Announcement {
            message: "going-back".into(),
            gate: Some("tell".into()),
            subject: "S".into(),
            body: "B".into(),
            post,
        }))
    };
    let refused = announce(true).unwrap_err().to_string();
    assert!(refused.contains("HOOK"), "{refused}");
    announce(false).unwrap();
    let run = bench.handle.snapshot().run.clone();
    assert_eq!(run.gate("tell").unwrap().state, GateState::Passed);
    assert_eq!(run.reminder.as_ref().unwrap().message, "going-back");
    let kept: PathBuf = bench.handle.folder().join("messages");
    let text = std::fs::read_to_string(
        std::fs::read_dir(kept)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
    );
    assert_eq!(text.unwrap(), "S\n\nB\n");
    assert_eq!(bench.close(), RunStatus::RolledBack("told".into()));
}

#[test]
fn an_index_is_undone_outside_of_a_transaction() {
    let bench = Bench::new(site(), PARTIAL);
    let write = |name: &str, sql: &str| bench.site.write(name, sql);
    write("up/3_c.sql", "CREATE INDEX CONCURRENTLY c_i ON app.t (a);");
    write("down/3_c.sql", "DROP INDEX CONCURRENTLY app.c_i;");
    bench.passes("dump");
    bench.passes("migrations");
    let there = "SELECT to_regclass('app.c_i') IS NOT NULL";
    assert_eq!(bench.site.one_in("shop", there), "t");
    bench.back("in-part", &["up/3_c.sql"]).unwrap();
    bench.passes("down");
    assert_eq!(bench.site.one_in("shop", there), "f");
    let ledger = "SELECT string_agg(file || ' ' || state, ', ' ORDER BY file) \
                  FROM stagegate.ledger WHERE file LIKE '%3_c%'";
    assert_eq!(
        bench.site.one_in("shop", ledger),
        "down/3_c.sql undo, up/3_c.sql reverted"
    );
}
