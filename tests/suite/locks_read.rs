//! Who waits for whom, as a side session reads it from a real server, and what it may do about it.

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::locks::{Act, LockReader, Look, Signaled};
use stagegate::postgres::{Conninfo, Session};

use crate::locks_world::{Stuck, named};
use crate::server::{cluster, info, open, resolve, run, wait_until};

const OURS: &str = "stagegate r mig";

async fn reader(info: &Conninfo) -> LockReader {
    LockReader::open(info, "stagegate r locks").await.unwrap()
}

async fn look(reader: &LockReader, pid: i32) -> Look {
    reader.look(pid, OURS).await.unwrap()
}

/// Looks until what is seen is as it should be.
async fn look_until(reader: &LockReader, pid: i32, wanted: impl Fn(&Look) -> bool) -> Look {
    let looking = async {
        loop {
            let look = look(reader, pid).await;
            if wanted(&look) {
                return look;
            }
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, looking).await.unwrap()
}

#[tokio::test]
async fn a_chain_of_three_and_the_queue_behind_are_named() {
    let cluster = cluster();
    let info = info(&cluster);
    let setup = open(&info).await;
    run(
        &setup,
        "CREATE SCHEMA shop; CREATE TABLE shop.a(); CREATE TABLE shop.b(); CREATE TABLE shop.c()",
    )
    .await;
    let last = named(&info, "psql").await;
    run(
        &last,
        "BEGIN; LOCK TABLE shop.c IN SHARE MODE; SELECT 'kept \x1b[2J'",
    )
    .await;
    let middle = Stuck::on(
        &info,
        "worker",
        "BEGIN; LOCK shop.b IN SHARE MODE; LOCK shop.c",
    )
    .await;
    let first = Stuck::on(
        &info,
        "cron",
        "BEGIN; LOCK shop.a IN SHARE MODE; LOCK shop.b",
    )
    .await;
    let ours = Stuck::on(&info, OURS, "BEGIN; ALTER TABLE shop.a ADD n int").await;
    let one = Stuck::on(&info, "web", "SELECT FROM shop.a").await;
    let two = Stuck::on(&info, "web", "SELECT FROM shop.a").await;

    let reader = reader(&info).await;
    assert!(reader.rights().superuser && reader.rights().reads_all);
    let seen = look(&reader, ours.pid).await;
    let wait = seen.wait.as_ref().unwrap();
    assert_eq!(
        (wait.mode.as_str(), wait.on.as_str()),
        ("AccessExclusiveLock", "shop.a")
    );
    assert!(wait.waited_ms.is_some());
    let chain: Vec<(i32, usize, &str)> = seen
        .blockers
        .iter()
        .map(|b| (b.who.pid, b.depth, b.who.application.as_str()))
        .collect();
    assert_eq!(
        chain,
        [
            (first.pid, 0, "cron"),
            (middle.pid, 1, "worker"),
            (last.backend_pid(), 2, "psql")
        ]
    );
    let end = &seen.blockers[2];
    assert_eq!(end.who.state, "idle in transaction");
    assert_eq!(end.who.client, "local socket");
    assert!(end.who.query.contains("kept ␛[2J"), "{}", end.who.query);
    assert_eq!(seen.blockers[1].waits.as_ref().unwrap().on, "shop.c");
    assert!(seen.blockers.iter().all(|b| b.who.may_signal));
    two_behind(&seen, [one.pid, two.pid]);
    assert_eq!(seen.unseen(), None);
    assert!(seen.ours.unwrap().query.contains("ALTER TABLE"));
    // A process that is called otherwise is not ours, whatever its number.
    assert_eq!(look(&reader, one.pid).await.ours, None);
}

#[tokio::test]
async fn a_chain_resolves_when_its_end_is_terminated() {
    let cluster = cluster();
    let info = info(&cluster);
    let setup = open(&info).await;
    run(&setup, "CREATE TABLE a(); CREATE TABLE b()").await;
    let last = named(&info, "psql").await;
    run(&last, "BEGIN; LOCK TABLE b IN SHARE MODE").await;
    let first = Stuck::on(&info, "cron", "BEGIN; LOCK a IN SHARE MODE; LOCK b").await;
    let ours = Stuck::on(&info, OURS, "ALTER TABLE a ADD n int").await;
    let reader = reader(&info).await;
    let seen = look(&reader, ours.pid).await;
    let whom = seen.blockers[1].in_the_way().unwrap();
    assert_eq!(whom.pid, last.backend_pid());
    let done = reader.signal(Act::Terminate, &whom, Some(ours.pid)).await;
    assert_eq!(done.unwrap(), Signaled::Done);
    assert_eq!(first.came_out().await, None);
    assert_eq!(ours.came_out().await, None);
}

/// Exactly these two wait behind ours.
fn two_behind(seen: &Look, mut wanted: [i32; 2]) {
    assert_eq!(seen.queue.count, 2);
    assert_eq!(seen.queue.on, [("shop.a".to_owned(), 2)]);
    let mut behind: Vec<i32> = seen.queue.first.iter().map(|w| w.who.pid).collect();
    behind.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(behind, wanted);
}

#[tokio::test]
async fn a_prepared_transaction_is_named() {
    let cluster = Cluster::start(&ClusterOptions {
        settings: vec![("max_prepared_transactions".to_owned(), "5".to_owned())],
        ..ClusterOptions::default()
    })
    .unwrap();
    let info = info(&cluster);
    let setup = open(&info).await;
    run(&setup, "CREATE TABLE t(); CREATE TABLE other()").await;
    run(
        &setup,
        "BEGIN; LOCK t IN SHARE MODE; PREPARE TRANSACTION 'tpc-7'",
    )
    .await;
    run(
        &setup,
        "BEGIN; LOCK other IN SHARE MODE; PREPARE TRANSACTION 'not in the way'",
    )
    .await;
    let ours = Stuck::on(&info, OURS, "ALTER TABLE t ADD n int").await;
    let seen = look(&reader(&info).await, ours.pid).await;
    let [blocker] = &seen.blockers[..] else {
        panic!("{:?}", seen.blockers);
    };
    assert_eq!(blocker.who.pid, 0);
    assert_eq!(blocker.prepared.len(), 1);
    assert_eq!(blocker.prepared[0].gid, "tpc-7");
    assert!(
        blocker
            .words()
            .starts_with("prepared transaction `tpc-7` of postgres")
    );
    assert_eq!(blocker.in_the_way(), None);
    run(&setup, "ROLLBACK PREPARED 'tpc-7'").await;
    assert_eq!(ours.came_out().await, None);
}

#[tokio::test]
async fn a_role_without_rights_says_what_it_may_not_see() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    run(
        &admin,
        "CREATE ROLE plain LOGIN; CREATE ROLE app LOGIN; CREATE TABLE t(); ALTER TABLE t OWNER TO plain; \
         GRANT SELECT ON t TO app",
    )
    .await;
    let plain = resolve(&cluster.url("postgres", "plain"));
    let app = named(&resolve(&cluster.url("postgres", "app")), "psql").await;
    run(&app, "BEGIN; SELECT FROM t").await;
    let ours = Stuck::on(&plain, OURS, "ALTER TABLE t ADD n int").await;
    let reader = reader(&plain).await;
    assert_eq!(reader.rights(), Default::default());
    let seen = look(&reader, ours.pid).await;
    let blocker = &seen.blockers[0];
    assert_eq!(blocker.who.who(), "app@psql");
    assert!(blocker.who.hidden && !blocker.who.may_signal);
    assert_eq!(blocker.who.query, "");
    assert_eq!(blocker.in_the_way(), None);
    assert!(
        seen.unseen()
            .unwrap()
            .contains("what 1 of these sessions do may not be seen")
    );
    // Our own wait is seen all the same.
    assert_eq!(seen.wait.as_ref().unwrap().on, "public.t");
    // Seeing is not ending.
    run(&admin, "GRANT pg_read_all_stats TO plain").await;
    let seen = look(&reader, ours.pid).await;
    let blocker = &seen.blockers[0];
    assert!(!blocker.who.hidden && !blocker.who.may_signal);
    let whom = blocker.in_the_way().unwrap();
    let asked = reader.signal(Act::Terminate, &whom, Some(ours.pid)).await;
    assert!(matches!(asked.unwrap(), Signaled::NotPermitted(_)));
    run(&admin, "GRANT pg_signal_backend TO plain").await;
    assert!(look(&reader, ours.pid).await.blockers[0].who.may_signal);
    let asked = reader.signal(Act::Terminate, &whom, Some(ours.pid)).await;
    assert_eq!(asked.unwrap(), Signaled::Done);
    assert_eq!(ours.came_out().await, None);
}

