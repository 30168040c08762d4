//! The sample world: it stands, its promotion goes through, every fault is noticed and mended.
//!
//! The runbook's own queries are asked here, by a reader of expectations that shares nothing with
//! the product's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use stagegate::demo::{DemoError, DemoWorld, faults, worlds};
use stagegate::postgres::programs;
use stagegate::runbook::{self, Kind};
use stagegate::sql::{Class, Script};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const WORLD: &str = "housekeeping";
const ENG: [&str; 3] = [
    "db/migrations/eng",
    "db/views/eng_governance_views.sql",
    "db/policies",
];
const VH: [&str; 2] = ["db/migrations/vh", "db/views/vh_readonly_views.sql"];

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Connects as the runbook does, through the variable that its target names.
async fn target(world: &DemoWorld, name: &str) -> Client {
    let variable = match name {
        "production" => "PROD_DATABASE_URL",
        _ => "STAGING_DATABASE_URL",
    };
    let (_, url) = world
        .environment
        .iter()
        .find(|(key, _)| key == variable)
        .unwrap();
    connect(url).await
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// The SQL files of a path in the order of their names.
fn sql_files(repository: &Path, path: &str) -> Vec<PathBuf> {
    let path = repository.join(path);
    if path.is_file() {
        return vec![path];
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Applies files one transaction each, from where it stopped the time before. An error comes with
/// the name of the file.
async fn apply(
    client: &Client,
    files: &[PathBuf],
    done: &mut usize,
) -> Result<(), (String, SqlState)> {
    client
        .batch_execute("SET ROLE ehg_owner; SET lock_timeout = '100ms'")
        .await
        .unwrap();
    for file in &files[*done..] {
        let sql = std::fs::read_to_string(file).unwrap();
        client.batch_execute(&sql).await.map_err(|error| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let state = error.code().unwrap_or_else(|| panic!("{name}: {error:?}"));
            (name, state.clone())
        })?;
        *done += 1;
    }
    client.batch_execute("RESET ROLE").await.unwrap();
    Ok(())
}

/// The gates of the world's runbook that ask a question.
fn queries(world: &DemoWorld) -> Vec<(String, toml::Table)> {
    let runbook: toml::Table = std::fs::read_to_string(&world.runbook)
        .unwrap()
        .parse()
        .unwrap();
    let phases = runbook["phase"].as_array().unwrap();
    phases
        .iter()
        .flat_map(|phase| phase["gate"].as_array().unwrap())
        .filter_map(|gate| {
            let query = gate.get("query")?.as_table()?.clone();
            Some((gate["id"].as_str().unwrap().to_owned(), query))
        })
        .collect()
}

/// Asks a gate's question as the gate will: in a transaction that is rolled back.
async fn ask(world: &DemoWorld, query: &toml::Table) -> Result<(), String> {
    let client = target(world, query["target"].as_str().unwrap()).await;
    client.batch_execute("BEGIN READ ONLY").await.unwrap();
    if let Some(role) = query.get("role").and_then(toml::Value::as_str) {
        let taken = client
            .batch_execute(&format!("SET LOCAL ROLE {role}"))
            .await;
        taken.map_err(|error| format!("the role: {error:?}"))?;
    }
    let answer = client.simple_query(query["sql"].as_str().unwrap()).await;
    let expected = query["expect"].as_table().unwrap();
    if let Some(wanted) = expected.get("error") {
        let error = answer.err().ok_or("it was answered")?;
        let error = error.as_db_error().unwrap();
        let met = error.code().code() == wanted["sqlstate"].as_str().unwrap()
            && error.routine() == wanted["routine"].as_str();
        return met.then_some(()).ok_or(format!("{error:?}"));
    }
    let rows: Vec<Vec<String>> = answer
        .map_err(|error| format!("{error:?}"))?
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|column| row.get(column).unwrap_or("NULL").to_owned())
                    .collect(),
            ),
            _ => None,
        })
        .collect();
    let (what, wanted) = expected.iter().next().unwrap();
    let met = match what.as_str() {
        "rows" => compares(&rows.len().to_string(), wanted),
        "value" => rows.first().is_some_and(|row| compares(&row[0], wanted)),
        "table" => toml::Value::try_from(&rows).unwrap() == *wanted,
        other => panic!("{other} is no expectation"),
    };
    met.then_some(()).ok_or(format!("{rows:?}"))
}

