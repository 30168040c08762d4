//! `control`: shows the control schema of a database, and installs it after its name was given.

use clap::Args;

use super::{Exit, runtime, say};
use crate::postgres::PostgresError;
use crate::postgres::control::{self, Roles, VERSION};
use crate::postgres::identity;
use crate::postgres::session::{Session, SessionSettings};
use crate::untrusted::clean_line;

#[derive(Debug, Args)]
#[command(after_help = "\
The control schema lets other terminals follow a run (run --watch), hand statements in, and take the
conn. A runbook names its database: [control] with target = \"…\" or url = \"env:NAME\". A run never
installs it by itself. Two roles are granted the least: the holder's adds runs, records and documents;
the watcher's reads, and puts into the inbox. Neither can change or remove what is there.
URL is env:NAME, service:NAME or postgresql://…

  stagegate control env:CONTROL_URL                      which version is there?
  stagegate control env:CONTROL_URL --show-ddl           all that installing does, as SQL
  stagegate control env:CONTROL_URL --install --database ops")]
pub(super) struct ControlArguments {
    /// The database: env:NAME, service:NAME or postgresql://user@host:port/database
    pub(super) url: String,
    /// Show what installing does, and do nothing
    #[arg(long)]
    pub(super) show_ddl: bool,
    /// Install it
    #[arg(long, conflicts_with = "show_ddl")]
    pub(super) install: bool,
    /// The name of the database that is meant
    #[arg(long, value_name = "NAME")]
    pub(super) database: Option<String>,
    /// The role of those who hold a run; made where it is missing
    #[arg(long, value_name = "ROLE", default_value = "stagegate_control")]
    pub(super) holder: String,
    /// The role of those who watch; made where it is missing
    #[arg(long, value_name = "ROLE", default_value = "stagegate_watch")]
    pub(super) watcher: String,
}

/// What is in the way, what can be done, and how it ends.
type Trouble = (String, String, Exit);

pub(super) fn run(arguments: &ControlArguments) -> Exit {
    let roles = Roles {
        holder: arguments.holder.clone(),
        watcher: arguments.watcher.clone(),
    };
    if arguments.show_ddl {
        say::data(&control::ddl(&roles));
        return Exit::Well;
    }
    let answered = match runtime() {
        Ok(runtime) => runtime.block_on(answer(arguments, &roles)),
        Err(error) => Err((error.to_string(), "run it again".to_owned(), Exit::Error)),
    };
    match answered {
        Ok(text) => {
            say::data(&text);
            Exit::Well
        }
        Err((what, next, exit)) => {
            say::Trouble {
                what,
                untouched: "the database is as it was",
                next,
                evidence: "this message".to_owned(),
            }
            .say();
            exit
        }
    }
}

async fn answer(arguments: &ControlArguments, roles: &Roles) -> Result<String, Trouble> {
    let named = |error: String| (error, "name a database that is there".into(), Exit::Config);
    let info = super::address::resolve(&arguments.url).map_err(named)?;
    let settings = SessionSettings {
        application_name: "stagegate control".to_owned(),
        ..SessionSettings::default()
    };
    let mend = |error: PostgresError| {
        let next = "mend the address, the server or the privileges".to_owned();
        (clean_line(&error.to_string()), next, Exit::Error)
    };
    let session = Session::open(&info, &settings).await.map_err(mend)?;
    let identity = identity::read(&session).await.map_err(mend)?;
    let who = clean_line(&identity.describe());
    let there = control::version(&session).await.map_err(mend)?;
    match (there, arguments.install) {
        (Some(version), _) if version > VERSION => Err((
            format!(
                "{who}: its control schema has version {version}; this program knows {VERSION}"
            ),
            "use the newer stagegate".to_owned(),
            Exit::Error,
        )),
        (Some(version), _) => Ok(format!("{who}\ncontrol schema: version {version}\n")),
        (None, false) => Ok(format!(
            "{who}\ncontrol schema: none\n--show-ddl shows what --install --database {} would do\n",
            clean_line(&identity.database)
        )),
        (None, true) => {
            let right = arguments.database.as_deref() == Some(identity.database.as_str());
            if !right {
                let given = arguments.database.as_deref().unwrap_or("nothing");
                let given = format!("this is {who}; the name given is {}", clean_line(given));
                let name = clean_line(&identity.database);
                let next = format!("if that is the one: add --database {name}");
                return Err((given, next, Exit::Usage));
            }
            control::install(&session, roles).await.map_err(mend)?;
            let (holder, watcher) = (clean_line(&roles.holder), clean_line(&roles.watcher));
            Ok(format!(
                "{who}\ncontrol schema: version {VERSION}, installed\n\
                 holders:  GRANT {holder} TO …\nwatchers: GRANT {watcher} TO …\n"
            ))
        }
    }
}
