//! Files in a server of one version, a database of another; and texts that are no fixpoint.

use std::path::PathBuf;

use stagegate::postgres::programs;

use crate::drift_world::{majors, server, world};
use crate::site::Site;

/// The folder of a version's programs.
fn folder(major: u32) -> PathBuf {
    let all = programs::find_all("postgres");
    let program = all.iter().find(|program| program.version.major == major);
    program.unwrap().path.parent().unwrap().to_owned()
}

fn site_of(major: u32) -> Site {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    Site::on(runtime.block_on(server(major)))
}

/// What the world holds that a version has by itself: these lines are left out of the file.
fn without_tablespace(text: &str) -> String {
    text.replace(" TABLESPACE aside", "")
}

#[test]
fn the_same_schema_in_another_version_differs_in_nothing_and_the_version_is_said() {
    let oldest = *majors().first().unwrap();
    let mut wrong = Vec::new();
    for actual in majors() {
        let site = site_of(actual);
        for expected in majors() {
            // What only the newer one knows cannot be in both.
            let text = without_tablespace(&world(expected.min(actual).max(oldest)));
            let name = format!("of_{actual}_{expected}");
            site.sql(&format!("CREATE DATABASE {name}"));
            site.sql_in(&name, &text);
            site.write("world.sql", &text);
            let mut command = site.command(&["drift", "world.sql", "env:DB"]);
            command
                .env("DB", site.cluster.url(&name, "postgres"))
                .env("STAGEGATE_PG_BINDIR", folder(expected));
            let ended = crate::site::ended(command.output().unwrap());
            if ended.code != Some(0) {
                wrong.push(format!(
                    "{expected} against {actual}:\n{}{}",
                    ended.out, ended.err
                ));
            }
            let said = format!("PostgreSQL {actual} is not installed here; files were loaded into");
            assert_eq!(
                ended.out.contains(&said),
                expected != actual,
                "{}",
                ended.out
            );
            site.sql_in(&name, "DROP SUBSCRIPTION incoming");
            site.sql(&format!("DROP DATABASE {name}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const PLACES: &str =
    "CREATE TABLE t (a varchar(9), b text, n int);\nCREATE DOMAIN d AS varchar(9);\n";
const LISTED: &str = "a IN ('x', 'y')";
/// As a server writes it that was given the text above and then its own.
const REWRITTEN: &str =
    "((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[]))";

/// Each place where an expression stands, with `?` for the expression.
const FORMS: &[&str] = &[
    "ALTER TABLE t ADD CONSTRAINT known CHECK (?);",
    "CREATE INDEX i ON t (b) WHERE ?;",
    "CREATE INDEX i ON t ((?));",
    "CREATE UNIQUE INDEX i ON t USING btree (n) WHERE ?;",
    "ALTER TABLE t ADD EXCLUDE USING btree (n WITH =) WHERE (?);",
    "ALTER TABLE t ADD COLUMN g boolean GENERATED ALWAYS AS (?) STORED;",
    "CREATE POLICY p ON t USING (?) WITH CHECK (?);",
    "CREATE RULE r AS ON UPDATE TO t WHERE old.? DO INSTEAD NOTHING;",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; \
     CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW WHEN (old.?) EXECUTE FUNCTION f();",
    "CREATE STATISTICS s ON (?) FROM t;",
    "CREATE VIEW v AS SELECT n FROM t WHERE ?;",
    "CREATE MATERIALIZED VIEW v AS SELECT n FROM t WHERE ?;",
    "ALTER DOMAIN d ADD CONSTRAINT known CHECK (value?);",
    "CREATE FUNCTION f(a varchar) RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT ?; END;",
    "CREATE FUNCTION f(a varchar) RETURNS boolean LANGUAGE sql RETURN ?;",
    "CREATE FUNCTION f(x boolean DEFAULT 'x'::varchar?) RETURNS int LANGUAGE sql AS 'SELECT 1';",
    "CREATE DOMAIN e AS boolean DEFAULT ('x'::varchar?);",
    "ALTER TABLE t ADD COLUMN h boolean DEFAULT ('x'::varchar?);",
    "CREATE TABLE parts (a varchar(9)) PARTITION BY LIST ((?));",
];

fn filled(form: &str, expression: &str) -> String {
    let form = if form.contains(".?") {
        let said = expression.replace("(a)", "(old.a)");
        let said = if said == expression {
            format!("old.{said}")
        } else {
            said
        };
        form.replace("old.?", &said)
    } else if form.contains("value?") {
        form.replace(
            "value?",
            &expression
                .replacen("(a)", "(value)", 1)
                .replacen("a IN", "value IN", 1),
        )
    } else if form.contains("'x'::varchar?") {
        let left = "'x'::varchar";
        let said = expression.replacen("(a)", &format!("({left})"), 1);
        form.replace(
            "'x'::varchar?",
            &said.replacen("a IN", &format!("{left} IN"), 1),
        )
    } else {
        form.replace('?', expression)
    };
    format!("{PLACES}{form}\n")
}

/// Each form in a schema of its own.
fn all_filled(expression: &str) -> String {
    let text = |(index, form): (usize, &&str)| {
        let text = filled(form, expression);
        format!("CREATE SCHEMA form_{index};\nSET search_path = form_{index};\n{text}")
    };
    FORMS.iter().enumerate().map(text).collect()
}

#[test]
fn every_text_of_the_servers_own_is_settled_when_it_is_only_written_differently() {
    let site = Site::new();
    site.sql(&all_filled(LISTED));
    site.write("schema.sql", &all_filled(REWRITTEN));
    // A policy has two texts.
    let texts = FORMS.len() + 1;
    let drift = ["drift", "schema.sql", "env:DB"];
    site.stagegate(&drift).exits(0).shows(&format!(
        "{texts} definitions are written differently and mean the same"
    ));
    site.write("schema.sql", &all_filled(&LISTED.replace("'y'", "'z'")));
    let ended = site.stagegate(&drift).exits(2);
    for (index, form) in FORMS.iter().enumerate() {
        let place = format!(" form_{index}.");
        assert!(ended.out.contains(&place), "{form} differs\n{}", ended.out);
    }
}

#[test]
fn without_a_file_on_either_side_a_different_text_is_told_and_so_is_what_would_settle_it() {
    let site = Site::new();
    for (name, expression) in [("one", LISTED), ("two", REWRITTEN)] {
        site.sql(&format!("CREATE DATABASE {name}"));
        site.sql_in(name, &filled(FORMS[0], expression));
    }
    let mut command = site.command(&["drift", "env:ONE", "env:TWO"]);
    command
        .env("ONE", site.cluster.url("one", "postgres"))
        .env("TWO", site.cluster.url("two", "postgres"));
    crate::site::ended(command.output().unwrap())
        .exits(2)
        .shows("1 definitions differ as text")
        .shows("a file of SQL, such as a dump");
}
