//! Production with something of everything, a development of its own, each on a server of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use stagegate::engine::{EngineHandle, OpenOptions, Request, Snapshot, Which, open};
use stagegate::gate::{Cloned, Evidence};
use stagegate::postgres::environment::Environment;
use stagegate::promotion::{Command, GateState, Via};
use tokio::runtime::Runtime;

use crate::site::Site;

/// What production holds.
pub(crate) const PRODUCTION: &str = include_str!("clone_world.sql");

/// What is lost.
const DEVELOPMENT: &str = "\
CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY, email text); \
INSERT INTO auth.users VALUES ('00000000-0000-0000-0000-00000000000d', 'ben@example.com'), \
    ('00000000-0000-0000-0000-00000000000e', 'dev@example.com'); \
CREATE TABLE old (id int PRIMARY KEY); INSERT INTO old SELECT generate_series(1, 7); ANALYZE;";

pub(crate) const HEAD: &str = r#"
format = 1
title = "Clone"
[target.production]
url = "env:PROD"
environment = "production"
[target.development]
url = "env:DEV"
environment = "development"
[[phase]]
id = "phase"
title = "Phase"
[[phase.gate]]
id = "backup"
title = "Backup"
backup = { target = "production", path = "backups" }
"#;

/// The two servers.
pub(crate) struct Ends {
    /// Production is `app` on its cluster; its folder is where everything lies.
    pub(crate) production: Site,
    /// Development is `dev` on its cluster.
    pub(crate) development: Site,
}

impl Ends {
    pub(crate) fn new() -> Ends {
        let (production, development) = (Site::new(), Site::new());
        production.sql("CREATE DATABASE app");
        production.sql("CREATE ROLE app_reader; CREATE ROLE app_owner");
        production.sql_in("app", PRODUCTION);
        development.sql("CREATE DATABASE dev");
        development.sql("CREATE ROLE app_reader; CREATE ROLE app_owner");
        development.sql_in("dev", DEVELOPMENT);
        Ends {
            production,
            development,
        }
    }

    pub(crate) fn enrolled() -> Ends {
        let ends = Ends::new();
        ends.enrol(&["--as", "development", "--database", "dev"]);
        ends
    }

    pub(crate) fn prod_url(&self) -> String {
        self.production.cluster.url("app", "postgres")
    }

    pub(crate) fn dev_url(&self) -> String {
        self.development.cluster.url("dev", "postgres")
    }

    /// Enrols development.
    pub(crate) fn enrol(&self, arguments: &[&str]) {
        let url = self.dev_url();
        let all = [&["enrol", url.as_str()], arguments].concat();
        self.production.stagegate(&all).exits(0);
    }

    /// Names of the databases of development's server.
    pub(crate) fn databases(&self) -> Vec<String> {
        let sql = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database \
                   WHERE datname !~ '^(postgres|template)'";
        let list = self.development.one(sql);
        list.split(' ').map(str::to_owned).collect()
    }

    /// Development is as it was, and nothing is left beside it.
    #[track_caller]
    pub(crate) fn untouched(&self) {
        assert_eq!(self.databases(), ["dev"]);
        let old = self.development.one_in("dev", "SELECT count(*) FROM old");
        assert_eq!(old, "7");
    }

    /// Development is the copy.
    #[track_caller]
    pub(crate) fn is_copy(&self) {
        for sql in [
            "SELECT to_regclass('old') IS NULL",
            "SELECT count(*) = 3 FROM auth.users",
            "SELECT count(*) = 2000 FROM app.orders",
        ] {
            assert_eq!(self.development.one_in("dev", sql), "t", "{sql}");
        }
    }
}

/// A run in this process with a person in front of it.
pub(crate) struct Bench {
    pub(crate) ends: Ends,
    runtime: Runtime,
    pub(crate) handle: EngineHandle,
}

impl Bench {
    /// With the gate `clone` of these keys.
    pub(crate) fn new(ends: Ends, keys: &str) -> Bench {
        let (prod, dev) = (ends.prod_url(), ends.dev_url());
        Bench::at(ends, keys, &[("PROD", &prod), ("DEV", &dev)])
    }

    pub(crate) fn at(ends: Ends, keys: &str, variables: &[(&str, &str)]) -> Bench {
        Bench::of(ends, &gate(keys), variables)
    }

