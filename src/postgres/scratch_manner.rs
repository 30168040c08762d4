//! With which rights a statement of a file runs in a scratch server.
//!
//! What runs a user's code is never run by a superuser, whatever its text says: code puts SQL
//! together that no reader has seen, and a superuser's SQL reaches files and programs of the host.

use std::sync::LazyLock;

use regex::Regex;

use crate::sql::hazard::{Hazard, hazards};

/// What a scratch server has to know of a statement before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Runs nothing of a user's.
    Plain,
    /// Runs a user's code, or makes code that nobody can read and that later statements may run.
    OfCode,
}

/// Why a statement is not run at all: on which of its lines, what it does, what can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beyond {
    /// From 0.
    pub(super) line: usize,
    pub(super) message: String,
    pub(super) help: String,
}

/// Rules of hazards that no statement and no body may break.
const NEVER: [&str; 4] = [
    "copy-program",
    "copy-server-file",
    "alter-system",
    "load-library",
];
const HOST_FUNCTION: &str = "host-function";
const UNTOLD: [&str; 3] = ["dynamic-sql", "foreign-language", "unreadable"];

/// The words that begin what runs nothing of a user's.
const PLAIN: [&str; 12] = [
    "CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "SET", "RESET", "SECURITY",
    "REASSIGN", "ANALYZE", "LOCK",
];

/// A setting that a dump makes, or the number that a sequence is at.
static OF_A_DUMP: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?is)^select\s+pg_catalog\.(set_config|setval)\s*\('[^()]*\)$").ok()
});
/// What is made of a query's rows.
static OF_ROWS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?is)^create\s.*\btable\b.*\bas\s*(\(|select\b|with\b|values\b|table\b|execute\b)")
        .ok()
});
/// What makes code.
static MAKES_CODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^create\s+(or\s+replace\s+)?(function|procedure|rule|trigger|event)\b").ok()
});
/// A library of the server's own.
static IN_C: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\blanguage\s+['"]?(c|internal)\b"#).ok());
/// What writes and reads files without asking who calls.
static OF_THE_HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(be_)?lo_(im|ex)port|\bpg_(read_|ls_|stat_file|file_)|\bdblink").ok()
});
/// What only a superuser may do, and what runs nothing of a user's while it is done.
static RIGHTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?is)^(grant|revoke|comment|set|reset|security|reassign)\b|\sowner\s+to\s|\btrigger\s+all$|^(create|alter|drop)\s+(or\s+replace\s+|trusted\s+|procedural\s+)*(role|user|group|extension|function|procedure|cast|language|event\s+trigger|foreign\s+data|server|publication|subscription|operator\s+(class|family)|access\s+method|type|text\s+search\s+(parser|template)|transform|default\s+privileges)\b|^create\s+schema\s[^(]*$",
    )
    .ok()
});
/// Where strings end is for this program and for the server to see alike.
static ENDS_OF_STRINGS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?is)^set\s+(session\s+)?standard_conforming_strings\s*(=|to)\s*'?on'?$").ok()
});

fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// Tells how a statement runs, or why it does not.
pub(super) fn manner(statement: &str) -> Result<Manner, Beyond> {
    let runs = runs_code(statement);
    let beyond = |line: usize, message: &str, help: &str| {
        Err(Beyond {
            line,
            message: message.to_owned(),
            help: help.to_owned(),
        })
    };
    if statement.contains("standard_conforming_strings") && !is(&ENDS_OF_STRINGS, statement) {
        let help = "take it out, and write strings with backslashes as E'…'";
        return beyond(0, "it changes where strings end", help);
    }
    let of_host = is(&OF_THE_HOST, statement);
    let in_c = is(&IN_C, statement);
    let help = "a schema needs no data: take it out";
    if of_host && in_c {
        return beyond(
            0,
            "it makes a function of the server's files callable",
            help,
        );
    }
    let makes = is(&MAKES_CODE, statement);
    let is_block = first_word(statement) == "DO";
    let needs_reading = makes || is_block || (runs && of_host);
    if !needs_reading {
        return Ok(if runs { Manner::OfCode } else { Manner::Plain });
    }
    let found = hazards(statement);
    let never = |hazard: &&Hazard| {
        NEVER.contains(&hazard.code.as_str())
            || (hazard.code == HOST_FUNCTION && runs && hazard.when_called.is_none())
            || (hazard.code == "untrusted-language" && is_block)
    };
    if let Some(hazard) = found.iter().find(never) {
        let what = format!("it {}", hazard.message);
        return beyond(hazard.line.saturating_sub(1), &what, help);
    }
    let untold =
        |hazard: &Hazard| UNTOLD.contains(&hazard.code.as_str()) || hazard.code == HOST_FUNCTION;
    let of_code = runs || is_event_trigger(statement) || (!in_c && found.iter().any(untold));
    Ok(if of_code {
        Manner::OfCode
    } else {
        Manner::Plain
    })
}

/// Tells whether a superuser may run it in the place of a role that may not.
pub(super) fn needs_rights(statement: &str) -> bool {
    is(&RIGHTS, statement)
}

