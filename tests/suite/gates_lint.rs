//! Lint and commit gates, by the real binary on real files, repositories and servers.

use crate::git_commit::Repository;
use crate::site::{Ended, Site};

fn lint(site: &Site, body: &str) -> Ended {
    site.gate(&format!(
        "[phase.gate.lint]\nfiles = [\"db/*.sql\"]\n{body}"
    ))
}

fn allow(file: &str, predicate: &str) -> String {
    format!(
        "allow = [{{ file = \"{file}\", hazard = \"DS102\", target = \"db\", \
         predicate = \"{predicate}\", reason = \"it was moved\" }}]"
    )
}

#[test]
fn destructive_files_are_refused_by_file_and_line() {
    let site = Site::new();
    site.write(
        "db/1.sql",
        "create table a (b int);\ncreate index i on c (d);\n",
    );
    lint(&site, "").exits(0);
    let evidence = site.evidence("gate-1.json");
    assert_eq!(evidence["files"][0]["hazards"][0]["code"], "PG101");
    assert_eq!(evidence["files"][0]["hazards"][0]["standing"], "shown");
    lint(&site, "deny = [\"lock\"]")
        .exits(4)
        .says("db/1.sql:2: PG101 lock ACQUIRES_SHARE_LOCK");
    site.write(
        "db/2.sql",
        "select 1;\n-- squawk-ignore-file\ndrop table eng.t;\n",
    );
    lint(&site, "")
        .exits(4)
        .says("db/2.sql:3: DS102 data-loss DELETES_DATA eng.t: drops a table");
    assert_eq!(
        site.evidence("gate-1.json")["files"][1]["hazards"][0]["statement"],
        "drop table eng.t"
    );
    lint(&site, "deny = []").exits(0);
    site.write("db/2.sql", "copy t to program 'rm x';\n");
    lint(&site, "").exits(4).says("copy-program host-level");
}

#[test]
fn a_hazard_is_allowed_while_its_predicate_is_true() {
    let site = Site::new();
    site.sql("CREATE TABLE t (a int)");
    site.write("db/1.sql", "drop table t;\n");
    let empty = "SELECT NOT EXISTS (SELECT 1 FROM t)";
    lint(&site, &allow("db/1.sql", empty)).exits(0);
    let standing = &site.evidence("gate-1.json")["files"][0]["hazards"][0]["standing"];
    assert_eq!(standing["allowed"]["reason"], "it was moved");
    assert!(
        standing["allowed"]["server"]
            .as_str()
            .unwrap()
            .contains('[')
    );
    site.sql("INSERT INTO t VALUES (1)");
    lint(&site, &allow("db/1.sql", empty))
        .exits(4)
        .says("failed")
        .says("it is f, not true");
    for (predicate, why) in [
        ("SELECT NULL::bool", "it is NULL, not true"),
        ("SELECT true WHERE false", "it gave no row"),
        ("SELECT 't' FROM generate_series(1, 2)", "2 rows"),
        ("SELECT true, true", "more than one column"),
        ("SELECT 1", "it is 1, not true"),
    ] {
        lint(&site, &allow("db/1.sql", predicate))
            .exits(4)
            .says(why);
    }
    for predicate in [
        "SELECT a FROM nothing",
        "SELECT true; SELECT true",
        "DELETE FROM t RETURNING true",
    ] {
        lint(&site, &allow("db/1.sql", predicate))
            .exits(4)
            .says("errored");
    }
    assert_eq!(site.one("SELECT count(*) FROM t"), "1");
}

#[test]
fn what_is_allowed_for_one_file_is_refused_in_another() {
    let site = Site::new();
    site.write("db/1.sql", "drop table a;\n");
    site.write("db/2.sql", "drop table b;\n");
    lint(&site, &allow("db/1.sql", "SELECT true"))
        .exits(4)
        .says("1 hazard is refused")
        .says("db/2.sql:1: DS102");
    // Another hazard of the same file is not allowed with it.
    site.write("db/2.sql", "select 1;\n");
    site.write("db/1.sql", "drop table a; truncate b;\n");
    lint(&site, &allow("db/1.sql", "SELECT true"))
        .exits(4)
        .says("truncate data-loss");
    let typo = allow("db/1.sql", "SELECT true").replace("DS102", "DS1O2");
    lint(&site, &typo)
        .exits(4)
        .says("no rule has the code `DS1O2`");
}

