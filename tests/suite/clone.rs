//! The red button: production becomes development, wholly or not at all, and only development.

use crate::clone_world::{Bench, Ends, gate};

const CALLS_OUT: &str = "CREATE FUNCTION app.calls_out() RETURNS text LANGUAGE sql AS \
    $$ SELECT 'net.http_post' $$";

#[test]
fn code_that_may_call_out_is_asked_about() {
    let ends = Ends::enrolled();
    ends.production.sql_in("app", CALLS_OUT);
    ends.production.sql_in(
        "app",
        "CREATE TRIGGER hook AFTER INSERT ON app.odd FOR EACH ROW EXECUTE FUNCTION \
         suppress_redundant_updates_trigger('https://prod.example/hook', 'Bearer k')",
    );
    let bench = Bench::new(ends, "");
    bench.passes("backup");
    bench.refuses("code of the source may call out of the copy");
    let finding = bench.finding("clone");
    assert!(finding.contains("app.calls_out()"), "{finding}");
    assert!(finding.contains("hook on app.odd"), "{finding}");
    bench.ends.untouched();
}

#[test]
fn servers_and_their_tables_lead_nowhere_and_hold_no_secret() {
    let ends = Ends::enrolled();
    ends.production.sql_in(
        "app",
        "CREATE FOREIGN DATA WRAPPER pay; \
         CREATE SERVER pay FOREIGN DATA WRAPPER pay OPTIONS (api_key 'sk_live', \"Host\" 'prod'); \
         CREATE FOREIGN TABLE app.pay (id int) SERVER pay OPTIONS (password 'ftpw', table_name 'x')",
    );
    let bench = Bench::new(ends, "previous = \"drop\"");
    bench.passes("backup");
    bench.passes("clone");
    for sql in [
        "SELECT string_agg(srvoptions::text, ' ') FROM pg_foreign_server",
        "SELECT string_agg(ftoptions::text, ' ') FROM pg_foreign_table",
    ] {
        let options = bench.ends.development.one_in("dev", sql);
        assert!(options.contains("nowhere.invalid"), "{options}");
        for secret in ["sk_live", "prod", "ftpw"] {
            assert!(!options.contains(secret), "{options}");
        }
    }
    let folder = bench.ends.production.run_folder();
    let left = crate::site::names(&folder);
    assert!(
        left.iter().all(|name| !name.starts_with("clone-clone-")),
        "{left:?}"
    );
}

#[test]
fn rules_reach_what_inherits_and_what_is_computed_and_what_is_large() {
    let ends = Ends::enrolled();
    ends.production.sql_in(
        "app",
        "INSERT INTO app.child VALUES (4711, 'ana@example.com')",
    );
    let keys = "large_objects = \"leave\"\n[phase.gate.clone.mask]\n\"app.base.id\" = { sql = \"-1 - id\" }";
    let bench = Bench::new(ends, keys);
    bench.passes("backup");
    bench.passes("clone");
    let development = &bench.ends.development;
    let all = "SELECT string_agg(id::text, ',' ORDER BY id) FROM app.base";
    assert_eq!(development.one_in("dev", all), "-4712,-3,-2");
    let large = "SELECT length(lo_get(4711))";
    assert_eq!(development.one_in("dev", large), "0");
    for (rule, said) in [
        (
            "large_objects = \"copy\"\n[phase.gate.clone.mask]\n\"app.customers.upper_name\" = \"hash\"",
            "app.customers.upper_name is computed by the server",
        ),
        (
            "[phase.gate.clone.mask]\n\"auth.users.phone\" = \"null\"",
            "nobody has decided about the large objects",
        ),
    ] {
        let bench = Bench::new(Ends::enrolled(), rule);
        bench.passes("backup");
        bench.refuses(said);
    }
}

#[test]
fn a_rule_that_gives_other_values_each_time_is_proved_by_what_arrived() {
    let keys = "large_objects = \"copy\"\n[phase.gate.clone.mask]\n\"app.customers.name\" = \
        { sql = \"CASE WHEN current_query() ILIKE 'copy%' THEN name ELSE 'x' END\" }";
    let bench = Bench::new(Ends::enrolled(), keys);
    bench.passes("backup");
    assert_eq!(bench.gate("clone").word(), "failed");
    let finding = bench.finding("clone");
    assert!(
        finding.contains("would still hold 500 of its original values"),
        "{finding}"
    );
    bench.ends.untouched();
    // Another rule's mistake is told with its column.
    let keys = "large_objects = \"copy\"\n[phase.gate.clone.mask]\n\"app.odd.a b\" = \"hash\"";
    let bench = Bench::new(Ends::enrolled(), keys);
    bench.passes("backup");
    assert_eq!(bench.gate("clone").word(), "failed");
    let finding = bench.finding("clone");
    assert!(finding.contains("app.odd, at the source"), "{finding}");
    assert!(
        finding.contains("the destination is as it was before"),
        "{finding}"
    );
}

