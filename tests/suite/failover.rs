//! A server that was promoted, and the old one that comes back under the same name.

use std::path::Path;
use std::process::Command;

use stagegate::postgres::cluster::{Cluster, ClusterOptions};

use crate::site::Site;

const MIGRATE: &str = "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
                       target = \"db\"\nfiles = [\"db/*.sql\"]\n";

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(copied.success());
}

#[test]
fn the_old_primary_of_before_a_failover_is_not_written_to() {
    let site = Site::on(
        Cluster::start(&ClusterOptions {
            durable: true,
            ..ClusterOptions::default()
        })
        .unwrap(),
    );
    site.runbook(MIGRATE);
    site.write("db/1.sql", "CREATE TABLE one (n int);");
    site.write("db/2.sql", "CREATE TABLE two (n int); SELECT 1 / 0;");
    site.run().exits(4).says("division by zero");

    // The old primary, as it is when it is lost.
    let data = site.cluster.data_folder();
    let old = data.with_file_name("old");
    site.cluster.crash();
    copy(&data, &old);
    site.cluster.place_file("standby.signal", b"").unwrap();
    site.cluster.restart().unwrap();
    site.one("SELECT pg_promote()");
    site.resume().exits(4).says("division by zero");
    let journal = std::fs::read_to_string(site.run_folder().join("journal.jsonl")).unwrap();
    assert!(journal.contains("timeline_seen"), "{journal}");

    // It comes back, and takes the other one's place.
    site.cluster.crash();
    copy(&old, &data);
    let _ = std::fs::remove_file(data.join("postmaster.pid"));
    site.cluster.restart().unwrap();
    site.write("db/2.sql", "CREATE TABLE two (n int);");
    site.resume()
        .exits(4)
        .says("it is on timeline 1, and this run has seen timeline 2 of it");
    assert_eq!(site.one("SELECT to_regclass('two') IS NULL"), "t");
}