#[test]
fn nothing_to_read_proves_nothing() {
    let site = Site::new();
    lint(&site, "").exits(4).says("no file matches `db/*.sql`");
    let boundary = |from: &str| {
        site.gate(&format!(
            "[[phase.gate.lint.boundary]]\nfrom = \"{from}\"\nmay_not_write = [\"eng.*\"]\n"
        ))
    };
    boundary("apps").exits(4).says("there is no `apps`");
    std::fs::create_dir_all(site.path("apps")).unwrap();
    boundary("apps")
        .exits(4)
        .says("no file below `apps` was read");
}

#[test]
fn writes_across_a_boundary_are_found_in_any_source() {
    let site = Site::new();
    let boundary = || {
        site.gate(
            "[phase.gate.lint]\nboundary = [{ from = \"apps/vh\", \
             may_not_write = [\"eng.*\", \"eng_*\"] }]\n",
        )
    };
    site.write(
        "apps/vh/ok.py",
        "db.execute('INSERT INTO vh.t SELECT * FROM eng.t')\n",
    );
    site.write(
        "apps/eng/mine.py",
        "db.execute('INSERT INTO eng.t VALUES (1)')\n",
    );
    site.write("apps/vh/logo.png", "\0INSERT INTO eng.t");
    site.write("apps/vh/.gitignore", "built/\n");
    site.write("apps/vh/built/x.js", "INSERT INTO eng.t");
    boundary().exits(0).shows("passed");
    let evidence = site.evidence("gate-1.json");
    assert_eq!(evidence["boundary_files"], 2);
    assert_eq!(evidence["skipped"][0], "apps/vh/logo.png");
    site.write(
        "apps/vh/a.py",
        "\n\nSQL = '''\n  update\n    Eng.t set a = 1'''\n",
    );
    site.write(
        "apps/vh/b.sql",
        "-- insert into eng.x\nwith g as (delete from eng_t where a = 1) select 1;\n",
    );
    boundary()
        .exits(4)
        .says("2 writes cross the boundary")
        .says("apps/vh/a.py:4: UPDATE eng.t")
        .says("apps/vh/b.sql:2: DELETE FROM eng_t");
}

fn commit(branch: &str, files: &str) -> String {
    format!(
        "[phase.gate.commit]\nrepository = \"repo\"\nbranch = \"{branch}\"\n\
         message = \"feat: checks\"\nfiles = [{files}]\n"
    )
}

/// A repository beside the runbook.
fn repository(site: &Site) -> Repository {
    let repository = Repository::new();
    std::os::unix::fs::symlink(repository.path(), site.path("repo")).unwrap();
    repository
}

#[test]
fn a_commit_gate_commits_its_files_and_nothing_else() {
    let site = Site::new();
    let repository = repository(&site);
    repository.write("b.txt", "staged\n");
    repository.git(&["add", "b.txt"]);
    repository.write("a.txt", "edited\n");
    let before = repository.git(&["status", "--porcelain"]);
    site.write("policies/two.yml", "two: {as} ${{ it }} stands\n");
    let gate = commit(
        "main",
        "{ path = \"ci/one.yml\", template = \"run {run.id}: ${{ github.sha }}\\n\" }, \
         { path = \"ci/two.yml\", source = \"policies/two.yml\" }",
    );
    site.gate(&gate).exits(0).shows("committed as");
    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    assert_eq!(
        repository.git(&["show", "HEAD:ci/two.yml"]),
        "two: {as} ${{ it }} stands"
    );
    let one = repository.git(&["show", "HEAD:ci/one.yml"]);
    assert!(
        one.starts_with("run ") && one.ends_with(": ${{ github.sha }}"),
        "{one}"
    );
    let evidence = site.evidence("gate-1.json");
    assert_eq!(evidence["commit"], repository.git(&["rev-parse", "HEAD"]));
    assert_eq!(evidence["files"].as_array().unwrap().len(), 2);

    let again = commit(
        "main",
        "{ path = \"ci/two.yml\", source = \"policies/two.yml\" }",
    );
    site.gate(&again).exits(0).shows("had it already");
    assert_eq!(repository.git(&["rev-list", "--count", "HEAD"]), "2");
}

