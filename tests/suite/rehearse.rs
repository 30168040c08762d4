//! Rehearse gates: the run's own backup restored, compared, migrated, undone and migrated again, by
//! the real binary against a real server, which stays as it is.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use stagegate::postgres::{Session, SessionSettings, programs};

use crate::server;
use crate::site::{Ended, Site, ended, names};

pub(crate) const BACKUP: &str = "[[phase.gate]]\nid = \"dump\"\ntitle = \"Backup\"\n[phase.gate.backup]\n\
    target = \"db\"\npath = \"backups\"\n";
pub(crate) const REHEARSE: &str = "[[phase.gate]]\nid = \"try\"\ntitle = \"Rehearse\"\n[phase.gate.rehearse]\n\
    backup = \"dump\"\n";
pub(crate) const MIGRATE: &str = "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
    target = \"db\"\nfiles = [\"db/*.sql\"]\n";
pub(crate) const LOOK: &str = "[[phase.gate]]\nid = \"count\"\ntitle = \"Count\"\n[phase.gate.query]\n\
    target = \"db\"\nsql = \"SELECT count(*) FROM app.notes\"\nexpect = { value = \"= 1\" }\n";
pub(crate) const BACK: &str = "[[rollback]]\nid = \"back\"\ntitle = \"Back\"\nscope = \"partial\"\n\
    valid_from = \"mig\"\nexpect_duration = \"1m\"\n[[rollback.gate]]\nid = \"down\"\n\
    title = \"Down\"\n[rollback.gate.migrate]\ntarget = \"db\"\nfiles = [\"down/*.sql\"]\n\
    undoes = [\"mig\"]\n";
const WORLD: &str = "CREATE SCHEMA app; \
    CREATE ROLE app_owner; CREATE ROLE app_reader; GRANT app_reader TO app_owner; \
    CREATE TABLE app.people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
        name text NOT NULL, email text); \
    CREATE TABLE app.orders (id serial PRIMARY KEY, person bigint REFERENCES app.people, \
        amount numeric(12,2) NOT NULL, placed timestamptz NOT NULL DEFAULT now()); \
    CREATE VIEW app.spent AS SELECT person, sum(amount) AS amount FROM app.orders GROUP BY 1; \
    ALTER TABLE app.orders OWNER TO app_owner; GRANT SELECT ON app.people TO app_reader; \
    INSERT INTO app.people (name, email) SELECT 'p' || g, CASE WHEN g % 5 > 0 THEN g || '@x' END \
        FROM generate_series(1, 200) g; \
    INSERT INTO app.orders (person, amount) SELECT 1 + g % 200, g / 7.0 FROM generate_series(1, 900) g";

pub(crate) fn world() -> Site {
    let site = Site::new();
    site.sql(WORLD);
    site.write(
        "db/1.sql",
        "CREATE TABLE app.notes (id int PRIMARY KEY, note text);\n",
    );
    site.write(
        "db/2.sql",
        "ALTER TABLE app.people ADD COLUMN note text;\nINSERT INTO app.notes VALUES (1, 'x');\n\
         UPDATE app.orders SET amount = amount + 1 WHERE id < 11;\n",
    );
    site.write("down/1.sql", "DROP TABLE app.notes;\n");
    site.write(
        "down/2.sql",
        "DELETE FROM app.notes;\nALTER TABLE app.people DROP COLUMN note;\n",
    );
    site
}

/// Everything that must not change: what the catalog says, and what the tables hold.
fn state(site: &Site) -> String {
    let sql = "SELECT md5(concat((SELECT string_agg(c::text, ',' ORDER BY c.oid) FROM pg_class c \
        WHERE relnamespace = 'app'::regnamespace), (SELECT string_agg(a.attname || a.attnum::text, \
        ',' ORDER BY a.attrelid, a.attnum) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
        WHERE relnamespace = 'app'::regnamespace), (SELECT string_agg(p::text, ',' ORDER BY p.id) \
        FROM app.people p), (SELECT string_agg(o::text, ',' ORDER BY o.id) FROM app.orders o), \
        to_regclass('stagegate.ledger'), (SELECT string_agg(rolname, ',' ORDER BY 1) FROM pg_roles)))";
    site.one(sql)
}

/// Runs to the rehearsal, and asserts that it does not pass and that nothing was changed.
fn refused(site: &Site, rehearse: &str) -> Ended {
    site.runbook(&format!("{BACKUP}{rehearse}{MIGRATE}{LOOK}{BACK}"));
    let before = state(site);
    let ended = site.run().exits(4);
    assert_eq!(state(site), before, "the source was touched");
    assert!(!ended.out.contains("mig:"), "{}", ended.out);
    ended
}

