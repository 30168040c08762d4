//! A JSON backup is of one moment, is JSON, and is whole or not there.

use std::path::{Path, PathBuf};

use serde_json::Value;
use stagegate::postgres::Conninfo;
use stagegate::postgres::cluster::Cluster;
use stagegate::postgres::content;
use stagegate::postgres::json_dump::{self, JsonDumpError, JsonDumpRequest};
use stagegate::postgres::json_manifest::{BackupError, JsonManifest, read_manifest};
use tokio_util::sync::CancellationToken;

use crate::server::{cluster, info, one, open, run, wait_until};

const WORLD: &str = "
CREATE SCHEMA \"odd / schema\";
CREATE TABLE \"odd / schema\".\"T.1\" (\"a \"\"b\"\"\" text, n bigint, x double precision, ok boolean);
INSERT INTO \"odd / schema\".\"T.1\" VALUES
    (E'line\\nback\\\\slash \"q\" \\t\\x01', 9223372036854775807, 0.30000000000000004, true),
    ('\\N', -9223372036854775808, 'NaN', NULL), (NULL, NULL, '-0', false);
CREATE TABLE upper (id int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (7) STORED);
CREATE TABLE \"Upper\" (id int); CREATE TABLE \"UPPER\" (id int);
INSERT INTO upper (id) OVERRIDING SYSTEM VALUE SELECT n FROM generate_series(1, 20000) n;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE SCHEMA stagegate; CREATE TABLE stagegate.ledger (id int);
";

pub(crate) async fn dump(
    info: &Conninfo,
    folder: &Path,
    only: &[String],
) -> Result<(PathBuf, JsonManifest), JsonDumpError> {
    let request = JsonDumpRequest {
        info,
        jobs: 2,
        folder,
        name: "b",
        application_name: "stagegate test backup",
        only,
    };
    json_dump::dump(&request, &CancellationToken::new(), |_| {}).await
}

