//! Text from outside, made safe to draw and to log.
//!
//! Database values, branch names, file names and the output of programs may hold control
//! sequences that move the cursor, write the clipboard or reverse the reading order. They pass
//! through here once, where they enter; what leaves is visible text and nothing else.

use std::borrow::Cow;

/// Replaces everything that a terminal would act on with something that can be seen.
///
/// Line feeds are kept, tabs become four spaces, a carriage return before a line feed is dropped.
pub fn clean(text: &str) -> Cow<'_, str> {
    // Most text is plain ASCII, and looking at bytes is many times quicker.
    let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n');
    let all_plain = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & plain(byte));
    if text.as_bytes().chunks(256).all(all_plain)
        || text.chars().all(|c| c == '\n' || !is_forbidden(c))
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' if chars.peek() == Some(&'\n') => {}
            _ => push_visible(&mut out, c),
        }
    }
    Cow::Owned(out)
}

/// Cleans `text` and makes one line of it: line feeds become `⏎`.
pub fn clean_line(text: &str) -> String {
    clean(text).replace('\n', "⏎")
}

/// Cleans bytes that should be UTF-8; what is not becomes the replacement character.
pub fn clean_bytes(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes)).into_owned()
}

/// Shortens `text` to at most `limit` characters, saying so with `…`.
pub fn clip(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Tells whether a character may not reach the terminal as it is.
pub fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn push_visible(out: &mut String, c: char) {
    match c {
        // The Unicode block of control pictures mirrors C0.
        '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
        '\x7f' => out.push('\u{2421}'),
        c if is_forbidden(c) => {
            out.push_str(&format!("⟨U+{:04X}⟩", c as u32));
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(clean("naïve – 日本\nsecond"), Cow::Borrowed(_)));
    }

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(clean("a\x1b]52;c;AA==\x07b"), "a␛]52;c;AA==␇b");
        assert_eq!(clean("\u{9b}2J"), "⟨U+009B⟩2J");
        assert_eq!(clean("x\u{202e}y\u{200b}"), "x⟨U+202E⟩y⟨U+200B⟩");
        assert_eq!(clean("a\tb\r\nc\rd"), "a    b\nc␍d");
        assert_eq!(clean_line("a\nb"), "a⏎b");
    }

    proptest::proptest! {
        #[test]
        fn nothing_forbidden_is_left(text in ".*|[\\x00-\\x9f]{0,40}") {
            let cleaned = clean(&text);
            proptest::prop_assert!(cleaned.chars().all(|c| c == '\n' || !is_forbidden(c)));
            let twice = clean(&cleaned).into_owned();
            proptest::prop_assert_eq!(twice, cleaned.into_owned());
        }
    }
}
