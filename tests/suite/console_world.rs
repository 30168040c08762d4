//! Models of the console made by hand: a run folded from records, and what else a screen shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use stagegate::console::model::Model;
use stagegate::console::msg::{Effect, Msg};
use stagegate::console::update::update;
use stagegate::console::view;
use stagegate::console::view::theme::{Palette, Theme, ThemeName};
use stagegate::engine::Snapshot;
use stagegate::expectation::Finding;
use stagegate::gate::{FeedView, Plan, TargetStatus, Tone};
use stagegate::postgres::identity::Identity;
use stagegate::promotion::signature::SignatureRules;
use stagegate::promotion::{Actor, Definition, Event, GENESIS, Record, Run, Via, WindowDefinition};
use stagegate::runbook::{self, Runbook};

pub(crate) const RUNBOOK: &str = r##"
format  = 1
title   = "Production promotion: orders and invoices"
summary = "Orders get a status."

[target.production]
url         = "env:PROD_DATABASE_URL"
environment = "production"

[target.staging]
url         = "env:STAGING_DATABASE_URL"
environment = "staging"

[target.playground]
url         = "env:DEV_DATABASE_URL"
environment = "development"

[[role]]
name    = "dba"
title   = "Database Admin"
members = ["ana@example.com", "bo@example.com"]

[[role]]
name    = "lead"
title   = "Engineering Lead"
members = ["cem@example.com"]

[[phase]]
id    = "before"
title = "Before the window"

[[phase.gate]]
id    = "staging-clean"
title = "Staging holds every order"
help  = "Compare the counts with the log of the staging run."
[phase.gate.query]
target = "staging"
sql    = "SELECT status, count(*) FROM shop.orders GROUP BY 1 ORDER BY 1"
expect = { rows = "= 3" }

[[phase.gate]]
id    = "people-know"
title = "People know"
[phase.gate.checklist]
items = [
    "The change is announced in #db-promotion",
    { text = "p95 latency before the promotion", input = "number", unit = "ms", capture = "p95" },
    "Somebody other than the author has read every migration of this batch, line by line",
]

[[phase]]
id    = "window"
title = "The window"

[[phase.gate]]
id    = "backup"
title = "Backup of production"
[phase.gate.backup]
target = "production"
path   = "backups"

[[phase.gate]]
id    = "orders"
title = "Apply the order migrations"
help  = "The file that failed was undone as a whole."
[phase.gate.migrate]
target = "production"
files  = ["db/*.sql"]

[[phase.gate]]
id       = "no-orphans"
title    = "No order without a customer"
waivable = true
[phase.gate.query]
target = "production"
sql    = "SELECT count(*) FROM shop.orders WHERE customer_id IS NULL"
expect = { value = "= 0" }

[[phase.gate]]
id    = "playground"
title = "Refresh the playground"
[phase.gate.migrate]
target = "playground"
files  = ["db/*.sql"]

[[phase]]
id    = "after"
title = "After the window"

[[phase.gate]]
id    = "agreed"
title = "People agree that it is done"
[phase.gate.signoff]
roles    = ["dba", "lead"]
distinct = true
signature = "none"
"##;

/// A run that is made record by record.
pub(crate) struct World {
    runbook: Arc<Runbook>,
    records: Vec<Arc<Record>>,
    pub(crate) snapshot: Snapshot,
    pub(crate) feed: FeedView,
    pub(crate) now: Timestamp,
}

impl World {
    /// A run that was opened a minute ago.
    pub(crate) fn new() -> World {
        World::of(RUNBOOK)
    }

    /// A run of another runbook.
    pub(crate) fn of(text: &str) -> World {
        World::with_signatures(text, None)
    }

