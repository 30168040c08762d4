//! One line of text that a person types.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::text::cells;
use crate::untrusted::is_forbidden;

/// How many characters may be typed. A reason is a sentence or three.
const LIMIT: usize = 500;

/// A line that is being typed, and where the next character goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    text: Vec<char>,
    cursor: usize,
}

impl Input {
    /// Begins with a text.
    pub fn of(text: &str) -> Input {
        let text: Vec<char> = text.chars().collect();
        Input {
            cursor: text.len(),
            text,
        }
    }

    /// What was typed.
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// Tells whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many characters were typed.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// How many cells stand before the cursor.
    pub fn cursor_cells(&self) -> usize {
        let before: String = self.text[..self.cursor].iter().collect();
        cells(&before)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
    }

    /// Takes a key. Returns whether it was one for typing.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('w') if control => self.delete_word(),
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => {
                return false;
            }
            KeyCode::Char(c) => self.insert(c),
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            KeyCode::Backspace | KeyCode::Delete => {}
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    /// Takes pasted text: its control characters are dropped, its line ends become spaces.
    pub fn paste(&mut self, text: &str) {
        for c in text.trim_end_matches(['\r', '\n']).chars() {
            match c {
                '\n' | '\t' => self.insert(' '),
                c => self.insert(c),
            }
        }
    }

    fn insert(&mut self, c: char) {
        if is_forbidden(c) || self.text.len() >= LIMIT {
            return;
        }
        self.text.insert(self.cursor, c);
        self.cursor += 1;
    }

    fn delete_word(&mut self) {
        let before = &self.text[..self.cursor];
        let word_end = before
            .iter()
            .rposition(|c| *c != ' ')
            .map_or(0, |at| at + 1);
        let start = before[..word_end]
            .iter()
            .rposition(|c| *c == ' ')
            .map_or(0, |at| at + 1);
        self.text.drain(start..self.cursor);
        self.cursor = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut Input, code: KeyCode, modifiers: KeyModifiers) {
        input.key(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn editing_in_the_middle() {
        let mut input = Input::of("prod db");
        press(&mut input, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(input.text(), "prod ");
        press(&mut input, KeyCode::Home, KeyModifiers::NONE);
        press(&mut input, KeyCode::Char('x'), KeyModifiers::NONE);
        press(&mut input, KeyCode::Delete, KeyModifiers::NONE);
        assert_eq!(input.text(), "xrod ");
        press(&mut input, KeyCode::End, KeyModifiers::NONE);
        press(&mut input, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert!(input.is_empty());
    }

    #[test]
    fn pasted_control_characters_are_dropped() {
        let mut input = Input::default();
        input.paste("a\x1b[201~b\r\nc\u{202e}\n");
        assert_eq!(input.text(), "a[201~b c");
    }

    #[test]
    fn it_is_bounded() {
        let mut input = Input::default();
        input.paste(&"x".repeat(LIMIT * 2));
        assert_eq!(input.len(), LIMIT);
    }
}
