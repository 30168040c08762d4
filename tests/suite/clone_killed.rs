//! The program dies while it clones: development is the old database or the copy, and nothing else.

use crate::clone_world::{Ends, HEAD, gate};
use crate::pty::Pty;
use crate::walker::{Stop, Walker};

fn console(ends: &Ends, arguments: &[&str], die_at: &str) -> Walker {
    let (prod, dev) = (ends.prod_url(), ends.dev_url());
    let environment = [
        ("PROD", prod.as_str()),
        ("DEV", dev.as_str()),
        ("STAGEGATE_DIE_AT", die_at),
    ];
    let folder = ends.production.path("");
    let mut pty = Pty::start(arguments, &folder, &environment, (100, 30));
    pty.wait_for("PG ");
    Walker { pty }
}

/// Dies at the point, looks at development, takes the run up again, and goes on to the end.
fn dies(point: &str) {
    let ends = Ends::enrolled();
    let gate = gate("previous = \"drop\"\njobs = 1");
    ends.production
        .write("runbook.toml", &format!("{HEAD}{gate}"));
    let run = ["run", "runbook.toml", "--runs-dir", "runs"];
    let mut killed = console(&ends, &run, point);
    killed.walk_until_killed();
    let old = ends
        .development
        .one_in("dev", "SELECT to_regclass('public.old') IS NOT NULL");
    let is_old = old == "t";
    if is_old {
        let rows = ends.development.one_in("dev", "SELECT count(*) FROM old");
        assert_eq!(rows, "7", "{point}");
    } else {
        ends.is_copy();
    }
    let resume = ["run", "runbook.toml", "--resume", "--runs-dir", "runs"];
    let mut again = console(&ends, &resume, "");
    assert_eq!(again.walk(), Stop::AllThrough, "{point}");
    ends.is_copy();
    assert_eq!(ends.databases(), ["dev"], "{point}");
    again.pty.send("\r");
    again.pty.wait_for("closed");
    again.pty.send("q");
    assert_eq!(again.pty.wait_end().exit_code(), 0, "{point}");
}

#[test]
fn before_anything_of_the_copy_is_there() {
    for point in ["after_intent:2", "clone_safety_taken", "clone_created"] {
        dies(point);
    }
}

#[test]
fn while_the_schema_is_made() {
    for point in [
        "during_clone_program:1",
        "clone_schema_dumped",
        "during_clone_program:60",
        "clone_enrolled",
        "clone_pre_data",
    ] {
        dies(point);
    }
}

#[test]
fn while_the_rows_are_carried() {
    for point in [
        "during_clone_rows",
        "clone_table_done:1",
        "clone_table_done:5",
        "clone_rows_done",
    ] {
        dies(point);
    }
}

#[test]
fn while_it_is_compared_and_marked() {
    for point in ["clone_post_data", "clone_compared", "clone_recorded"] {
        dies(point);
    }
}

#[test]
fn while_the_names_change_over() {
    for point in [
        "before_swap",
        "between_renames",
        "before_swap_commit",
        "after_swap",
        "clone_dropped",
    ] {
        dies(point);
    }
}