#[test]
fn development_becomes_production_in_everything_and_the_old_one_is_kept_and_dumped() {
    let ends = Ends::enrolled();
    ends.production.sql_in("app", CALLS_OUT);
    let keys = "users = \"auth.users\"\nmay_call = [\"app.calls_out()\"]";
    let bench = Bench::new(ends, keys);
    bench.passes("backup");
    let lines = bench.lines("clone");
    for said in [
        "from     postgres@",
        "enrolled as development",
        "lost     auth: 1 table, about 2 rows",
        "lost     public: 1 table, about 7 rows",
        "auth.users: 2 are replaced by 3",
        "1 of them have an address that the source has under another id",
        "2 of them are not at the source",
        "calls    app.calls_out(), as may_call says",
        "objects  1 large objects are copied as they are",
        "reaches  server away (leads nowhere in the copy)",
        "reaches  user mapping of app_reader at away (left behind)",
        "sessions nobody else",
    ] {
        assert!(lines.contains(said), "no `{said}` in\n{lines}");
    }
    bench.passes("clone");
    bench.ends.is_copy();
    let cloned = bench.cloned();
    assert_eq!(cloned.rows, 3 + 500 + 2000 + 3 + 1 + 1 + 1, "{cloned:#?}");
    assert_eq!((cloned.tables, cloned.large_objects), (8, 1));
    assert!(
        cloned
            .left
            .iter()
            .any(|line| line == "server away leads nowhere")
    );
    assert!(
        cloned
            .left
            .iter()
            .any(|line| line == "user mapping of app_reader at away")
    );
    let development = &bench.ends.development;
    for (sql, answer) in [
        ("SELECT nextval('app.tickets')", "105"),
        (
            "INSERT INTO app.customers (name) VALUES ('next') RETURNING id",
            "501",
        ),
        ("SELECT count(*) FROM app.totals", "500"),
        (
            "SELECT convert_from(lo_get(4711), 'UTF8')",
            "a large object",
        ),
        (
            "SELECT srvoptions::text FROM pg_foreign_server WHERE srvname = 'away'",
            "{dbname=x,host=nowhere.invalid}",
        ),
        ("SELECT count(*) FROM pg_user_mapping", "0"),
        (
            "SELECT database_oid = (SELECT oid FROM pg_database WHERE datname = 'dev') \
          FROM stagegate.enrolment",
            "t",
        ),
    ] {
        assert_eq!(development.one_in("dev", sql), answer, "{sql}");
    }
    let kept = cloned.kept.clone().unwrap();
    assert_eq!(development.one_in(&kept, "SELECT count(*) FROM old"), "7");
    assert!(std::path::Path::new(&cloned.safety).exists());
    assert_eq!(bench.ends.databases(), ["dev", kept.as_str()]);
}

#[test]
fn the_marks_of_both_ends_stay_where_they_belong() {
    let ends = Ends::enrolled();
    let url = ends.prod_url();
    let production = ["enrol", &url, "--as", "production", "--database", "app"];
    ends.production
        .stagegate(&production)
        .exits(0)
        .shows("never replaced");
    let bench = Bench::new(ends, "previous = \"drop\"");
    bench.passes("backup");
    bench.passes("clone");
    let mark = "SELECT purpose FROM stagegate.enrolment";
    assert_eq!(bench.ends.development.one_in("dev", mark), "development");
    assert_eq!(bench.ends.production.one_in("app", mark), "production");
    assert_eq!(bench.ends.databases(), ["dev"], "the old one was dropped");
    // What was replaced once may be replaced again.
    let (prod, dev) = (bench.ends.prod_url(), bench.ends.dev_url());
    let ends = bench.over();
    let again = Bench::at(
        ends,
        "previous = \"drop\"\njobs = 4",
        &[("PROD", &prod), ("DEV", &dev)],
    );
    again.passes("backup");
    again.passes("clone");
    again.ends.is_copy();
}

