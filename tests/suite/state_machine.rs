//! Which command is granted when, and which is not: every state, every kind of gate, every way in.

// A test that cannot go on says where it stands; it has nobody to hand an error to.

mod audit;
mod back;
mod model;
mod outside;
mod people;
mod refusals;
mod walks;
pub(crate) mod world;

use stagegate::expectation::Verdict;
use stagegate::promotion::{
    Command, Decision, EffectOutcome, EffectRecord, GateState, Resolution, Run, RunStatus, Via,
    decide,
};

use self::world::{
    ANA, GATES, REASON, World, decide_remedy, definition, finish, invalidate, lose, opening,
    resolve, retry, start, waive,
};

const STATES: [GateState; 11] = [
    GateState::Pending,
    GateState::Running,
    GateState::Passed,
    GateState::Failed,
    GateState::Errored,
    GateState::Inconclusive,
    GateState::Canceled,
    GateState::InDoubt,
    GateState::Waived,
    GateState::NotApplicable,
    GateState::Stale,
];

/// Each command about one gate, by its letter in the tables below, correct in every other respect.
fn commands(gate: &str) -> Vec<(char, Via, Command)> {
    let effect = EffectRecord {
        name: "001.sql".into(),
        outcome: EffectOutcome::Committed,
        duration_ms: 12,
        detail: String::new(),
    };
    let gate_named = || gate.to_owned();
    vec![
        ('S', Via::Console, start(gate)),
        ('R', Via::Console, retry(gate)),
        (
            'I',
            Via::Console,
            Command::ConfirmItem {
                gate: gate_named(),
                item: 0,
                value: None,
            },
        ),
        (
            'G',
            Via::Console,
            Command::Sign {
                gate: gate_named(),
                role: "dba".into(),
                person: ANA.into(),
                decision: Decision::Approve,
                note: String::new(),
            },
        ),
        ('C', Via::Console, Command::Cancel { gate: gate_named() }),
        (
            'O',
            Via::Console,
            Command::Choose {
                gate: gate_named(),
                question: 1,
                choice: "off".into(),
            },
        ),
        ('W', Via::Console, waive(gate, REASON)),
        ('M', Via::Console, decide_remedy(gate, ANA, REASON)),
        (
            'E',
            Via::Engine,
            Command::RecordEffect {
                gate: gate_named(),
                attempt: 1,
                effect,
            },
        ),
        ('F', Via::Engine, finish(gate, 1, Verdict::Passed)),
        ('L', Via::Engine, lose(gate, 1)),
        ('D', Via::Engine, resolve(gate, 1, Resolution::Passed)),
        ('V', Via::Engine, invalidate(gate)),
    ]
}

/// A run whose gates all passed but one, which is in `state`.
fn with_state(gate: &str, state: GateState) -> Run {
    let mut run = World::opened().run.unwrap();
    for record in &mut run.gates {
        record.state = if record.id == gate {
            state
        } else {
            GateState::Passed
        };
        record.attempt = 1;
    }
    run
}

/// What each kind of gate grants in each state, in the order of [`STATES`].
#[test]
fn every_command_in_every_state() {
    let looks = ["S", "COEFL", "V", "RWM", "RW", "RW", "RW", "D", "", "", "S"];
    let acts = ["S", "COEFL", "V", "R", "R", "R", "R", "D", "", "", "S"];
    let items = ["I", "I", "V", "", "", "", "", "", "", "", "I"];
    let signed = ["G", "G", "V", "", "", "", "", "", "", "", "G"];
    for (gate, granted) in [
        ("count", looks),
        ("migrate", acts),
        ("checklist", items),
        ("agreed", signed),
    ] {
        for (state, wanted) in STATES.into_iter().zip(granted) {
            let run = with_state(gate, state);
            let letters: String = commands(gate)
                .iter()
                .filter(|(_, via, command)| {
                    let at = World::opened().moment(*via);
                    decide(Some(&run), command, &at).is_ok()
                })
                .map(|(letter, _, _)| *letter)
                .collect();
            assert_eq!(letters, wanted, "{gate} is {}", state.word());
        }
    }
}

