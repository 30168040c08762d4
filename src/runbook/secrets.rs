//! Finds passwords in a runbook's text, so that no message about the file ever shows one.
//!
//! This looks at the bytes and not at the syntax: a file that does not parse is shown as well.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What stands between user and host of a URL, and what a key says that is named like a secret.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let in_url = r#"://[^\s"'@/:]*:(?P<url>[^"\n]*)@"#;
    let named = r#"(?i:pass(?:word|wd)|secret|token)["']?\s*=\s*"#;
    let value = r#"(?:"(?P<double>[^"\n]*)|'(?P<single>[^'\n]*)|(?P<bare>[^\s"'&,\]}]+))"#;
    Regex::new(&format!("{in_url}|{named}{value}")).ok()
});

/// The places of everything in `text` that looks like a password.
fn places(text: &str) -> Vec<Range<usize>> {
    let Some(pattern) = SECRET.as_ref() else {
        return Vec::new();
    };
    pattern
        .captures_iter(text)
        .filter_map(|found| {
            ["url", "double", "single", "bare"]
                .iter()
                .find_map(|name| found.name(name))
        })
        .map(|found| found.range())
        .collect()
}

/// Replaces passwords, and the places given, by asterisks of the same length: places stay right.
pub(super) fn conceal_source(source: &str, given: &[Range<usize>]) -> String {
    let mut bytes = source.as_bytes().to_vec();
    for place in places(source).into_iter().chain(given.iter().cloned()) {
        if let Some(secret) = bytes.get_mut(place) {
            secret.fill(b'*');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Replaces passwords in a message by a few asterisks.
pub(super) fn conceal(text: &str) -> String {
    let mut out = text.to_owned();
    for place in places(text).into_iter().rev() {
        out.replace_range(place, "***");
    }
    out
}

/// Tells whether the address of a database holds a password, in any of the ways it can.
pub(super) fn has_password(url: &str) -> bool {
    let decoded = percent_decoded(url).to_lowercase();
    if decoded.contains("password") && decoded.contains('=') {
        return true;
    }
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let before_parameters = rest.split('?').next().unwrap_or_default();
    before_parameters
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                out.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => {
                out.push(b'%');
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen_in_every_form() {
        for url in [
            "postgresql://u:x@h/db",
            "postgresql://u:@h/db",
            "postgresql://u:x/y@h/db",
            "postgresql://u@h/db?password=x",
            "postgresql://u@h/db?pass%77ord=x",
            "postgresql://u@h/db?sslPassword=x",
            "host=h password = x",
        ] {
            assert!(has_password(url), "{url}");
        }
        for url in [
            "env:DATABASE_PASSWORD_URL",
            "service:production",
            "postgresql://u@h:5432/db?application_name=a",
            "postgresql://h:5432/db",
            "postgresql://u@[::1]:5432,h2:5433/db",
        ] {
            assert!(!has_password(url), "{url}");
        }
    }

    #[test]
    fn what_is_shown_keeps_its_shape() {
        let source = "url = \"postgresql://u:pä'ss@h/db\"\npassword = 'x y'\nTOKEN=abc&d=1";
        let key = 0..3;
        let shown = conceal_source(source, std::slice::from_ref(&key));
        assert_eq!(shown.len(), source.len());
        assert!(shown.starts_with("*** = \"postgresql://u:"));
        assert!(
            shown.ends_with("\npassword = '***'\nTOKEN=***&d=1"),
            "{shown}"
        );
        assert_eq!(conceal("`a://u:p@h` is none"), "`a://u:***@h` is none");
    }
}