fn world_runbook(more: &str) -> String {
    format!("{BACKUP}{REHEARSE}{more}{MIGRATE}{LOOK}{BACK}")
}

/// A gate that changes the backup before it is rehearsed.
fn tamper(site: &Site, script: &str) -> String {
    let path = site.write("tamper.sh", &format!("#!/bin/sh\nset -e\n{script}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    "[[phase.gate]]\nid = \"tamper\"\ntitle = \"Tamper\"\n[phase.gate.exec]\n\
     argv = [\"./tamper.sh\"]\n"
        .to_owned()
}

/// The private servers that a process has now.
fn servers_of(pid: u32) -> Vec<PathBuf> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    fds.flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter(|path| path.ends_with("owner.lock"))
        .filter_map(|path| path.parent().map(ToOwned::to_owned))
        .collect()
}

/// Waits until the rehearsal's own server runs a statement that sleeps; gives the server's folder.
pub(crate) fn until_it_sleeps(site: &Site, child: &mut Child) -> PathBuf {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "it never slept");
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        for folder in servers_of(child.id()) {
            let url = format!(
                "postgresql://postgres@/postgres?host={}&port=5432",
                folder.join("s").display()
            );
            let sleeping = site.runtime().block_on(async {
                let info = server::resolve(&url);
                let session = Session::open(&info, &SessionSettings::default())
                    .await
                    .ok()?;
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
                Some(server::one(&session, sql).await == "1")
            });
            if sleeping == Some(true) {
                return folder;
            }
        }
        std::thread::yield_now();
    }
}

fn start(site: &Site, arguments: &[&str], die_at: &str) -> Child {
    let mut command = site.command(arguments);
    command.env("STAGEGATE_DIE_AT", die_at).spawn().unwrap()
}

const RUN: [&str; 5] = ["run", "runbook.toml", "--headless", "--runs-dir", "runs"];

#[test]
fn a_good_world_goes_up_down_and_up_again() {
    let site = world();
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}{LOOK}{BACK}"));
    site.run()
        .exits(0)
        .shows("equal to its source")
        .shows("backup verified: 2 tables, 1100 rows");
    let seen = site.evidence("try-1.json");
    let verified = &seen["verified"];
    assert_eq!(verified["sequences"], 2);
    assert_eq!(verified["with_source"], true);
    assert_eq!(verified["schema"], true);
    assert_eq!(
        seen["roles"],
        serde_json::json!(["app_owner", "app_reader"])
    );
    let files = &seen["gates"][0]["files"];
    assert_eq!(files[0]["changes"][0], "added table app.notes");
    assert_eq!(files[1]["rows"][0], "10 rows of app.orders updated");
    let backs = seen["backs"].as_array().unwrap();
    assert!(
        backs.iter().all(|back| back["state"] == "reversed"),
        "{backs:?}"
    );
    assert_eq!(seen["again"]["files"], 2);
    assert!(seen["again"]["differences"].is_null());
    // The schema that was rehearsed is the one that production has now.
    let made = site.evidence("mig-1.json");
    assert_eq!(seen["gates"][0]["schema"], made["made"]["actual_checksum"]);
    let exported = seen["gates"][0]["exported"].as_str().unwrap();
    assert!(site.run_folder().join(exported).is_file());
    assert!(!site.run_folder().join("rehearsal/try-1/dump").exists());
}

#[test]
fn a_drop_hidden_in_a_block_is_seen() {
    let site = world();
    site.write(
        "db/3.sql",
        "DO $$ BEGIN EXECUTE 'dr' || 'op view app.spent'; \
         EXECUTE 'dr' || 'op table app.orders'; END $$;\n",
    );
    refused(&site, &format!("{REHEARSE}down = false\n"))
        .says("a file does what its text does not say")
        .says("db/3.sql: DS102 drops a table with its rows app.orders, 900 rows")
        .says("production was not touched");
    let allow = "allow = [{ file = \"db/3.sql\", hazard = \"DS102\", reason = \"moved\" }]\n";
    let runbook = format!("{BACKUP}{REHEARSE}down = false\n{allow}");
    site.runbook(&runbook);
    site.run().exits(0);
    let seen = site.evidence("try-1.json");
    let hazard = &seen["gates"].as_array().unwrap();
    assert!(hazard.is_empty(), "no gate stands after it: {hazard:?}");
    site.runbook(&format!("{runbook}{MIGRATE}"));
    site.run().exits(0);
    let seen = site.evidence("try-1.json");
    let hazard = &seen["gates"][0]["files"][2]["hazards"][0];
    assert_eq!(hazard["source"], "rehearsal");
    assert_eq!(
        (&hazard["hidden"], &hazard["refused"]),
        (&true.into(), &false.into())
    );
    assert_eq!(hazard["allowed"], "moved");
}

