//! The checksum of a SQL file: over normalised text, with the algorithm's version in front.

use std::borrow::Cow;

use crate::digest::digest;

/// How a file is known: what its text says, and what its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// `1:` and the SHA-256 of the text without byte-order mark, with LF line ends.
    pub normalised: String,
    /// SHA-256 of the bytes.
    pub raw: String,
}

impl Checksum {
    /// Computes both hashes of a file's text.
    pub fn of(text: &str) -> Checksum {
        let raw = digest(text.as_bytes());
        // Most files are as they would be normalised.
        let normalised = match normalise(text) {
            same if same.len() == text.len() => format!("1:{raw}"),
            other => format!("1:{}", digest(other.as_bytes())),
        };
        Checksum { normalised, raw }
    }
}

/// Drops a byte-order mark and makes every line end a line feed, so that the checkout of another
/// operating system is the same file.
pub fn normalise(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_marks_do_not_count() {
        let unix = Checksum::of("select 1;\nselect 2;\n");
        let windows = Checksum::of("\u{feff}select 1;\r\nselect 2;\r\n");
        assert_eq!(unix.normalised, windows.normalised);
        assert_ne!(unix.raw, windows.raw);
        assert!(unix.normalised.starts_with("1:"));
    }
}
