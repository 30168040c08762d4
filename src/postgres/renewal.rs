//! What makes a used session as good as a new one.
//!
//! It is what `DISCARD ALL` does, but for the plans: those of the check and of the ledger's own key
//! are kept, and a file that prepares statements is followed by another connection.

use super::ledger::literal;
use super::session::Session;

/// The statement in a session that makes its settings.
const PREPARED: &str = "stagegate_settings";

/// What is said between two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    whole: String,
    prepare: String,
    again: String,
}

impl Renewal {
    /// Makes a session as it was when it was opened, with `more` settings; everything in it is read
    /// only but for what [`super::apply::apply_file`] begins.
    pub fn of(session: &Session, more: &[(&str, String)]) -> Renewal {
        let mut settings = session.settings_made();
        settings.extend(more.iter().map(|(n, v)| ((*n).to_owned(), v.clone())));
        settings.push(("default_transaction_read_only".to_owned(), "on".to_owned()));
        let set: Vec<String> = settings
            .iter()
            .map(|(name, value)| {
                let (name, value) = (literal(name), literal(value));
                format!("pg_catalog.set_config({name}, {value}, false)")
            })
            .collect();
        let set = format!("SELECT {}", set.join(", "));
        Renewal {
            whole: with(&set),
            prepare: format!("PREPARE {PREPARED} AS {set}; "),
            again: with(&format!("EXECUTE {PREPARED}")),
        }
    }

    /// The statements; `prepared` where [`Renewal::prepare`] was said in the session.
    pub fn sql(&self, prepared: bool) -> &str {
        match prepared {
            true => &self.again,
            false => &self.whole,
        }
    }

    /// What spares the server planning its longest statement for each file.
    pub(super) fn prepare(&self) -> &str {
        &self.prepare
    }
}

fn with(settings: &str) -> String {
    format!(
        "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; {settings}; \
         SELECT pg_catalog.pg_advisory_unlock_all(); UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES"
    )
}
