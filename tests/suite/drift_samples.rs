//! Schemas of the shape that people have: dumped, loaded again, and equal.

use std::process::Command;

use stagegate::postgres::programs;

use crate::drift_world::{beside, world};
use crate::site::{Site, ended};

const RENTAL: &str = include_str!("drift_rental.sql");
const MUSIC: &str = include_str!("drift_music.sql");

fn client(name: &str) -> Command {
    Command::new(programs::find(name).unwrap().path)
}

fn dump(site: &Site, database: &str, options: &[&str]) -> String {
    let mut command = client("pg_dump");
    command
        .args(options)
        .arg("-d")
        .arg(site.cluster.url(database, "postgres"));
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn restore(site: &Site, database: &str, dump: &str) {
    site.sql(&format!("CREATE DATABASE {database}"));
    let file = site.write(&format!("{database}.sql"), dump);
    let mut command = client("psql");
    let address = site.cluster.url(database, "postgres");
    command
        .args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", &address, "-f"])
        .arg(file);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[track_caller]
fn equal(site: &Site, expected: &str, database: &str) {
    let mut command = site.command(&["drift", expected, "env:DB"]);
    command.env("DB", site.cluster.url(database, "postgres"));
    ended(command.output().unwrap()).exits(0);
}

/// Dumps, restores, dumps what was restored: each file and each database is equal to each other.
fn goes_round(text: &str) {
    let site = Site::new();
    for sql in beside(&site.cluster) {
        site.sql(&sql);
    }
    site.sql("CREATE DATABASE origin");
    site.sql_in("origin", text);
    let whole = dump(&site, "origin", &[]);
    assert!(
        whole.contains("COPY ") && whole.contains("\\restrict"),
        "{whole}"
    );
    restore(&site, "again", &whole);
    restore(&site, "thrice", &dump(&site, "again", &["--schema-only"]));
    // A file names no place on a disk, and a scratch server has only one.
    let ways: [&[&str]; 3] = [
        &[],
        &["--schema-only", "--quote-all-identifiers"],
        &["--inserts"],
    ];
    for way in ways {
        let dumped = dump(&site, "again", &[way, &["--no-tablespaces"]].concat());
        site.write("dump.sql", &dumped);
        for database in ["origin", "again", "thrice"] {
            let ignore = ["drift", "dump.sql", "env:DB", "--ignore", "*.tablespace:*"];
            let mut command = site.command(&ignore);
            command.env("DB", site.cluster.url(database, "postgres"));
            ended(command.output().unwrap()).exits(0);
        }
    }
    for database in ["again", "thrice"] {
        let mut command = site.command(&["snapshot", "env:DB"]);
        command.env("DB", site.cluster.url(database, "postgres"));
        let saved = ended(command.output().unwrap()).exits(0);
        site.write("saved.json", &saved.out);
        equal(&site, "saved.json", "again");
        equal(&site, "saved.json", "thrice");
    }
}

#[test]
fn a_film_rental_goes_round() {
    goes_round(RENTAL);
}

#[test]
fn a_music_store_goes_round() {
    goes_round(MUSIC);
}

#[test]
fn the_world_of_all_kinds_goes_round() {
    let major = programs::find("postgres").unwrap().version.major;
    let text = world(major)
        + "INSERT INTO shop.customers VALUES (1, 'a@b');
           REVOKE EXECUTE ON FUNCTION shop.citext_ne(shop.citext, shop.citext) FROM PUBLIC;
           REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO app;";
    goes_round(&text);
}

#[test]
fn another_order_of_making_other_object_ids_and_dropped_columns_make_no_difference() {
    let site = Site::new();
    site.sql("CREATE ROLE one; CREATE ROLE two");
    for name in ["here", "there"] {
        site.sql(&format!("CREATE DATABASE {name}"));
    }
    site.sql_in(
        "here",
        "CREATE TABLE a (x int, y text); CREATE TABLE b (x int PRIMARY KEY); \
         CREATE INDEX a_x ON a (x); CREATE INDEX a_y ON a (y) WITH (fillfactor = 70, deduplicate_items = off); \
         ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (x) REFERENCES b; \
         ALTER TABLE a ADD CONSTRAINT big CHECK (x > 0); CREATE TYPE e AS ENUM ('p', 'q', 'r'); \
         ALTER TABLE a SET (fillfactor = 70, autovacuum_enabled = off); \
         CREATE PUBLICATION p FOR TABLE a, b; CREATE POLICY o ON a TO one, two; \
         GRANT SELECT, INSERT ON a TO one; GRANT UPDATE ON a TO two; \
         CREATE VIEW v AS SELECT x FROM a; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
         REVOKE ALL ON b FROM postgres; GRANT ALL ON b TO postgres",
    );
    site.sql_in(
        "there",
        "CREATE TABLE junk (a int); DROP TABLE junk; \
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE e AS ENUM ('r'); \
         ALTER TYPE e ADD VALUE 'p' BEFORE 'r'; ALTER TYPE e ADD VALUE 'q' AFTER 'p'; \
         CREATE TABLE b (gone text, x int); ALTER TABLE b ADD PRIMARY KEY (x); \
         CREATE TABLE a (x int, gone int, y text, gone_too int); \
         ALTER TABLE a ADD CONSTRAINT big CHECK (x > 0); CREATE VIEW v AS SELECT x FROM a; \
         ALTER TABLE a DROP gone, DROP gone_too; ALTER TABLE b DROP gone; \
         ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (x) REFERENCES b; \
         GRANT UPDATE ON a TO two; GRANT INSERT ON a TO one; GRANT SELECT ON a TO one; \
         CREATE POLICY o ON a TO two, one; CREATE PUBLICATION p FOR TABLE b, a; \
         CREATE INDEX a_y ON a (y) WITH (deduplicate_items = off, fillfactor = 70); \
         CREATE INDEX a_x ON a (x); ALTER TABLE a SET (autovacuum_enabled = off, fillfactor = 70)",
    );
    let mut command = site.command(&["drift", "env:HERE", "env:THERE"]);
    command
        .env("HERE", site.cluster.url("here", "postgres"))
        .env("THERE", site.cluster.url("there", "postgres"));
    ended(command.output().unwrap()).exits(0);
}
