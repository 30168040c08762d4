//! Gates that look for a while: observe and ramp, by the real binary against a real server.

use std::io::{BufRead as _, BufReader};
use std::process::Child;

use crate::site::{Ended, Site, ended};

/// A flag and what is measured, in tables.
const TABLES: &str = "CREATE TABLE flag (percent int); INSERT INTO flag VALUES (0); \
                      CREATE TABLE errors (n numeric); INSERT INTO errors VALUES (0);";

fn site() -> Site {
    let site = Site::new();
    site.sql(TABLES);
    site
}

/// A ramp over steps, without a person.
fn ramp(steps: &str, more: &str) -> String {
    format!(
        "[phase.gate.ramp]\ntarget = \"db\"\nset_sql = \"UPDATE flag SET percent = {{percent}}\"\n\
         read_sql = \"SELECT percent FROM flag\"\nsteps = [{steps}]\nevery = \"100ms\"\n{more}\n\
         [[phase.gate.ramp.metrics]]\nname = \"errors\"\nsql = \"SELECT n FROM errors\"\n\
         success = \"= 0\"\nmin_samples = 3\n"
    )
}

const STEPS: &str = "{ percent = 10, soak = \"600ms\" }, { percent = 100 }";
const LONG: &str = "{ percent = 10, soak = \"1s\" }, { percent = 50, soak = \"2m\" }";

fn flag(site: &Site) -> String {
    site.one("SELECT percent FROM flag")
}

fn effects(site: &Site) -> Vec<String> {
    let (run, _) = stagegate::engine::read_only(&site.run_folder()).unwrap();
    let gate = run.gate("gate").unwrap();
    gate.effects
        .iter()
        .map(|effect| effect.name.clone())
        .collect()
}

#[test]
fn an_observation_measures_a_baseline_for_later() {
    let site = site();
    site.sql("INSERT INTO errors VALUES (80)");
    site.runbook(
        "[[phase.gate]]\nid = \"before\"\ntitle = \"Before\"\n[phase.gate.observe]\n\
         target = \"db\"\nfor = \"300ms\"\nevery = \"100ms\"\n[[phase.gate.observe.metrics]]\n\
         name = \"p95\"\nunit = \"ms\"\nsql = \"SELECT max(n) FROM errors\"\ncapture = \"p95_before\"\n\
         [[phase.gate]]\nid = \"after\"\ntitle = \"After\"\n[phase.gate.observe]\n\
         target = \"db\"\nfor = \"200ms\"\nevery = \"100ms\"\n[[phase.gate.observe.metrics]]\n\
         name = \"p95\"\nsql = \"SELECT max(n) + 8 FROM errors\"\nsuccess = \"<= {p95_before} * 1.1\"\n\
         [[phase.gate.observe.metrics]]\nname = \"lines\"\nargv = [\"echo\", \"7\"]\nsuccess = \"= 7\"\n",
    );
    site.run().exits(0).shows("p95_before = 80");
    let evidence = site.evidence("after-1.json");
    let metric = &evidence["watched"]["metrics"][0];
    assert_eq!(metric["rule"]["success"]["limit"], "88");
    assert_eq!(metric["baseline"], "80");
    site.sql("UPDATE errors SET n = 81 WHERE n = 80");
    let text = std::fs::read_to_string(site.path("runbook.toml")).unwrap();
    site.write("runbook.toml", &text.replace("max(n) + 8", "max(n) + 9"));
    site.run()
        .exits(4)
        .says("p95 failed once, 0 tolerated")
        .says("p95 must be <= 89.1");
}

#[test]
fn no_data_and_no_source_are_never_a_pass() {
    let site = site();
    let observe = |sql: &str| {
        format!(
            "[phase.gate.observe]\ntarget = \"db\"\nfor = \"300ms\"\nevery = \"100ms\"\n\
             [[phase.gate.observe.metrics]]\nname = \"m\"\nsql = \"{sql}\"\nsuccess = \">= 0\"\n"
        )
    };
    for (sql, said) in [
        (
            "SELECT NULL",
            "m gave no answer either way 3 times, 2 tolerated",
        ),
        ("SELECT 1 WHERE false", "no data (no row)"),
        ("SELECT 'NaN'::float8", "no data (NaN)"),
        ("SELECT 1/0", "m could not be measured 4 times in a row"),
        ("SELECT 'many'", "is not a number"),
        (
            "COMMIT; CREATE TABLE t (n int)",
            "`COMMIT` would begin or end a transaction",
        ),
    ] {
        site.gate(&observe(sql)).exits(4).says(said);
    }
}

