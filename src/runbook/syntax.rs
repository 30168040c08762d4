//! Says what is wrong with a file's syntax in the words of the person who wrote it.

use toml::de::Error;

use super::findings::Findings;

/// Reports an error of the TOML parser.
pub(super) fn report(error: &Error, findings: &Findings<'_>) {
    let span = error.span().unwrap_or(0..0);
    let said = error.message().trim();
    let here = findings.text(span.clone());
    let (message, label, help) = match said {
        "duplicate key" => (
            format!("`{here}` stands in one table twice"),
            "it has a value already",
            Some("keep one of the two"),
        ),
        _ if said.starts_with("invalid basic string") || said.starts_with("invalid literal") => (
            "a string is not closed".to_owned(),
            "its closing quote is missing",
            Some("a text over several lines stands between three quotes: \"\"\"…\"\"\""),
        ),
        _ if said.starts_with("string values must be quoted") && here.trim().is_empty() => (
            "a value is missing".to_owned(),
            "nothing stands behind the `=`",
            Some("a text is written in quotes, such as \"production\""),
        ),
        _ if said.starts_with("string values must be quoted") => (
            format!("`{}` is no value", here.trim()),
            "a text stands in quotes",
            None,
        ),
        _ => (format!("this is not TOML: {said}"), "here", None),
    };
    findings.add(span, message, label, help.map(str::to_owned));
}
