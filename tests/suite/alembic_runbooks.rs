//! The two shipped runbooks for Alembic, walked by keys in a terminal: real Alembic, two databases.

use crate::alembic_world::{BASELINE, HEAD, MIDDLE, World};
use crate::pty::Pty;
use crate::walker::{Stop, Walker};

const SETUP: &str = include_str!("../../runbooks/alembic-baseline.toml");
const DEPLOY: &str = include_str!("../../runbooks/alembic-deploy.toml");

/// A console on one of the runbooks.
fn console(world: &World, name: &str, more: &[(&str, &str)]) -> Walker {
    let urls = [world.url("development"), world.url("production")];
    let mut environment = vec![
        ("DATABASE_URL", urls[0].as_str()),
        ("DATABASE_URL_PROD", urls[1].as_str()),
    ];
    environment.extend_from_slice(more);
    let arguments = ["run", name, "--runs-dir", "runs"];
    let pty = Pty::start(&arguments, &world.site.path(""), &environment, (120, 40));
    let mut walker = Walker { pty };
    walker.pty.wait_for("PG ");
    walker
}

#[track_caller]
fn close(mut walker: Walker) {
    walker.pty.send("\r");
    walker.pty.wait_for("closed");
    walker.pty.send("q");
    assert_eq!(walker.pty.wait_end().exit_code(), 0);
}

#[track_caller]
fn walk_through(world: &World, name: &str) {
    let mut walker = console(world, name, &[]);
    let stop = walker.walk();
    assert_eq!(stop, Stop::AllThrough, "{}", walker.pty.text());
    close(walker);
}

fn world(set_up: bool) -> World {
    let world = World::new();
    world.site.write("runbooks/alembic-baseline.toml", SETUP);
    world.site.write("runbooks/alembic-deploy.toml", DEPLOY);
    if set_up {
        world.alembic("production", &["stamp", BASELINE]);
    }
    world
}

#[test]
fn production_is_set_up_once_and_the_second_time_changes_nothing() {
    let world = world(false);
    walk_through(&world, "runbooks/alembic-baseline.toml");
    assert_eq!(world.version("production"), BASELINE);
    let summary = |name: &str| {
        std::fs::read_to_string(world.site.path(&format!("ops/db_audit/{name}"))).unwrap()
    };
    assert!(summary("prod-summary.txt").contains("diagnosis    MISSING"));
    assert!(summary("dev-summary.txt").contains("(development)"));
    let row = "SELECT xmin::text FROM alembic_version";
    let written = world.site.one_in("production", row);
    walk_through(&world, "runbooks/alembic-baseline.toml");
    assert_eq!(world.site.one_in("production", row), written);
    assert!(summary("prod-summary.txt").contains("diagnosis    MISMATCH"));
}

#[test]
fn a_deployment_is_walked_from_the_guard_to_two_databases_alike_and_back() {
    let world = world(true);
    let mut walker = console(&world, "runbooks/alembic-deploy.toml", &[]);
    let stop = walker.walk();
    assert_eq!(stop, Stop::AllThrough, "{}", walker.pty.text());
    assert_eq!(world.version("production"), HEAD);
    // The newest revision is chosen, and goes back alone.
    walker.roll_back(&["\r", " ", "\r"], "production");
    walker
        .pty
        .wait_until("what follows the way back", |screen| {
            screen.contains("take-back")
        });
    walker.walk();
    // Taking it back destroys what stands in its column; the way back says that it may.
    assert_eq!(world.version("production"), MIDDLE, "{}", walker.pty.text());
}

#[test]
fn a_destructive_plan_of_the_platform_is_refused_and_its_recovery_comes_next() {
    let world = world(true);
    let mut walker = console(&world, "runbooks/alembic-deploy.toml", &[]);
    walker.pty.wait_for("0 of 1 confirmed");
    walker.pty.send("\r");
    walker.pty.wait_for("1 of 8 gates");
    for passed in ["2 of 8 gates", "3 of 8 gates"] {
        walker.pty.wait_until("the next gate", |screen| {
            crate::walker::bottom(screen).contains("Enter ")
        });
        walker.pty.send("\r");
        walker.pty.wait_for(passed);
    }
    walker.pty.wait_until("the plan's gate", |screen| {
        crate::walker::bottom(screen).contains("Enter ")
    });
    walker.pty.send("\r");
    walker.pty.wait_for("Give `platform-plan` the plan");
    walker.give("DROP TABLE connections;");
    walker.pty.wait_for("1 hazard is refused");
    // The audit, the guard and the word of a person are wanted again.
    walker.pty.wait_for("0 of 8 gates");
    assert_eq!(world.version("production"), BASELINE);
}

#[test]
fn the_flag_leaves_the_upgrade_out_and_every_screen_says_so() {
    let world = world(true);
    let flag = [("DISABLE_AUTO_MIGRATIONS", "true")];
    let mut walker = console(&world, "runbooks/alembic-deploy.toml", &flag);
    walker.pty.wait_for("DISABLE_AUTO_MIGRATIONS");
    let stop = walker.walk();
    // Production is not at the head, and the check says so.
    assert_eq!(stop, Stop::Refused, "{}", walker.pty.text());
    walker.pty.wait_for("2 revisions behind the head");
    for key in ["2", "3", "4", "5", "6", "1"] {
        walker.pty.send(key);
        walker.pty.wait_for("DISABLE_AUTO_MIGRATIONS");
    }
    assert_eq!(world.version("production"), BASELINE);
    let journal = world.site.run_folder().join("journal.jsonl");
    let journal = std::fs::read_to_string(journal).unwrap();
    assert!(journal.contains("\"type\":\"gate_left_out\""), "{journal}");
}