/// Grants that a role may not give or take are a mere warning to it.
pub(super) fn is_of_grants(statement: &str) -> bool {
    matches!(first_word(statement).as_str(), "GRANT" | "REVOKE")
}

/// It fires on whatever is made after it.
pub(super) fn is_event_trigger(statement: &str) -> bool {
    let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
    matches!(words.next().as_deref(), Some("CREATE" | "ALTER"))
        && words.next().as_deref() == Some("EVENT")
}

/// The role of a session takes the place of the session's own, which only a superuser who was one
/// when the session began may change.
pub(super) fn as_role(statement: &str) -> Option<String> {
    let mut words = statement.split_whitespace();
    let mut next = |wanted: &str| words.next().is_some_and(|w| w.eq_ignore_ascii_case(wanted));
    let first = statement.split_whitespace().next()?.to_ascii_uppercase();
    if !next(&first) || !next("SESSION") || !next("AUTHORIZATION") {
        return None;
    }
    let role: Vec<&str> = words.collect();
    let role = role.join(" ");
    match first.as_str() {
        "SET" if role.eq_ignore_ascii_case("default") => Some("RESET ROLE".to_owned()),
        "SET" => Some(format!("SET ROLE {role}")),
        "RESET" => Some("RESET ROLE".to_owned()),
        _ => None,
    }
}

fn first_word(statement: &str) -> String {
    let end = statement.find(|c: char| !c.is_ascii_alphabetic());
    statement[..end.unwrap_or(statement.len())].to_ascii_uppercase()
}

fn runs_code(statement: &str) -> bool {
    let word = first_word(statement);
    if !PLAIN.contains(&word.as_str()) {
        return !is(&OF_A_DUMP, statement);
    }
    let start: Vec<String> = statement
        .split_whitespace()
        .take(2)
        .map(str::to_ascii_uppercase)
        .collect();
    let view = start.get(1).is_some_and(|word| word == "MATERIALIZED");
    word == "CREATE"
        && (is(&OF_ROWS, statement)
            || (view && !statement.to_ascii_uppercase().ends_with("NO DATA")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dump_says_runs_nothing() {
        for sql in [
            "SELECT pg_catalog.set_config('search_path', '', false)",
            "SELECT pg_catalog.setval('public.s', 7, true)",
            "SET standard_conforming_strings = on",
            "CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY, b int)",
            "CREATE MATERIALIZED VIEW m AS SELECT f() WITH NO DATA",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '$libdir/x', 'f'",
            "CREATE VIEW v AS SELECT f()",
            "ALTER TABLE t OWNER TO app",
        ] {
            assert_eq!(manner(sql), Ok(Manner::Plain), "{sql}");
        }
    }

    #[test]
    fn what_runs_code_is_told() {
        for sql in [
            "DO $$ BEGIN PERFORM 1; END $$",
            "SELECT f()",
            "SELECT pg_catalog.set_config('a', f(), false)",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "INSERT INTO t VALUES (f())",
            "CALL f()",
            "EXPLAIN ANALYZE SELECT f()",
            "CREATE TABLE t AS SELECT f()",
            "CREATE TABLE t AS(SELECT f())",
            "CREATE MATERIALIZED VIEW m AS SELECT f()",
            "REFRESH MATERIALIZED VIEW m",
            "CREATE FUNCTION f(a text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE a; END'",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpython3u AS 'pass'",
            "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
            "PREPARE p AS SELECT f()",
        ] {
            assert_eq!(manner(sql), Ok(Manner::OfCode), "{sql}");
        }
    }

    #[test]
    fn what_reaches_the_host_is_refused_with_its_line() {
        for sql in [
            "DO $$ BEGIN\nCOPY t TO PROGRAM 'id'; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\nCOPY t FROM '/etc/passwd'; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\nCOPY t TO PROGRAM 'id' $$",
            "DO $$ BEGIN\nPERFORM pg_read_file('/etc/passwd'); END $$",
            "SELECT\nlo_export(1, '/tmp/x')",
        ] {
            assert_eq!(manner(sql).unwrap_err().line, 1, "{sql}");
        }
        for sql in [
            "CREATE FUNCTION f(oid, text) RETURNS int LANGUAGE internal AS 'be_lo_export'",
            "SET standard_conforming_strings = off",
        ] {
            assert_eq!(manner(sql).unwrap_err().line, 0, "{sql}");
        }
    }

    #[test]
    fn a_session_of_another_is_a_role() {
        let role = |sql| as_role(sql).unwrap_or_default();
        assert_eq!(role("SET SESSION AUTHORIZATION 'app'"), "SET ROLE 'app'");
        assert_eq!(role("set session authorization DEFAULT"), "RESET ROLE");
        assert_eq!(role("RESET SESSION AUTHORIZATION"), "RESET ROLE");
        assert_eq!(as_role("SET SESSION search_path = a"), None);
        assert_eq!(as_role("SET ROLE app"), None);
    }
}