fn compares(seen: &str, wanted: &toml::Value) -> bool {
    let wanted = wanted.to_string().replace('"', "");
    let (operator, limit) = wanted.split_once(' ').unwrap_or(("=", &wanted));
    let Ok(seen) = seen.parse::<f64>() else {
        return false;
    };
    let limit: f64 = limit.parse().unwrap();
    match operator {
        "=" => (seen - limit).abs() < f64::EPSILON,
        ">" => seen > limit,
        ">=" => seen >= limit,
        other => panic!("{other} is no comparison"),
    }
}

/// Asks the question of the gate with that id.
async fn gate(world: &DemoWorld, id: &str) -> Result<(), String> {
    let queries = queries(world);
    let (_, query) = queries.iter().find(|(name, _)| name == id).unwrap();
    ask(world, query).await
}

/// Dumps production as a backup gate would.
fn dump(world: &DemoWorld) -> Result<(), String> {
    let output = Command::new(programs::find("pg_dump").unwrap().path)
        .args(["--format=custom", "--no-password", "--dbname"])
        .arg(world.production_url("deploy"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

fn summary_of_the_log(world: &DemoWorld) -> (bool, String) {
    let text = std::fs::read_to_string(world.repository.join("ops/audit/2025-09-22.md")).unwrap();
    let status = Command::new("git")
        .args(["status", "--porcelain"])
        .current_dir(&world.repository)
        .output()
        .unwrap();
    (
        text.contains("ERROR"),
        String::from_utf8(status.stdout).unwrap(),
    )
}

#[tokio::test]
async fn two_worlds_stand_beside_each_other_and_leave_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let first = DemoWorld::build(WORLD, None, parent.path()).await.unwrap();
    let second = DemoWorld::build(WORLD, None, parent.path()).await.unwrap();
    let mut left = Vec::new();
    for world in [&first, &second] {
        assert!(world.runbook.starts_with(&world.repository));
        assert!(world.runbook.is_file());
        let deploy = target(world, "production").await;
        let superuser =
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user";
        let row = deploy.query_one(superuser, &[]).await.unwrap();
        assert!(!row.get::<_, bool>(0));
        left.push(world.cluster().data_folder());
        left.push(world.repository.clone());
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('eng', 'vh')";
    assert_eq!(
        number(&target(&first, "production").await, tables).await,
        14
    );
    assert_eq!(number(&target(&first, "staging").await, tables).await, 29);
    assert!(left.iter().all(|folder| folder.is_dir()));
    drop((first, second));
    assert!(!left.iter().any(|folder| folder.exists()));
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_promotion_goes_through_and_every_question_is_answered_well() {
    let parent = tempfile::tempdir().unwrap();
    let world = DemoWorld::build(WORLD, None, parent.path()).await.unwrap();
    let production = target(&world, "production").await;
    let files: Vec<PathBuf> = ENG
        .iter()
        .chain(&VH)
        .flat_map(|path| sql_files(&world.repository, path))
        .collect();
    assert_eq!(files.len(), 22);
    apply(&production, &files, &mut 0).await.unwrap();
    let queries = queries(&world);
    assert!(queries.len() > 20);
    for (id, query) in &queries {
        let answered = ask(&world, query).await;
        assert_eq!(answered, Ok(()), "{id}");
    }
    dump(&world).unwrap();
    let mut down = sql_files(&world.repository, "db/migrations/DOWN");
    down.reverse();
    apply(&production, &down, &mut 0).await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('eng', 'vh')";
    assert_eq!(number(&production, tables).await, 14);
    // What was undone can be done again.
    apply(&production, &files, &mut 0).await.unwrap();
}

#[tokio::test]
async fn every_fault_on_staging_is_noticed_and_mended() {
    let parent = tempfile::tempdir().unwrap();
    let world = DemoWorld::build(WORLD, None, parent.path()).await.unwrap();
    for fault in faults(WORLD)
        .iter()
        .filter(|fault| fault.gate.starts_with("staging-a"))
    {
        assert_eq!(gate(&world, fault.gate).await, Ok(()));
        world.inflict(fault.name).await.unwrap();
        let refused = gate(&world, fault.gate).await.unwrap_err();
        assert!(refused.starts_with("the role"), "{}: {refused}", fault.name);
        world.mend(fault.name).await.unwrap();
        assert_eq!(gate(&world, fault.gate).await, Ok(()), "{}", fault.name);
    }
    // The views that analysts read are theirs again as well.
    let staging = target(&world, "staging").await;
    staging.batch_execute("SET ROLE analyst_ro").await.unwrap();
    let read = "SELECT count(*) FROM views.eng_governance_summary";
    assert!(number(&staging, read).await > 0);
}

#[tokio::test]
async fn every_fault_on_production_is_noticed_and_mended() {
    let parent = tempfile::tempdir().unwrap();
    let world = DemoWorld::build(WORLD, Some("locked-table"), parent.path())
        .await
        .unwrap();
    world.inflict("backup-forbidden").await.unwrap();
    let refused = dump(&world).unwrap_err();
    assert!(refused.contains("export_queue"), "{refused}");
    world.mend("backup-forbidden").await.unwrap();
    dump(&world).unwrap();

    let seen_afterwards = [
        "rls-off",
        "cross-boundary-grant",
        "view-broken",
        "analyst-grant",
    ];
    for fault in seen_afterwards.iter().chain(&["failing-migration"]) {
        world.inflict(fault).await.unwrap();
    }
    let production = target(&world, "production").await;
    let paths = ENG.iter().chain(&VH);
    let files: Vec<PathBuf> = paths
        .flat_map(|path| sql_files(&world.repository, path))
        .collect();
    let mut done = 0;
    let (file, state) = apply(&production, &files, &mut done).await.unwrap_err();
    assert_eq!(file, "20250904_005_services_owner_required.sql");
    assert_eq!(state, SqlState::LOCK_NOT_AVAILABLE);
    world.mend("locked-table").await.unwrap();
    let (file, state) = apply(&production, &files, &mut done).await.unwrap_err();
    assert_eq!(file, "20250916_004_company_domains_unique.sql");
    assert_eq!(state, SqlState::UNIQUE_VIOLATION);
    world.mend("failing-migration").await.unwrap();
    apply(&production, &files, &mut done).await.unwrap();

    for name in seen_afterwards {
        let fault = faults(WORLD)
            .iter()
            .find(|fault| fault.name == name)
            .unwrap();
        assert!(gate(&world, fault.gate).await.is_err(), "{name}");
        world.mend(name).await.unwrap();
        assert_eq!(gate(&world, fault.gate).await, Ok(()), "{name}");
    }
    for (id, query) in queries(&world) {
        assert_eq!(ask(&world, &query).await, Ok(()), "{id}");
    }
}

#[tokio::test]
async fn a_world_is_born_with_a_fault_in_its_files() {
    let parent = tempfile::tempdir().unwrap();
    let world = DemoWorld::build(WORLD, Some("audit-errors"), parent.path())
        .await
        .unwrap();
    assert_eq!(summary_of_the_log(&world), (true, String::new()));
    world.mend("audit-errors").await.unwrap();
    assert_eq!(summary_of_the_log(&world), (false, String::new()));
}

#[test]
fn the_runbook_loads_and_its_files_run_in_a_transaction() {
    for world in worlds() {
        let loaded = runbook::load(world.runbook_name, world.runbook, &BTreeMap::new());
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        for phase in &loaded.phases {
            assert!(phase.title.len() <= 40, "{}", phase.title);
        }
        for gate in loaded.gates() {
            assert!(gate.title.len() <= 40, "{}", gate.title);
            let looks_or_acts = !matches!(gate.kind, Kind::Checklist(_));
            assert!(
                !looks_or_acts || gate.help.is_some(),
                "{} has no help",
                gate.id
            );
        }
        for fault in faults(world.name) {
            assert!(loaded.gate(fault.gate).is_some(), "{}", fault.gate);
        }
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/housekeeping/repo");
    let down = "db/migrations/DOWN";
    for path in ENG.iter().chain(&VH).chain([&down]) {
        for file in sql_files(&repository, path) {
            let script = Script::read(&std::fs::read_to_string(&file).unwrap());
            assert_eq!(script.problems, [], "{}", file.display());
            assert!(!script.statements.is_empty(), "{}", file.display());
            for statement in &script.statements {
                assert_eq!(statement.class, Class::Transactional, "{}", file.display());
            }
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_refused_before_anything_is_made() {
    let parent = tempfile::tempdir().unwrap();
    let refused = DemoWorld::build("nowhere", None, parent.path()).await;
    assert!(matches!(refused, Err(DemoError::UnknownWorld { .. })));
    let refused = DemoWorld::build(WORLD, Some("gremlins"), parent.path()).await;
    assert!(matches!(refused, Err(DemoError::UnknownFault { .. })));
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    assert_eq!(worlds()[0].name, WORLD);
}
