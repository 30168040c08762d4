//! What a rehearsal must never do: reach beyond its private server, or call a backup verified that
//! nobody compared with its source.

use std::os::unix::fs::PermissionsExt as _;

use crate::rehearse::{BACKUP, MIGRATE, REHEARSE, world};
use crate::site::{Site, ended};

const POINT: &str = "[[phase.gate]]\nid = \"point\"\ntitle = \"Point\"\n[phase.gate.recovery-point]\n\
    target = \"db\"\nrequire_archiving = false\nverified = true\n";

/// Where the source answers, as an address for its own code.
fn here(site: &Site) -> String {
    site.one(
        "SELECT format('host=%s port=%s dbname=%s user=postgres', \
         current_setting('unix_socket_directories'), current_setting('port'), current_database())",
    )
}

#[test]
fn a_check_that_writes_to_a_foreign_server_finds_none() {
    let site = world();
    site.sql(
        "CREATE EXTENSION postgres_fdw; CREATE TABLE app.log (id int); \
         DO $$ BEGIN EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS \
             (host %L, port %L, dbname %L)', current_setting('unix_socket_directories'), \
             current_setting('port'), current_database()); END $$; \
         CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'postgres'); \
         CREATE FOREIGN TABLE app.far (id int) SERVER far \
             OPTIONS (schema_name 'app', table_name 'log'); \
         CREATE FUNCTION app.note(int) RETURNS bool LANGUAGE plpgsql AS \
             $$ BEGIN INSERT INTO app.far VALUES ($1); RETURN true; END $$; \
         CREATE TABLE app.checked (id int CHECK (app.note(id)))",
    );
    site.sql("INSERT INTO app.checked VALUES (1)");
    let logged = "SELECT count(*) FROM app.log";
    assert_eq!(site.one(logged), "1", "the source itself is reached");
    site.runbook(&format!("{BACKUP}{REHEARSE}"));
    site.run()
        .exits(4)
        .says("the backup could not be restored")
        .says("nowhere.invalid");
    assert_eq!(site.one(logged), "1", "the rehearsal wrote to the source");
    // Where nothing runs it, a server that leads nowhere is no difference.
    site.sql("DROP TABLE app.checked");
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}"));
    site.run().exits(0).shows("backup verified");
    let seen = site.evidence("try-1.json");
    let missing = seen["missing"].to_string();
    assert!(missing.contains("server far leads nowhere"), "{missing}");
}

#[test]
fn code_that_calls_out_is_refused_by_name_before_it_runs() {
    let site = world();
    let here = here(&site);
    site.sql(&format!(
        "CREATE EXTENSION dblink; CREATE TABLE app.log (id int); \
         CREATE FUNCTION app.tell() RETURNS text LANGUAGE plpgsql AS \
             $$ BEGIN RETURN dblink_exec('{here}', 'INSERT INTO app.log VALUES (1)'); END $$; \
         CREATE VIEW app.told AS SELECT * FROM dblink('{here}', 'SELECT 1') t (id int)"
    ));
    site.write("db/3.sql", "SELECT app.tell();\n");
    site.write(
        "db/4.sql",
        &format!("SELECT dblink_exec('{here}', 'INSERT INTO app.log VALUES (2)');\n"),
    );
    let ran = site.path("ran");
    site.write(
        "db/5.sql",
        &format!(
            "DO $$ BEGIN COPY app.people TO PROGRAM 'cat > {}'; END $$;\n",
            ran.display()
        ),
    );
    let with = |may_call: &str| format!("{BACKUP}{REHEARSE}down = false\n{may_call}{MIGRATE}");
    site.runbook(&with(""));
    site.run()
        .exits(4)
        .says("code of the source may call out of the rehearsal")
        .says("app.tell()")
        .says("may_call = [\"app.tell()\", \"app.told\"]");
    site.runbook(&with("may_call = [\"app.tell()\", \"app.told\"]\n"));
    site.run()
        .exits(4)
        .says("may_call = [\"db/4.sql\", \"db/5.sql\"]");
    assert_eq!(site.one("SELECT count(*) FROM app.log"), "0");
    assert!(!ran.exists(), "a program ran on this host");
    std::fs::remove_file(site.path("db/5.sql")).unwrap();
    let named = "may_call = [\"app.tell()\", \"app.told\", \"db/4.sql\"]\n";
    site.runbook(&with(named));
    site.run().exits(0);
    assert_eq!(
        site.one("SELECT count(*) FROM app.log"),
        "4",
        "what is named runs there, and in production"
    );
}

