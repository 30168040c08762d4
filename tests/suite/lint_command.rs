//! `stagegate lint`: exit codes and formats.

use serde_json::Value;

use crate::site::Site;

fn site() -> Site {
    let site = Site::new();
    site.write("db/a.sql", "create table t (a int);\n");
    site.write("db/sub/b c.sql", "create index i on other (a);\n");
    site
}

#[test]
fn only_what_destroys_is_refused() {
    let site = site();
    site.stagegate(&["lint", "db"])
        .exits(0)
        .shows("db/sub/b c.sql:1:1: lock: PG101 ACQUIRES_SHARE_LOCK")
        .shows("2 files, 0 hazards refused, 1 shown");
    site.write("db/z.sql", "-- squawk-ignore-file\ndrop table gone;\n");
    site.stagegate(&["lint", "db/a.sql", "db/z.sql"])
        .exits(3)
        .shows("db/z.sql:2:1: refused: DS102 DELETES_DATA");
    site.stagegate(&["lint", "db", "--allow", "DS102"]).exits(0);
    site.stagegate(&["lint", "db", "--allow", "DELETES_DATA"])
        .exits(0);
    site.stagegate(&["lint", "db", "--allow", "DS1O2"])
        .exits(64)
        .says("no hazard is called `DS1O2`");
    site.stagegate(&["lint"]).exits(64);
    site.stagegate(&["lint", "missing.sql"])
        .exits(78)
        .says("cannot be read");
    std::fs::create_dir_all(site.path("empty")).unwrap();
    site.stagegate(&["lint", "empty"])
        .exits(78)
        .says("no SQL file lies below");
}

#[test]
fn json_says_the_same() {
    let site = site();
    site.write("db/z.sql", "truncate t;\n");
    let ended = site.stagegate(&["lint", "db", "--format", "json"]).exits(3);
    let value: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(value["format"], 1);
    let hazard = &value["files"][2]["hazards"][0];
    assert_eq!(hazard["class"], "data-loss");
    assert_eq!(hazard["kind"], "DELETES_DATA");
    assert_eq!(hazard["refused"], true);
    assert_eq!(hazard["line"], 1);
}

#[test]
fn sarif_has_what_code_hosts_read() {
    let site = site();
    site.write("db/z.sql", "select 1;\n  truncate t;\n");
    let ended = site
        .stagegate(&["lint", "db", "--format", "sarif"])
        .exits(3);
    let log: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(
        log["$schema"]
            .as_str()
            .unwrap()
            .ends_with("sarif-2.1.0.json")
    );
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "stagegate");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "db/sub/b%20c.sql");
    let place = &results[1]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&place["startLine"], &place["startColumn"]),
        (&2.into(), &3.into())
    );
}