#[test]
fn what_is_personal_does_not_leave_production() {
    let keys = "personal = [\"*email*\", \"*phone*\", \"total\"]\n";
    let undecided = Bench::new(Ends::enrolled(), &format!("{keys}large_objects = \"copy\""));
    undecided.passes("backup");
    undecided.refuses("nobody has decided about 4 columns");
    undecided.ends.untouched();
    let rules = format!(
        "{keys}large_objects = \"copy\"\n[phase.gate.clone.mask]\n\"auth.users.email\" = \"email\"\n\
         \"auth.users.phone\" = \"null\"\n\"app.orders.total\" = \"keep\"\n\
         \"app.customers.name\" = {{ sql = \"'customer no. ' || id\" }}"
    );
    let bench = Bench::new(Ends::enrolled(), &rules);
    bench.passes("backup");
    bench.passes("clone");
    let development = &bench.ends.development;
    for (sql, answer) in [
        (
            "SELECT count(DISTINCT email) FROM auth.users WHERE email LIKE '%@masked.invalid'",
            "3",
        ),
        ("SELECT count(phone) FROM auth.users", "0"),
        (
            "SELECT upper_name FROM app.customers WHERE id = 7",
            "CUSTOMER NO. 7",
        ),
        ("SELECT sum(total) > 0 FROM app.orders", "t"),
    ] {
        assert_eq!(development.one_in("dev", sql), answer, "{sql}");
    }
    let cloned = bench.cloned();
    assert_eq!(
        cloned.masked,
        [
            "app.customers.name: 'customer no. ' || id",
            "auth.users.email: email",
            "auth.users.phone: null"
        ]
    );
}

#[test]
fn a_rule_that_leaves_originals_is_refused() {
    let keys = "large_objects = \"copy\"\n[phase.gate.clone.mask]\n\"app.customers.name\" = { sql = \"'customer ' || id\" }";
    let bench = Bench::new(Ends::enrolled(), keys);
    bench.passes("backup");
    assert_eq!(bench.gate("clone").word(), "failed");
    let said = "app.customers.name would still hold 500 of its original values";
    assert!(
        bench.finding("clone").contains(said),
        "{}",
        bench.finding("clone")
    );
    bench.ends.untouched();
}

#[test]
fn the_schema_alone() {
    let bench = Bench::new(Ends::enrolled(), "rows = false\nprevious = \"drop\"");
    bench.passes("backup");
    bench.passes("clone");
    let count = "SELECT count(*) FROM app.orders";
    assert_eq!(bench.ends.development.one_in("dev", count), "0");
}

#[test]
fn a_copy_of_the_same_server_needs_its_own_leave() {
    let ends = Ends::new();
    ends.production.sql("CREATE DATABASE dev");
    ends.production.sql_in(
        "dev",
        "CREATE TABLE old (id int); INSERT INTO old VALUES (1)",
    );
    let (prod, dev) = (
        ends.prod_url(),
        ends.production.cluster.url("dev", "postgres"),
    );
    let enrol = ["enrol", &dev, "--as", "development", "--database", "dev"];
    ends.production.stagegate(&enrol).exits(0);
    let bench = Bench::at(
        ends,
        "previous = \"drop\"",
        &[("PROD", &prod), ("DEV", &dev)],
    );
    bench.passes("backup");
    bench.refuses("source and destination are on the same server");
    let allow = [&enrol[..], &["--same-cluster"]].concat();
    bench
        .ends
        .production
        .stagegate(&allow)
        .exits(0)
        .shows("of this server too");
    bench.passes("clone");
    let count = "SELECT count(*) FROM app.orders";
    assert_eq!(bench.ends.production.one_in("dev", count), "2000");
    assert_eq!(bench.ends.production.one_in("app", count), "2000");
}

#[test]
fn a_clone_is_never_run_headless_and_a_file_can_not_make_production_its_destination() {
    let ends = Ends::enrolled();
    let site = &ends.production;
    site.write(
        "runbook.toml",
        &format!(
            "{}{}",
            crate::clone_world::HEAD.replace(
                "\"production\"\n[target.development]",
                "\"staging\"\n[target.development]"
            ),
            gate("")
        ),
    );
    let (prod, dev) = (ends.prod_url(), ends.dev_url());
    let output = site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .env("PROD", &prod)
        .env("DEV", &dev)
        .output()
        .unwrap();
    crate::site::ended(output)
        .exits(4)
        .says("it replaces a database, which is never done without one");
    ends.untouched();
}
