//! A JSON backup that somebody made to do harm, and a target whose triggers and rules act on their
//! own: nothing of either goes unseen.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use stagegate::postgres::json_manifest::read_manifest;
use stagegate::postgres::json_restore::{self, JsonRestoreError};
use stagegate::postgres::json_target::Conflict;

use crate::json_restore::{World, refusals};
use crate::server::{one, run};

fn change_manifest(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut manifest = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    std::fs::write(&path, manifest.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_condition_of_a_manifest_reaches_the_server() {
    let world = World::new().await;
    let session = world.session().await;
    // What a sequence hands out stays handed out, whatever is rolled back.
    run(&session, "CREATE SEQUENCE witness").await;
    change_manifest(&world.backup, |manifest| {
        manifest["tables"][0]["extension"] = json!({
            "extension": "x", "condition": "WHERE pg_catalog.nextval('public.witness') > 0",
        });
    });
    let reasons = refusals(world.restore(Conflict::Refuse).await);
    assert!(reasons[0].contains("other rows"), "{reasons:?}");
    assert!(!reasons[0].contains("nextval"), "{reasons:?}");
    assert_eq!(one(&session, "SELECT is_called FROM witness").await, "f");
    assert_eq!(one(&session, "SELECT count(*) FROM a_person").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_regular_files_are_read() {
    let world = World::new().await;
    let name = "public.a_person.json";
    let (path, away) = (world.backup.join(name), world.backup.join("../away"));
    std::fs::rename(&path, &away).unwrap();
    let verify = || {
        let (said, hear) = mpsc::channel();
        let folder = world.backup.clone();
        std::thread::spawn(move || {
            let verified = json_restore::verify(&folder, |_| {});
            said.send(verified.unwrap_err().to_string())
        });
        let told = hear.recv_timeout(Duration::from_secs(20));
        told.expect("it waits for a writer")
    };
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    assert!(verify().contains("is no regular file"), "{}", verify());
    let error = world.restore(Conflict::Refuse).await.unwrap_err();
    assert!(error.to_string().contains("is no regular file"), "{error}");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&away, &path).unwrap();
    assert!(verify().contains("is no regular file"), "{}", verify());
    std::fs::remove_file(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    let manifest = world.backup.join("manifest.json");
    std::fs::remove_file(&manifest).unwrap();
    let made = Command::new("mkfifo").arg(&manifest).status();
    assert!(made.unwrap().success());
    assert!(verify().contains("is no regular file"), "{}", verify());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_event_trigger_writes_is_compared_too() {
    let world = World::new().await;
    let session = world.session().await;
    run(
        &session,
        "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.audit SELECT coalesce(max(id), 0) + 1000, tg_tag FROM public.audit;
         END $$;
         CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('ALTER SEQUENCE')
             EXECUTE FUNCTION watch()",
    )
    .await;
    let error = world.restore(Conflict::Refuse).await.unwrap_err();
    let told = |d: &Vec<String>| d.len() == 1 && d[0].starts_with("public.audit: ");
    assert!(
        matches!(&error, JsonRestoreError::Differs(d) if told(d)),
        "{error}"
    );
    assert_eq!(one(&session, "SELECT count(*) FROM audit").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_tables_own_triggers_do_not_fire() {
    let world = World::new().await;
    let session = world.session().await;
    run(
        &session,
        "CREATE TABLE witness (said text);
         CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO public.witness VALUES (tg_table_name); RETURN NULL; END $$;
         CREATE TRIGGER \"t Root\" BEFORE TRUNCATE ON node EXECUTE FUNCTION seen();
         CREATE TRIGGER t_always AFTER TRUNCATE ON node EXECUTE FUNCTION seen();
         CREATE TRIGGER t_never AFTER TRUNCATE ON node EXECUTE FUNCTION seen();
         ALTER TABLE ONLY node ENABLE ALWAYS TRIGGER t_always, DISABLE TRIGGER t_never",
    )
    .await;
    let fires = "SELECT string_agg(tgname || tgenabled::text, ' ' ORDER BY tgname COLLATE \"C\")
        FROM pg_trigger WHERE tgrelid = 'node'::regclass AND NOT tgisinternal";
    let before = one(&session, fires).await;
    assert_eq!(before, "t RootO t_alwaysA t_neverD t_nodeO");
    world.restore(Conflict::Replace).await.unwrap();
    assert_eq!(one(&session, "SELECT count(*) FROM witness").await, "0");
    assert_eq!(one(&session, fires).await, before);

    // Somebody who switches one off on the way is caught.
    run(
        &session,
        "CREATE FUNCTION off() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE pg_catalog.pg_trigger SET tgenabled = 'D' WHERE tgname = 't Root';
         END $$;
         CREATE EVENT TRIGGER off ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
             EXECUTE FUNCTION off()",
    )
    .await;
    let error = world.restore(Conflict::Replace).await.unwrap_err();
    assert!(
        error.to_string().contains("triggers of public.node"),
        "{error}"
    );
    assert_eq!(one(&session, fires).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_named_twice_is_refused() {
    let world = World::new().await;
    change_manifest(&world.backup, |manifest| {
        let mut again = manifest["tables"][0].clone();
        again["file"] = json!("more.json");
        manifest["tables"].as_array_mut().unwrap().push(again);
    });
    let error = read_manifest(&world.backup).unwrap_err().to_string();
    assert!(error.contains("twice"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keep_cannot_do_is_told_before() {
    let world = World::new().await;
    let session = world.session().await;
    run(
        &session,
        "ALTER TABLE audit DROP CONSTRAINT audit_pkey, ADD PRIMARY KEY (id) DEFERRABLE;
         CREATE RULE also AS ON UPDATE TO node_low DO ALSO SELECT 1;
         INSERT INTO audit (said) VALUES ('mine'); INSERT INTO node VALUES (5, NULL)",
    )
    .await;
    let reasons = refusals(world.restore(Conflict::Keep).await);
    let told = |table: &str, why: &str| {
        let mut reasons = reasons.iter();
        reasons.any(|r| r.starts_with(table) && r.contains(why))
    };
    assert!(told("public.audit ", "deferrable"), "{reasons:?}");
    assert!(told("public.node_low ", "rules"), "{reasons:?}");
    assert_eq!(reasons.len(), 2, "{reasons:?}");
}