fn rows(folder: &Path, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn world() -> Cluster {
    let cluster = cluster();
    let session = open(&info(&cluster)).await;
    run(&session, WORLD).await;
    session.close().await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_is_a_file_of_json_and_its_digest_is_the_databases() {
    let cluster = world().await;
    let home = tempfile::tempdir().unwrap();
    let (folder, manifest) = dump(&info(&cluster), home.path(), &[]).await.unwrap();

    assert_eq!(folder, home.path().join("b"));
    assert_eq!(read_manifest(&folder).unwrap(), manifest);
    manifest.check_files(&folder).unwrap();
    let found = rows(&folder, "odd%20%2f%20schema.T%2e1.json");
    assert_eq!(found.len(), 3);
    assert_eq!(found[0]["a \"b\""], "line\nback\\slash \"q\" \t\u{1}");
    assert_eq!(found[0]["n"], "9223372036854775807");
    assert_eq!(found[0]["x"], 0.300_000_000_000_000_04);
    assert_eq!(found[1]["a \"b\""], "\\N");
    assert_eq!(found[1]["x"], "NaN");
    assert_eq!(
        (&found[1]["ok"], &found[2]["ok"]),
        (&Value::Null, &Value::Bool(false))
    );
    assert_eq!(
        rows(&folder, "public.nothing.json"),
        [serde_json::json!({})]
    );
    assert!(
        manifest
            .left_out
            .iter()
            .any(|lack| lack.contains("stagegate"))
    );
    let tables: Vec<_> = manifest.tables.iter().map(|t| &*t.quoted).collect();
    let wanted = [
        "\"odd / schema\".\"T.1\"",
        "public.\"UPPER\"",
        "public.\"Upper\"",
        "public.nothing",
        "public.upper",
    ];
    assert_eq!(tables, wanted);
    // No file system takes one of them for another.
    let mut files: Vec<_> = manifest
        .tables
        .iter()
        .map(|t| t.file.to_lowercase())
        .collect();
    files.sort();
    files.dedup();
    assert_eq!(files.len(), 5);

    let session = open(&info(&cluster)).await;
    let contents = manifest
        .tables
        .iter()
        .map(|t| (t.quoted.clone(), t.content.clone()));
    let wanted: content::Contents = contents.collect();
    let found = content::read(&session, &wanted, |_| {}).await.unwrap();
    assert_eq!(found, wanted);
    assert_eq!(wanted["public.upper"].columns, "(\"id\")");
    assert_eq!(manifest.sequences[0].quoted, "public.upper_id_seq");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_stands_there_is_left_alone_and_damage_is_found() {
    let cluster = world().await;
    let home = tempfile::tempdir().unwrap();
    let only = ["public.upper".to_owned()];
    let (folder, manifest) = dump(&info(&cluster), home.path(), &only).await.unwrap();
    assert!(manifest.partial && manifest.tables.len() == 1 && manifest.sequences.len() == 1);
    let again = dump(&info(&cluster), home.path(), &only).await;
    assert!(matches!(again, Err(JsonDumpError::Exists(_))));

    // Nor does a second one of the same name take the first one's folder away.
    let busy = home.path().join("other").join("b.partial");
    std::fs::create_dir_all(&busy).unwrap();
    let held = std::fs::File::open(&busy).unwrap();
    held.lock().unwrap();
    let second = dump(&info(&cluster), &home.path().join("other"), &only).await;
    assert!(matches!(second, Err(JsonDumpError::Busy(_))));
    assert!(busy.exists());
    drop(held);
    dump(&info(&cluster), &home.path().join("other"), &only)
        .await
        .unwrap();
    assert!(!busy.exists());

    let file = folder.join("public.upper.json");
    let good = std::fs::read(&file).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let changed = text.replacen("{\"id\":1}", "{\"id\":2}", 1);
    for (bad, says) in [(changed, "SHA-256"), (text.replacen('1', "", 1), "bytes")] {
        std::fs::write(&file, bad).unwrap();
        let error = manifest.check_files(&folder).unwrap_err().to_string();
        assert!(
            error.contains("public.upper.json") && error.contains(says),
            "{error}"
        );
    }
    std::fs::write(&file, good).unwrap();
    std::fs::write(folder.join("more"), "").unwrap();
    assert!(matches!(
        manifest.check_files(&folder),
        Err(BackupError::Damaged(_))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_backed_up_leaves_nothing() {
    let cluster = world().await;
    let home = tempfile::tempdir().unwrap();
    let missing = dump(&info(&cluster), home.path(), &["public.gone".to_owned()]).await;
    assert!(matches!(missing, Err(JsonDumpError::NoTable(name)) if name == "public.gone"));

    // A policy that hides rows may not make a smaller backup.
    let admin = open(&info(&cluster)).await;
    run(
        &admin,
        "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;
         ALTER TABLE upper ENABLE ROW LEVEL SECURITY; DROP SCHEMA stagegate CASCADE",
    )
    .await;
    let reader = crate::server::resolve(&cluster.url("postgres", "reader"));
    let hidden = dump(&reader, home.path(), &[]).await.unwrap_err();
    assert!(
        hidden.to_string().contains("row-level security"),
        "{hidden}"
    );
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_waits_to_change_a_table_neither_stops_the_backup_nor_changes_it() {
    let cluster = world().await;
    let [admin, changer] = [open(&info(&cluster)).await, open(&info(&cluster)).await];
    run(
        &admin,
        "CREATE TABLE big AS SELECT repeat('x', 1000) || n FROM generate_series(1, 60000) n",
    )
    .await;
    let home = tempfile::tempdir().unwrap();
    run(&changer, "SET lock_timeout = 0").await;
    let take = {
        let info = info(&cluster);
        let home = home.path().to_owned();
        tokio::spawn(async move { dump(&info, &home, &[]).await })
    };
    // The leader holds its locks from before the first row until the end.
    let copies = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'COPY public.big%'";
    wait_until(&admin, copies, "t").await;
    run(&changer, "TRUNCATE nothing, upper").await;
    let (_, manifest) = take.await.unwrap().unwrap();
    let upper = manifest
        .tables
        .iter()
        .find(|t| t.quoted == "public.upper")
        .unwrap();
    assert_eq!(upper.rows, 20_000);
    // This one could not be locked by a worker; the leader read it.
    let nothing = manifest
        .tables
        .iter()
        .find(|t| t.quoted == "public.nothing");
    assert_eq!(nothing.unwrap().rows, 1);
    assert_eq!(one(&admin, "SELECT count(*) FROM upper").await, "0");
}
