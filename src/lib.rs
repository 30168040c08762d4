//! `stagegate` takes a PostgreSQL change from staging to production through a runbook,
//! gate by gate, and refuses to advance past a gate that has not passed.
//!
//! # The map of the house
//!
//! A file imports only from floors below its own and from its own folder; `tests/suite/tidy.rs`
//! enforces it. From the ground up:
//!
//! | floor | room | what it owns |
//! |---|---|---|
//! | 0 | [`untrusted`], [`expectation`], [`digest`] | words that every floor shares: cleaned text, verdicts, hashes |
//! | 1 | [`runbook`] | the file format: model, strict loading with positions |
//! | 1 | [`promotion`] | gate states, command -> decide -> events -> apply, journal records and their hash chain |
//! | 1 | [`schema`] | a catalog snapshot as data, and the typed difference of two |
//! | 1 | [`sql`] | splitting, classification, meta-commands, hazards, relations written |
//! | 1 | [`textdiff`] | two texts by line, with the words that changed, for people to read |
//! | 2 | [`postgres`] | connecting, sessions, identity, migration execution, ledger, dumps, private clusters |
//! | 2 | [`git`] | repository state, changed files, commits and merges, through the `git` program |
//! | 2 | [`alembic`] | the history of a project that Alembic owns, and what its program says |
//! | 2 | [`system`] | processes, durable files, fault points |
//! | 3 | [`gate`] | one file a gate kind: plan, run, reconcile |
//! | 3 | [`control`] | the control schema of a run: mirror, inbox, epoch; following a run |
//! | 3 | [`demo`] | sample worlds for `stagegate demo` and for the tests |
//! | 4 | [`engine`] | owns a run: command -> decide -> journal -> work -> update |
//! | 5 | [`console`] | the interactive front end: model, update, view, terminal |
//! | 5 | [`report`] | a run for those who were not there: reports, bundles, their verification |
//! | 5 | [`headless`] | the front end without a terminal, over the same engine |
//! | 6 | [`cli`] | arguments in, exit code out |
//!
//! # How data flows
//!
//! input -> message -> `update` -> command -> engine -> `decide` -> journal -> worker -> event
//! -> `apply` -> view. Nothing flows the other way.
//!
//! # Invariants
//!
//! 1. Floors 0 and 1 do no IO and read no clock; time arrives in commands and records.
//! 2. Durable first: `decide` yields events; they are appended and synced; only then does work start.
//! 3. Replay is the live path: both fold the same `apply`.
//! 4. An intent without an outcome replays to *in doubt*; only asking the world resolves it.
//! 5. Accept or refuse is decided in [`promotion`]; front ends only ask.
//! 6. Only `passed`, `waived` and `not applicable` let the next gate start.
//! 7. No worker ends without saying how, panics and cancellation included.
//! 8. No secret is in argv, journal, log, evidence, error text or panic message.
//! 9. Text from outside is stripped of control sequences before it is drawn or logged.
//!
//! # Deliberately absent
//!
//! There is no force command, no environment variable that answers for a person, no shell, and no
//! code path by which a failed gate becomes a passed one without new evidence.

pub mod alembic;
pub mod cli;
pub mod console;
pub mod control;
pub mod demo;
pub mod digest;
pub mod engine;
pub mod expectation;
pub mod gate;
pub mod git;
pub mod headless;
pub mod postgres;
pub mod promotion;
pub mod report;
pub mod runbook;
pub mod schema;
pub mod sql;
pub mod system;
pub mod textdiff;
pub mod untrusted;
