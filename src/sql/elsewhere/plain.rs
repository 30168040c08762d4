//! A text from anywhere, made plain for reading: the same lines, without what a terminal or a
//! typesetter adds to letters. What is shown and what is hashed is not this.

use crate::untrusted::is_forbidden;

/// Makes two readings of a text: without whole terminal sequences, and with each of their
/// characters that is a letter left in place. What one hides the other shows.
pub(super) fn readings(text: &str) -> [String; 2] {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    [plain(&without_sequences(&text)), plain(&text)]
}

/// Takes colour and cursor sequences out: `ESC [`, parameters, one final letter.
fn without_sequences(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = match c {
            '\u{9b}' => true,
            '\u{1b}' => chars.next_if_eq(&'[').is_some(),
            _ => false,
        };
        if !begins {
            out.push(c);
            continue;
        }
        while chars
            .next_if(|c| matches!(c, '0'..='?' | ' '..='/'))
            .is_some()
        {}
        chars.next_if(|c| matches!(c, '@'..='~'));
    }
    out
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c if is_forbidden(c) => {}
            c if c.is_whitespace() => out.push(' '),
            // Letters of full width are letters.
            '\u{ff01}'..='\u{ff5e}' => {
                let narrow = char::from_u32(c as u32 - 0xff01 + 0x21);
                out.push(narrow.unwrap_or(c));
            }
            // Accents that are laid over a letter.
            '\u{300}'..='\u{36f}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_what_is_left() {
        for text in [
            "DROP\u{a0}TABLE t",
            "DR\u{200b}OP TABLE t",
            "\u{feff}DROP TABLE t",
            "\x1b[31mDROP\x1b[0m TABLE t",
            "DROP\tTABLE t",
            "ＤＲＯＰ TABLE t",
            "D\u{0}ROP TABLE t",
        ] {
            assert_eq!(readings(text)[0], "DROP TABLE t", "{text:?}");
        }
        // A sequence may not take a letter away from both.
        assert_eq!(readings("\x1b[DROP TABLE t")[1], "[DROP TABLE t");
        assert_eq!(readings("a\r\nb\rc")[0], "a\nb\nc");
    }
}