#[test]
fn columns_and_rows_that_a_function_takes_are_seen() {
    let site = world();
    site.write(
        "db/3.sql",
        "CREATE FUNCTION app.tidy() RETURNS void LANGUAGE plpgsql AS $$ BEGIN \
         EXECUTE 'ALTER TABLE app.people DROP COLUMN ' || 'email'; \
         EXECUTE 'DELETE FR' || 'OM app.orders'; END $$;\nSELECT app.tidy();\n",
    );
    refused(&site, &format!("{REHEARSE}down = false\n"))
        .says("DS103 drops a column with its values app.people.email, 200 rows")
        .says("delete-without-where deletes every row of a table app.orders, 900 rows");
}

#[test]
fn a_file_that_only_fails_on_real_data_is_caught() {
    let site = world();
    site.write(
        "db/3.sql",
        "ALTER TABLE app.people ALTER COLUMN email SET NOT NULL;\n",
    );
    refused(&site, REHEARSE)
        .says("`mig` does not pass in rehearsal")
        .says("column \"email\" of relation \"people\" contains null values (23502)")
        .says("it would be refused in production too");
    // What looks after it is caught as well.
    let site = world();
    site.write("db/3.sql", "INSERT INTO app.notes VALUES (2, 'y');\n");
    site.write("down/3.sql", "DELETE FROM app.notes WHERE id = 2;\n");
    refused(&site, REHEARSE).says("`count` does not pass in rehearsal");
}

#[test]
fn a_down_that_does_not_reverse_is_caught() {
    let site = world();
    site.write("down/2.sql", "DELETE FROM app.notes;\n");
    refused(&site, REHEARSE)
        .says("a down that does not reverse: down/2.sql leaves a difference")
        .says("db/2.sql: column app.people.note is left")
        .says("may_leave = [\"db/2.sql\"]");
    let mut may = world_runbook("may_leave = [\"db/2.sql\"]\n");
    may = may.replace(LOOK, "");
    site.runbook(&may);
    site.write(
        "db/2.sql",
        "ALTER TABLE app.people ADD COLUMN IF NOT EXISTS note text;\n",
    );
    site.run().exits(0);
    assert_eq!(site.evidence("try-1.json")["backs"][0]["state"], "leaves");
    let site = world();
    site.write("down/2.sql", "SELECT 1 / 0;\n");
    refused(&site, REHEARSE)
        .says("down/2.sql does not undo db/2.sql")
        .says("division by zero");
    std::fs::remove_file(site.path("down/2.sql")).unwrap();
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}{LOOK}{BACK}"));
    site.run().exits(0);
    let seen = site.evidence("try-1.json");
    assert_eq!(seen["backs"][0]["state"], "no_way");
    assert_eq!(seen["backs"][1]["state"], "not_tried");
}

#[test]
fn a_backup_that_was_changed_is_never_opened() {
    let site = world();
    // One byte, and as many bytes as before.
    let flip = "f=$(ls backups/*.dump); s=$(wc -c < $f); o=$((s / 2)); \
        b=$(dd if=$f bs=1 skip=$o count=1 2>/dev/null | od -An -tu1); \
        printf \"\\\\$(printf '%03o' $((255 - b)))\" | dd of=$f bs=1 seek=$o conv=notrunc 2>/dev/null";
    for script in [flip, "f=$(ls backups/*.dump); truncate -s -100 $f"] {
        let _ = std::fs::remove_dir_all(site.path("backups"));
        let tampered = tamper(&site, script);
        refused(&site, &format!("{tampered}{REHEARSE}"))
            .says("the backup is not what was taken")
            .says("has changed")
            .says("it was not opened");
        assert!(!site.run_folder().join("rehearsal").join("try-1").exists());
    }
}