#[test]
fn a_commit_gate_refuses_what_is_no_place_to_commit() {
    let site = Site::new();
    let repository = repository(&site);
    let file = "{ path = \"a.txt\", template = \"new\\n\" }";
    site.gate(&commit("release", file))
        .exits(4)
        .says("`main` is checked out; the commit belongs on `release`");
    repository.git(&["checkout", "--quiet", "--detach"]);
    site.gate(&commit("main", file))
        .exits(4)
        .says("detached HEAD");
    repository.git(&["checkout", "--quiet", "main"]);
    repository.git(&["config", "--unset", "user.name"]);
    site.gate(&commit("main", file))
        .exits(4)
        .says("user.name and user.email");
    repository.git(&["config", "user.name", "Ana"]);
    repository.write("a.txt", "somebody's\n");
    site.gate(&commit("main", file))
        .exits(4)
        .says("changes that are not committed");
    assert_eq!(repository.git(&["rev-list", "--count", "HEAD"]), "1");
}

/// What a run that died in the middle leaves is found out by asking git.
#[test]
fn a_commit_whose_end_nobody_saw_is_found_by_its_content() {
    for (point, commits_after_crash) in [("before_git_commit", "1"), ("after_git_commit", "2")] {
        let site = Site::new();
        let repository = repository(&site);
        site.runbook(&format!(
            "[[phase.gate]]\nid = \"gate\"\ntitle = \"Gate\"\n{}",
            commit("main", "{ path = \"n.txt\", template = \"new\\n\" }")
        ));
        let killed = site
            .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
            .env("STAGEGATE_DIE_AT", point)
            .output()
            .unwrap();
        assert_eq!(crate::site::ended(killed).signal, Some(9), "{point}");
        assert_eq!(
            repository.git(&["rev-list", "--count", "HEAD"]),
            commits_after_crash
        );
        site.resume().exits(0);
        assert_eq!(
            repository.git(&["rev-list", "--count", "HEAD"]),
            "2",
            "{point}"
        );
        assert_eq!(repository.git(&["status", "--porcelain"]), "", "{point}");
    }
}

#[test]
fn files_that_change_after_they_were_judged_stop_what_acts() {
    let site = Site::new();
    site.write("db/1.sql", "select 1;\n");
    site.runbook(
        "[[phase.gate]]\nid = \"lint\"\ntitle = \"Lint\"\n[phase.gate.lint]\nfiles = [\"db/*.sql\"]\n\
         [[phase.gate]]\nid = \"change\"\ntitle = \"Change\"\n[phase.gate.exec]\n\
         argv = [\"sh\", \"-c\", \"echo 'drop table t;' > db/1.sql\"]\n\
         [[phase.gate]]\nid = \"act\"\ntitle = \"Act\"\n[phase.gate.exec]\n\
         argv = [\"sh\", \"-c\", \"touch acted\"]\n",
    );
    site.run().exits(4).says("`lint` is stale");
    site.resume().exits(4).says("DS102 data-loss");
    assert!(!site.path("acted").exists());
    let events: Vec<serde_json::Value> =
        std::fs::read_to_string(site.run_folder().join("journal.jsonl"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
    let text = serde_json::to_string(&events).unwrap();
    assert!(
        text.contains("its files have changed since it passed"),
        "{text}"
    );
}
