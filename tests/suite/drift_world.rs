//! A world with something of every kind, on every server version that this machine has.

use std::collections::BTreeSet;

use stagegate::postgres::Session;
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::programs;

use crate::server::{info, open, resolve, run};

const WORLD: &str = include_str!("drift_world.sql");

/// The versions whose server program is installed, or named by `STAGEGATE_PG_BINDIR`.
pub(crate) fn majors() -> BTreeSet<u32> {
    let all = programs::find_all("postgres");
    let majors: BTreeSet<u32> = all.iter().map(|program| program.version.major).collect();
    assert!(!majors.is_empty(), "no PostgreSQL server is installed");
    majors
}

/// Takes out what a version does not know: lines between `-- from N` and `-- end`.
pub(crate) fn world(major: u32) -> String {
    let mut kept = true;
    let mut text = String::new();
    for line in WORLD.lines() {
        if let Some(since) = line.strip_prefix("-- from ") {
            kept = since.parse::<u32>().unwrap() <= major;
        } else if line == "-- end" {
            kept = true;
        } else if kept {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// What the world needs that belongs to the whole server.
pub(crate) fn beside(cluster: &Cluster) -> [String; 3] {
    let place = cluster.socket_folder().join("aside");
    let place = place.display();
    [
        "CREATE ROLE app; CREATE ROLE reader; CREATE ROLE other".to_owned(),
        // The program has to read what it is given, or the server takes it for broken.
        format!("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; mkdir {place}'"),
        format!("CREATE TABLESPACE aside LOCATION '{place}'"),
    ]
}

/// A server of that version with the roles and the tablespace that the world names.
pub(crate) async fn server(major: u32) -> Cluster {
    let options = ClusterOptions {
        major: Some(major),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(&options).unwrap();
    let admin = open(&info(&cluster)).await;
    for sql in beside(&cluster) {
        run(&admin, &sql).await;
    }
    cluster
}

pub(crate) async fn database(cluster: &Cluster, name: &str) -> Session {
    let admin = open(&info(cluster)).await;
    run(&admin, &format!("CREATE DATABASE {name}")).await;
    open(&resolve(&cluster.url(name, "postgres"))).await
}
