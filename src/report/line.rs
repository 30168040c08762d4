//! A line of what the console shows of a gate, without the console.

use serde::Serialize;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    Plain,
    Strong,
    Muted,
    Heading,
    Good,
    Warning,
    Bad,
    Accent,
}

/// A piece of text in one tone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    pub tone: Tone,
    pub text: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Line {
    pub pieces: Vec<Piece>,
}

impl Line {
    /// The line without its tones.
    pub fn plain(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect()
    }
}
