//! `enrol`: a database says what it is for, so that it may be replaced, or never is.

use super::arguments::EnrolArguments;
use super::{Exit, runtime, say};
use crate::postgres::conninfo::Conninfo;
use crate::postgres::enrolment::{self, EnrolError, Mark, Purpose};
use crate::postgres::environment::Environment;
use crate::postgres::identity::{self, Identity};
use crate::postgres::session::{Session, SessionSettings};
use crate::untrusted::clean_line;

/// What is said when something is in the way.
struct Trouble {
    what: String,
    next: String,
    exit: Exit,
}

impl Trouble {
    fn new(what: &impl ToString, next: impl Into<String>, exit: Exit) -> Trouble {
        Trouble {
            what: what.to_string(),
            next: next.into(),
            exit,
        }
    }
}

pub(super) fn run(arguments: &EnrolArguments) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return said(&Trouble::new(&error, "run it again", Exit::Error)),
    };
    match runtime.block_on(enrol(arguments)) {
        Ok(text) => {
            say::data(&text);
            Exit::Well
        }
        Err(trouble) => said(&trouble),
    }
}

fn said(trouble: &Trouble) -> Exit {
    say::Trouble {
        what: trouble.what.clone(),
        untouched: "the database and its enrolment are as they were",
        next: trouble.next.clone(),
        evidence: "this message".to_owned(),
    }
    .say();
    trouble.exit
}

async fn enrol(arguments: &EnrolArguments) -> Result<String, Trouble> {
    let surroundings = Environment::of_process();
    let info = Conninfo::resolve(&arguments.url, &surroundings)
        .map_err(|error| Trouble::new(&error, "name a database that is there", Exit::Config))?;
    let settings = SessionSettings {
        application_name: "stagegate enrol".to_owned(),
        ..SessionSettings::default()
    };
    let mend = |error: crate::postgres::PostgresError| {
        Trouble::new(
            &clean_line(&error.to_string()),
            "mend the address, the server or the privileges",
            Exit::Error,
        )
    };
    let session = Session::open(&info, &settings).await.map_err(mend)?;
    let identity = identity::read(&session).await.map_err(mend)?;
    let mark = enrolment::read(&session).await.map_err(mend)?;
    let who = clean_line(&identity.describe());
    let Some(purpose) = arguments.purpose.map(super::arguments::EnrolAs::purpose) else {
        if !arguments.withdraw {
            return Ok(format!("{who}\n{}\n", described(mark.as_ref(), &identity)));
        }
        named(arguments, &identity)?;
        let withdrawn = enrolment::withdraw(&session).await.map_err(mend)?;
        let word = if withdrawn {
            "withdrawn"
        } else {
            "there was none"
        };
        return Ok(format!("{who}\nenrolment: {word}\n"));
    };
    named(arguments, &identity)?;
    let enrolled = enrolment::enrol(&session, &identity, purpose, arguments.same_cluster).await;
    enrolled.map_err(|error| match error {
        EnrolError::Postgres(error) => mend(error),
        EnrolError::Marked(_) => Trouble::new(
            &format!("{who}: {error}"),
            "find out who enrolled it; then --withdraw, and enrol it anew",
            Exit::Error,
        ),
        error => Trouble::new(&format!("{who}: {error}"), "do what it says", Exit::Error),
    })?;
    let mark = enrolment::read(&session).await.map_err(mend)?;
    Ok(format!("{who}\n{}\n", described(mark.as_ref(), &identity)))
}

/// The database is named by hand: what an address leads to is what is being asked.
fn named(arguments: &EnrolArguments, identity: &Identity) -> Result<(), Trouble> {
    if arguments.database.as_deref() == Some(identity.database.as_str()) {
        return Ok(());
    }
    let given = match &arguments.database {
        None => "its name was not given".to_owned(),
        Some(name) => format!("the name given is {}", clean_line(name)),
    };
    Err(Trouble::new(
        &format!("this is {}; {given}", clean_line(&identity.describe())),
        format!(
            "if that is the one: add --database {}",
            clean_line(&identity.database)
        ),
        Exit::Usage,
    ))
}

fn described(mark: Option<&Mark>, identity: &Identity) -> String {
    let Some(mark) = mark else {
        return "enrolment: none".to_owned();
    };
    let purpose = mark.purpose.map_or("unknown", Purpose::word);
    let made = format!("made by {} at {} UTC", mark.made_by, mark.made_at);
    let made = clean_line(&made);
    if !mark.is_for(identity) {
        return format!(
            "enrolment: {purpose}, of another database (system identifier {}, oid {}); {made}; it \
             counts for nothing here",
            clean_line(&mark.system_identifier),
            mark.database_oid
        );
    }
    let resettable = match (mark.resettable, mark.same_cluster) {
        (false, _) => "never replaced",
        (true, false) => "may be replaced by a copy from another server",
        (true, true) => "may be replaced by a copy, of this server too",
    };
    format!("enrolment: {purpose}, {resettable}; {made}")
}