    /// A run of a runbook whose lists of keys are these.
    pub(crate) fn with_signatures(text: &str, signatures: Option<SignatureRules>) -> World {
        let runbook = Arc::new(runbook::load("test.toml", text, &BTreeMap::new()).unwrap());
        let opened: Timestamp = "2025-11-22T01:00:00Z".parse().unwrap();
        let event = Event::RunOpened {
            run: "20251122-010000-3fa9".to_owned(),
            version: "0.1.0".to_owned(),
            runbook_path: "/srv/shop/promotion.toml".to_owned(),
            base: "/srv/shop".to_owned(),
            vars: BTreeMap::new(),
            definition: Box::new(Definition {
                signatures: signatures.map(Box::new),
                ..definition(&runbook)
            }),
            nonce: None,
        };
        let (record, _) = Record::after((0, GENESIS), opened, &ana(), event).unwrap();
        let records = vec![Arc::new(record)];
        let run = Run::fold(&records).unwrap();
        let targets = [
            ("production", connected("prod-db-1.example.com", "shop")),
            (
                "staging",
                connected("staging-db.example.com", "shop_staging"),
            ),
            ("playground", TargetStatus::NotAsked),
        ];
        let snapshot = Snapshot {
            run: Arc::new(run),
            runbook: runbook.clone(),
            records: Arc::new(records.clone()),
            plans: BTreeMap::new(),
            planning: BTreeSet::new(),
            evidence: BTreeMap::new(),
            targets: targets
                .map(|(name, status)| (name.to_owned(), status))
                .into(),
            reconciling: None,
            doubts: BTreeMap::new(),
            retrying: None,
            held: None,
            journal_error: None,
            notices: Vec::new(),
            control: stagegate::engine::ControlView::default(),
        };
        World {
            runbook,
            records,
            snapshot,
            feed: FeedView::default(),
            now: opened + SignedDuration::from_secs(60),
        }
    }

    /// Adds a record, seven seconds after the one before.
    pub(crate) fn record(&mut self, event: Event) -> &mut World {
        self.record_by(&ana(), event)
    }

    pub(crate) fn record_by(&mut self, actor: &Actor, event: Event) -> &mut World {
        let last = self.records.last().unwrap();
        let time = last.time + SignedDuration::from_secs(7);
        let (record, _) = Record::after((last.seq, &last.hash), time, actor, event).unwrap();
        self.records.push(Arc::new(record));
        self.snapshot.records = Arc::new(self.records.clone());
        self.snapshot.run = Arc::new(Run::fold(&self.records).unwrap());
        self.now = self.now.max(time);
        self
    }

    pub(crate) fn start(&mut self, gate: &str) -> &mut World {
        let attempt = self.snapshot.run.gate(gate).unwrap().attempt + 1;
        self.record(Event::GateStarted {
            gate: gate.to_owned(),
            attempt,
            plan: None,
            typed_name: None,
        })
    }

    pub(crate) fn finish(&mut self, gate: &str, finding: Finding) -> &mut World {
        let attempt = self.snapshot.run.gate(gate).unwrap().attempt;
        self.record(Event::GateFinished {
            gate: gate.to_owned(),
            attempt,
            finding,
            evidence: None,
            captures: BTreeMap::new(),
            files: BTreeMap::new(),
        })
    }

    /// Lets the first `count` gates pass.
    pub(crate) fn passed(mut self, count: usize) -> World {
        let gates: Vec<String> = self.runbook.gates().map(|gate| gate.id.clone()).collect();
        for gate in gates.iter().take(count) {
            self.start(gate)
                .finish(gate, Finding::passed("as expected"));
        }
        self
    }

    pub(crate) fn plan(&mut self, gate: &str, plan: Plan) -> &mut World {
        self.snapshot.plans.insert(gate.to_owned(), Arc::new(plan));
        self
    }

    pub(crate) fn shared(&self) -> Arc<Snapshot> {
        Arc::new(self.snapshot.clone())
    }

    /// A model that shows this at a size.
    pub(crate) fn model(&self, size: (u16, u16)) -> Model {
        let folder = "/home/ana/.local/state/stagegate/runs/20251122-010000-3fa9";
        let (actor, zone) = (ana(), TimeZone::UTC);
        let mut model = Model::new(
            self.shared(),
            actor,
            folder.to_owned(),
            size,
            self.now,
            zone,
        );
        update(&mut model, Msg::Feed(self.feed.clone()));
        model.settle();
        model
    }
}

pub(crate) fn ana() -> Actor {
    Actor {
        name: "ana@example.com".to_owned(),
        via: Via::Console,
    }
}

