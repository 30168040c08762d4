//! `stagegate drift` and `stagegate snapshot`: sources, formats, exit codes, errors with places.

use serde_json::Value;

use crate::site::Site;

const SCHEMA: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric NOT NULL);\n\
    CREATE INDEX orders_total ON orders (total);\n";

fn site() -> Site {
    let site = Site::new();
    site.write("schema.sql", SCHEMA);
    site.sql(SCHEMA);
    site
}

#[test]
fn a_database_is_compared_with_its_canonical_file() {
    let site = site();
    let drift = ["drift", "schema.sql", "env:DB"];
    site.stagegate(&drift).exits(0).shows("equal; 0 ignored");
    // The second time the file is not loaded again, and the answer is the same.
    site.stagegate(&drift).exits(0).shows("equal; 0 ignored");
    site.sql(
        "CREATE SCHEMA stagegate; CREATE TABLE stagegate.migrations (a int); \
         DROP INDEX orders_total; ALTER TABLE orders ADD COLUMN note text; \
         COMMENT ON TABLE orders IS 'x'",
    );
    let ended = site
        .stagegate(&drift)
        .exits(2)
        .shows("hard added column public.orders.note [ahead]")
        .shows("hard removed index public.orders_total [behind]")
        .shows("soft changed table public.orders: comment [ahead]")
        .shows("ignored by schema:stagegate: added schema stagegate")
        .shows("3 differences, 2 hard; 1 ignored")
        .shows("the database is diverged: resolve it by hand");
    drop(ended);
    let json = site.stagegate(&[&drift[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_str(&json.exits(2).out).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["equal"], false);
    assert_eq!(json["differences"][1]["kind"], "column");
    assert_eq!(json["differences"][1]["name"], "public.orders.note");
    assert_eq!(json["differences"][1]["change"], "added");
    assert_eq!(json["differences"][1]["property"], Value::Null);
    let ignore = [
        "--ignore",
        "column:*.note",
        "--ignore",
        "index:*",
        "--ignore",
        "*.comment:*",
    ];
    site.stagegate(&[&drift[..], &ignore].concat())
        .exits(0)
        .shows("ignored by column:*.note: added column public.orders.note")
        .shows("equal; 4 ignored");
    site.sql("CREATE SCHEMA other");
    site.stagegate(&[&drift[..], &["--schema", "other"]].concat())
        .exits(2)
        .shows("added schema other");
    site.sql("DROP SCHEMA other");
    for (format, part) in [
        (
            "github",
            "::error file=schema.sql,title=Schema drift::added column",
        ),
        ("junit", "<failure type=\"hard\" message=\"removed index"),
        ("sarif", "\"ruleId\": \"index-removed\""),
    ] {
        site.stagegate(&[&drift[..], &["--format", format]].concat())
            .exits(2)
            .shows(part);
    }
}

#[test]
fn every_source_says_the_same_of_the_same_schema() {
    let site = site();
    site.write(
        "db/migrations/001_orders.sql",
        &format!("BEGIN;\n{SCHEMA}COMMIT;\n"),
    );
    site.write(
        "db/migrations/002_note.sql",
        "ALTER TABLE orders ADD x int;",
    );
    site.write(
        "db/migrations/002_note.down.sql",
        "ALTER TABLE orders DROP x;",
    );
    site.write("db/migrations/003_gone.sql", "ALTER TABLE orders DROP x;");
    let saved = site.stagegate(&["snapshot", "env:DB"]).exits(0);
    site.write("saved.json", &saved.out);
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        command
            .args(identity)
            .args(arguments)
            .current_dir(site.path(""));
        assert!(command.output().unwrap().status.success());
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "schema.sql"]);
    git(&["commit", "-q", "-m", "schema"]);
    let sources = [
        "schema.sql",
        "saved.json",
        "dir:db/migrations",
        "git:main:schema.sql",
        "env:DB",
    ];
    for expected in sources {
        site.stagegate(&["drift", expected, "env:DB"]).exits(0);
    }
    site.stagegate(&["drift", "git:HEAD:schema.sql", "dir:db/migrations"])
        .exits(0);
    site.stagegate(&["drift", "saved.json", "schema.sql"])
        .exits(0);
}

