//! Files that are damaged, servers that go away, roles that may not look, and names that are odd.

use stagegate::postgres::catalog;
use stagegate::schema::{Options, compare};

use crate::drift_world::{database, majors, server, world};
use crate::server::{open, resolve, run, wait_until};
use crate::site::{Site, ended};

const SCHEMA: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, note text);\n";

#[test]
fn half_a_dump_is_an_error_with_its_place_and_never_half_a_schema() {
    let site = Site::new();
    site.sql(SCHEMA);
    let halves = [
        (
            "COPY orders (id, note) FROM stdin;\n1\tx\n2\t",
            "half.sql:3",
        ),
        ("CREATE INDEX i ON orders (no", "half.sql:2"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $body$ SELECT",
            "half.sql:2",
        ),
        ("COMMENT ON TABLE orders IS 'half a remar", "half.sql:2"),
        ("/* half a remark", "half.sql:2"),
        ("CREATE TABLE \"half a na", "half.sql:2"),
    ];
    for (half, place) in halves {
        site.write("half.sql", &format!("{SCHEMA}{half}"));
        site.stagegate(&["drift", "half.sql", "env:DB"])
            .exits(1)
            .says(place);
    }
}

#[test]
fn a_damaged_snapshot_is_named_and_not_believed() {
    let site = Site::new();
    site.sql(SCHEMA);
    let saved = site.stagegate(&["snapshot", "env:DB"]).exits(0).out;
    let damaged: [Vec<u8>; 7] = [
        saved.as_bytes()[..saved.len() / 2].to_vec(),
        saved.replace("bigint", "bogint").into_bytes(),
        saved.replace("\"format\":1", "\"format\":7").into_bytes(),
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
        [saved.as_bytes(), b"\xff\xfe"].concat(),
    ];
    for bytes in damaged {
        std::fs::write(site.path("saved.json"), &bytes).unwrap();
        for arguments in [["saved.json", "env:DB"], ["env:DB", "saved.json"]] {
            site.stagegate(&["drift", arguments[0], arguments[1]])
                .exits(78)
                .says("saved.json");
        }
    }
    site.write("saved.json", &saved);
    site.stagegate(&["drift", "saved.json", "env:DB"]).exits(0);
}

#[test]
fn a_server_that_dies_while_it_is_read_is_an_error() {
    let site = Site::new();
    site.sql(SCHEMA);
    // What was not written to disk is lost with the server.
    site.sql("CHECKPOINT");
    site.write("schema.sql", SCHEMA);
    // The reader waits behind this lock, in the middle of its queries.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = resolve(&site.cluster.url("postgres", "postgres"));
    let holder = runtime.block_on(async {
        let holder = open(&address).await;
        run(
            &holder,
            "BEGIN; LOCK TABLE pg_catalog.pg_policy IN ACCESS EXCLUSIVE MODE",
        )
        .await;
        holder
    });
    let reader = site
        .command(&["drift", "schema.sql", "env:DB"])
        .spawn()
        .unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                 AND application_name = 'stagegate drift'";
    // Within a transaction the server would tell the same over and over.
    let watcher = runtime.block_on(open(&address));
    runtime.block_on(wait_until(&watcher, waits, "1"));
    site.cluster.crash();
    ended(reader.wait_with_output().unwrap())
        .exits(1)
        .says("env:DB");
    drop((holder, watcher));
    site.cluster.restart().unwrap();
    site.stagegate(&["drift", "schema.sql", "env:DB"]).exits(0);
}

/// Processes whose parent that is.
fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains(&format!("\nPPid:\t{parent}\n"))
    };
    let all = std::fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
}