#[test]
fn nobody_is_a_superuser_there_but_the_one_that_connects() {
    let site = world();
    site.sql(
        "CREATE ROLE boss SUPERUSER; GRANT pg_execute_server_program TO app_owner; \
         CREATE FUNCTION app.watch() RETURNS event_trigger LANGUAGE plpgsql AS \
             $$ BEGIN END $$; \
         CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION app.watch(); \
         ALTER EVENT TRIGGER watch OWNER TO boss",
    );
    site.write(
        "db/3.sql",
        "SELECT 1 / rolsuper::int FROM pg_roles WHERE rolname = 'boss';\n",
    );
    let with = |keys: &str| format!("{BACKUP}{REHEARSE}down = false\n{keys}{MIGRATE}");
    site.runbook(&with(""));
    site.run().exits(4).says("division by zero");
    let missing = site.evidence("try-1.json")["missing"].to_string();
    for said in [
        "role boss is no superuser here",
        "role app_owner is not in pg_execute_server_program here",
    ] {
        assert!(missing.contains(said), "{missing}");
    }
    site.runbook(&with("superusers = \"keep\"\n"));
    site.run().exits(0);
}

#[test]
fn a_backup_that_was_not_compared_with_its_source_is_not_verified() {
    let site = world();
    // Without an exported snapshot nobody can read beside the dump.
    site.sql(
        "CREATE ROLE deploy LOGIN; GRANT USAGE ON SCHEMA app TO deploy; \
         GRANT SELECT ON ALL TABLES IN SCHEMA app TO deploy; \
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA app TO deploy; \
         REVOKE EXECUTE ON FUNCTION pg_catalog.pg_export_snapshot() FROM PUBLIC",
    );
    site.runbook(&format!("{BACKUP}{REHEARSE}{POINT}"));
    let arguments = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    let mut command = site.command(&arguments);
    let url = site.cluster.url("postgres", "deploy");
    let ended = ended(command.env("DB", url).output().unwrap());
    assert!(!ended.out.contains("backup verified"), "{}", ended.out);
    ended
        .exits(4)
        .says("no backup of this run is verified")
        .says("compared with the dump's own sums only: not verified");
    let seen = site.evidence("try-1.json");
    assert!(seen["verified"].is_null(), "{seen}");
    assert_eq!(seen["compared"]["with_source"], false);
}

#[test]
fn a_schema_file_that_was_changed_verifies_nothing() {
    let site = world();
    for script in ["echo >> \"$f\"", "rm \"$f\""] {
        let _ = std::fs::remove_dir_all(site.path("backups"));
        let _ = std::fs::remove_dir_all(site.path("runs"));
        let text = format!(
            "#!/bin/sh\nset -e\nf=$(find runs -name '*schema*.json')\ntest -f \"$f\"\n{script}\n"
        );
        let path = site.write("tamper.sh", &text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let tamper = "[[phase.gate]]\nid = \"tamper\"\ntitle = \"Tamper\"\n[phase.gate.exec]\n\
            argv = [\"./tamper.sh\"]\n";
        site.runbook(&format!("{BACKUP}{tamper}{REHEARSE}"));
        site.run()
            .exits(4)
            .says("the schema kept with the backup is not what was kept");
    }
}
