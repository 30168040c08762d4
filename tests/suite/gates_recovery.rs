//! Recovery-point gates on servers that archive, do not, and fail to.

use stagegate::postgres::cluster::{Cluster, ClusterOptions};

use crate::site::{Ended, Site};

fn site(settings: &[(&str, &str)]) -> Site {
    let settings = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let options = ClusterOptions {
        settings: settings.collect(),
        ..ClusterOptions::default()
    };
    Site::on(Cluster::start(&options).unwrap())
}

fn point(site: &Site, body: &str) -> Ended {
    site.gate(&format!(
        "[phase.gate.recovery-point]\ntarget = \"db\"\n{body}"
    ))
}

/// Fills a segment as far as the archiver is concerned, and waits for what it makes of it.
fn switch_and_wait(site: &Site, until: &str) {
    site.sql("SELECT pg_logical_emit_message(false, 'test', 'x'); SELECT pg_switch_wal()");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while site.one(&format!("SELECT {until} FROM pg_stat_archiver")) != "t" {
        assert!(
            std::time::Instant::now() < deadline,
            "the archiver did nothing"
        );
        std::thread::yield_now();
    }
}

const ON: [(&str, &str); 2] = [("wal_level", "replica"), ("archive_mode", "on")];

#[test]
fn a_server_that_archives_has_a_recovery_point() {
    let site = site(&[
        ON[0],
        ON[1],
        ("archive_command", "mkdir -p kept && cp %p kept/%f"),
    ]);
    point(&site, "").exits(4).says("nothing was archived yet");
    switch_and_wait(&site, "archived_count > 0");
    site.runbook(
        "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n[phase.gate.recovery-point]\n\
         target = \"db\"\nmax_archive_age = \"15m\"\n\
         [[phase.gate]]\nid = \"later\"\ntitle = \"Later\"\n[phase.gate.exec]\nlooks = true\n\
         argv = [\"echo\", \"{recovery_point}\"]\n",
    );
    site.run().exits(0).shows("recovery point 0/");
    let evidence = site.evidence("gate-1.json");
    let position = evidence["wal_position"].as_str().unwrap();
    assert_eq!(evidence["timeline"], 1);
    assert_eq!(evidence["archived_by"], "archive_command");
    let later = site.evidence("later-1.json");
    let said = later["seen"]["stdout"].as_str().unwrap();
    assert!(said.starts_with(&format!("{position} at 20")), "{said}");
}

#[test]
fn a_restore_point_is_made_by_name() {
    let site = site(&[ON[0], ON[1], ("archive_command", "true")]);
    switch_and_wait(&site, "archived_count > 0");
    point(&site, "restore_point = \"before-{run.id}\"")
        .exits(0)
        .shows("restore point `before-");
    let evidence = site.evidence("gate-1.json");
    assert_eq!(evidence["restore_point"][1], evidence["wal_position"]);
    let log = std::fs::read_to_string(site.cluster.log_file()).unwrap();
    assert!(log.contains("restore point \"before-"), "{log}");
    site.sql("CREATE ROLE small LOGIN");
    let output = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .env("DB", site.cluster.url("postgres", "small"))
        .output()
        .unwrap();
    crate::site::ended(output)
        .exits(4)
        .says("GRANT EXECUTE ON FUNCTION pg_create_restore_point");
}

#[test]
fn an_archiver_that_fails_is_no_way_back() {
    let site = site(&[ON[0], ON[1], ("archive_command", "false")]);
    switch_and_wait(&site, "failed_count > 0");
    point(&site, "")
        .exits(4)
        .says("failed")
        .says("the archiver is failing")
        .says("nothing was ever archived");
    assert_eq!(site.evidence("gate-1.json")["archiver"]["failing"], true);
}

#[test]
fn settings_that_archive_nothing_are_refused() {
    let off = site(&[]);
    point(&off, "").exits(4).says("archive_mode is `off`");
    point(&off, "require_archiving = false").exits(0);
    let unset = site(&[ON[0], ON[1]]);
    point(&unset, "")
        .exits(4)
        .says("neither archive_command nor archive_library");
    let minimal = site(&[("wal_level", "minimal"), ("max_wal_senders", "0")]);
    point(&minimal, "").exits(4).says("wal_level is `minimal`");
}

#[test]
fn an_old_archive_counts_only_while_the_log_grows() {
    let site = site(&[ON[0], ON[1], ("archive_command", "true")]);
    switch_and_wait(&site, "archived_count > 0");
    switch_and_wait(
        &site,
        "clock_timestamp() - last_archived_time > interval '2 s' OR archived_count > 1",
    );
    let aged =
        "SELECT clock_timestamp() - last_archived_time > interval '1500 ms' FROM pg_stat_archiver";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while site.one(aged) != "t" {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    site.sql("CREATE TABLE grown AS SELECT g FROM generate_series(1, 1000) AS g");
    point(&site, "max_archive_age = \"1s\"")
        .exits(4)
        .says("the log has grown since");
    point(&site, "max_archive_age = \"1h\"").exits(0);
}
