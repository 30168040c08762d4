//! Which commands of `psql` a migration may use: those that stay in its session and its transaction.

/// They print, remember values, choose lines, or describe what is there.
const ALLOWED: [&str; 23] = [
    "a",
    "conninfo",
    "echo",
    "elif",
    "else",
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
    // psql's own variables are written in capitals, and quotes or variables could hide them.
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if matches!(word, "set" | "unset") && !plain {
        return Err(format!(
            "`{name}` may not be set: names of a file's own are lower case, without quotes"
        ));
    }
    Ok(())
}

/// What the text of a file may hold outside of its commands and data, so that psql cuts it exactly
/// where it was cut for the review.
///
/// # Errors
/// Why not, with the byte.
pub(super) fn is_inert(text: &str, from: usize) -> Result<(), (usize, String)> {
    if let Some(at) = text.find('\\') {
        let reason = "a backslash inside of SQL could be a command to psql";
        return Err((from + at, reason.to_owned()));
    }
    let lower = text.to_ascii_lowercase();
    for setting in ["client_encoding", "standard_conforming_strings"] {
        if let Some(at) = lower.find(setting) {
            let reason = format!("`{setting}` decides how psql reads the file");
            return Err((from + at, reason));
        }
    }
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).copied().unwrap_or(b' ');
        let cast = at > 0 && bytes[at - 1] == b':';
        if *byte == b':' && !cast && (next.is_ascii_alphabetic() || next == b'_') {
            let reason = "a variable without quotes is read as SQL once more; write :'name' or \
                          :\"name\"";
            return Err((from + at, reason.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_psql_could_read_otherwise_is_refused() {
        for text in [
            "select :q",
            "select 'a\\' , ' ! cmd'",
            "set client_encoding = 'sjis'",
            "select set_config('Standard_Conforming_Strings', 'off', true)",
        ] {
            assert!(is_inert(text, 0).is_err(), "{text}");
        }
        for text in [
            "select :'q', :\"c\", a::text, '12:30', b[1:2]",
            "do $$ begin end $$",
        ] {
            assert_eq!(is_inert(text, 0), Ok(()), "{text}");
        }
    }

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
            "\\set 'ON_ERROR_STOP' off",
            "\\set :name off",
            "\\encoding SJIS",
            "\\unset AUTOCOMMIT",
            "\\nonsense",
            "\\",
        ] {
            assert!(may_run(command).is_err(), "{command}");
        }
    }
}