#[tokio::test]
async fn a_superuser_is_not_ended_by_whoever_may_end_others() {
    let cluster = cluster();
    let admin = open(&info(&cluster)).await;
    run(
        &admin,
        "CREATE ROLE plain LOGIN; GRANT pg_signal_backend, pg_read_all_stats TO plain; \
         CREATE TABLE t(); ALTER TABLE t OWNER TO plain",
    )
    .await;
    run(&admin, "BEGIN; SELECT FROM t").await;
    let plain = resolve(&cluster.url("postgres", "plain"));
    let ours = Stuck::on(&plain, OURS, "ALTER TABLE t ADD n int").await;
    let seen = look(&reader(&plain).await, ours.pid).await;
    assert_eq!(seen.blockers[0].who.pid, admin.backend_pid());
    assert!(!seen.blockers[0].who.may_signal);
}

#[tokio::test]
async fn only_the_session_that_was_seen_in_the_way_is_hit() {
    let cluster = cluster();
    let info = info(&cluster);
    let setup = open(&info).await;
    run(&setup, "CREATE TABLE t(); CREATE TABLE elsewhere()").await;
    let holder = named(&info, "psql").await;
    run(&holder, "BEGIN; SELECT FROM t; SELECT FROM elsewhere").await;
    let ours = Stuck::on(&info, OURS, "ALTER TABLE t ADD n int").await;
    let reader = reader(&info).await;
    let seen = look(&reader, ours.pid).await;
    let whom = seen.blockers[0].in_the_way().unwrap();
    // The number of a session that began at another time is another session's.
    let mut reused = whom.clone();
    reused.backend_start = "2020-01-01T00:00:00+00:00".to_owned();
    let asked = reader.signal(Act::Terminate, &reused, Some(ours.pid)).await;
    assert_eq!(asked.unwrap(), Signaled::WasGone);
    // Canceling does nothing to a session that is idle in its transaction.
    let asked = reader.signal(Act::Cancel, &whom, Some(ours.pid)).await;
    assert_eq!(asked.unwrap(), Signaled::StillThere);
    run(&holder, "COMMIT").await;
    assert_eq!(ours.came_out().await, None);
    // It blocks nobody now, neither at this moment nor by a lock that it still has.
    for waiting in [Some(setup.backend_pid()), None] {
        let asked = reader.signal(Act::Terminate, &whom, waiting).await;
        assert_eq!(asked.unwrap(), Signaled::WasGone);
    }
    assert_eq!(crate::server::one(&holder, "SELECT 1").await, "1");
    // Between two attempts of ours it counts whether it still has what we wanted.
    run(&holder, "BEGIN; SELECT FROM t").await;
    let asked = reader.signal(Act::Terminate, &whom, None).await;
    assert_eq!(asked.unwrap(), Signaled::Done);
}

