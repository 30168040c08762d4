//! Files and snapshots that try to get out of the scratch server: nothing of the host is touched.

use std::path::PathBuf;

use stagegate::schema::{Kind, ObjectId, Snapshot};

use crate::site::Site;

/// A file that the server could make, and that is not there.
struct Touched(PathBuf);

impl Touched {
    fn new(name: &str) -> Touched {
        let path = std::env::temp_dir().join(format!("stagegate-{}-{name}", std::process::id()));
        assert!(!path.exists());
        Touched(path)
    }

    fn copy(&self) -> String {
        // The program reads what it is given.
        format!("COPY (SELECT 1) TO PROGRAM 'cat > {}'", self.0.display())
    }

    #[track_caller]
    fn is_not_there(&self) {
        let there = self.0.exists();
        let _ = std::fs::remove_file(&self.0);
        assert!(!there, "the program ran");
    }
}

#[test]
fn text_of_a_snapshot_is_never_run() {
    let site = Site::new();
    let schema = "CREATE TABLE t (id int, CONSTRAINT c CHECK (id > 0)); \
                  CREATE VIEW v AS SELECT 1 AS id; CREATE INDEX i ON t (id);";
    site.sql(schema);
    site.write("schema.sql", schema);
    let saved = site.stagegate(&["snapshot", "env:DB"]).exits(0).out;
    let touched = Touched::new("snapshot");
    let copy = touched.copy();
    let texts = [
        (
            Kind::View,
            "public.v",
            format!("SELECT 1 AS id; {copy}; --"),
        ),
        (
            Kind::Constraint,
            "public.t.c",
            format!("CHECK ((id > 0)); {copy}; --"),
        ),
        (Kind::Index, "public.i", format!("{copy}; -- INDEX i ")),
    ];
    for (kind, name, text) in texts {
        let mut snapshot = Snapshot::from_json(&saved).unwrap();
        let id = ObjectId::new(kind, name);
        let object = snapshot.objects.get_mut(&id).unwrap();
        object.properties.insert("definition".to_owned(), text);
        site.write("hostile.json", &snapshot.to_json().unwrap());
        for sides in [
            ["hostile.json", "schema.sql"],
            ["schema.sql", "hostile.json"],
        ] {
            site.stagegate(&["drift", sides[0], sides[1]])
                .exits(2)
                .shows(name);
            touched.is_not_there();
        }
    }
}

#[test]
fn code_of_a_file_runs_without_the_rights_of_a_superuser() {
    let site = Site::new();
    let touched = Touched::new("file");
    let hidden = touched.copy().replace('\'', "''''");
    let run = format!(
        "EXECUTE 'COP' || '{}'",
        hidden.trim_start_matches("COP").replace("''''", "''")
    );
    let function = |volatility: &str, body: &str| {
        format!(
            "CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS $f$ BEGIN {run}; RETURN 1; END $f$;\n\
             CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql {volatility} AS \
             $f$ BEGIN {body} RETURN g(); END $f$;\n"
        )
    };
    let folded = function("IMMUTABLE", "");
    let again = "EXECUTE 'SET SESSION AUTHORIZATION DEFAULT'; EXECUTE 'RESET ROLE';";
    let stubborn = function("", again);
    for text in [
        format!("DO $$ BEGIN {run}; END $$;"),
        format!("{stubborn}SELECT f();"),
        format!("{folded}CREATE TABLE t (a int); CREATE INDEX i ON t ((f()));"),
        format!(
            "{folded}CREATE TABLE t (a int) PARTITION BY LIST (a); \
                 CREATE TABLE p PARTITION OF t FOR VALUES IN (f());"
        ),
        format!(
            "CREATE ROLE big SUPERUSER; GRANT pg_execute_server_program TO big; SET ROLE big;\n\
                 DO $$ BEGIN {run}; END $$;"
        ),
        format!(
            "{folded}CREATE TABLE t (a int); INSERT INTO t VALUES (1); \
                 ALTER TABLE t ADD b int DEFAULT f();"
        ),
        format!("{folded}CREATE MATERIALIZED VIEW m AS SELECT f();"),
    ] {
        site.write("hostile.sql", &text);
        let ended = site.stagegate(&["drift", "hostile.sql", "env:DB"]);
        touched.is_not_there();
        ended.exits(1).says("SQLSTATE 42501");
    }
}

#[test]
fn what_reaches_the_host_in_a_body_is_refused_with_its_line() {
    let site = Site::new();
    let touched = Touched::new("body");
    let copy = touched.copy();
    for text in [
        format!("SELECT 1;\nDO $$ BEGIN\n{copy}; END $$;"),
        format!(
            "SELECT 1;\nCREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n{copy}; END $$;"
        ),
    ] {
        site.write("hostile.sql", &text);
        site.stagegate(&["drift", "hostile.sql", "env:DB"])
            .exits(1)
            .says("hostile.sql:3: it runs a program");
        touched.is_not_there();
    }
}

#[test]
fn blocks_that_need_no_superuser_run_and_so_does_what_comes_after() {
    let site = Site::new();
    let schema = "CREATE SCHEMA s; CREATE TABLE s.t (a int); ALTER TABLE s.t OWNER TO app;\n\
        GRANT keeper TO app;\n\
        DO $$ BEGIN EXECUTE 'ALTER TABLE s.t ADD b int'; END $$;\n\
        INSERT INTO s.t VALUES (1, 2);\n\
        CREATE TABLE s.u (a int); ALTER TABLE s.u OWNER TO other;\n\
        CREATE ROLE late; ALTER TABLE s.u OWNER TO late; CREATE INDEX i ON s.u (a);\n\
        ALTER TABLE s.t ADD c int DEFAULT 5;\n\
        CREATE FUNCTION s.h(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', \
        'plpgsql_inline_handler';\n\
        CREATE PUBLICATION everything FOR ALL TABLES;\n\
        CREATE MATERIALIZED VIEW s.m AS SELECT a FROM s.t;\n\
        SET SESSION AUTHORIZATION 'app'; CREATE VIEW s.v AS SELECT a FROM s.t;\n\
        SET SESSION AUTHORIZATION DEFAULT;\n\
        CREATE FUNCTION s.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';\n\
        CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION s.e();\n\
        ALTER EVENT TRIGGER e ENABLE ALWAYS; COMMENT ON TABLE s.t IS 'x';\n";
    site.sql("CREATE ROLE app; CREATE ROLE other; CREATE ROLE keeper");
    // A role that the file makes is there for both.
    site.sql(
        &format!("GRANT CREATE ON DATABASE postgres TO app; {schema}").replace(
            "SET SESSION AUTHORIZATION 'app'",
            "GRANT ALL ON SCHEMA s TO app; SET SESSION AUTHORIZATION 'app'",
        ),
    );
    let file = schema.replace(
        "SET SESSION AUTHORIZATION 'app'",
        "GRANT ALL ON SCHEMA s TO app; SET SESSION AUTHORIZATION 'app'",
    );
    site.write("schema.sql", &file);
    site.stagegate(&["drift", "schema.sql", "env:DB"]).exits(0);
}
