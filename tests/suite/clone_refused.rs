//! One test for each way in which the wrong database is lost, or the right one by halves.

use std::sync::{Arc, Mutex};

use stagegate::promotion::GateState;

use crate::clone_world::{Bench, Ends, gate};
use crate::rollback_elsewhere::{Orders, relay, tcp};
use crate::site::Site;

#[test]
fn an_address_that_leads_to_productions_server() {
    let ends = Ends::new();
    ends.production.sql("CREATE DATABASE dev");
    let (prod, dev) = (
        ends.prod_url(),
        ends.production.cluster.url("dev", "postgres"),
    );
    let bench = Bench::at(ends, "", &[("PROD", &prod), ("DEV", &dev)]);
    bench.passes("backup");
    bench.refuses("the destination is not enrolled: nothing proves that it is development");
}

#[test]
fn a_host_name_that_is_a_tunnel_to_production() {
    let production = Site::on(tcp());
    production.sql("CREATE TABLE precious (id int)");
    let port = relay(
        production.cluster.port(),
        Arc::new(Mutex::new(Orders::default())),
    );
    let prod = production.cluster.url("postgres", "postgres");
    let dev = format!("postgresql://postgres@127.0.0.1:{port}/postgres");
    // Somebody even enrolled it through the tunnel.
    let enrol = [
        "enrol",
        &dev,
        "--as",
        "development",
        "--database",
        "postgres",
        "--same-cluster",
    ];
    production.stagegate(&enrol).exits(0);
    let ends = Ends {
        production,
        development: Site::new(),
    };
    let bench = Bench::at(ends, "", &[("PROD", &prod), ("DEV", &dev)]);
    bench.passes("backup");
    bench.refuses("source and destination are the same database");
    assert_eq!(
        bench.ends.production.one("SELECT count(*) FROM precious"),
        "0"
    );
}

#[test]
fn the_same_database_spelt_otherwise() {
    let ends = Ends::new();
    let prod = ends.prod_url();
    let dev = format!("{prod}&application_name=another");
    let bench = Bench::at(ends, "", &[("PROD", &prod), ("DEV", &dev)]);
    bench.passes("backup");
    bench.refuses("source and destination are the same database");
}

#[test]
fn a_database_that_says_it_is_production() {
    let ends = Ends::new();
    ends.enrol(&["--as", "production", "--database", "dev"]);
    let dev = ends.dev_url();
    // It is not enrolled otherwise in passing.
    let enrol = ["enrol", &dev, "--as", "development", "--database", "dev"];
    let again = ends.production.stagegate(&enrol);
    again.exits(1).says("it is marked as production already");
    let bench = Bench::new(ends, "");
    bench.passes("backup");
    bench.refuses("the destination is enrolled as production");
    bench.ends.untouched();
}

#[test]
fn an_enrolment_that_came_along_in_a_dump() {
    let ends = Ends::enrolled();
    let development = &ends.development;
    development.sql_in("dev", "UPDATE stagegate.enrolment SET database_oid = 99999");
    let bench = Bench::new(ends, "");
    bench.passes("backup");
    bench.refuses("the destination's enrolment was made for another database");
    bench.ends.untouched();
}

#[test]
fn an_enrolment_needs_the_databases_name() {
    let ends = Ends::new();
    let dev = ends.dev_url();
    let site = &ends.production;
    site.stagegate(&["enrol", &dev])
        .exits(0)
        .shows("enrolment: none");
    for wrong in [
        &["--as", "development"][..],
        &["--as", "development", "--database", "app"],
    ] {
        let all = [&["enrol", dev.as_str()], wrong].concat();
        site.stagegate(&all).exits(64).says("add --database dev");
    }
    site.stagegate(&["enrol", &dev])
        .exits(0)
        .shows("enrolment: none");
    ends.enrol(&["--as", "development", "--database", "dev"]);
    ends.enrol(&["--withdraw", "--database", "dev"]);
    site.stagegate(&["enrol", &dev])
        .exits(0)
        .shows("enrolment: none");
    site.stagegate(&["enrol", "env:NOT_THERE"]).exits(78);
}

/// A view of production that is filled anywhere else only once the role `go` is there: a clone waits
/// for it in the middle of its work.
const WAITS: &str = "\
CREATE FUNCTION app.waits() RETURNS int LANGUAGE plpgsql AS $$ BEGIN \
  WHILE current_database() <> 'app' \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'go') LOOP \
    PERFORM pg_catalog.pg_sleep(0.01); END LOOP; RETURN 1; END $$; \
CREATE MATERIALIZED VIEW app.waiting AS SELECT app.waits()";

/// Runs a clone, does something in the middle of it, and returns how it ended.
fn meanwhile(bench: &Bench, act: impl Fn(&Site)) -> GateState {
    bench.passes("backup");
    let development = &bench.ends.development;
    std::thread::scope(|scope| {
        let clone = scope.spawn(|| bench.gate("clone"));
        let waits = "SELECT count(*) FROM pg_stat_activity \
                     WHERE query LIKE 'REFRESH%' AND state = 'active'";
        while development.one(waits) != "1" {
            assert!(!clone.is_finished(), "{}", bench.finding("clone"));
            std::thread::yield_now();
        }
        act(development);
        development.sql("CREATE ROLE go");
        clone.join().unwrap()
    })
}

