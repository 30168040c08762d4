//! Alembic gates where something around Alembic is broken: clear, bounded, nothing half done.

use crate::alembic_world::{BASELINE, HEAD, World, environment};

#[test]
fn no_python_and_no_alembic_are_said_with_what_to_install() {
    let world = World::tracked();
    world.gate("upgrade", "");
    std::fs::remove_file(world.site.path(".venv")).unwrap();
    let python = "[alembic.app]\npython = \".venv/bin/python\"";
    let text = std::fs::read_to_string(world.site.path("runbook.toml")).unwrap();
    world
        .site
        .write("runbook.toml", &text.replace("[alembic.app]", python));
    world
        .run()
        .exits(4)
        .says("there is no Alembic for this project")
        .says(".venv/bin/python is not there");
    std::fs::create_dir_all(world.site.path(".venv/bin")).unwrap();
    let real = environment().join("bin/python");
    std::os::unix::fs::symlink(real, world.site.path(".venv/bin/python")).unwrap();
    world.run().exits(4).says("has no Alembic; install it with");
    assert_eq!(world.version("production"), BASELINE);
}

#[test]
fn broken_code_is_told_with_its_file_and_line() {
    let world = World::tracked();
    let env = std::fs::read_to_string(world.site.path("alembic/env.py")).unwrap();
    world.site.write(
        "alembic/env.py",
        &format!("{env}\nraise RuntimeError('no')\n"),
    );
    world.gate("check", "");
    world.run().exits(4).says("behind the head");
    world.alembic_version(HEAD);
    world
        .run()
        .exits(4)
        .says("the project's code failed at")
        .says("env.py:")
        .says("RuntimeError: no");
    let missing = env.replace("DATABASE_URL", "NO_SUCH_VARIABLE");
    world.site.write("alembic/env.py", &missing);
    world.run().exits(4).says("KeyError: 'NO_SUCH_VARIABLE'");
}

#[test]
fn a_project_that_connects_elsewhere_is_refused() {
    let world = World::tracked();
    let env = std::fs::read_to_string(world.site.path("alembic/env.py")).unwrap();
    let elsewhere = world
        .url("development")
        .replacen("postgresql:", "postgresql+psycopg:", 1);
    let fixed = env.replace(
        "url = os.environ[\"DATABASE_URL\"]",
        &format!("url = {elsewhere:?}"),
    );
    world.site.write("alembic/env.py", &fixed);
    world.gate("upgrade", "");
    world
        .run()
        .exits(4)
        .says("Alembic would not work on production")
        .says("/development, and the target is")
        .says("let env.py of app take its address from DATABASE_URL");
    assert_eq!(world.version("production"), BASELINE);
}

#[test]
fn an_address_that_is_written_down_never_takes_a_trial_to_production() {
    let world = World::new();
    let env = std::fs::read_to_string(world.site.path("alembic/env.py")).unwrap();
    let written = world
        .url("production")
        .replacen("postgresql:", "postgresql+psycopg:", 1);
    let fixed = env.replace(
        "url = os.environ[\"DATABASE_URL\"]",
        &format!("url = {written:?}"),
    );
    world.site.write("alembic/env.py", &fixed);
    world.gate("stamp", "");
    world
        .run()
        .exits(4)
        .says("Alembic would not work on a private copy")
        .says("nothing was run");
    assert_eq!(world.version("production"), "-");
    world.site.write("alembic/env.py", &env);
    world.alembic("production", &["stamp", BASELINE]);
    world.site.write("alembic/env.py", &fixed);
    world.gate("guard", "reference = \"development\"");
    world
        .run()
        .exits(4)
        .says("Alembic would not work on a private copy");
    assert_eq!(world.version("production"), BASELINE);
}

#[test]
fn versions_in_another_schema_and_several_databases_at_once_are_refused() {
    let world = World::new();
    world.site.sql_in("production", "CREATE SCHEMA meta");
    let env = std::fs::read_to_string(world.site.path("alembic/env.py")).unwrap();
    let meta = env.replace(
        "connection=connection, target",
        "connection=connection, version_table_schema='meta', target",
    );
    world.site.write("alembic/env.py", &meta);
    world.alembic("production", &["stamp", HEAD]);
    world.gate("stamp", "");
    world
        .run()
        .exits(4)
        .says("it finds b3e92d4416f5 there")
        .says("version_table");
    let kept = "SELECT version_num FROM meta.alembic_version";
    assert_eq!(world.site.one_in("production", kept), HEAD);

    let other = world
        .url("development")
        .replacen("postgresql:", "postgresql+psycopg:", 1);
    let both = env
        .replace(
            "def run_migrations_online() -> None:",
            "def online(url) -> None:",
        )
        .replace(
            "    run_migrations_online()",
            &format!("    online(url)\n    online({other:?})"),
        );
    world.site.write("alembic/env.py", &both);
    world.run().exits(4).says("Alembic would not work on");
    assert_eq!(world.version("production"), "-");
}

#[test]
fn a_prompt_ends_at_once_and_is_called_one() {
    let world = World::tracked();
    world.revision("c0ffee000001", HEAD, "input('Sure? ')", "pass");
    world.gate("upgrade", "models = false");
    world
        .run()
        .exits(4)
        .says("it asked for something to be typed");
    assert_eq!(world.version("production"), BASELINE);
}

#[test]
fn ten_megabytes_and_bytes_that_are_no_text_do_no_harm() {
    let world = World::tracked();
    let loud = "import sys; sys.stderr.buffer.write(b'\\xff\\xfe line\\n' * 100); \
                sys.stderr.write('x' * 99 + '\\n') and [sys.stderr.write('y' * 99 + '\\n') for _ in range(100000)]";
    world.revision("c0ffee000001", HEAD, loud, "pass");
    world.gate("upgrade", "models = false");
    world.run().exits(0).shows("3 revisions applied");
    let log = world.site.output("upgrade-1.log");
    assert!(log.len() < 20_000_000 && log.contains('\u{fffd}'));

    // A plan that is too long to be read is too long to be judged.
    let long = "op.execute(\"SELECT '\" + 'x' * 11000000 + \"'\")";
    world.revision("c0ffee000002", "c0ffee000001", long, "pass");
    world
        .run()
        .exits(4)
        .says("the SQL of the plan is longer than can be read");
    assert_eq!(world.version("production"), "c0ffee000001");
}

impl World {
    fn alembic_version(&self, id: &str) {
        let sql = format!("UPDATE alembic_version SET version_num = '{id}'");
        self.site.sql_in("production", &sql);
    }
}
