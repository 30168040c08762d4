//! A JSON backup comes back whole or not at all, in the order that the keys give.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::content::{self, Contents};
use stagegate::postgres::json_manifest::{JsonManifest, read_manifest};
use stagegate::postgres::json_restore::{self, JsonRestoreError, JsonRestoreRequest, JsonRestored};
use stagegate::postgres::json_target::Conflict;
use stagegate::postgres::{Conninfo, Session, identity};
use tokio_util::sync::CancellationToken;

use crate::json_dump::dump;
use crate::server::{info, one, open, resolve, run};

const SCHEMA: &str = "
CREATE TABLE audit (id bigserial PRIMARY KEY, said text);
CREATE FUNCTION upcase() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN new.name := upper(new.name); RETURN new; END $$;
CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.audit (said) VALUES (tg_op); RETURN NULL; END $$;
-- Two tables in a circle, both ways NOT NULL, one way not deferrable; one refers to itself, too.
CREATE TABLE a_team (id bigint GENERATED ALWAYS AS IDENTITY (START 10) PRIMARY KEY,
    lead bigint NOT NULL, name text, long int GENERATED ALWAYS AS (length(name)) STORED);
CREATE TABLE a_person (id int PRIMARY KEY, team bigint NOT NULL REFERENCES a_team,
    boss int REFERENCES a_person, name text);
ALTER TABLE a_team ADD CONSTRAINT led FOREIGN KEY (lead) REFERENCES a_person
    DEFERRABLE INITIALLY DEFERRED;
CREATE TRIGGER t_up BEFORE INSERT ON a_person FOR EACH ROW EXECUTE FUNCTION upcase();
CREATE TRIGGER t_told AFTER INSERT OR TRUNCATE ON a_person FOR EACH STATEMENT EXECUTE FUNCTION told();
CREATE TRIGGER t_off BEFORE INSERT ON a_person FOR EACH ROW EXECUTE FUNCTION upcase();
ALTER TABLE a_person ENABLE ALWAYS TRIGGER t_told, DISABLE TRIGGER t_off;
-- A partitioned table that refers to itself: its leaves are in a circle.
CREATE TABLE node (id int PRIMARY KEY, up int REFERENCES node) PARTITION BY RANGE (id);
CREATE TABLE node_low PARTITION OF node FOR VALUES FROM (0) TO (10);
CREATE TABLE node_high PARTITION OF node FOR VALUES FROM (10) TO (20);
-- Sorts before what it refers to.
CREATE TABLE \"A first\" (person int REFERENCES a_person, node int REFERENCES node);
-- Another key of the name of one in the circle, and a key that can be deferred and is not.
ALTER TABLE \"A first\" ADD CONSTRAINT a_person_team_fkey FOREIGN KEY (person) REFERENCES a_person;
CREATE TABLE b_left (id int PRIMARY KEY, r int NOT NULL);
CREATE TABLE b_right (id int PRIMARY KEY, l int NOT NULL REFERENCES b_left DEFERRABLE);
ALTER TABLE b_left ADD FOREIGN KEY (r) REFERENCES b_right DEFERRABLE;
-- Its leaves have triggers of the same name.
CREATE TRIGGER t_node AFTER INSERT ON node FOR EACH ROW EXECUTE FUNCTION told();
CREATE SEQUENCE down INCREMENT -2 MAXVALUE 100 START 100;
";

const ROWS: &str = "
BEGIN;
INSERT INTO a_team (lead, name) VALUES (1, 'x'), (3, NULL);
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO b_left VALUES (1, 2);
INSERT INTO b_right VALUES (2, 1);
INSERT INTO a_person VALUES (1, 10, 2, 'ana'), (2, 10, 1, 'ben'), (3, 11, NULL, 'zoë');
COMMIT;
UPDATE a_person SET name = lower(name);
INSERT INTO node VALUES (1, 12), (12, 1), (2, 2), (13, NULL);
INSERT INTO \"A first\" VALUES (3, 12), (NULL, NULL), (NULL, NULL);
SELECT nextval('down'), nextval('down');
";

pub(crate) struct World {
    cluster: Cluster,
    home: tempfile::TempDir,
    pub(crate) backup: PathBuf,
    manifest: JsonManifest,
}

