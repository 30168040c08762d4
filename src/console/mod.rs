//! The interactive front end.

use crate::engine::EngineHandle;

/// Colours for a dark or a light terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThemeName {
    Dark,
    Light,
}

/// How the console looks.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleOptions {
    pub theme: Option<ThemeName>,
    pub no_color: bool,
    pub mouse: bool,
}

/// How the console was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleEnd {
    Left,
    LeftRunning,
    Closed,
    HungUp,
    Terminated,
}

/// Opens the console.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn run(_: &EngineHandle, _: ConsoleOptions) -> color_eyre::Result<ConsoleEnd> {
    Ok(ConsoleEnd::Left)
}
