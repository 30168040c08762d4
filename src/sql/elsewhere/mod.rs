//! Plans that somebody else made: SQL from beginning to end, or amid prose, lists, code blocks and
//! lines of a log.
//!
//! What parses is judged as any SQL. Everything else is searched for words that speak of a loss;
//! nothing that says `DROP TABLE` outside of a comment or a string goes unseen. A comment is one only
//! in a text, or in a block of code, that is SQL from its beginning to its end.

mod nothing;
mod pieces;
mod plain;
mod vocabulary;
mod words;

use serde::{Deserialize, Serialize};

use self::pieces::{Regions, line_of};
use self::words::Says;
use super::hazard::{self, Hazard, HazardClass, Source};
use super::{Places, one_line};

/// The largest text that is taken, in bytes.
pub const LARGEST_PLAN: usize = 2 * 1024 * 1024;
/// How many places of one kind are told.
const TOLD: usize = 200;

/// A line of the text, and what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSeen {
    /// From 1.
    pub line: usize,
    pub text: String,
    pub why: String,
}

/// What a text was found to say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Elsewhere {
    /// How many statements were recognised that change something.
    pub statements: usize,
    pub hazards: Vec<Hazard>,
    /// What could not be read, or says too little.
    pub unclear: Vec<LineSeen>,
    /// The line that says that there is nothing to do; only where nothing else is said.
    pub nothing_to_do: Option<LineSeen>,
}

impl Elsewhere {
    /// Tells whether a hazard of such a plan refuses, by the classes that do. What waits in a
    /// function's body refuses as well: nobody knows who calls it.
    pub fn refuses(hazard: &Hazard, deny: &[String]) -> bool {
        hazard.class == HazardClass::DataLoss
            || (hazard.class != HazardClass::CannotTell
                && deny.iter().any(|class| class == hazard.class.word()))
    }
}

/// Tells why bytes are no text that can be judged.
///
/// # Errors
/// The reason, in words.
pub fn readable(bytes: &[u8]) -> Result<&str, String> {
    if bytes.len() > LARGEST_PLAN {
        return Err(format!(
            "it is larger than {} MB",
            LARGEST_PLAN / (1024 * 1024)
        ));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("it is no text: byte {} is not UTF-8", error.valid_up_to()))?;
    if text.contains('\0') {
        return Err("it is no text: it holds a NUL byte".to_owned());
    }
    if plain::readings(text)[0].trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(text)
}

/// Reads a text.
pub fn read(text: &str) -> Elsewhere {
    let [first, second] = plain::readings(text);
    let mut seen = one(&first);
    if second != first {
        // What a sequence of the terminal hides is searched as well.
        let hidden = one(&second);
        let known: Vec<usize> = seen.hazards.iter().map(|hazard| hazard.line).collect();
        let hidden_loss = |hazard: &Hazard| {
            hazard.class == HazardClass::DataLoss && !known.contains(&hazard.line)
        };
        seen.hazards
            .extend(hidden.hazards.into_iter().filter(hidden_loss));
        seen.hazards
            .sort_by_key(|hazard| (hazard.line, hazard.column));
    }
    if seen.statements == 0 && seen.hazards.is_empty() && seen.unclear.is_empty() {
        seen.nothing_to_do = nothing::said(&first);
    }
    seen
}

/// Reads one reading of a text.
fn one(text: &str) -> Elsewhere {
    let regions = Regions::read(text);
    let places = Places::new(text);
    let mut seen = Elsewhere {
        statements: regions.statements,
        hazards: hazard::hazards(&regions.masked(text)),
        ..Elsewhere::default()
    };
    for at in &regions.unreadable {
        seen.unclear.push(line_seen(
            text,
            &places,
            *at,
            "it begins like SQL and could not be read to its end",
        ));
    }
    let mut said: Vec<(usize, Says)> = words::scan(&regions.prose(text));
    for view in regions.views(text) {
        let found = words::scan_code(&view.code).into_iter();
        said.extend(found.map(|at| (view.at + at, Says::Drops)));
        let quoted = words::scan(&view.quoted).into_iter();
        let quoted = quoted.filter(|(_, says)| *says < Says::Perhaps);
        said.extend(quoted.map(|(at, _)| (view.at + at, Says::Denies)));
    }
    said.sort_unstable();
    for (at, says) in said {
        tell(&mut seen, text, &places, at, says);
    }
    seen.hazards
        .sort_by_key(|hazard| (hazard.line, hazard.column, hazard.class));
    // What makes its SQL when it runs may do anything.
    for made in seen.hazards.iter().filter(|h| h.code == "dynamic-sql") {
        seen.unclear.push(LineSeen {
            line: made.line,
            text: made.statement.clone(),
            why: "it makes its SQL when it runs; nobody can say what it does".to_owned(),
        });
    }
    seen.unclear.sort_by_key(|line| line.line);
    seen.unclear.dedup_by_key(|line| line.line);
    seen
}

fn tell(seen: &mut Elsewhere, text: &str, places: &Places<'_>, at: usize, says: Says) {
    let code = match says {
        Says::Drops => "plan-says-drop",
        Says::Deletes => "plan-says-delete",
        Says::Resets => "plan-says-reset",
        Says::Warns => "plan-warns-of-loss",
        Says::Denies => "plan-mentions-loss",
        Says::Perhaps => {
            if seen.unclear.len() < TOLD {
                let why = "it may speak of a loss, or not";
                seen.unclear.push(line_seen(text, places, at, why));
            }
            return;
        }
    };
    let place = places.of(at);
    // One line is told once, by what is worst; the parser says it better than a word.
    let lost = |hazard: &&Hazard| hazard.line == place.0 && hazard.class == HazardClass::DataLoss;
    let same = |hazard: &&Hazard| hazard.line == place.0 && hazard.code == code;
    let told = seen.hazards.iter().find(lost).is_some();
    let many = seen.hazards.iter().filter(|h| h.code == code).count() >= TOLD;
    if told || many || seen.hazards.iter().find(same).is_some() {
        return;
    }
    let line = line_of(text, at);
    if let Some(mut hazard) = hazard::seen(code, place, &one_line(line), "") {
        hazard.relation = None;
        hazard.source = Source::Text;
        seen.hazards.push(hazard);
    }
}

fn line_seen(text: &str, places: &Places<'_>, at: usize, why: &str) -> LineSeen {
    LineSeen {
        line: places.of(at).0,
        text: one_line(line_of(text, at)),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
