//! Rehearse gates: the run's own backup restored, compared, migrated, undone and migrated again, by
//! the real binary against a real server, which stays as it is.

use crate::site::{Ended, Site};

const BACKUP: &str = "[[phase.gate]]\nid = \"dump\"\ntitle = \"Backup\"\n[phase.gate.backup]\n\
    target = \"db\"\npath = \"backups\"\n";
const REHEARSE: &str = "[[phase.gate]]\nid = \"try\"\ntitle = \"Rehearse\"\n[phase.gate.rehearse]\n\
    backup = \"dump\"\n";
const MIGRATE: &str = "[[phase.gate]]\nid = \"mig\"\ntitle = \"Migrate\"\n[phase.gate.migrate]\n\
    target = \"db\"\nfiles = [\"db/*.sql\"]\n";
const LOOK: &str = "[[phase.gate]]\nid = \"count\"\ntitle = \"Count\"\n[phase.gate.query]\n\
    target = \"db\"\nsql = \"SELECT count(*) FROM app.notes\"\nexpect = { value = \"= 1\" }\n";
const BACK: &str = "[[rollback]]\nid = \"back\"\ntitle = \"Back\"\nscope = \"partial\"\n\
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

fn world() -> Site {
    let site = Site::new();
    site.sql(WORLD);
    site.write("db/1.sql", "CREATE TABLE app.notes (id int PRIMARY KEY, note text);\n");
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

#[test]
fn a_good_world_goes_up_down_and_up_again() {
    let site = world();
    site.runbook(&format!("{BACKUP}{REHEARSE}{MIGRATE}{LOOK}{BACK}"));
    let ended = site.run().exits(0);
    println!("{}", ended.out);
    let seen = site.evidence("try-1.json");
    println!("{seen:#}");
    assert_eq!(seen["verified"]["tables"], 2);
    assert_eq!(seen["verified"]["rows"], 1100);
    assert_eq!(seen["verified"]["with_source"], true);
    assert_eq!(seen["verified"]["schema"], true);
}
