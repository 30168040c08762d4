//! The one integration binary. Each module tests one part of the product from outside.
#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

mod cluster;
mod connecting;
mod connecting_tls;
mod console_keys;
mod console_pty;
mod console_world;
mod crash;
mod demo_console;
mod demo_world;
mod drift_catalog;
mod drift_changes;
mod gates_act;
mod gates_lint;
mod gates_look;
mod gates_ramp;
mod gates_recovery;
mod git_commit;
mod headless;
mod identity;
mod journal;
mod lint_command;
mod lost_commit;
mod operator_lock;
mod pty;
mod ramp_choices;
mod readme;
mod rollback;
mod runbooks;
mod screens;
mod server;
mod site;
mod state_machine;
mod tidy;
mod walker;
mod watch_screens;