fn waiting() -> Bench {
    let ends = Ends::enrolled();
    ends.production.sql_in("app", WAITS);
    Bench::new(ends, "")
}

#[test]
fn another_database_takes_the_destinations_name_meanwhile() {
    let bench = waiting();
    let state = meanwhile(&bench, |development| {
        // Even our own sessions are ended, and it is enrolled.
        development.end_sessions("dev");
        development.sql("ALTER DATABASE dev RENAME TO dev_real");
        development.sql("CREATE DATABASE dev");
        bench
            .ends
            .enrol(&["--as", "development", "--database", "dev"]);
    });
    assert_ne!(state, GateState::Passed);
    let finding = bench.finding("clone");
    assert!(finding.contains("it is another database"), "{finding}");
    assert_eq!(bench.ends.databases(), ["dev", "dev_real"]);
    let old = "SELECT count(*) FROM old";
    assert_eq!(bench.ends.development.one_in("dev_real", old), "7");
}

#[test]
fn what_is_written_after_the_dump_is_not_dropped() {
    let ends = Ends::enrolled();
    ends.production.sql_in("app", WAITS);
    let bench = Bench::new(ends, "previous = \"drop\"");
    let state = meanwhile(&bench, |development| {
        let dumped = bench.ends.production.path("backups");
        let finished = || {
            let names = crate::site::names(&dumped);
            names
                .iter()
                .any(|name| name.ends_with("before_clone.manifest.json"))
        };
        while !finished() {
            std::thread::yield_now();
        }
        development.sql_in("dev", "INSERT INTO old VALUES (777)");
    });
    assert_eq!(state, GateState::Passed, "{}", bench.finding("clone"));
    bench.ends.is_copy();
    let kept = bench.cloned().kept.unwrap();
    let row = "SELECT count(*) FROM old WHERE id = 777";
    assert_eq!(bench.ends.development.one_in(&kept, row), "1");
    assert!(bench.cloned().warnings[0].contains("written after its dump"));
}

#[test]
fn a_dump_of_the_destination_that_cannot_be_written_is_told_at_once() {
    let ends = Ends::enrolled();
    ends.production.sql_in("app", WAITS);
    let gate = gate("").replace("safety = \"backups\"", "safety = \"/proc/nope\"");
    let (prod, dev) = (ends.prod_url(), ends.dev_url());
    let bench = Bench::of(ends, &gate, &[("PROD", &prod), ("DEV", &dev)]);
    bench.passes("backup");
    assert_eq!(bench.gate("clone"), GateState::Failed);
    let finding = bench.finding("clone");
    assert!(
        finding.contains("there is no dump of the destination"),
        "{finding}"
    );
    bench.ends.untouched();
}

#[test]
fn the_destination_is_enrolled_as_production_meanwhile() {
    let bench = waiting();
    let state = meanwhile(&bench, |_| {
        bench.ends.enrol(&["--withdraw", "--database", "dev"]);
        bench
            .ends
            .enrol(&["--as", "production", "--database", "dev"]);
    });
    assert_ne!(state, GateState::Passed);
    let finding = bench.finding("clone");
    let said = "the destination is enrolled as production";
    assert!(finding.contains(said), "{finding}");
    bench.ends.untouched();
}

#[test]
fn somebody_connects_to_the_destination_meanwhile() {
    let bench = waiting();
    let somebody = std::sync::Mutex::new(None);
    let state = meanwhile(&bench, |development| {
        *somebody.lock().unwrap() = Some(development.hold_open("dev"));
    });
    assert_ne!(state, GateState::Passed);
    let finding = bench.finding("clone");
    let said = "somebody has connected meanwhile";
    assert!(finding.contains(said), "{finding}");
    drop(somebody);
    bench.ends.untouched();
    bench.passes("clone");
    bench.ends.is_copy();
}

#[test]
fn nobody_empties_a_table_of_the_source_meanwhile() {
    let bench = waiting();
    let state = meanwhile(&bench, |_| {
        let somebody = bench.ends.production.hold_open("app");
        let truncate = "SET lock_timeout = '50ms'; TRUNCATE app.odd";
        let runtime = bench.ends.production.runtime();
        let refused = runtime.block_on(somebody.client.batch_execute(truncate));
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("db error"), "{error}");
        bench.ends.production.sql_in("app", "DELETE FROM app.odd");
    });
    assert_eq!(state, GateState::Passed, "{}", bench.finding("clone"));
    let odd = "SELECT count(*) FROM app.odd";
    assert_eq!(bench.ends.development.one_in("dev", odd), "3");
}

#[test]
fn a_clone_that_is_canceled_leaves_nothing() {
    let bench = waiting();
    let state = meanwhile(&bench, |_| bench.cancel("clone"));
    assert_eq!(state, GateState::Canceled);
    bench.ends.untouched();
    bench.passes("clone");
    bench.ends.is_copy();
}

