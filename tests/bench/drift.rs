//! Comparing a database with its canonical schema: the product, `psql`, `pg_dump` and `diff`, and
//! migra, in one run.
//!
//! `cargo bench --bench drift [-- TABLES ROUNDS]`. A table has ten columns, three indexes, a foreign
//! key and a CHECK. The catalogs are also read by the bare queries, with definitions, that a person
//! would give to `psql -At`. migra is measured where the variable `MIGRA` names the program;
//! `tests/bench/drift.sh` sees to that. Rounds are interleaved; medians are compared.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement says what went wrong by failing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::{Conninfo, Environment, Session, SessionSettings, catalog};
use stagegate::schema::{self, Snapshot};

/// What one would ask for without a tool: everything with its definition, unordered.
const BARE: &str = "\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL search_path = pg_catalog;
SELECT n.nspname, c.relname, c.relkind, c.relpersistence, c.reloptions, c.relacl, pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
SELECT a.attrelid::regclass, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attstorage, a.attcompression, a.attstattarget, a.attcollation::regcollation, a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
SELECT conrelid::regclass, conname, contype, convalidated, condeferrable, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
SELECT indexrelid::regclass, indrelid::regclass, indisvalid, indisunique, indisclustered, indisreplident, pg_get_indexdef(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
SELECT c.oid::regclass, pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
SELECT p.oid::regprocedure, pg_get_functiondef(p.oid), p.proacl FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger;
SELECT polrelid::regclass, polname, polcmd, pg_get_expr(polqual, polrelid) FROM pg_policy;
SELECT seqrelid::regclass, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle FROM pg_sequence;
COMMIT;
";

fn schema_of(tables: usize) -> String {
    let mut sql = String::new();
    for n in 0..tables {
        let _ = write!(
            sql,
            "CREATE TABLE public.t{n} (id bigint PRIMARY KEY, name text NOT NULL, code varchar(20) \
             DEFAULT 'x', amount numeric(12,2) DEFAULT 0, at timestamptz DEFAULT now(), flag boolean, \
             note text, parent bigint, tags text[], data jsonb, \
             CONSTRAINT t{n}_amount CHECK (amount >= 0));\n\
             CREATE INDEX t{n}_code ON public.t{n} (code);\n\
             CREATE INDEX t{n}_name ON public.t{n} (lower(name)) WHERE flag;\n"
        );
        if n > 0 {
            let before = n - 1;
            let _ = writeln!(
                sql,
                "ALTER TABLE public.t{n} ADD FOREIGN KEY (parent) REFERENCES public.t{before} (id);"
            );
        }
        if n % 10 == 0 {
            let _ = writeln!(
                sql,
                "CREATE VIEW public.v{n} AS SELECT id, name, amount * 2 AS twice FROM public.t{n} WHERE flag;"
            );
        }
        if n % 20 == 0 {
            let _ = writeln!(
                sql,
                "CREATE FUNCTION public.f{n}(a int) RETURNS int LANGUAGE sql AS $$ SELECT a + {n} $$;"
            );
        }
    }
    sql
}

struct World {
    cluster: Cluster,
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl World {
    fn new(tables: usize) -> World {
        let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("schema.sql");
        std::fs::write(&file, schema_of(tables)).unwrap();
        let world = World {
            cluster,
            folder,
            file,
        };
        for database in ["production", "canonical"] {
            world.psql("postgres", &["-c", &format!("CREATE DATABASE {database}")]);
            world.psql(database, &["-1", "-f", world.file.to_str().unwrap()]);
            world.psql(database, &["-c", "ANALYZE"]);
        }
        world
    }

    fn url(&self, database: &str) -> String {
        self.cluster.url(database, "postgres")
    }

    fn psql(&self, database: &str, arguments: &[&str]) {
        let url = self.url(database);
        let mut all = vec!["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", &url];
        all.extend(arguments);
        run("psql", &all);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let ended = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program}: {said}");
}

fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// `stagegate drift`, which must find both equal; gives its time and its peak memory in KiB.
fn drift(world: &World, expected: &Path, home: &Path) -> (Duration, u64) {
    let started = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_stagegate"))
        .args(["drift", expected.to_str().unwrap(), "env:PROD"])
        .env("PROD", world.url("production"))
        .env("HOME", home)
        .env_remove("XDG_CACHE_HOME")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (code, peak) = wait(child);
    assert_eq!(code, Some(0), "the two are not equal");
    (started.elapsed(), peak)
}

/// Waits for a program and gives the most memory that it had, in KiB, as the kernel counts it.
fn wait(mut child: std::process::Child) -> (Option<i32>, u64) {
    let status = format!("/proc/{}/status", child.id());
    let (ended, waited) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait().unwrap()));
    let mut peak = 0;
    loop {
        if let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find(|line| line.starts_with("VmHWM:"));
            let value = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            peak = peak.max(value.unwrap_or(0));
        }
        if let Ok(status) = waited.recv_timeout(Duration::from_millis(2)) {
            return (status.code(), peak);
        }
    }
}