/// Who may ask for what: people at a console, a front end without them, the engine's own workers.
#[test]
fn every_command_by_every_way_in() {
    let granted = |gate: &str, state: GateState, via: Via| -> String {
        let run = with_state(gate, state);
        commands(gate)
            .iter()
            .filter(|(_, _, command)| {
                decide(Some(&run), command, &World::opened().moment(via)).is_ok()
            })
            .map(|(letter, _, _)| *letter)
            .collect()
    };
    let table = [
        ("count", GateState::Pending, "S", "S", "S"),
        ("count", GateState::Running, "CO", "C", "CEFL"),
        ("count", GateState::Passed, "", "", "V"),
        ("count", GateState::Failed, "RWM", "R", "R"),
        ("count", GateState::InDoubt, "", "", "D"),
        ("backup", GateState::Pending, "S", "S", ""),
        ("backup", GateState::Failed, "R", "R", ""),
        ("migrate", GateState::Pending, "S", "", ""),
        ("migrate", GateState::Failed, "R", "", ""),
        ("checklist", GateState::Pending, "I", "", ""),
        ("agreed", GateState::Pending, "G", "", ""),
    ];
    for (gate, state, console, headless, engine) in table {
        let told = format!("{gate} is {}", state.word());
        assert_eq!(
            granted(gate, state, Via::Console),
            console,
            "{told}, console"
        );
        assert_eq!(
            granted(gate, state, Via::Headless),
            headless,
            "{told}, headless"
        );
        assert_eq!(granted(gate, state, Via::Engine), engine, "{told}, engine");
    }
}

#[test]
fn a_run_as_a_whole_by_every_way_in() {
    let text = || "for a reason".to_owned();
    let commands = [
        (Command::Continue { version: text() }, "CHE"),
        (Command::Hold { reason: text() }, "CHE"),
        (Command::Resume, "CHE"),
        (
            Command::Note {
                gate: None,
                text: text(),
            },
            "CHE",
        ),
        (
            Command::HandOver {
                to: "sam".into(),
                epoch: None,
            },
            "C",
        ),
        (Command::Abandon { reason: text() }, "C"),
    ];
    for (command, wanted) in commands {
        let granted: String = [
            ('C', Via::Console),
            ('H', Via::Headless),
            ('E', Via::Engine),
        ]
        .iter()
        .filter(|(_, via)| World::opened().ask(*via, &command).is_ok())
        .map(|(letter, _)| *letter)
        .collect();
        assert_eq!(granted, wanted, "{command:?}");
    }
}

#[test]
fn a_terminal_run_accepts_nothing() {
    let ended = [
        RunStatus::Closed,
        RunStatus::Rejected("x".into()),
        RunStatus::Abandoned("x".into()),
    ];
    for status in ended {
        for gate in GATES {
            for state in STATES {
                let mut run = with_state(gate, state);
                run.status = status.clone();
                let mut all = commands(gate);
                let text = || "a text".to_owned();
                all.extend([
                    (' ', Via::Console, Command::Hold { reason: text() }),
                    (' ', Via::Console, Command::Resume),
                    (' ', Via::Console, Command::Close),
                    (' ', Via::Console, Command::Abandon { reason: text() }),
                    (
                        ' ',
                        Via::Console,
                        Command::HandOver {
                            to: text(),
                            epoch: None,
                        },
                    ),
                    (
                        ' ',
                        Via::Console,
                        Command::Note {
                            gate: None,
                            text: text(),
                        },
                    ),
                    (' ', Via::Console, Command::Continue { version: text() }),
                    (
                        ' ',
                        Via::Console,
                        Command::Open(Box::new(opening(definition()))),
                    ),
                ]);
                for (_, via, command) in all {
                    let refused = decide(Some(&run), &command, &World::opened().moment(via));
                    assert!(refused.is_err(), "{status:?} granted {command:?}");
                }
            }
        }
    }
}

#[test]
fn hold_is_granted_in_every_state_and_stops_every_start() {
    for gate in GATES {
        for state in STATES {
            let mut run = with_state(gate, state);
            for via in [Via::Console, Via::Headless, Via::Engine] {
                let hold = Command::Hold {
                    reason: String::new(),
                };
                let at = World::opened().moment(via);
                assert!(decide(Some(&run), &hold, &at).is_ok());
            }
            run.status = RunStatus::Held("load".into());
            let granted: String = commands(gate)
                .iter()
                .filter(|(_, via, c)| decide(Some(&run), c, &World::opened().moment(*via)).is_ok())
                .map(|(letter, _, _)| *letter)
                .collect();
            // What is under way is still reported and may still be canceled; nothing begins.
            assert!(granted.chars().all(|c| "COEFLDV".contains(c)), "{granted}");
        }
    }
}