#[tokio::test]
async fn a_running_statement_in_the_way_is_canceled() {
    let cluster = cluster();
    let info = info(&cluster);
    let setup = open(&info).await;
    run(&setup, "CREATE TABLE t()").await;
    let gate = named(&info, "gate").await;
    run(&gate, "SELECT pg_advisory_lock(7)").await;
    let holder = Stuck::on(
        &info,
        "report",
        "BEGIN; SELECT FROM t; SELECT pg_advisory_lock(7)",
    )
    .await;
    let ours = Stuck::on(&info, OURS, "ALTER TABLE t ADD n int").await;
    let reader = reader(&info).await;
    let seen = look(&reader, ours.pid).await;
    assert_eq!(
        seen.blockers[0].waits.as_ref().unwrap().on,
        "advisory lock 0, 7"
    );
    let whom = seen.blockers[0].in_the_way().unwrap();
    let asked = reader.signal(Act::Cancel, &whom, Some(ours.pid)).await;
    assert_eq!(asked.unwrap(), Signaled::Done);
    assert_eq!(holder.came_out().await.as_deref(), Some("57014"));
    assert_eq!(ours.came_out().await, None);
}

#[tokio::test]
async fn how_far_an_index_is_and_whom_it_waits_for_is_seen() {
    let cluster = cluster();
    let info = info(&cluster);
    let setup = open(&info).await;
    run(&setup, "CREATE TABLE t(n int)").await;
    let writer: Session = named(&info, "writer").await;
    run(&writer, "BEGIN; INSERT INTO t VALUES (1)").await;
    let ours = Stuck::on(&info, OURS, "CREATE INDEX CONCURRENTLY ON t (n)").await;
    let seen = look_until(&reader(&info).await, ours.pid, |look| {
        look.progress.first().is_some_and(|phase| phase.total > 0)
    })
    .await;
    let phase = &seen.progress[0];
    assert_eq!(phase.command, "CREATE INDEX CONCURRENTLY");
    assert_eq!(phase.phase, "waiting for writers before build");
    assert_eq!(
        phase.counted(),
        "0 of 1 transactions waited for".replace("0 of", &format!("{} of", phase.done))
    );
    assert_eq!(
        phase.detail,
        format!("waits for pid {}", writer.backend_pid())
    );
    assert_eq!(seen.blockers[0].who.application, "writer");
    run(&writer, "COMMIT").await;
    assert_eq!(ours.came_out().await, None);
    wait_until(
        &setup,
        "SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 't'::regclass",
        "t",
    )
    .await;
}

#[tokio::test]
async fn nothing_is_written_and_no_snapshot_is_kept() {
    let cluster = cluster();
    let info = info(&cluster);
    let reader = reader(&info).await;
    let admin = open(&info).await;
    look(&reader, admin.backend_pid()).await;
    let sql = "SELECT concat_ws(' ', state, backend_xmin, backend_xid) FROM pg_stat_activity \
               WHERE application_name = 'stagegate r locks'";
    wait_until(&admin, sql, "idle").await;
}