/// Puts a script in the place of one client program.
fn wrap(site: &Site, name: &str, script: &str) -> PathBuf {
    let folder = site.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let real = |name: &str| programs::find(name).unwrap().path;
    for program in ["postgres", "initdb", "pg_dump", "pg_restore", "psql"] {
        if program != name {
            std::os::unix::fs::symlink(real(program), folder.join(program)).unwrap();
        }
    }
    let text = format!("#!/bin/sh\nreal={}\n{script}\n", real(name).display());
    let path = site.write(&format!("bin/{name}"), &text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn run_with(site: &Site, programs: &Path) -> Ended {
    let mut command = site.command(&RUN);
    ended(
        command
            .env("STAGEGATE_PG_BINDIR", programs)
            .output()
            .unwrap(),
    )
}

#[test]
fn a_dump_that_leaves_rows_out_is_no_backup() {
    let site = world();
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}"));
    let leaves_out = "case \"$*\" in *--file=*) exec $real --exclude-table-data=app.orders \"$@\";; \
        esac; exec $real \"$@\"";
    let programs = wrap(&site, "pg_dump", leaves_out);
    run_with(&site, &programs)
        .exits(4)
        .says("the dump does not hold what its source held")
        .says("app.orders is not in the dump")
        .says("the dump was removed");
    assert!(names(&site.path("backups")).is_empty());
}

#[test]
fn rows_that_are_not_the_sources_are_caught() {
    let site = world();
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}"));
    let loses = "for a in \"$@\"; do case \"$a\" in --use-list=*) \
        /bin/sed -i '/TABLE DATA app orders/d;/SEQUENCE SET app orders/d' \"${a#--use-list=}\";; \
        esac; done; exec $real \"$@\"";
    let programs = wrap(&site, "pg_restore", loses);
    let before = state(&site);
    run_with(&site, &programs)
        .exits(4)
        .says("the backup does not hold what its source held")
        .says("app.orders has 0 rows, the backup 900")
        .says("sequence app.orders_id_seq stands at 1, and stood at 900");
    assert_eq!(state(&site), before);
    assert!(site.evidence("try-1.json")["verified"].is_null());
}

#[test]
fn a_recovery_point_may_ask_for_a_verified_backup() {
    let site = world();
    let point = "[[phase.gate]]\nid = \"point\"\ntitle = \"Point\"\n[phase.gate.recovery-point]\n\
        target = \"db\"\nrequire_archiving = false\nverified = true\n";
    site.runbook(&format!("{BACKUP}{REHEARSE}{point}"));
    site.run().exits(0);
    assert_eq!(
        site.evidence("point-1.json")["verified"],
        serde_json::json!(["dump", "try"])
    );
    let waivable = REHEARSE.replace(
        "title = \"Rehearse\"",
        "title = \"Rehearse\"\nwaivable = true",
    );
    assert_ne!(waivable, REHEARSE);
    site.runbook(&format!("{BACKUP}{point}{waivable}"));
    site.run()
        .exits(78)
        .says("`verified` of `recovery-point` of gate `point` needs a rehearsal above it");
}

#[test]
fn what_a_rehearsal_saw_is_a_hazard_for_the_lint_after_it() {
    let site = world();
    site.write(
        "db/3.sql",
        "DO $$ BEGIN EXECUTE 'dr' || 'op view app.spent'; \
         EXECUTE 'dr' || 'op table app.orders'; END $$;\n",
    );
    let lint = "[[phase.gate]]\nid = \"lint\"\ntitle = \"Lint\"\n[phase.gate.lint]\n\
        files = [\"db/*.sql\"]\n";
    let quiet = "down = false\ndeny = []\n";
    site.runbook(&format!("{BACKUP}{lint}{MIGRATE}"));
    site.run().exits(0);
    site.sql(
        "DROP TABLE app.notes; DELETE FROM stagegate.ledger; \
        ALTER TABLE app.people DROP COLUMN note; CREATE TABLE app.orders (id int)",
    );
    site.write("db/2.sql", "ALTER TABLE app.people ADD COLUMN note text;\n");
    site.write(
        "db/3.sql",
        "DO $$ BEGIN EXECUTE 'dr' || 'op table app.people'; END $$;\n",
    );
    site.runbook(&format!("{BACKUP}{REHEARSE}{quiet}{lint}{MIGRATE}"));
    site.run()
        .exits(4)
        .says("1 hazard is refused")
        .says("db/3.sql:1: DS102 data-loss DELETES_DATA app.people: drops a table with its rows, 200 rows: seen in rehearsal");
    assert_eq!(
        site.one("SELECT to_regclass('app.people') IS NOT NULL"),
        "t"
    );
}