#[test]
fn a_dump_with_data_owners_and_settings_of_a_newer_version_is_loaded() {
    let site = site();
    site.sql(
        "CREATE ROLE \"odd owner\"; ALTER TABLE orders OWNER TO \"odd owner\"; \
         CREATE ROLE reader; GRANT SELECT ON orders TO reader",
    );
    let dump = "\\restrict abc\nSET statement_timeout = 0;\nSET transaction_timeout = 0;\n\
        SELECT pg_catalog.set_config('search_path', '', false);\n\
        CREATE TABLE public.orders (id bigint NOT NULL, total numeric NOT NULL);\n\
        ALTER TABLE public.orders OWNER TO \"odd owner\";\n\
        COPY public.orders (id, total) FROM stdin;\n1\t2; DROP\n\\.\n\
        ALTER TABLE ONLY public.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);\n\
        CREATE INDEX orders_total ON public.orders USING btree (total);\n\
        GRANT SELECT ON TABLE public.orders TO reader;\n\\unrestrict abc\n";
    site.write("dump.sql", dump);
    site.stagegate(&["drift", "dump.sql", "env:DB"]).exits(0);
}

#[test]
fn what_cannot_be_read_says_where_and_why() {
    let site = site();
    let loaded = |text: &str| {
        site.write("bad.sql", text);
        site.stagegate(&["drift", "bad.sql", "env:DB"])
    };
    loaded("CREATE TABLE a (b int);\n\nCREATE TABLE c (d nope);\n")
        .exits(1)
        .says("bad.sql:3:19: type \"nope\" does not exist");
    loaded("SELECT 1;\n\\i other.sql\n")
        .exits(1)
        .says("bad.sql:2: `\\i` is a command of psql");
    loaded("SELECT 1;\nCOPY t FROM PROGRAM 'id';\n")
        .exits(1)
        .says("bad.sql:2: COPY with a file or a program");
    loaded("CREATE TABLE a (b int);\nROLLBACK;\n")
        .exits(1)
        .says("bad.sql:2: it would undo a part");
    loaded("CREATE TABLE a (b text DEFAULT 'half")
        .exits(1)
        .says("bad.sql:1");
    loaded(
        "CREATE TABLE public.t (a int);\n\
         CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a FROM t';\n\
         SELECT pg_catalog.set_config('search_path', '', false);\n\
         CREATE INDEX i ON public.t (public.f(a));\n",
    )
    .exits(1)
    .says("bad.sql:4")
    .says("the dump empties search_path");
    site.stagegate(&["drift", "missing.sql", "env:DB"])
        .exits(78)
        .says("cannot be read");
    site.stagegate(&["drift", "schema.sql", "env:NO_SUCH"])
        .exits(78);
    site.stagegate(&["drift", "schema", "env:DB"])
        .exits(64)
        .says("is no source");
    site.stagegate(&["drift", "schema.sql", "env:DB", "--ignore", "tabel:x"])
        .exits(64)
        .says("there is no kind `tabel`");
    site.stagegate(&["drift", "git:main:schema.sql", "env:DB"])
        .exits(1);
    site.write("bad.json", "{\"format\":9}");
    site.stagegate(&["drift", "bad.json", "env:DB"])
        .exits(78)
        .says("snapshot format 9");
}

#[test]
fn what_is_only_written_differently_is_equal_and_said() {
    let site = site();
    let sql = "CREATE TABLE states (s varchar(9), CONSTRAINT known CHECK (s IN ('a', 'b')));\n";
    let restored = "CREATE TABLE states (s varchar(9), CONSTRAINT known CHECK \
        (((s)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))));\n";
    site.sql(sql);
    site.write("schema.sql", &format!("{SCHEMA}{restored}"));
    let drift = ["drift", "schema.sql", "env:DB"];
    site.stagegate(&drift)
        .exits(0)
        .shows("1 definitions are written differently and mean the same");
    // The other way round, too.
    site.sql(&format!("DROP TABLE states; {restored}"));
    site.write("schema.sql", &format!("{SCHEMA}{sql}"));
    site.stagegate(&drift).exits(0).shows("equal; 0 ignored");
    site.write(
        "schema.sql",
        &format!("{SCHEMA}{}", sql.replace("'b'", "'c'")),
    );
    site.stagegate(&drift)
        .exits(2)
        .shows("hard changed constraint public.states.known: definition");
}
