//! What the `alembic` program said, and what that means.

use crate::untrusted::clean_line;

/// Alembic's own failure; anything else is Python's, or a signal's.
pub const FAILED: i32 = 255;

/// Why a call did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// More than one revision has nothing after it.
    ManyHeads,
    /// No file has the revision that the database or the command names.
    NoRevision(String),
    /// The database is not at the head where it had to be.
    NotUpToDate,
    /// The models say something else than the database.
    NewOperations(String),
    /// It waited for somebody to type, and there is nobody.
    Prompt(String),
    /// The code of the project could not be run; the last line of its trace, and where it was.
    Broken { last: String, place: Option<String> },
    /// The server refused something, or could not be reached.
    Database(String),
    /// Alembic says why, in its own words.
    Said(String),
    /// It ended without a word.
    Silent(String),
}

impl Trouble {
    /// Reads the end of what it said. `ending` tells how it ended, in words.
    pub fn read(stdout: &str, stderr: &str, ending: &str) -> Trouble {
        let lines = || stdout.lines().chain(stderr.lines());
        let failed = lines()
            .filter_map(|line| line.trim_start().strip_prefix("FAILED: "))
            .next_back();
        if let Some(said) = failed {
            return of_words(said);
        }
        let last = stderr
            .lines()
            .rev()
            .map(str::trim_end)
            .find(|line| !line.is_empty() && !line.starts_with([' ', '\t', '(', '[']));
        if !stderr.contains("Traceback (most recent call last)") {
            return match last {
                Some(line) => Trouble::Said(clean_line(line)),
                None => Trouble::Silent(ending.to_owned()),
            };
        }
        // The last line that begins a message: what follows it belongs to it.
        let error = stderr
            .lines()
            .rev()
            .find(|line| is_exception(line))
            .or(last)
            .unwrap_or_default();
        let error = clean_line(error);
        if ["EOFError", "termios.error", "getpass.GetPassWarning"]
            .iter()
            .any(|name| error.starts_with(name))
        {
            return Trouble::Prompt(error);
        }
        if let Some(revision) = missing_key(stderr, &error) {
            return Trouble::NoRevision(revision);
        }
        let of_server = ["sqlalchemy.exc.", "psycopg", "asyncpg.", "pg8000."];
        if of_server.iter().any(|name| error.starts_with(name)) {
            return Trouble::Database(error);
        }
        let place = stderr
            .lines()
            .rev()
            .filter_map(|line| line.trim().strip_prefix("File \""))
            .find(|place| !place.contains("site-packages") && !place.starts_with('<'))
            .map(|place| clean_line(&place.replacen("\", line ", ":", 1)));
        Trouble::Broken { last: error, place }
    }

    /// Says it in words, without what to do.
    pub fn words(&self) -> String {
        match self {
            Trouble::ManyHeads => "the history has more than one head".to_owned(),
            Trouble::NoRevision(id) => format!("no file has revision {id}"),
            Trouble::NotUpToDate => "the database is not at the head".to_owned(),
            Trouble::NewOperations(said) => {
                format!("the models say something else than the database: {said}")
            }
            Trouble::Prompt(error) => {
                format!("it asked for something to be typed, and nobody is there: {error}")
            }
            Trouble::Broken { last, place } => match place {
                Some(place) => format!("the project's code failed at {place}: {last}"),
                None => format!("the project's code failed: {last}"),
            },
            Trouble::Database(error) => format!("the server refused: {error}"),
            Trouble::Said(said) => said.clone(),
            Trouble::Silent(ending) => format!("it {ending} without a word"),
        }
    }

