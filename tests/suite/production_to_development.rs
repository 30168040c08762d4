//! Reset and sync, by keys, between two servers.

use crate::clone_world::Ends;
use crate::pty::Pty;
use crate::walker::{Stop, Walker};

const RUNBOOK: &str = include_str!("../../runbooks/production-to-development.toml");

fn console(ends: &Ends) -> Walker {
    let (prod, dev) = (ends.prod_url(), ends.dev_url());
    let environment = [
        ("PROD_DATABASE_URL", prod.as_str()),
        ("DEV_DATABASE_URL", dev.as_str()),
    ];
    let site = &ends.production;
    // The folder of the runbook lies below the one that its paths start from.
    site.write("runbooks/production-to-development.toml", RUNBOOK);
    let arguments = [
        "run",
        "runbooks/production-to-development.toml",
        "--runs-dir",
        "runs",
    ];
    let mut pty = Pty::start(&arguments, &site.path(""), &environment, (120, 40));
    pty.wait_for("PG ");
    Walker { pty }
}

#[test]
fn development_is_refused_until_it_is_enrolled_and_then_becomes_production() {
    let ends = Ends::new();
    let mut walker = console(&ends);
    assert_eq!(walker.walk(), Stop::Refused);
    walker.pty.wait_for("the destination is not enrolled");
    walker.pty.wait_for("stagegate enrol URL --as development");
    ends.untouched();

    ends.enrol(&["--as", "development", "--database", "dev"]);
    walker.retry();
    walker
        .pty
        .wait_for("Type the name of the target to go on: development");
    walker.pty.wait_gone("keys count in a moment");
    // Another name is no leave.
    walker.pty.send("production");
    walker.pty.wait_for("> production");
    walker.pty.send("\r");
    walker.pty.wait_for("letter by letter");
    ends.untouched();
    walker.pty.send("\x15");
    walker.pty.wait_gone("> production");
    assert_eq!(walker.walk(), Stop::AllThrough);
    ends.is_copy();
    walker.pty.send("\r");
    walker.pty.wait_for("closed");
    walker.pty.send("q");
    assert_eq!(walker.pty.wait_end().exit_code(), 0);
    // Every table, every value, and the schema.
    let (prod, dev) = (ends.prod_url(), ends.dev_url());
    let allow = [
        "--ignore",
        "schema:stagegate",
        "--ignore",
        "*:stagegate.enrolment*",
    ];
    let more = [
        "--ignore",
        "foreign_server.options:*",
        "--ignore",
        "foreign_table.*options:*",
        "--ignore",
        "user_mapping:*",
    ];
    let drift = [&["drift", prod.as_str(), dev.as_str()], &allow[..], &more].concat();
    ends.production.stagegate(&drift).exits(0);
    let orders = "SELECT md5(string_agg(o::text, ',' ORDER BY id)) FROM app.orders o";
    assert_eq!(
        ends.production.one_in("app", orders),
        ends.development.one_in("dev", orders)
    );
}