#[test]
fn a_schema_that_only_the_destination_has() {
    let ends = Ends::enrolled();
    let scratch = "CREATE SCHEMA scratch; CREATE FUNCTION scratch.f() RETURNS int LANGUAGE sql \
                   AS 'SELECT 1'";
    ends.development.sql_in("dev", scratch);
    let bench = Bench::new(ends, "");
    bench.passes("backup");
    bench.refuses("scratch would be lost at the destination");
    bench.ends.untouched();
    let allowed = Bench::new(bench.over(), "may_drop = [\"scratch\"]");
    allowed.passes("backup");
    assert!(allowed.lines("clone").contains("as may_drop says"));
    allowed.passes("clone");
    allowed.ends.is_copy();
}

#[test]
fn a_copy_that_cannot_be_finished() {
    let ends = Ends::enrolled();
    // It can be made at the source, and nowhere else.
    ends.production.sql_in(
        "app",
        "CREATE MATERIALIZED VIEW app.here AS \
         SELECT 1 / (CASE current_database() WHEN 'app' THEN 1 ELSE 0 END) AS one",
    );
    let bench = Bench::new(ends, "");
    bench.passes("backup");
    assert_eq!(bench.gate("clone"), GateState::Failed);
    let finding = bench.finding("clone");
    assert!(finding.contains("division by zero"), "{finding}");
    assert!(
        finding.contains("the destination is as it was before"),
        "{finding}"
    );
    bench.ends.untouched();
    bench
        .ends
        .production
        .sql_in("app", "DROP MATERIALIZED VIEW app.here");
    bench.passes("clone");
    bench.ends.is_copy();
}

#[test]
fn a_role_that_the_destination_lacks() {
    let ends = Ends::enrolled();
    ends.production.sql("CREATE ROLE auditor");
    ends.production
        .sql_in("app", "GRANT SELECT ON app.odd TO auditor");
    let bench = Bench::new(ends, "");
    bench.passes("backup");
    bench.refuses("the destination's server lacks roles: auditor");
    bench.ends.untouched();
}

#[test]
fn others_who_work_in_the_destination() {
    let bench = Bench::new(Ends::enrolled(), "");
    bench.passes("backup");
    let somebody = bench.ends.development.hold_open("dev");
    bench.refuses("somebody else is connected to the destination");
    bench.ends.untouched();
    let ending = Bench::new(bench.over(), "sessions = \"end\"");
    ending.passes("backup");
    assert!(ending.lines("clone").contains("session  pid"));
    ending.passes("clone");
    assert!(ending.cloned().ended_sessions >= 1);
    drop(somebody);
    ending.ends.is_copy();
}

#[test]
fn a_source_that_was_not_backed_up() {
    let bench = Bench::new(Ends::enrolled(), "");
    let (_, refuses) = bench.plan("clone");
    assert_eq!(refuses.unwrap(), "the source was not backed up in this run");
}

#[test]
fn a_reader_is_all_that_production_is_asked_for() {
    let ends = Ends::enrolled();
    ends.production.sql(
        "BEGIN; CREATE ROLE reader LOGIN BYPASSRLS; GRANT pg_read_all_data TO reader; COMMIT; \
         GRANT EXECUTE ON FUNCTION pg_control_system() TO reader",
    );
    // Large objects are their owners' alone.
    ends.production
        .sql_in("app", "GRANT SELECT ON LARGE OBJECT 4711 TO reader");
    ends.development.sql("CREATE ROLE reader");
    let (prod, dev) = (ends.production.cluster.url("app", "reader"), ends.dev_url());
    let bench = Bench::at(ends, "", &[("PROD", &prod), ("DEV", &dev)]);
    bench.passes("backup");
    bench.passes("clone");
    bench.ends.is_copy();
}

#[test]
fn a_runbook_that_names_what_may_not_be() {
    let site = Site::new();
    let head = crate::clone_world::HEAD;
    let onto_production = gate("").replace("target = \"development\"", "target = \"production\"");
    let promotes = format!(
        "{}[[phase.gate]]\nid = \"up\"\ntitle = \"Up\"\nmigrate = {{ target = \"production\", \
         files = [\"a.sql\"] }}\n",
        gate("")
    );
    let headed = head.replace("from = ", "");
    for (gates, said) in [
        (
            onto_production,
            "production is never the destination of a clone",
        ),
        (promotes, "acts on production in a runbook with a clone"),
        (gate("sessions = \"kill\""), "is no sessions of `clone`"),
        (
            gate("mask = { \"auth.users\" = \"null\" }"),
            "is no schema.table.column",
        ),
        (
            gate("mask = { \"a.b.c\" = \"blank\" }"),
            "is no rule for a column",
        ),
        (gate("users = \"users\""), "is no schema.table"),
        (gate("personal = [\"**phone\"]"), "is no pattern of names"),
    ] {
        site.write("runbook.toml", &format!("{headed}{gates}"));
        site.stagegate(&["check", "runbook.toml"])
            .exits(78)
            .says(said);
    }
}