#[test]
fn a_ramp_raises_step_by_step_and_reads_back() {
    let site = site();
    site.gate(&ramp(STEPS, ""))
        .exits(0)
        .shows("the flag stands at 100 %");
    assert_eq!(flag(&site), "100");
    assert_eq!(effects(&site)[0], "set 10 %");
    assert!(
        effects(&site)[1].starts_with("soaked 10 % "),
        "{:?}",
        effects(&site)
    );
    assert_eq!(effects(&site)[2], "set 100 %");
    let samples = std::fs::read_to_string(site.run_folder().join("samples/gate.jsonl")).unwrap();
    let looks = samples
        .lines()
        .filter(|line| line.contains("\"look\""))
        .count();
    assert!(looks >= 9, "{samples}");
    let evidence = site.evidence("gate-1.json");
    assert_eq!(evidence["watched"]["ladder"][1]["state"], "done");
    let evidence = serde_json::from_value(evidence).unwrap();
    let stagegate::gate::Evidence::Watched { watched, .. } = evidence else {
        panic!("something else");
    };
    // Whoever has the evidence can judge it again.
    assert_eq!(
        watched.judge().verdict,
        stagegate::expectation::Verdict::Passed
    );
}

#[test]
fn what_is_set_is_what_is_read_and_not_what_was_said() {
    let site = site();
    let lying = ramp(STEPS, "").replace("UPDATE flag SET percent = {percent}", "SELECT {percent}");
    site.gate(&lying)
        .exits(4)
        .says("the flag could not be set to 10 %")
        .says("needs a person");
    assert_eq!(flag(&site), "0");
}

#[test]
fn a_flag_above_the_first_step_leaves_no_step_out() {
    let site = site();
    site.sql("UPDATE flag SET percent = 60");
    site.gate(&ramp(STEPS, ""))
        .exits(4)
        .says("no step is left out");
    assert_eq!(flag(&site), "60");
}

#[test]
fn a_breach_steps_back_and_the_gate_has_failed_all_the_same() {
    let site = site();
    site.sql(
        "CREATE FUNCTION seen() RETURNS numeric LANGUAGE sql AS \
         $$ SELECT CASE WHEN percent >= 50 THEN 3 ELSE 0 END FROM flag $$",
    );
    let gate =
        ramp(LONG, "on_breach = \"step-back\"").replace("SELECT n FROM errors", "SELECT seen()");
    site.gate(&gate)
        .exits(4)
        .says("errors failed once, 0 tolerated")
        .says("stepped back to 10 %");
    assert_eq!(flag(&site), "10");
    assert_eq!(effects(&site).last().unwrap(), "stepped back to 10 %");
}

