//! What each kind of statement is found to be.

use super::*;

fn wrong(mismatches: &mut Vec<String>, seen: &str, wanted: &str, sql: &str) {
    if seen != wanted {
        mismatches.push(format!("{sql}: `{seen}`, not `{wanted}`"));
    }
}

/// The codes that are found, once each, in order.
pub(super) fn codes(sql: &str) -> Vec<String> {
    let mut codes: Vec<String> = Vec::new();
    for hazard in hazards(sql) {
        if !codes.contains(&hazard.code) {
            codes.push(hazard.code);
        }
    }
    codes
}

fn class(sql: &str, class: HazardClass) -> Vec<String> {
    let found = hazards(sql);
    let mut codes: Vec<String> = found
        .into_iter()
        .filter(|h| h.class == class && h.when_called.is_none())
        .map(|h| h.code)
        .collect();
    codes.sort();
    codes.dedup();
    codes
}

#[test]
fn data_that_would_be_lost() {
    let mut mismatches = Vec::new();
    for (sql, wanted) in [
        ("DROP TABLE eng.t", "DS102"),
        ("drop table if exists a, b", "DS102"),
        ("drop foreign table f", ""),
        ("DROP SCHEMA eng", "DS101"),
        ("alter table t drop column c", "DS103"),
        ("alter table t drop c, add d int", "DS103"),
        ("drop materialized view m", "drop-materialized-view"),
        ("drop sequence s", "drop-sequence"),
        ("drop database d", "ban-drop-database"),
        ("drop owned by r", "drop-owned"),
        ("drop table t cascade", "DS102 drop-cascade"),
        ("drop view v cascade", "drop-cascade"),
        ("drop type ty cascade", "drop-cascade"),
        ("drop function f() cascade", "drop-cascade"),
        ("drop extension e cascade", "drop-cascade"),
        ("alter table t drop constraint c cascade", "drop-cascade"),
        ("truncate t", "truncate"),
        ("truncate table a, b restart identity", "truncate"),
        ("truncate t cascade", "ban-truncate-cascade"),
        ("delete from t", "delete-without-where"),
        ("delete from t where true", "delete-without-where"),
        ("delete from t where (1 = 1)", "delete-without-where"),
        ("delete from t where id = 1", ""),
        ("delete from t using s", "delete-without-where"),
        ("update t set a = 1", "update-without-where"),
        ("update t set a = 1 where b is null", ""),
        (
            "with x as (delete from t returning *) select * from x",
            "delete-without-where",
        ),
        ("explain analyze delete from t", "delete-without-where"),
        ("prepare p as delete from t", "delete-without-where"),
        (
            "merge into t using s on t.a = s.a when not matched by source then delete",
            "merge-deletes-unmatched",
        ),
        ("alter table t alter c type smallint", "lossy-type-change"),
        ("alter table t alter c type bigint", ""),
        ("alter table t alter c type text", ""),
        (
            "alter table t alter column c type numeric(10, 2)",
            "lossy-type-change",
        ),
        (
            "alter table t alter c type date using c::date",
            "lossy-type-change",
        ),
        (
            "alter table t alter c type text using left(c, 10)",
            "lossy-type-change",
        ),
        ("alter type ty drop attribute a", "drop-attribute"),
        ("drop view v", ""),
        ("drop index i", ""),
    ] {
        wrong(
            &mut mismatches,
            &class(sql, HazardClass::DataLoss).join(" "),
            wanted,
            sql,
        );
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
}

#[test]
fn what_reaches_beyond_the_database() {
    for (sql, wanted) in [
        ("copy t to program 'rm x'", "copy-program"),
        ("copy t from program 'curl x'", "copy-program"),
        ("copy t from '/etc/passwd'", "copy-server-file"),
        ("copy t to '/tmp/x' csv", "copy-server-file"),
        ("copy t from stdin", ""),
        ("copy (select 1) to stdout", ""),
        ("alter system set work_mem = '1GB'", "alter-system"),
        ("create extension plpython3u", "untrusted-extension"),
        (
            "create extension if not exists \"dblink\"",
            "untrusted-extension",
        ),
        ("create extension pgcrypto", ""),
        (
            "create function f() returns int language plpython3u as $$ return 1 $$",
            "untrusted-language",
        ),
        (
            "create function f() returns int language c as 'x', 'y'",
            "untrusted-language",
        ),
        (
            "do language plperlu $$ system('x') $$",
            "untrusted-language",
        ),
        ("create language plx", "untrusted-language"),
        ("alter role r superuser", "superuser"),
        ("alter role r with login bypassrls", "superuser"),
        ("create role r login superuser", "superuser"),
        ("create user r createrole", "superuser"),
        ("alter role r nosuperuser", ""),
        ("grant pg_execute_server_program to r", "grant-host-role"),
        ("grant select on t to r", ""),
        ("select pg_read_file('/etc/passwd')", "host-function"),
        ("select pg_catalog.lo_export(1, 'x')", "host-function"),
        ("load 'x'", "load-library"),
        ("\\! rm x", "psql-host-command"),
    ] {
        assert_eq!(
            &class(sql, HazardClass::HostLevel).join(" "),
            wanted,
            "{sql}"
        );
    }
}

#[test]
fn locks_that_others_wait_for() {
    let mut mismatches = Vec::new();
    for (sql, wanted) in [
        ("alter table t alter c set not null", "MF104"),
        (
            "alter table t add constraint f foreign key (a) references u (a)",
            "PG306",
        ),
        (
            "alter table t add constraint f foreign key (a) references u (a) not valid",
            "",
        ),
        ("alter table t add constraint c check (a > 0)", "PG305"),
        ("alter table t add constraint c check (a > 0) not valid", ""),
        ("alter table t validate constraint c", ""),
        ("alter table t add constraint u unique (a)", "PG105"),
        ("alter table t add constraint u unique using index i", ""),
        ("alter table t add primary key (a)", "PG104"),
        (
            "alter table t add exclude using gist (a with &&)",
            "add-exclusion-constraint",
        ),
        ("create index i on t (a)", "PG101"),
        ("create unique index i on t (a)", "PG101"),
        ("create index concurrently i on t (a)", ""),
        ("drop index i", "PG102"),
        ("reindex table t", "require-concurrent-reindex"),
        ("alter table t add c int", "alter-table"),
        ("alter table t set (fillfactor = 80)", ""),
        (
            "alter table t enable row level security",
            "row-level-security",
        ),
        ("create policy p on t using (true)", "row-level-security"),
        (
            "create trigger x after insert on t for each row execute function f()",
            "create-trigger",
        ),
        ("lock table t in access exclusive mode", "lock-table"),
        ("refresh materialized view m", "refresh-materialized-view"),
        ("refresh materialized view concurrently m", ""),
        ("alter table t rename c to d", "rename"),
        ("alter table t rename to u", "rename"),
        (
            "alter table t detach partition p",
            "require-concurrent-partition-detach",
        ),
        ("create table t (a int)", ""),
        ("select 1", ""),
    ] {
        let seen = class(sql, HazardClass::Lock);
        wrong(&mut mismatches, &seen.join(" "), wanted, sql);
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
}

#[test]
fn tables_that_are_written_anew() {
    let mut mismatches = Vec::new();
    for (sql, wanted) in [
        ("alter table t alter c type bigint", "PG301"),
        (
            "alter table t add c uuid default gen_random_uuid()",
            "PG302",
        ),
        ("alter table t add c int default 0", ""),
        ("alter table t add c bigserial", "adding-serial-field"),
        (
            "alter table t add c int generated always as identity",
            "adding-serial-field",
        ),
        (
            "alter table t add c int generated always as (a + 1) stored",
            "adding-generated-field",
        ),
        ("cluster t using i", "cluster"),
        ("vacuum full t", "vacuum-full"),
        ("vacuum (full, analyze) t", "vacuum-full"),
        ("vacuum (full off) t", ""),
        ("vacuum t", ""),
        ("alter table t set tablespace x", "set-tablespace"),
        ("alter index i set tablespace x", "set-tablespace"),
        ("alter table t set logged", "set-logged"),
        ("alter table t set unlogged", "set-unlogged"),
        ("alter table t set access method heap2", "set-access-method"),
    ] {
        wrong(
            &mut mismatches,
            &class(sql, HazardClass::Rewrite).join(" "),
            wanted,
            sql,
        );
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
}

#[test]
fn what_the_file_makes_is_in_nobodys_way() {
    let sql = "create table eng.t (a int);\ncreate index i on eng.t (a);\n\
        alter table eng.t add constraint c check (a > 0), alter a type bigint;\n\
        create trigger x after insert on eng.t for each row execute function f();\n\
        update eng.t set a = 1; truncate eng.t; drop table eng.t;";
    assert_eq!(codes(sql), [""; 0]);
    // It may have been there, it is another one, or it is not made yet.
    assert!(!codes("create table if not exists t (a int); delete from t;").is_empty());
    assert!(!codes("create table eng.t (a int); delete from t;").is_empty());
    assert!(!codes("drop table t; create table t (a int);").is_empty());
    assert!(!codes("create table t (a int); drop table t; delete from t;").is_empty());
    assert!(!codes("do $$ declare t int; begin select 1 into t; end $$; drop table t;").is_empty());
    assert!(
        !codes("do $$ begin if x then create table t (); end if; end $$; drop table t;").is_empty()
    );
    assert_eq!(
        codes("create table t (a int); truncate t cascade;"),
        ["ban-truncate-cascade"]
    );
}

#[test]
fn what_cannot_be_told_is_said_and_not_refused() {
    for (sql, wanted) in [
        (
            "do $$ begin execute 'drop table ' || x; end $$",
            "dynamic-sql",
        ),
        (
            "do $$ begin for r in execute q loop null; end loop; end $$",
            "dynamic-sql",
        ),
        (
            "create function f() returns setof t language plpgsql as $$ begin return query execute q; end $$",
            "dynamic-sql",
        ),
        (
            "create function f() returns int language plv8 as $$ return 1 $$",
            "foreign-language",
        ),
        (
            "create function f() returns int language sql security definer as 'select 1'",
            "security-definer",
        ),
        ("selec 1", "unreadable"),
        ("select 'open", "unreadable"),
        ("\\i other.sql", "psql-command"),
    ] {
        let found = hazards(sql);
        assert!(found.iter().any(|h| h.code == wanted), "{sql}: {found:?}");
        assert!(
            found.iter().all(|h| h.class == HazardClass::CannotTell),
            "{sql}: {found:?}"
        );
        assert!(!found.iter().any(Hazard::is_refusable), "{sql}");
    }
    let path = "create function f() returns int language sql security definer set search_path = pg_catalog as 'select 1'";
    assert_eq!(codes(path), [""; 0]);
    // A statement that cannot be read is still known by its first words.
    assert!(!class("drop table t wat wat", HazardClass::DataLoss).is_empty());
}

#[test]
fn no_comment_has_any_say() {
    for comment in [
        "-- squawk-ignore-file\n",
        "-- squawk-ignore ban-drop-table, require-concurrent-index-creation\n",
        "-- squawk-disable-assume-in-transaction\n",
        "-- atlas:nolint DS102\n",
    ] {
        let sql = format!("{comment}create index i on t (a);\n{comment}drop table t;");
        assert_eq!(codes(&sql), ["PG101", "DS102"], "{comment}");
    }
    assert_eq!(codes("drop /* x */ table -- y\n t"), ["DS102"]);
}

#[test]
fn places_count_lines_and_characters() {
    let found = hazards("\u{feff}select 'é';\r\n/* é */ drop table t;");
    assert_eq!((found[0].line, found[0].column), (2, 9));
}

#[test]
fn codes_are_unique() {
    let mut codes: Vec<&str> = rule::ALL.iter().map(|rule| rule.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), rule::ALL.len());
}

/// Nothing that PostgreSQL or a person can write ends the program.
#[test]
fn cut_texts_are_read_as_well() {
    let sql = "create function f() returns void language plpgsql as $f$ begin execute 'x'; \
        delete from \"é\".t where true; end $f$; alter table t add c serial; copy t from stdin;\n1\n\\.\n";
    for end in (0..sql.len()).filter(|at| sql.is_char_boundary(*at)) {
        let _ = hazards(&sql[..end]);
        let _ = super::super::writes(&sql[end..]);
    }
}