fn title(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

#[cfg(target_os = "linux")]
#[test]
fn a_scratch_server_that_dies_while_it_is_loaded_is_an_error_and_leaves_no_process() {
    let site = Site::new();
    // A command that only the file gives: whoever runs it is the load, not what makes ready for it.
    let slow = format!("{SCHEMA}CREATE TABLE slow AS SELECT 1 FROM pg_sleep(600);\n");
    site.write("slow.sql", &slow);
    let loader = site
        .command(&["drift", "slow.sql", "env:DB"])
        .spawn()
        .unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let (postmaster, servers) = loop {
        let busy = children_of(loader.id()).into_iter().find_map(|postmaster| {
            let servers = children_of(postmaster);
            let works = servers
                .iter()
                .any(|pid| title(*pid).contains(" CREATE TABLE AS"));
            works.then_some((postmaster, servers))
        });
        if let Some(busy) = busy {
            break busy;
        }
        assert!(std::time::Instant::now() < deadline, "it never loaded");
        std::thread::yield_now();
    };
    let quit = std::process::Command::new("kill")
        .args(["-QUIT", &postmaster.to_string()])
        .status();
    assert!(quit.unwrap().success());
    ended(loader.wait_with_output().unwrap())
        .exits(1)
        .says("the connection to the server is gone");
    for pid in servers.into_iter().chain([postmaster]) {
        assert!(!title(pid).contains("postgres"), "{} is left", title(pid));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_read_is_said_and_everything_else_is_read_alike() {
    for major in majors() {
        let cluster = server(major).await;
        let owner = database(&cluster, "world").await;
        run(&owner, &world(major)).await;
        run(&owner, "CREATE ROLE plain LOGIN").await;
        let plain = open(&resolve(&cluster.url("world", "plain"))).await;
        let (one, two) = tokio::join!(catalog::read(&owner), catalog::read(&plain));
        let comparison = compare(&one.unwrap(), &two.unwrap(), &Options::default());
        assert!(comparison.equal, "{major}: {:#?}", comparison.differences);
        let said = "option names of user mapping app on away could not be read by this role";
        assert!(
            comparison.notes.iter().any(|note| note.contains(said)),
            "{major}: {:#?}",
            comparison.notes
        );
    }
}

#[test]
fn odd_names_and_wide_tables_are_compared_like_others() {
    let site = Site::new();
    let columns: Vec<String> = (1..=1600).map(|n| format!("c{n} int")).collect();
    let long = "\u{e9}".repeat(31) + "x";
    let names = [
        "a\nb",
        "\u{1f418}",
        "a.b",
        "a\"b",
        " ",
        "select",
        "'",
        "\\",
        "--",
        long.as_str(),
    ];
    let mut sql = format!("CREATE TABLE wide ({});\n", columns.join(", "));
    for (index, name) in names.iter().enumerate() {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        sql.push_str(&format!(
            "CREATE SCHEMA {quoted}; CREATE TYPE {quoted}.{quoted} AS ENUM ('{index}'); \
             CREATE TABLE {quoted}.t{index} ({quoted} {quoted}.{quoted} PRIMARY KEY, \
             CONSTRAINT {quoted} CHECK ({quoted} IS NOT NULL)); \
             CREATE VIEW {quoted}.v AS SELECT {quoted} FROM {quoted}.t{index}; \
             CREATE FUNCTION {quoted}.{quoted}(a {quoted}.{quoted}) RETURNS int LANGUAGE sql \
             AS 'SELECT 1'; COMMENT ON COLUMN {quoted}.t{index}.{quoted} IS 'odd';\n"
        ));
    }
    site.sql(&sql);
    site.write("schema.sql", &sql);
    let drift = ["drift", "schema.sql", "env:DB"];
    site.stagegate(&drift).exits(0);
    site.write("schema.sql", &sql.replace("c1600 int", "c1600 bigint"));
    site.stagegate(&drift)
        .exits(2)
        .shows("1 differences, 0 hard");
    let saved = site.stagegate(&["snapshot", "env:DB"]).exits(0).out;
    site.write("saved.json", &saved);
    site.stagegate(&["drift", "saved.json", "env:DB"]).exits(0);
    // What is shown has no line of its own making.
    site.sql("COMMENT ON TABLE \"a\nb\".t0 IS E'a\\nb\\x1b[31m'");
    let shown = site
        .stagegate(&["drift", "saved.json", "env:DB"])
        .exits(2)
        .out;
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn who_locks_a_table_is_named_and_git_has_an_advice_of_its_own() {
    let site = Site::new();
    // A view is written with its tables open.
    let schema = format!("{SCHEMA}CREATE VIEW v AS SELECT id FROM orders;");
    site.sql(&schema);
    site.write("schema.sql", &schema);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = resolve(&site.cluster.url("postgres", "postgres"));
    let holder = runtime.block_on(async {
        let holder = open(&address).await;
        run(
            &holder,
            "SET application_name = 'keeper'; BEGIN; \
             LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
        )
        .await;
        holder
    });
    let pid = holder.backend_pid();
    site.stagegate(&["drift", "schema.sql", "env:DB"])
        .exits(1)
        .says(&format!("orders is locked by session {pid} (user postgres"))
        .says("application keeper, idle in transaction")
        .says("wait until that session");
    drop(holder);
    site.stagegate(&["drift", "git:nothing:schema.sql", "env:DB"])
        .exits(1)
        .says("name a revision and a path");
}

#[test]
fn folders_in_a_folder_of_migrations_are_said_not_to_be_read() {
    let site = Site::new();
    site.sql(SCHEMA);
    site.write("changes/1.sql", SCHEMA);
    site.write("changes/more/2.sql", "CREATE TABLE unseen (a int);");
    site.write("changes/notes/read.me", "nothing");
    site.stagegate(&["drift", "dir:changes", "env:DB"])
        .exits(0)
        .shows("folders in changes are not read: more");
}
