//! The control schema itself: shown, installed by hand, append-only, and with the least rights.

use crate::server;
use crate::site::Site;

fn url(site: &Site) -> String {
    site.cluster.url("postgres", "postgres")
}

fn installed() -> Site {
    let site = Site::new();
    let url = url(&site);
    let arguments = ["control", &url, "--install", "--database", "postgres"];
    site.stagegate(&arguments)
        .exits(0)
        .shows("version 1, installed");
    site
}

/// What the server says to SQL of a role; `None` when it does it.
fn refused(site: &Site, role: &str, sql: &str) -> Option<String> {
    let session = site.hold_open("postgres");
    site.runtime().block_on(async {
        server::run(&session, &format!("SET ROLE {role}")).await;
        let done = session.client.batch_execute(sql).await;
        done.err()
            .map(|error| error.code().unwrap().code().to_owned())
    })
}

#[test]
fn it_is_shown_and_installed_only_under_its_databases_name() {
    let site = Site::new();
    let url = url(&site);
    site.stagegate(&["control", &url])
        .exits(0)
        .shows("control schema: none");
    let ddl = site
        .stagegate(&["control", &url, "--show-ddl"])
        .exits(0)
        .out;
    assert!(
        ddl.contains("CREATE TABLE stagegate_control.record"),
        "{ddl}"
    );
    assert!(
        ddl.contains("GRANT INSERT (run, kind, sender, payload)"),
        "{ddl}"
    );
    for name in [&[][..], &["--database", "app"][..]] {
        let mut arguments = vec!["control", &url, "--install"];
        arguments.extend_from_slice(name);
        site.stagegate(&arguments)
            .exits(64)
            .says("add --database postgres")
            .says("the database is as it was");
    }
    assert_eq!(
        site.one("SELECT to_regnamespace('stagegate_control') IS NULL"),
        "t"
    );
    let arguments = ["control", &url, "--install", "--database", "postgres"];
    site.stagegate(&arguments)
        .exits(0)
        .shows("version 1, installed");
    site.stagegate(&arguments)
        .exits(0)
        .shows("control schema: version 1");
    site.sql("INSERT INTO stagegate_control.version (version) VALUES (2)");
    site.stagegate(&arguments)
        .exits(1)
        .says("use the newer stagegate");
}

#[test]
fn the_shown_text_is_what_installs() {
    let site = Site::new();
    let url = url(&site);
    let roles = ["--holder", "ops-holder", "--watcher", "ops \"w\""];
    let mut arguments = vec!["control", &url, "--show-ddl"];
    arguments.extend(roles);
    let ddl = site.stagegate(&arguments).exits(0).out;
    site.sql(&ddl);
    site.stagegate(&["control", &url])
        .exits(0)
        .shows("version 1");
    assert_eq!(
        site.one("SELECT count(*) FROM pg_roles WHERE rolname IN ('ops-holder', 'ops \"w\"')"),
        "2"
    );
}

const LINE: &str = "INSERT INTO stagegate_control.record (run, seq, hash, epoch, line) VALUES \
                    ('r', SEQ, repeat('a', 64), EPOCH, 'x')";

fn line(seq: u32, epoch: u32) -> String {
    LINE.replace("SEQ", &seq.to_string())
        .replace("EPOCH", &epoch.to_string())
}

#[test]
fn each_role_may_do_what_it_needs_and_nothing_else() {
    let site = installed();
    let holder = "stagegate_control";
    let add = "INSERT INTO stagegate_control.run (id, title, holder, place) \
               VALUES ('r', 't', 'ana@one', 'one')";
    let ask = "INSERT INTO stagegate_control.inbox (run, kind, sender) \
               VALUES ('r', 'ask_conn', 'lee')";
    assert_eq!(refused(&site, holder, add), None);
    assert_eq!(refused(&site, holder, &line(1, 1)), None);
    let head = "SELECT seq || ' ' || epoch FROM stagegate_control.run";
    assert_eq!(site.one(head), "1 1");
    // Records follow one another, under the epoch that counts.
    for wrong in [line(1, 1), line(3, 1), line(2, 2)] {
        let said = refused(&site, holder, &wrong);
        assert_eq!(said.as_deref(), Some("SG001"), "{wrong}");
    }
    assert_eq!(refused(&site, "stagegate_watch", ask), None);
    assert_eq!(
        refused(
            &site,
            "stagegate_watch",
            "SELECT * FROM stagegate_control.record"
        ),
        None
    );
}

#[test]
fn nobody_rewrites_or_grants_by_themselves() {
    let site = installed();
    let holder = "stagegate_control";
    let add = "INSERT INTO stagegate_control.run (id, title, holder, place) \
               VALUES ('r', 't', 'ana@one', 'one')";
    let ask = "INSERT INTO stagegate_control.inbox (run, kind, sender) \
               VALUES ('r', 'ask_conn', 'lee')";
    assert_eq!(refused(&site, holder, add), None);
    assert_eq!(refused(&site, holder, &line(1, 1)), None);
    let denied = Some("42501");
    for (role, sql) in [
        ("stagegate_watch", line(2, 1)),
        ("stagegate_watch", add.replace("'r'", "'s'")),
        (
            "stagegate_watch",
            "UPDATE stagegate_control.run SET epoch = 9".into(),
        ),
        (
            "stagegate_watch",
            "UPDATE stagegate_control.inbox SET answer = 'granted 2'".into(),
        ),
        (
            "stagegate_watch",
            "DELETE FROM stagegate_control.inbox".into(),
        ),
        (holder, "UPDATE stagegate_control.run SET seq = 0".into()),
        (holder, "DELETE FROM stagegate_control.run".into()),
        (
            holder,
            "UPDATE stagegate_control.record SET line = 'y'".into(),
        ),
        (holder, "DELETE FROM stagegate_control.record".into()),
        (holder, "TRUNCATE stagegate_control.document".into()),
        (holder, "DROP TABLE stagegate_control.inbox".into()),
        (
            holder,
            "UPDATE stagegate_control.inbox SET payload = 'x'".into(),
        ),
    ] {
        assert_eq!(
            refused(&site, role, &sql).as_deref(),
            denied,
            "{role}: {sql}"
        );
    }
    // Whoever owns it cannot rewrite it by accident either.
    for sql in [
        "UPDATE stagegate_control.record SET line = 'y'",
        "DELETE FROM stagegate_control.record",
        "TRUNCATE stagegate_control.record",
        "TRUNCATE stagegate_control.document",
    ] {
        assert_eq!(
            refused(&site, "postgres", sql).as_deref(),
            Some("SG002"),
            "{sql}"
        );
    }
    let large = ask
        .replace("sender)", "sender, payload)")
        .replace("'lee')", "'lee', repeat('x', 300000))");
    assert_eq!(
        refused(&site, "stagegate_watch", &large).as_deref(),
        Some("23514")
    );
}
