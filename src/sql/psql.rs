//! Which commands of `psql` a migration may use: those that stay in its session and its transaction.

/// They print, remember values, choose lines, or describe what is there.
const ALLOWED: [&str; 24] = [
    "a",
    "conninfo",
    "echo",
    "elif",
    "else",
    "encoding",
    "endif",
    "errverbose",
    "f",
    "g",
    "gdesc",
    "gexec",
    "gset",
    "gx",
    "H",
    "if",
    "pset",
    "qecho",
    "set",
    "t",
    "timing",
    "unset",
    "warn",
    "x",
];

/// What they would do that may not be done here.
const NOT_HERE: [(&str, &str); 9] = [
    ("prompt", "it asks a person, and nobody is asked here"),
    ("q", "it would end the file before its end"),
    ("!", "it runs a command of the operating system"),
    ("c", "it leaves the session, and the transaction with it"),
    (
        "connect",
        "it leaves the session, and the transaction with it",
    ),
    ("i", "what it reads was not reviewed"),
    ("ir", "what it reads was not reviewed"),
    (
        "copy",
        "what it reads or writes was not reviewed; use COPY … FROM stdin",
    ),
    (";", "it hides several statements from the review"),
];

/// Variables by which psql would go on where it must stop.
const KEPT: [&str; 5] = [
    "AUTOCOMMIT",
    "ON_ERROR_STOP",
    "ON_ERROR_ROLLBACK",
    "SINGLELINE",
    "VERBOSITY",
];

/// Tells whether a command, from its backslash to the end of its line, may be run.
///
/// # Errors
/// Why it may not, in words.
pub(super) fn may_run(command: &str) -> Result<(), String> {
    let rest = command.strip_prefix('\\').unwrap_or(command);
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '!' && c != ';')
        .unwrap_or(rest.len());
    let (word, arguments) = rest.split_at(end.max(rest.chars().next().map_or(0, char::len_utf8)));
    if let Some((_, why)) = NOT_HERE.iter().find(|(name, _)| *name == word) {
        return Err(format!("`\\{word}` may not be run: {why}"));
    }
    let describes = word.starts_with('d') || word == "l" || word == "z";
    if !describes && !ALLOWED.contains(&word) {
        return Err(format!(
            "`\\{word}` is none of the psql commands that may be run"
        ));
    }
    if arguments.contains('`') {
        return Err(format!(
            "`\\{word}` holds a command of the operating system in backticks"
        ));
    }
    if arguments.contains('\\') {
        return Err(format!(
            "a second command stands behind `\\{word}`; give it a line of its own"
        ));
    }
    if arguments.trim_start().starts_with('|') || (word.starts_with('g') && arguments.contains('|'))
    {
        return Err(format!("`\\{word}` would hand its output to a program"));
    }
    if matches!(word, "g" | "gx") && !arguments.trim().is_empty() {
        return Err(format!("`\\{word}` would write a file"));
    }
    let name = arguments.split_whitespace().next().unwrap_or_default();
    if matches!(word, "set" | "unset") && KEPT.contains(&name) {
        return Err(format!(
            "`{name}` is what makes psql stop at an error; it stays as it is"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_in_the_session_is_run() {
        for command in [
            "\\set limit 10",
            "\\echo done",
            "\\gset",
            "\\gexec",
            "\\if :big",
            "\\endif",
            "\\dt eng.*",
            "\\pset null '-'",
            "\\x on",
        ] {
            assert_eq!(may_run(command), Ok(()), "{command}");
        }
        for command in [
            "\\! rm x",
            "\\!rm x",
            "\\connect other",
            "\\c other",
            "\\i more.sql",
            "\\ir more.sql",
            "\\copy t from 'x'",
            "\\set now `date`",
            "\\echo a \\! rm x",
            "\\g | sh",
            "\\g out.txt",
            "\\o out.txt",
            "\\w out.txt",
            "\\setenv PAGER x",
            "\\cd /",
            "\\q",
            "\\; commit",
            "\\set ON_ERROR_STOP off",
            "\\unset AUTOCOMMIT",
            "\\nonsense",
            "\\",
        ] {
            assert!(may_run(command).is_err(), "{command}");
        }
    }
}
