//! The interactive front end: model, update, view and the terminal around them.
//!
//! Messages go into [`update::update`], which changes the model and says what is to be done;
//! [`view::draw`] draws the model. Both are pure; `drive` and `terminal` alone touch the terminal,
//! the clock and the engine.

pub mod alone;

mod drive;
mod given;
pub mod keymap;
pub mod model;
pub mod msg;
mod pages;
mod pointer;
mod published;
mod reader;
mod recording;
mod saved;
pub mod screen;
mod settle;
mod signals;
pub mod signing;
mod terminal;
pub mod update;
pub mod view;
mod watcher;
mod zone;

use crate::engine::Taking;

pub use drive::{Console, open};
pub use keymap::table_markdown;
pub use pages::pages;
pub use view::theme::ThemeName;

/// Where what the console shows is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// A file that is not there yet.
    pub path: std::path::PathBuf,
    /// What is masked in every frame before it is written.
    pub secrets: Vec<String>,
}

/// How the console looks and what it listens to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsoleOptions {
    /// What the terminal's ground is; asked of the environment when it is not said.
    pub theme: Option<ThemeName>,
    pub no_color: bool,
    pub mouse: bool,
}

/// How the operator left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleEnd {
    /// Nothing is at work.
    Left,
    /// Work goes on, and its end is to be waited for.
    LeftRunning,
    /// The run has ended.
    Closed,
    /// The terminal is gone; nobody has answered anything.
    HungUp,
    /// The process was asked to end.
    Terminated,
    /// The conn was handed over; from here the run is only watched.
    HandedOver,
    /// A watching console takes the conn.
    Taking(Taking),
}
