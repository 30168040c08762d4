//! Where the flag stands that keeps migrations from running, and what its values mean.

use super::reader::TableReader;

/// The key at the top of a runbook.
const KEY: &str = "migrations_disabled_by";
/// The variable that holds it when the runbook says nothing.
const USUAL: &str = "DISABLE_AUTO_MIGRATIONS";
const EXAMPLES: &str = "\"env:DISABLE_AUTO_MIGRATIONS\" or \"file:.env#DISABLE_AUTO_MIGRATIONS\"";

/// Where the flag stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisabledBy {
    Variable(String),
    /// A line `NAME=value` of a file; the path is relative to the runbook's root.
    Line {
        path: String,
        name: String,
    },
}

impl Default for DisabledBy {
    fn default() -> Self {
        DisabledBy::Variable(USUAL.to_owned())
    }
}

impl DisabledBy {
    /// The flag, for people.
    pub fn words(&self) -> String {
        match self {
            DisabledBy::Variable(name) => name.clone(),
            DisabledBy::Line { path, name } => format!("{name} in {path}"),
        }
    }
}

/// What a value of the flag means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagMeaning {
    Set,
    NotSet,
    /// It is none of the words.
    Unknown,
}

/// Reads a value of the flag.
pub fn flag_meaning(value: &str) -> FlagMeaning {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => FlagMeaning::Set,
        "" | "false" | "0" | "no" | "off" => FlagMeaning::NotSet,
        _ => FlagMeaning::Unknown,
    }
}

/// The values that the flag may have, for people.
pub const FLAG_VALUES: &str =
    "true, 1, yes or on keep migrations from running; false, 0, no, off or nothing let them run";

/// Reads the value that a file of `NAME=value` lines gives a name; the last line counts.
pub fn line_value(text: &str, name: &str) -> Option<String> {
    let value = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| unquoted(value.trim()))
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().filter_map(value).next_back()
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.split_once(quote))
        {
            return inner.to_owned();
        }
    }
    // A remark begins at a `#` behind a blank.
    let bare = match value.find(" #").or_else(|| value.find("\t#")) {
        Some(at) => &value[..at],
        None => value,
    };
    let bare = if bare.starts_with('#') { "" } else { bare };
    bare.trim().to_owned()
}

pub(super) fn read(top: &mut TableReader<'_, '_>) -> DisabledBy {
    let Some(given) = top.string(KEY) else {
        return DisabledBy::default();
    };
    let read = match given.value.split_once(':') {
        Some(("env", name)) if is_name(name) => Some(DisabledBy::Variable(name.to_owned())),
        Some(("file", rest)) => rest
            .rsplit_once('#')
            .filter(|(path, name)| !path.trim().is_empty() && is_name(name))
            .map(|(path, name)| DisabledBy::Line {
                path: path.to_owned(),
                name: name.to_owned(),
            }),
        _ => None,
    };
    read.unwrap_or_else(|| {
        top.findings.add(
            given.span,
            format!("`{}` is no place of a flag", given.value),
            "a variable, or a line of a file",
            Some(format!("write {KEY} = {EXAMPLES}")),
        );
        DisabledBy::default()
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_mean_what_people_mean() {
        for value in ["true", "TRUE", "1", "Yes", " on "] {
            assert_eq!(flag_meaning(value), FlagMeaning::Set, "{value}");
        }
        for value in ["", " ", "false", "False", "0", "no", "OFF"] {
            assert_eq!(flag_meaning(value), FlagMeaning::NotSet, "{value}");
        }
        for value in ["ture", "2", "disable", "yes!", "true false"] {
            assert_eq!(flag_meaning(value), FlagMeaning::Unknown, "{value}");
        }
    }

    #[test]
    fn the_last_line_of_a_file_counts() {
        let text = "# A=1\nAB=2\n A = 3 # note\nexport A=\"4 # 5\"\nA_=6\n";
        assert_eq!(line_value(text, "A").as_deref(), Some("4 # 5"));
        assert_eq!(line_value("A=3 # note\r\n", "A").as_deref(), Some("3"));
        assert_eq!(line_value("A='x'\nA=\n", "A").as_deref(), Some(""));
        assert_eq!(line_value("A=# nothing", "A").as_deref(), Some(""));
        assert_eq!(line_value("#A=1", "A"), None);
    }
}