impl World {
    /// A database with rows, its backup, and `target` with the same schema and no rows.
    pub(crate) async fn new() -> World {
        let options = ClusterOptions {
            listen_tcp: true,
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(&options).unwrap();
        let session = open(&info(&cluster)).await;
        run(&session, "CREATE DATABASE target").await;
        run(&session, SCHEMA).await;
        run(&session, ROWS).await;
        let target = open(&info(&cluster).with_database("target")).await;
        run(&target, SCHEMA).await;
        let home = tempfile::tempdir().unwrap();
        let (backup, manifest) = dump(&info(&cluster), home.path(), &[]).await.unwrap();
        World {
            cluster,
            home,
            backup,
            manifest,
        }
    }

    fn target(&self) -> Conninfo {
        info(&self.cluster).with_database("target")
    }

    pub(crate) async fn restore(
        &self,
        conflict: Conflict,
    ) -> Result<JsonRestored, JsonRestoreError> {
        restore(&self.target(), &self.backup, conflict).await
    }

    pub(crate) async fn session(&self) -> Session {
        open(&self.target()).await
    }
}

pub(crate) async fn restore(
    info: &Conninfo,
    folder: &Path,
    conflict: Conflict,
) -> Result<JsonRestored, JsonRestoreError> {
    let request = JsonRestoreRequest {
        info,
        folder,
        conflict,
        name: "test",
    };
    let shown = identity::read(&open(info).await).await.unwrap();
    json_restore::restore(&request, &shown, &CancellationToken::new(), |_| {}).await
}

/// Everything that a restore may touch.
async fn state(session: &Session) -> Vec<Vec<Option<String>>> {
    let tables = session
        .rows(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'r' \
             AND relnamespace = 'public'::regnamespace ORDER BY 1",
        )
        .await
        .unwrap();
    let mut sql =
        "SELECT tgrelid::regclass, tgname, tgenabled::text, tgdeferrable::text FROM pg_trigger \
                   WHERE NOT tgisinternal ORDER BY 1, 2; \
                   SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated, \
                   condeferrable, condeferred FROM pg_constraint \
                   WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2, 3, oid; \
                   SELECT last_value, is_called FROM down; \
                   SELECT last_value, is_called FROM a_team_id_seq; \
                   SELECT last_value, is_called FROM audit_id_seq;"
            .to_owned();
    for table in &tables {
        let table = table[0].as_ref().unwrap();
        sql.push_str(&format!("SELECT t.*::text FROM ONLY {table} t ORDER BY 1;"));
    }
    session.rows(&sql).await.unwrap()
}

fn contents(manifest: &JsonManifest) -> Contents {
    let tables = manifest.tables.iter();
    tables
        .map(|t| (t.quoted.clone(), t.content.clone()))
        .collect()
}

pub(crate) fn refusals(result: Result<JsonRestored, JsonRestoreError>) -> Vec<String> {
    match result {
        Err(JsonRestoreError::Refused(reasons)) => reasons,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn circles_triggers_partitions_and_sequences_come_back_as_they_were() {
    let world = World::new().await;
    let restored = world.restore(Conflict::Refuse).await.unwrap();
    let session = world.session().await;
    let source = open(&info(&world.cluster)).await;
    assert_eq!(state(&session).await, state(&source).await);
    let wanted = contents(&world.manifest);
    let found = content::read(&session, &wanted, |_| {}).await.unwrap();
    assert_eq!(found, wanted);
    assert!(restored.tables.iter().all(|t| t.compared && t.kept == 0));
    assert_eq!(restored.sequences, 3);
    // What refers comes after what it refers to, whatever the names are.
    let place = |name: &str| restored.tables.iter().position(|t| t.table.contains(name));
    assert!(place("A first") > place("a_person") && place("A first") > place("node_high"));
    assert_eq!(one(&session, "SELECT nextval('public.down')").await, "96");
    assert_eq!(
        one(&session, "SELECT long FROM public.a_team WHERE id = 10").await,
        "1"
    );
    // The keys hold, and they are no more deferrable than before.
    let orphan = "BEGIN; SET CONSTRAINTS ALL DEFERRED; DELETE FROM public.node WHERE id = 12";
    let refused = session.client.batch_execute(orphan).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "23503");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_there_refuse_are_replaced_or_are_kept() {
    let world = World::new().await;
    world.restore(Conflict::Refuse).await.unwrap();
    let session = world.session().await;
    run(
        &session,
        "DELETE FROM \"A first\"; UPDATE a_person SET name = 'kept' WHERE id = 1; INSERT INTO node VALUES (3, 2);
         DELETE FROM node WHERE id = 13; SELECT setval('a_team_id_seq', 500); TRUNCATE audit;
         SELECT nextval('down'), nextval('down')",
    )
    .await;
    let before = state(&session).await;
    let reasons = refusals(world.restore(Conflict::Refuse).await);
    assert!(
        reasons.contains(&"public.a_person has rows already".to_owned()),
        "{reasons:?}"
    );
    assert!(!reasons.iter().any(|r| r.contains("audit")));
    assert_eq!(state(&session).await, before);

    let kept = world.restore(Conflict::Keep).await.unwrap();
    let person = kept
        .tables
        .iter()
        .find(|t| t.table == "public.a_person")
        .unwrap();
    assert_eq!(
        (person.written, person.kept, person.compared),
        (0, 3, false)
    );
    let high = kept
        .tables
        .iter()
        .find(|t| t.table == "public.node_high")
        .unwrap();
    assert_eq!((high.written, high.kept), (1, 1));
    assert_eq!(
        one(&session, "SELECT name FROM a_person WHERE id = 1").await,
        "kept"
    );
    assert_eq!(
        one(&session, "SELECT last_value FROM a_team_id_seq").await,
        "500"
    );
    assert_eq!(one(&session, "SELECT last_value FROM down").await, "94");
    assert_eq!(one(&session, "SELECT count(*) FROM node").await, "5");

    let reasons = refusals(world.restore(Conflict::Keep).await);
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].contains("A first") && reasons[0].contains("no primary key"));

    world.restore(Conflict::Replace).await.unwrap();
    let source = open(&info(&world.cluster)).await;
    assert_eq!(state(&session).await, state(&source).await);

    run(&session, "CREATE TABLE outside (n int REFERENCES node)").await;
    let reasons = refusals(world.restore(Conflict::Replace).await);
    assert!(reasons[0].contains("public.outside"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_difference_is_named_and_nothing_is_written() {
    let world = World::new().await;
    let session = world.session().await;
    run(
        &session,
        "ALTER TABLE a_person ALTER name TYPE varchar(20), ADD more int;
         ALTER TABLE a_team DROP long; DROP TABLE \"A first\"; DROP SEQUENCE down;
         ALTER TABLE a_team ADD long int; CREATE SEQUENCE down2",
    )
    .await;
    let mut reasons = refusals(world.restore(Conflict::Refuse).await);
    reasons.sort();
    let wanted = [
        "public.a_person.name is text in the backup and character varying(20) in the target",
        "public.a_team.long is generated in the backup and not generated in the target",
        "the target has no sequence public.down",
        "the target has no table public.\"A first\"",
        "the target's public.a_person has a column more that the backup does not have",
    ];
    assert_eq!(reasons, wanted);
    assert_eq!(one(&session, "SELECT count(*) FROM a_person").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_the_middle_leaves_everything_as_it_was() {
    let world = World::new().await;
    let session = world.session().await;
    run(
        &session,
        "SELECT nextval('down'); INSERT INTO audit (said) VALUES ('mine');
         ALTER TABLE node_high ADD CHECK (id <> 13)",
    )
    .await;
    let before = state(&session).await;
    let error = world.restore(Conflict::Replace).await.unwrap_err();
    assert_eq!(error.database_error().unwrap().sqlstate, "23514", "{error}");
    assert_eq!(state(&session).await, before);

    // A key that the rows of the backup break: found at the end of the circle, before COMMIT.
    run(
        &session,
        "ALTER TABLE node_high DROP CONSTRAINT node_high_id_check;
         CREATE TABLE lonely (id bigint PRIMARY KEY); TRUNCATE a_team, a_person, \"A first\";
         ALTER TABLE a_team ADD CONSTRAINT l FOREIGN KEY (id) REFERENCES lonely (id)
             DEFERRABLE INITIALLY DEFERRED",
    )
    .await;
    let before = state(&session).await;
    let error = world.restore(Conflict::Replace).await.unwrap_err();
    assert_eq!(error.database_error().unwrap().sqlstate, "23503", "{error}");
    assert_eq!(state(&session).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_was_changed_is_never_begun_with() {
    let world = World::new().await;
    let path = world.backup.join("public.a_person.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("ana", "eve")).unwrap();
    let error = world.restore(Conflict::Refuse).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("public.a_person.json has changed"),
        "{error}"
    );

    // Somebody who knows how to hash, but not what the rows add up to.
    let manifest = world.backup.join("manifest.json");
    let old = &world
        .manifest
        .tables
        .iter()
        .find(|t| t.name == "a_person")
        .unwrap()
        .sha256;
    let new = stagegate::digest::digest(&std::fs::read(&path).unwrap());
    let text = std::fs::read_to_string(&manifest)
        .unwrap()
        .replace(old, &new);
    std::fs::write(&manifest, text).unwrap();
    let error = world.restore(Conflict::Refuse).await.unwrap_err();
    assert!(
        matches!(&error, JsonRestoreError::Differs(d) if d.len() == 1),
        "{error}"
    );
    let session = world.session().await;
    assert_eq!(one(&session, "SELECT count(*) FROM a_person").await, "0");

    std::fs::rename(&manifest, world.home.path().join("away")).unwrap();
    assert!(read_manifest(&world.backup).is_err());
    let error = world.restore(Conflict::Refuse).await.unwrap_err();
    assert!(error.to_string().contains("no backup"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_level_security_that_binds_the_role_is_told_before() {
    let world = World::new().await;
    let session = world.session().await;
    run(
        &session,
        "CREATE ROLE clerk LOGIN; GRANT CREATE, USAGE ON SCHEMA public TO clerk;
         ALTER TABLE audit OWNER TO clerk; ALTER TABLE audit ENABLE ROW LEVEL SECURITY,
             FORCE ROW LEVEL SECURITY",
    )
    .await;
    let clerk = resolve(&world.cluster.url("target", "clerk"));
    let source = tempfile::tempdir().unwrap();
    let only = ["public.audit".to_owned()];
    let (backup, _) = dump(&info(&world.cluster), source.path(), &only)
        .await
        .unwrap();
    let reasons = refusals(restore(&clerk, &backup, Conflict::Refuse).await);
    assert!(reasons[0].contains("binds clerk"), "{reasons:?}");
    // The owner is not bound where it is not forced.
    run(&session, "ALTER TABLE audit NO FORCE ROW LEVEL SECURITY").await;
    restore(&clerk, &backup, Conflict::Refuse).await.unwrap();
    assert_eq!(one(&session, "SELECT count(*) FROM audit").await, "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_switched_off_refuse_it() {
    let world = World::new().await;
    let session = world.session().await;
    run(&session, "ALTER TABLE a_person DISABLE TRIGGER ALL").await;
    let reasons = refusals(world.restore(Conflict::Refuse).await);
    let off = |name: &str| {
        reasons
            .iter()
            .any(|r| r.contains(name) && r.contains("switched off"))
    };
    assert!(
        off("a_person_team_fkey") && off("a_person_boss_fkey"),
        "{reasons:?}"
    );

    run(&session, "ALTER TABLE a_person ENABLE TRIGGER ALL").await;
    let sql = "ALTER DATABASE target SET session_replication_role = 'replica'";
    run(&session, sql).await;
    let reasons = refusals(world.restore(Conflict::Refuse).await);
    assert!(
        reasons[0].contains("session_replication_role is replica"),
        "{reasons:?}"
    );
    assert_eq!(reasons.len(), 1);
    run(&session, "ALTER DATABASE target RESET ALL").await;
    world.restore(Conflict::Refuse).await.unwrap();
}

/// A relay to the server that drops the answer to the COMMIT of a restore.
fn relay(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (mut back, mut from) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || upstream(client, server));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut back);
            });
        }
    });
    port
}

fn upstream(mut client: TcpStream, mut server: TcpStream) {
    let holds = |seen: &[u8], what: &[u8]| seen.windows(what.len()).any(|w| w == what);
    let mut buffer = [0; 16 * 1024];
    let mut ours = false;
    while let Ok(read) = client.read(&mut buffer) {
        let seen = &buffer[..read];
        ours |= holds(seen, b"pg_catalog.setval(");
        if ours && holds(seen, b"Q\0\0\0\x0bCOMMIT\0") {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.write_all(seen);
            let _ = server.shutdown(Shutdown::Write);
            return;
        }
        if read == 0 || server.write_all(seen).is_err() {
            let _ = server.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_commit_that_is_lost_is_told_as_unknown() {
    let world = World::new().await;
    let port = relay(world.cluster.port());
    let url = format!("postgresql://postgres@127.0.0.1:{port}/target?sslmode=disable");
    let lost = restore(&resolve(&url), &world.backup, Conflict::Refuse).await;
    let Err(JsonRestoreError::Unknown { transaction, .. }) = lost else {
        panic!("expected an unknown outcome, got {lost:?}");
    };
    let session = world.session().await;
    let status = format!("SELECT txid_status({transaction})");
    crate::server::wait_until(&session, &status, "committed").await;
    assert_eq!(one(&session, "SELECT count(*) FROM a_person").await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_operator_at_a_time() {
    let world = World::new().await;
    let other = stagegate::postgres::OperatorLock::acquire(
        &world.target(),
        "other",
        std::time::Duration::ZERO,
    )
    .await
    .unwrap();
    let held = world.restore(Conflict::Refuse).await;
    assert!(matches!(held, Err(JsonRestoreError::Held(_))));
    other.release().await;
    world.restore(Conflict::Refuse).await.unwrap();
}
