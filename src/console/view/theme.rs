//! Every colour and every weight on the screen. No colour says anything that a word does not say.

use ratatui::style::{Color, Modifier, Style};

use crate::console::model::Tone;
use crate::console::screen::Loudness;
use crate::console::screen::text::Ink;
use crate::promotion::GateState;
use crate::runbook::Environment;

/// Whether the terminal's ground is dark or light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThemeName {
    Dark,
    Light,
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// None are wanted: weight and reversal only.
    None,
    /// The sixteen that every terminal has, as its owner has set them.
    Sixteen,
    /// The 256 of nearly every terminal.
    Many,
}

/// The colours of one terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    pub name: ThemeName,
    pub palette: Palette,
}

/// The hues that the product uses.
#[derive(Clone, Copy)]
enum Hue {
    Red,
    Yellow,
    Green,
    Blue,
    Violet,
    Grey,
}

impl Theme {
    /// The style of an ink.
    pub fn ink(&self, ink: Ink) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        match ink {
            Ink::Plain => Style::new(),
            Ink::Strong => bold,
            Ink::Heading => self.hue(Hue::Blue).add_modifier(Modifier::BOLD),
            Ink::Muted => self.muted(),
            Ink::Good => self.hue(Hue::Green),
            Ink::Warning => self.hue(Hue::Yellow),
            Ink::Bad => self.hue(Hue::Red).add_modifier(Modifier::BOLD),
            Ink::Accent => self.hue(Hue::Blue).add_modifier(Modifier::BOLD),
            Ink::Word => self.hue(Hue::Blue),
            Ink::Literal => self.hue(Hue::Green),
            Ink::State(state) => self.state(state),
        }
    }

    fn state(&self, state: GateState) -> Style {
        match state {
            GateState::Pending | GateState::NotApplicable => self.muted(),
            GateState::Running => self.hue(Hue::Blue).add_modifier(Modifier::BOLD),
            GateState::Passed => self.hue(Hue::Green),
            GateState::Failed | GateState::Errored => {
                self.hue(Hue::Red).add_modifier(Modifier::BOLD)
            }
            GateState::InDoubt => self
                .hue(Hue::Violet)
                .add_modifier(Modifier::BOLD | Modifier::REVERSED),
            GateState::Inconclusive
            | GateState::Canceled
            | GateState::Waived
            | GateState::Stale => self.hue(Hue::Yellow),
        }
    }

    /// The block that names an environment.
    pub fn environment(&self, environment: Environment) -> Style {
        let bold = Modifier::BOLD;
        if self.palette == Palette::None {
            return Style::new().add_modifier(bold | Modifier::REVERSED);
        }
        let many = self.palette == Palette::Many;
        let (fg, bg) = match (environment, many) {
            (Environment::Production, true) => (Color::Indexed(231), Color::Indexed(160)),
            (Environment::Production, false) => (Color::White, Color::Red),
            (Environment::Staging, true) => (Color::Indexed(16), Color::Indexed(178)),
            (Environment::Staging, false) => (Color::Black, Color::Yellow),
            (Environment::Development, true) => (Color::Indexed(231), Color::Indexed(29)),
            (Environment::Development, false) => (Color::Black, Color::Green),
            (Environment::Scratch, true) => (Color::Indexed(231), Color::Indexed(60)),
            (Environment::Scratch, false) => (Color::Black, Color::Cyan),
        };
        Style::new().fg(fg).bg(bg).add_modifier(bold)
    }

    /// The rest of the header's first line: production colours all of it.
    pub fn environment_line(&self, environment: Environment) -> Style {
        match environment {
            Environment::Production => self.environment(environment),
            _ => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// A banner.
    pub fn banner(&self, loudness: Loudness) -> Style {
        let reversed = Modifier::BOLD | Modifier::REVERSED;
        match loudness {
            Loudness::Alarm => self.hue(Hue::Red).add_modifier(reversed),
            Loudness::Caution => self.hue(Hue::Yellow).add_modifier(reversed),
        }
    }

    /// The row under the cursor.
    pub fn selected(&self, focused: bool) -> Style {
        if self.palette != Palette::Many {
            let weight = if focused {
                Modifier::REVERSED
            } else {
                Modifier::UNDERLINED
            };
            return Style::new().add_modifier(weight);
        }
        let ground = match (self.name, focused) {
            (ThemeName::Dark, true) => 238,
            (ThemeName::Dark, false) => 235,
            (ThemeName::Light, true) => 252,
            (ThemeName::Light, false) => 255,
        };
        Style::new().bg(Color::Indexed(ground))
    }

    /// Lines that divide the screen.
    pub fn rule(&self) -> Style {
        self.muted()
    }

    /// A pane's title.
    pub fn title(&self, focused: bool) -> Style {
        if focused {
            self.hue(Hue::Blue).add_modifier(Modifier::BOLD)
        } else {
            self.muted()
        }
    }

    /// A key on the bar.
    pub fn key(&self) -> Style {
        self.hue(Hue::Blue).add_modifier(Modifier::BOLD)
    }

    /// A toast's mark and border.
    pub fn toast(&self, tone: Tone) -> Style {
        let hue = match tone {
            Tone::Info => Hue::Blue,
            Tone::Good => Hue::Green,
            Tone::Refusal => Hue::Yellow,
        };
        self.hue(hue).add_modifier(Modifier::BOLD)
    }

    /// The border of a dialog.
    pub fn border(&self, danger: bool) -> Style {
        let hue = if danger { Hue::Red } else { Hue::Blue };
        self.hue(hue).add_modifier(Modifier::BOLD)
    }

    /// The countdown of the window, by how much of it is left.
    pub fn countdown(&self, late: bool, closed: bool) -> Style {
        match (closed, late) {
            (true, _) => self.hue(Hue::Red).add_modifier(Modifier::BOLD),
            (false, true) => self.hue(Hue::Yellow).add_modifier(Modifier::BOLD),
            (false, false) => Style::new(),
        }
    }

    /// The ground of a line that only one text has, and of the words that changed in it. The sign
    /// before the line says the same; the words are underlined as well.
    pub fn changed(&self, removed: bool, words: bool) -> Style {
        let weight = if words {
            Modifier::UNDERLINED | Modifier::BOLD
        } else {
            Modifier::empty()
        };
        let style = Style::new().add_modifier(weight);
        if self.palette != Palette::Many {
            return style;
        }
        let ground = match (self.name, removed, words) {
            (ThemeName::Dark, true, false) => 52,
            (ThemeName::Dark, true, true) => 88,
            (ThemeName::Dark, false, false) => 22,
            (ThemeName::Dark, false, true) => 28,
            (ThemeName::Light, true, false) => 224,
            (ThemeName::Light, true, true) => 217,
            (ThemeName::Light, false, false) => 194,
            (ThemeName::Light, false, true) => 157,
        };
        style.bg(Color::Indexed(ground))
    }

    /// A match of a search.
    pub fn found(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn muted(&self) -> Style {
        match self.palette {
            Palette::None => Style::new().add_modifier(Modifier::DIM),
            _ => self.hue(Hue::Grey),
        }
    }

    fn hue(&self, hue: Hue) -> Style {
        let many = match (self.name, hue) {
            (ThemeName::Dark, Hue::Red) => 203,
            (ThemeName::Dark, Hue::Yellow) => 215,
            (ThemeName::Dark, Hue::Green) => 114,
            (ThemeName::Dark, Hue::Blue) => 110,
            (ThemeName::Dark, Hue::Violet) => 177,
            (ThemeName::Dark, Hue::Grey) => 245,
            (ThemeName::Light, Hue::Red) => 124,
            (ThemeName::Light, Hue::Yellow) => 130,
            (ThemeName::Light, Hue::Green) => 28,
            (ThemeName::Light, Hue::Blue) => 25,
            (ThemeName::Light, Hue::Violet) => 90,
            (ThemeName::Light, Hue::Grey) => 242,
        };
        let few = match hue {
            Hue::Red => Color::Red,
            Hue::Yellow => Color::Yellow,
            Hue::Green => Color::Green,
            Hue::Blue if self.name == ThemeName::Light => Color::Blue,
            Hue::Blue => Color::Cyan,
            Hue::Violet => Color::Magenta,
            // Bright black is invisible on some grounds; the terminal's own grey is not.
            Hue::Grey if self.name == ThemeName::Light => Color::DarkGray,
            Hue::Grey => Color::Gray,
        };
        match self.palette {
            Palette::None => Style::new(),
            Palette::Sixteen => Style::new().fg(few),
            Palette::Many => Style::new().fg(Color::Indexed(many)),
        }
    }
}