fn pg_dump_and_diff(world: &World) {
    let file = |name: &str| world.folder.path().join(format!("{name}.dump.sql"));
    for database in ["production", "canonical"] {
        let (url, path) = (world.url(database), file(database));
        run("pg_dump", &["-s", "-f", path.to_str().unwrap(), "-d", &url]);
    }
    let _ = Command::new("diff")
        .args([file("production"), file("canonical")])
        .stdout(Stdio::null())
        .status();
}

fn migra(program: &str, world: &World) {
    let url = |database: &str| world.url(database);
    let ended = Command::new(program)
        .args([url("production"), url("canonical")])
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "migra: {said}");
}

async fn read(world: &World) -> Snapshot {
    let info = Conninfo::resolve(&world.url("production"), &Environment::default()).unwrap();
    let settings = SessionSettings::default();
    let session = Session::open(&info, &settings).await.unwrap();
    let snapshot = catalog::read(&session).await.unwrap();
    session.close().await;
    snapshot
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// The names of what is measured, in the order of a round.
const MEASURED: [&str; 8] = [
    "read by the product, connecting included",
    "the bare queries by psql -At",
    "comparing two snapshots",
    "drift, canonical schema kept",
    "pg_dump -s of both and diff",
    "drift, nothing kept",
    "psql -1 -f schema.sql into a running server",
    "migra of the two databases",
];

/// What the rounds gave.
#[derive(Default)]
struct Seen {
    times: [Vec<Duration>; 8],
    objects: usize,
    /// The most memory of a comparison with a kept schema, in KiB.
    peak: u64,
}

fn round(world: &World, kept: &Path, number: usize, seen: &mut Seen) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let started = Instant::now();
    let snapshot = runtime.block_on(read(world));
    seen.times[0].push(started.elapsed());
    seen.objects = snapshot.objects.len();
    let bare = world.folder.path().join("bare.sql");
    std::fs::write(&bare, BARE).unwrap();
    seen.times[1].push(timed(|| {
        world.psql("production", &["-f", bare.to_str().unwrap()]);
    }));
    // One property more, so that they are not simply the same.
    let mut other = snapshot.clone();
    let first = other.objects.values_mut().next().unwrap();
    first.properties.insert("comment".into(), "another".into());
    seen.times[2].push(timed(|| {
        let found = schema::compare(&snapshot, &other, &schema::Options::default());
        assert_eq!(found.differences.len(), 1);
    }));
    drop((snapshot, other));
    let (took, most) = drift(world, &world.file, kept);
    seen.times[3].push(took);
    seen.peak = seen.peak.max(most);
    seen.times[4].push(timed(|| pg_dump_and_diff(world)));
    // What was loaded is forgotten; that a server was initialised once is not.
    std::fs::remove_dir_all(kept.join(".cache/stagegate/schemas")).unwrap();
    seen.times[5].push(drift(world, &world.file, kept).0);
    let name = format!("scratch{number}");
    world.psql("postgres", &["-c", &format!("CREATE DATABASE {name}")]);
    seen.times[6].push(timed(|| {
        world.psql(&name, &["-1", "-f", world.file.to_str().unwrap()]);
    }));
    if let Ok(program) = std::env::var("MIGRA") {
        seen.times[7].push(timed(|| migra(&program, world)));
    }
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let tables = numbers.first().copied().unwrap_or(1000);
    let rounds = numbers.get(1).copied().unwrap_or(5);
    let world = World::new(tables);
    let kept = tempfile::tempdir().unwrap();
    drift(&world, &world.file, kept.path());
    let mut seen = Seen::default();
    for number in 0..rounds {
        round(&world, kept.path(), number, &mut seen);
    }
    println!(
        "{tables} tables, {} objects, {rounds} rounds, medians:",
        seen.objects
    );
    let medians = seen
        .times
        .map(|times| (!times.is_empty()).then(|| median(times)));
    for (name, time) in MEASURED.iter().zip(medians) {
        match time {
            Some(time) => println!("  {name:<46} {time:>9.1} ms"),
            None => println!("  {name:<46} not measured: MIGRA names no program"),
        }
    }
    let of = |n: usize| medians[n].unwrap_or(f64::NAN);
    println!(
        "  reading against psql                        {:>6.2}x",
        of(0) / of(1)
    );
    println!(
        "  kept against pg_dump and diff               {:>6.2}x",
        of(3) / of(4)
    );
    println!(
        "  cold against loading by psql and reading    {:>6.2}x",
        of(5) / (of(6) + of(0))
    );
    println!(
        "  migra against kept                          {:>6.1}x",
        of(7) / of(3)
    );
    println!(
        "  queries a side                              {:>6}",
        catalog::queries(15)
    );
    println!(
        "  most memory of drift, kept                  {:>6.1} MiB",
        seen.peak as f64 / 1024.0
    );
}
