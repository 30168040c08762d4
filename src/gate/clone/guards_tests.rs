//! Each guard refuses what it is for, and nothing else does: taken away, that would go through.

use super::*;

fn identity(system: &str, oid: u32) -> Identity {
    Identity {
        host_shown: "db.example".into(),
        address: "10.0.0.1:5432".into(),
        database: "app".into(),
        database_oid: oid,
        user: "ana".into(),
        server_version: "15.18".into(),
        server_version_num: 150_018,
        system_identifier: Some(system.into()),
        timeline: Some(1),
        in_recovery: false,
        is_superuser: false,
        bypass_rls: false,
        server_started: "2026-11-21T08:00:00.000000Z".into(),
        tls: true,
    }
}

fn mark(system: &str, oid: u32) -> Mark {
    Mark {
        purpose: Some(Purpose::Development),
        resettable: true,
        same_cluster: false,
        system_identifier: system.into(),
        database_oid: oid,
        made_by: "ana".into(),
        made_at: "2026-11-20 10:00:00".into(),
    }
}

/// Production 1/10 is copied into development 2/20.
fn well() -> Ends {
    let source = identity("1", 10);
    Ends {
        backed_up: Some(source.describe()),
        production: vec![("production".into(), source.clone())],
        source,
        source_environment: Environment::Production,
        source_mark: None,
        destination: identity("2", 20),
        environment: Environment::Development,
        mark: Some(mark("2", 20)),
        silent: Vec::new(),
    }
}

/// What each guard alone refuses.
fn wrong(guard: &str) -> Ends {
    let mut ends = well();
    match guard {
        "environment" => ends.environment = Environment::Production,
        "identified" => ends.source.system_identifier = None,
        "same-database" => {
            // The source is no production target here, and the mark allows its own server.
            ends.production.clear();
            ends.destination = identity("1", 10);
            ends.mark = Some(Mark {
                same_cluster: true,
                ..mark("1", 10)
            });
        }
        "production-answers" => ends.silent = vec![("billing".into(), "refused".into())],
        "production-target" => ends.production.push(("billing".into(), identity("2", 20))),
        "standby" => ends.destination.in_recovery = true,
        "marked" => ends.mark = None,
        "marked-for-it" => ends.mark = Some(mark("2", 21)),
        "marked-development" => {
            ends.mark = Some(Mark {
                purpose: Some(Purpose::Production),
                resettable: false,
                ..mark("2", 20)
            });
        }
        "same-cluster" => {
            ends.destination = identity("1", 20);
            ends.mark = Some(mark("1", 20));
        }
        "source-is-development" => ends.source_mark = Some(mark("1", 10)),
        "backed-up" => ends.backed_up = Some(identity("3", 10).describe()),
        other => panic!("there is no case for {other}"),
    }
    if guard == "identified" {
        // Its fingerprint is another one without the identifier.
        ends.backed_up = Some(ends.source.describe());
    }
    ends
}

#[test]
fn what_is_proved_goes_through() {
    assert_eq!(refusal(&well()), None);
}

#[test]
fn every_guard_is_needed() {
    for (name, guard) in GUARDS {
        let ends = wrong(name);
        assert!(guard(&ends).is_some(), "{name} does not refuse");
        let others = GUARDS.iter().filter(|(other, _)| *other != name);
        let caught: Vec<&str> = others
            .filter(|(_, other)| other(&ends).is_some())
            .map(|(other, _)| *other)
            .collect();
        assert!(caught.is_empty(), "without {name}, {caught:?} still refuse");
    }
}

#[test]
fn a_mark_of_no_known_purpose_or_not_resettable_is_no_leave() {
    for mark in [
        Mark {
            purpose: None,
            ..mark("2", 20)
        },
        Mark {
            resettable: false,
            ..mark("2", 20)
        },
    ] {
        let ends = Ends {
            mark: Some(mark),
            ..well()
        };
        assert!(marked_development(&ends).is_some());
    }
}

#[test]
fn a_backup_of_nobody_is_none() {
    let ends = Ends {
        backed_up: None,
        ..well()
    };
    assert!(refusal(&ends).unwrap().summary.contains("not backed up"));
}

#[test]
fn what_is_refused_says_both_ends_and_that_nothing_was_changed() {
    let finding = refusal(&wrong("marked")).unwrap();
    let causes = finding.caused_by.join("\n");
    assert!(causes.contains("the source is ana@db.example/app ["));
    assert!(causes.ends_with("nothing was changed"), "{causes}");
}