    pub(crate) fn of(ends: Ends, gates: &str, variables: &[(&str, &str)]) -> Bench {
        let site = &ends.production;
        let runbook = site.write("runbook.toml", &format!("{HEAD}{gates}"));
        let runtime = Runtime::new().unwrap();
        let options = OpenOptions {
            which: Which::New(runbook),
            vars: BTreeMap::new(),
            runs_folder: site.path("runs"),
            operator: "ana".to_owned(),
            via: Via::Console,
            surroundings: Environment::from_variables(variables.iter().copied()),
        };
        let handle = open(&options, runtime.handle()).unwrap();
        Bench {
            ends,
            runtime,
            handle,
        }
    }

    /// Ends the run's process, as far as others can tell.
    pub(crate) fn over(self) -> Ends {
        drop(self.handle);
        drop(self.runtime);
        self.ends
    }

    fn until(&self, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.handle.snapshots();
        self.runtime
            .block_on(async { snapshots.wait_for(|s| what(s)).await.unwrap().clone() })
    }

    /// Plans a gate and says why it would refuse.
    pub(crate) fn plan(&self, id: &str) -> (String, Option<String>) {
        let gate = id.to_owned();
        self.runtime
            .block_on(self.handle.ask(Request::Plan { gate }));
        let planned = self.until(|s| s.plans.contains_key(id) && !s.planning.contains(id));
        let plan = &planned.plans[id];
        (plan.digest.clone(), plan.refuses.clone())
    }

    /// The lines of a gate's plan.
    pub(crate) fn lines(&self, id: &str) -> String {
        self.plan(id);
        let snapshot = self.handle.snapshot();
        let lines = snapshot.plans[id].lines.iter();
        lines
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Starts a gate as a person would, and waits for its end.
    pub(crate) fn gate(&self, id: &str) -> GateState {
        let (plan, _) = self.plan(id);
        let snapshot = self.handle.snapshot();
        let before = snapshot.run.gate(id).unwrap();
        let typed = match id {
            "backup" => "production",
            _ => "development",
        };
        let (gate, plan, typed_name) = (id.to_owned(), Some(plan), Some(typed.to_owned()));
        let command = match before.state.may_retry() {
            true => Command::Retry {
                gate,
                plan,
                typed_name,
            },
            false => Command::Start {
                gate,
                plan,
                typed_name,
            },
        };
        self.runtime.block_on(self.handle.command(command)).unwrap();
        let attempt = before.attempt;
        let ended = self.until(|s| {
            let gate = s.run.gate(id).unwrap();
            gate.attempt > attempt && gate.state != GateState::Running
        });
        ended.run.gate(id).unwrap().state
    }

    pub(crate) fn cancel(&self, id: &str) {
        let gate = id.to_owned();
        let asked = self.handle.command(Command::Cancel { gate });
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(asked)
            .unwrap();
    }

    #[track_caller]
    pub(crate) fn passes(&self, id: &str) {
        let state = self.gate(id);
        assert_eq!(state, GateState::Passed, "{}", self.finding(id));
    }

    pub(crate) fn finding(&self, id: &str) -> String {
        let snapshot = self.handle.snapshot();
        let finding = snapshot.run.gate(id).unwrap().finding.clone();
        serde_json::to_string_pretty(&finding).unwrap()
    }

    /// What the clone left as evidence.
    pub(crate) fn cloned(&self) -> Cloned {
        let snapshot = self.handle.snapshot();
        match snapshot.evidence["clone"].as_ref() {
            Evidence::Clone { cloned, .. } => cloned.as_ref().clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The clone is refused by its plan and by itself, and nothing has changed.
    #[track_caller]
    pub(crate) fn refuses(&self, words: &str) {
        let (_, refuses) = self.plan("clone");
        let refuses = refuses.unwrap_or_default();
        assert!(refuses.contains(words), "the plan says: {refuses}");
        assert_ne!(self.gate("clone"), GateState::Passed);
        let finding = self.finding("clone");
        assert!(finding.contains(words), "{finding}");
        assert!(finding.contains("nothing was changed"), "{finding}");
    }
}

/// A clone gate of these keys.
pub(crate) fn gate(keys: &str) -> String {
    format!(
        "[[phase.gate]]\nid = \"clone\"\ntitle = \"Clone\"\n[phase.gate.clone]\n\
         from = \"production\"\ntarget = \"development\"\nbackup = \"backup\"\n\
         safety = \"backups\"\n{keys}\n"
    )
}