#[test]
fn a_program_sets_and_reads_as_well() {
    let site = Site::new();
    site.write("value", "0\n");
    let script = site.write(
        "flagctl",
        "#!/bin/sh\n[ \"$1\" = set ] && echo \"$2\" > value\ncat value\n",
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    site.gate(&format!(
        "[phase.gate.ramp]\nset = [\"./flagctl\", \"set\", \"{{percent}}\"]\n\
         read = [\"./flagctl\", \"get\"]\nsteps = [{STEPS}]\nevery = \"100ms\"\n\
         [[phase.gate.ramp.metrics]]\nname = \"m\"\nargv = [\"echo\", \"1\"]\nsuccess = \"> 0\"\n"
    ))
    .exits(0);
    assert_eq!(
        std::fs::read_to_string(site.path("value")).unwrap(),
        "100\n"
    );
}

fn begin(site: &Site, arguments: &[&str]) -> Child {
    let mut all = vec!["run", "runbook.toml", "--headless", "--runs-dir", "runs"];
    all.extend(arguments);
    site.command(&all).spawn().unwrap()
}

/// Starts a ramp and waits until the second step is being looked at.
fn at_fifty(site: &Site, gate: &str) -> Child {
    site.runbook(&format!(
        "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n{gate}\n"
    ));
    let child = begin(site, &[]);
    let wanted = "\"flag\":50";
    wait(|| samples(site).matches(wanted).count() >= 8);
    child
}

fn samples(site: &Site) -> String {
    let Ok(mut runs) = std::fs::read_dir(site.path("runs")) else {
        return String::new();
    };
    let Some(Ok(run)) = runs.next() else {
        return String::new();
    };
    let folder = run.path();
    std::fs::read_to_string(folder.join("samples/gate.jsonl")).unwrap_or_default()
}

#[track_caller]
fn wait(mut until: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !until() {
        assert!(std::time::Instant::now() < deadline, "it never came");
        std::thread::yield_now();
    }
}

fn finish(child: Child) -> Ended {
    ended(child.wait_with_output().unwrap())
}

#[test]
fn somebody_else_changes_the_flag_and_it_is_left_as_it_is() {
    let site = site();
    let child = at_fifty(&site, &ramp(LONG, ""));
    site.sql("UPDATE flag SET percent = 30");
    finish(child)
        .exits(4)
        .says("the flag stands at 30 %, and 50 % was set: somebody else changed it");
    assert_eq!(flag(&site), "30");
}

#[test]
fn a_source_that_dies_is_no_answer_and_nothing_advances() {
    let site = site();
    let child = at_fifty(&site, &ramp(LONG, ""));
    site.sql("ALTER TABLE errors RENAME TO gone");
    finish(child)
        .exits(4)
        .says("NO MEASUREMENT")
        .says("errors could not be measured 4 times in a row, 3 tolerated");
    assert_eq!(flag(&site), "50");
    assert_eq!(effects(&site).len(), 3);
}

#[test]
fn a_breach_is_held_and_headless_leaves_the_flag() {
    let site = site();
    let child = at_fifty(&site, &ramp(LONG, ""));
    site.sql("UPDATE errors SET n = 2");
    finish(child)
        .exits(4)
        .says("BREACH")
        .says("what it set stays as it is");
    assert_eq!(flag(&site), "50");
}

#[test]
fn killed_in_a_soak_it_goes_on_there_with_what_was_observed() {
    let site = site();
    let mut child = at_fifty(&site, &ramp(LONG, ""));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(flag(&site), "50");
    let mut child = begin(&site, &["--resume"]);
    let out = BufReader::new(child.stdout.take().unwrap());
    let said: Vec<String> = out
        .lines()
        .map(Result::unwrap)
        .take_while(|line| !line.contains("started, attempt 2"))
        .collect();
    assert!(
        said.iter()
            .any(|line| line.contains("reconciled as pending: the flag stands at 50 %")),
        "{said:?}"
    );
    wait(|| samples(&site).contains("\"attempt\":2"));
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    wait(|| {
        samples(&site)
            .rsplit("\"attempt\":2")
            .next()
            .unwrap()
            .matches("\"look\"")
            .count()
            >= 3
    });
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(flag(&site), "50");
    let evidence = site.evidence("gate-2.json");
    let observed = evidence["watched"]["observed_ms"].as_u64().unwrap();
    assert!(
        observed >= 800,
        "seven gaps of before and those of now: {observed}"
    );
    let log = site.output("gate-2.log");
    assert!(
        !log.contains("set 50 %") && !log.contains("set 100 %"),
        "{log}"
    );
}

#[test]
fn taken_up_without_its_flag_it_holds_and_raises_nothing() {
    let site = site();
    let mut child = at_fifty(&site, &ramp(LONG, ""));
    child.kill().unwrap();
    child.wait().unwrap();
    site.sql("ALTER TABLE flag RENAME TO hidden");
    site.resume()
        .exits(4)
        .shows("the value of the flag is not known")
        .says("FLAG UNKNOWN");
    assert_eq!(site.one("SELECT percent FROM hidden"), "50");
}

#[test]
fn killed_between_setting_and_reading_back_it_finds_out_what_was_set() {
    for point in ["before_flag_set:2", "after_flag_set:2"] {
        let site = site();
        let steps = "{ percent = 10, soak = \"200ms\" }, { percent = 50, soak = \"200ms\" }";
        let gate = ramp(steps, "");
        site.runbook(&format!(
            "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n{gate}\n"
        ));
        let mut command =
            site.command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"]);
        let killed = ended(command.env("STAGEGATE_DIE_AT", point).output().unwrap());
        assert_eq!(
            killed.signal,
            Some(9),
            "{point}: {}{}",
            killed.out,
            killed.err
        );
        site.resume().exits(0);
        assert_eq!(flag(&site), "50", "{point}");
        let first = effects(&site).first().cloned().unwrap();
        assert!(
            first.starts_with("soaked"),
            "{point}: nothing is raised first: {first}"
        );
    }
}

#[test]
fn a_flag_in_a_file_is_committed_alone_step_by_step() {
    let site = site();
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .args(["-c", "user.name=Ana", "-c", "user.email=ana@example.com"])
            .args(arguments)
            .current_dir(site.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet"]);
    git(&["config", "user.name", "Ana"]);
    git(&["config", "user.email", "ana@example.com"]);
    site.write("app/config.js", "const PERCENT = 0; // per cent\n");
    site.write("app/other.js", "one\n");
    git(&["add", "app"]);
    git(&["commit", "--quiet", "--message", "app"]);
    site.write("app/other.js", "somebody is at work here\n");
    site.gate(&format!(
        "[phase.gate.ramp]\ntarget = \"db\"\nfile = \"app/config.js\"\n\
         pattern = 'const PERCENT = (\\d+);'\nsteps = [{STEPS}]\nevery = \"100ms\"\n\
         [[phase.gate.ramp.metrics]]\nname = \"m\"\nsql = \"SELECT 1\"\nsuccess = \"> 0\"\n"
    ))
    .exits(0);
    let text = std::fs::read_to_string(site.path("app/config.js")).unwrap();
    assert_eq!(text, "const PERCENT = 100; // per cent\n");
    let subjects = git(&["log", "--format=%s"]);
    assert_eq!(subjects, "gate: 100 %\ngate: 10 %\napp\n");
    assert_eq!(
        git(&["show", "--format=", "--name-only", "HEAD"]),
        "app/config.js\n"
    );
    assert!(git(&["status", "--porcelain"]).contains(" M app/other.js"));
}