    /// Says what can be done about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Trouble::ManyHeads => "join the heads with `alembic merge`, commit that, then retry",
            Trouble::NoRevision(_) => {
                "bring the file of that revision back, or find out who else migrates this database"
            }
            Trouble::NotUpToDate => "upgrade first, then check",
            Trouble::NewOperations(_) => {
                "make a revision of what the models say: alembic revision --autogenerate"
            }
            Trouble::Prompt(_) => "give what it asks for in the environment; nothing is typed here",
            Trouble::Broken { .. } => "mend the code it names, then retry",
            Trouble::Database(_) => "mend what it says, then retry",
            Trouble::Said(_) | Trouble::Silent(_) => "read its output, mend that, then retry",
        }
    }
}

fn of_words(said: &str) -> Trouble {
    let said = clean_line(said);
    if said.starts_with("Multiple head") || said.contains("multiple heads") {
        return Trouble::ManyHeads;
    }
    if let Some(rest) = said.strip_prefix("Can't locate revision identified by ") {
        return Trouble::NoRevision(rest.trim_matches(['\'', '"', '.']).to_owned());
    }
    if said.starts_with("Target database is not up to date") {
        return Trouble::NotUpToDate;
    }
    if let Some(rest) = said.strip_prefix("New upgrade operations detected: ") {
        return Trouble::NewOperations(rest.to_owned());
    }
    Trouble::Said(said)
}

/// A line such as `KeyError: 'x'` or `package.module.Error: words`.
fn is_exception(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    !name.is_empty()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        && (name.contains('.')
            || ["Error", "Exception", "Interrupt", "Exit", "Warning"]
                .iter()
                .any(|end| name.ends_with(end)))
}

/// Alembic looks revisions up in a table and says so in no other way.
fn missing_key(stderr: &str, error: &str) -> Option<String> {
    let key = error.strip_prefix("KeyError: ")?;
    let looked_up = stderr.contains("alembic/script/revision.py");
    looked_up.then(|| key.trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stderr: &str) -> Trouble {
        Trouble::read("", stderr, "ended with code 1")
    }

    #[test]
    fn alembics_own_failures_are_known_by_their_words() {
        let said = |text: &str| Trouble::read(&format!("FAILED: {text}\n"), "", "");
        assert_eq!(
            said("Multiple head revisions are present for given argument 'head'"),
            Trouble::ManyHeads
        );
        assert_eq!(
            said("Can't locate revision identified by 'feed'"),
            Trouble::NoRevision("feed".to_owned())
        );
        assert_eq!(
            said("Target database is not up to date."),
            Trouble::NotUpToDate
        );
        assert!(matches!(
            said("New upgrade operations detected: [('add_table', …)]"),
            Trouble::NewOperations(_)
        ));
    }

    #[test]
    fn a_trace_is_told_by_its_last_error_and_the_projects_own_line() {
        let trace = "Traceback (most recent call last):\n  File \"/v/lib/site-packages/x.py\", line 1, in m\n    \
                     run()\n  File \"/app/alembic/env.py\", line 17, in <module>\n    url = os.environ[\"U\"]\n\
                     KeyError: 'U'\n";
        let Trouble::Broken { last, place } = read(trace) else {
            panic!("not broken");
        };
        assert_eq!(last, "KeyError: 'U'");
        assert!(place.unwrap().starts_with("/app/alembic/env.py:17"));
    }

    #[test]
    fn a_prompt_a_server_and_a_lost_revision_are_told_apart() {
        let trace = "Traceback (most recent call last):\n";
        assert!(matches!(
            read(&format!("{trace}EOFError: EOF when reading a line\n")),
            Trouble::Prompt(_)
        ));
        let refused = "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection failed\n\
                       \tIs the server running?\n(Background on this error at: x)\n";
        assert!(matches!(
            read(&format!("{trace}{refused}")),
            Trouble::Database(_)
        ));
        let key = "  File \"/v/site-packages/alembic/script/revision.py\", line 9, in x\nKeyError: 'gone'\n";
        assert_eq!(
            read(&format!("{trace}{key}")),
            Trouble::NoRevision("gone".to_owned())
        );
        assert_eq!(read(""), Trouble::Silent("ended with code 1".to_owned()));
    }
}