#[test]
fn roles_that_are_missing_are_caught() {
    let site = world();
    site.write(
        "db/3.sql",
        "GRANT SELECT ON app.people TO nobody_has_made;\n",
    );
    refused(&site, REHEARSE).says("role \"nobody_has_made\" does not exist (42704)");
    std::fs::remove_file(site.path("db/3.sql")).unwrap();
    refused(&site, &format!("{REHEARSE}roles = \"refuse\"\n"))
        .says("the backup could not be restored")
        .says("which no dump holds")
        .says("roles = \"make\"");
}

#[test]
fn bounds_are_kept() {
    let site = world();
    refused(&site, &format!("{REHEARSE}space = \"1MB\"\n"))
        .says("the rehearsal does not fit")
        .says("`space` allows 1.0 MB")
        .says("nothing was started");
    site.write("db/3.sql", "SELECT pg_sleep(600);\n");
    refused(&site, &format!("{REHEARSE}within = \"4s\"\n"))
        .says("the rehearsal was stopped at its bound")
        .says("it took longer than `within` allows, 4 s");
    std::fs::remove_file(site.path("db/3.sql")).unwrap();
    site.write(
        "db/3.sql",
        "CREATE TABLE app.big AS SELECT g AS a, g AS b FROM generate_series(1, 8000000) g;\n",
    );
    refused(&site, &format!("{REHEARSE}space = \"220MB\"\n"))
        .says("the rehearsal was stopped at its bound")
        .says("`space` allows 220.0 MB");
}

#[test]
fn a_rehearsal_that_is_canceled_leaves_nothing() {
    let site = world();
    site.write("db/3.sql", "SELECT pg_sleep(600);\n");
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}{LOOK}{BACK}"));
    let before = state(&site);
    let mut child = start(&site, &RUN, "");
    let folder = until_it_sleeps(&site, &mut child);
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{out}");
    assert!(out.contains("the rehearsal was canceled"), "{out}");
    assert!(!folder.exists(), "the private server is left");
    assert!(names(&site.run_folder().join("rehearsal")).is_empty());
    assert_eq!(state(&site), before);
}

/// Is killed at a point, taken up again, and comes through.
fn killed_and_done_again(point: &str) {
    let site = world();
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}{LOOK}{BACK}"));
    let before = state(&site);
    let killed = ended(start(&site, &RUN, point).wait_with_output().unwrap());
    let (out, err) = (&killed.out, &killed.err);
    assert_eq!(killed.signal, Some(9), "{point}: {out}{err}");
    assert_eq!(state(&site), before, "{point}");
    site.resume()
        .exits(0)
        .shows("backup verified: 2 tables, 1100 rows");
    let folders = names(&site.run_folder().join("rehearsal"));
    assert_eq!(folders, ["try-2"], "{point}");
}

#[test]
fn killed_while_it_restores_it_is_done_again() {
    killed_and_done_again("rehearsal_booted");
    killed_and_done_again("during_rehearsal_restore:3");
}

#[test]
fn killed_while_it_compares_it_is_done_again() {
    killed_and_done_again("rehearsal_restored");
    killed_and_done_again("rehearsal_compared");
}

#[test]
fn killed_on_its_way_up_or_down_it_is_done_again() {
    killed_and_done_again("rehearsal_up");
    killed_and_done_again("rehearsal_down");
}

#[test]
fn production_must_come_out_as_rehearsed() {
    let site = world();
    let meddle = site.write(
        "meddle.sh",
        "#!/bin/sh\nexec \"$PSQL\" -Xq \"$DB\" -c 'CREATE INDEX meddled ON app.people (name)'\n",
    );
    std::fs::set_permissions(&meddle, std::fs::Permissions::from_mode(0o755)).unwrap();
    let meddle = "[[phase.gate]]\nid = \"meddle\"\ntitle = \"Meddle\"\n[phase.gate.exec]\n\
        argv = [\"./meddle.sh\"]\nenv = [\"DB\", \"PSQL\"]\n";
    site.runbook(&format!("{BACKUP}{REHEARSE}{meddle}{MIGRATE}{LOOK}{BACK}"));
    let psql = programs::find("psql").unwrap().path;
    let ran = site.command(&RUN).env("PSQL", psql).output().unwrap();
    ended(ran)
        .exits(4)
        .says("the schema is not the one that was rehearsed")
        .says("since the rehearsal: added index app.meddled");
    // Nothing is applied twice, and what is otherwise still counts.
    site.resume()
        .exits(4)
        .says("the schema is not the one that was rehearsed");
    site.sql("DROP INDEX app.meddled");
    site.resume().exits(0).shows("0 files applied");
}