pub(crate) fn connected(host: &str, database: &str) -> TargetStatus {
    TargetStatus::Connected(Box::new(Identity {
        host_shown: host.to_owned(),
        address: "10.1.2.3:5432".to_owned(),
        database: database.to_owned(),
        database_oid: 16_384,
        user: "deploy".to_owned(),
        server_version: "16.4 (Debian 16.4-1)".to_owned(),
        server_version_num: 160_004,
        system_identifier: Some("7301442915563021845".to_owned()),
        timeline: Some(1),
        in_recovery: false,
        is_superuser: false,
        bypass_rls: false,
        server_started: "2025-11-01T00:00:00.000000Z".to_owned(),
        tls: true,
    }))
}

/// The plan of the migrate gates.
pub(crate) fn migration_plan() -> Plan {
    Plan::new("apply 2 files, 5 statements, to production", &["1"])
        .with(
            Tone::Plain,
            "one transaction a file; lock_timeout 3000 ms, statement_timeout 600000 ms, 5 attempts",
        )
        .with(
            Tone::Muted,
            "applied 2025-11-20 02:11:09+00 db/20251119_001_customers.sql  (4 statements)",
        )
        .with(Tone::Plain, "pending   db/20251121_001_order_status.sql  (3 statements)")
        .with(Tone::Plain, "pending   db/20251121_002_order_index.sql  (2 statements)")
        .with(Tone::Heading, "db/20251121_001_order_status.sql  9f2c11aa04be")
        .with(
            Tone::Sql,
            "-- Every order has a status.\nALTER TABLE shop.orders\n    ADD COLUMN status text NOT NULL DEFAULT 'open';\n\nUPDATE shop.orders SET status = 'done' WHERE shipped_at IS NOT NULL;",
        )
}

fn definition(runbook: &Runbook) -> Definition {
    Definition {
        window: Some(WindowDefinition {
            lasts_seconds: Some(7200),
            rollback_margin_seconds: 600,
            ..WindowDefinition::default()
        }),
        ..stagegate::engine::definition(runbook)
    }
}

/// Draws a model as the terminal would show it.
pub(crate) fn screen(model: &Model) -> Terminal<TestBackend> {
    let theme = Theme {
        name: ThemeName::Dark,
        palette: Palette::Many,
    };
    screen_in(model, &theme)
}

pub(crate) fn screen_in(model: &Model, theme: &Theme) -> Terminal<TestBackend> {
    let (width, height) = model.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            view::draw(frame.buffer_mut(), model, theme);
        })
        .unwrap();
    terminal
}

/// The screen as text, one line a row.
pub(crate) fn text(model: &Model) -> String {
    let terminal = screen(model);
    let buffer = terminal.backend().buffer();
    let width = usize::from(buffer.area.width).max(1);
    let row = |row: &[ratatui::buffer::Cell]| {
        row.iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect::<String>()
    };
    buffer
        .content
        .chunks(width)
        .map(|cells| row(cells) + "\n")
        .collect()
}

/// Presses keys: `jj<enter>`, `<esc>`, `<c-u>`. Returns the effects.
pub(crate) fn keys(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in key_events(keys) {
        effects.extend(update(model, Msg::Key(key)));
        model.settle();
    }
    effects
}

/// The events of keys that are written like that.
pub(crate) fn key_events(keys: &str) -> Vec<KeyEvent> {
    let mut events = Vec::new();
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let named_key = rest
            .split_once('>')
            .filter(|_| first == '<' && rest.len() > 2);
        let (key, used) = match named_key {
            Some((name, _)) => (named(&name[1..]), name.len() + 1),
            None => (KeyEvent::from(KeyCode::Char(first)), first.len_utf8()),
        };
        events.push(key);
        rest = &rest[used..];
    }
    events
}

fn named(name: &str) -> KeyEvent {
    if let Some(letter) = name.strip_prefix("c-") {
        let letter = letter.chars().next().unwrap();
        return KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    }
    KeyEvent::from(match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "space" => KeyCode::Char(' '),
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "pgdn" => KeyCode::PageDown,
        "backspace" => KeyCode::Backspace,
        other => panic!("no key is called {other}"),
    })
}

/// Lets the guard of a dialog pass.
pub(crate) fn listen(model: &mut Model) {
    update(model, Msg::Listen);
}

/// Gives the model the world's present state.
pub(crate) fn publish(model: &mut Model, world: &World) -> Vec<Effect> {
    let effects = update(model, Msg::Snapshot(world.shared()));
    update(model, Msg::Tick(world.now));
    model.settle();
    effects
}
