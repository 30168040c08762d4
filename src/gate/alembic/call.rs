//! Runs the `alembic` program on a target, and reads how that ended.

use std::time::{Duration, Instant};

use super::sight::Sight;
use crate::alembic::answer::Trouble;
use crate::alembic::project::Program;
use crate::expectation::Finding;
use crate::gate::{Context, Source, Targets};
use crate::postgres::child_address::{ChildAddress, Told, encode};
use crate::postgres::conninfo::{Conninfo, Host};
use crate::postgres::environment::Environment;
use crate::system::process::{self, Ending, Invocation, Stream};
use crate::untrusted::{clean_bytes, clean_line};

/// How much of the standard output is read, in bytes; a longer plan cannot be judged.
const MOST: usize = 10 * 1024 * 1024;
/// How long a call that only looks may take when the gate does not say.
const LOOKING: Duration = Duration::from_secs(120);

/// Where Alembic is to work.
pub(super) struct Call<'a> {
    pub(super) arguments: &'a [&'a str],
    pub(super) target: &'a str,
    /// The targets of the run, or those of a private server.
    pub(super) targets: &'a Targets,
    /// It changes the database, so it may take as long as the gate may.
    pub(super) acts: bool,
    /// Its standard output is data, and no news.
    pub(super) quiet: bool,
}

/// What a call gave.
pub(super) struct Called {
    pub(super) out: String,
    pub(super) ending: Ending,
    /// What is wrong with how it ended.
    pub(super) trouble: Option<Trouble>,
    /// There was more than can be read.
    pub(super) too_much: bool,
}

/// The name of Alembic's sessions on the server.
pub(super) fn sessions_of(context: &Context) -> String {
    let id = &context.gate.id;
    context.targets.application_name(&format!("alembic {id}"))
}

impl Sight<'_> {
    /// The program, or what the gate says without it.
    pub(super) fn program(&self) -> Result<&Program, Finding> {
        self.project.program.as_ref().map_err(|reason| {
            Finding::errored("there is no Alembic for this project")
                .because(clean_line(reason))
                .because("nothing was run")
                .can(format!(
                    "make its virtual environment, or name the interpreter: python = \"…\" in \
                     [alembic.{}]; then retry this gate",
                    self.described.name
                ))
        })
    }

    /// Says which Alembic it is: as it is installed, or else as it says.
    pub(super) async fn version(&self) -> Option<String> {
        let program = self.project.program.as_ref().ok()?;
        if let Some(version) = program.installed() {
            return Some(format!("alembic {version}"));
        }
        let invocation = Invocation {
            program: program.python.clone(),
            arguments: vec![
                program.alembic.display().to_string(),
                "--version".to_owned(),
            ],
            environment: self.environment(&[]),
            folder: Some(self.project.folder.clone()),
            timeout: Some(LOOKING),
        };
        let ended = process::run(&invocation, &self.context.cancel, |_, _| {}).await;
        let said = clean_bytes(&ended.ok()?.stdout);
        let line = said.lines().find(|line| line.starts_with("alembic"))?;
        Some(clean_line(line))
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Why it could not be started; nothing has happened then.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Called, Finding> {
        let program = self.program()?;
        let context = self.context;
        let not_started = |reason: String| {
            Finding::errored("Alembic could not be started")
                .because(clean_line(&reason))
                .because("nothing was run")
                .can("mend what it says, then retry this gate")
        };
        let info = call.targets.conninfo(call.target);
        let info = info.map_err(|error| not_started(error.to_string()))?;
        let address = self.address(&info, call).map_err(not_started)?;
        let mut arguments = vec![
            program.alembic.display().to_string(),
            "-c".to_owned(),
            self.project.config.display().to_string(),
        ];
        arguments.extend(call.arguments.iter().map(|a| (*a).to_owned()));
        let invocation = Invocation {
            program: program.python.clone(),
            arguments,
            environment: self.environment(address.variables()),
            folder: Some(self.project.folder.clone()),
            timeout: context.gate.timeout.or((!call.acts).then_some(LOOKING)),
        };
        let started = Instant::now();
        context
            .feed
            .say(format!("alembic {}", call.arguments.join(" ")));
        let mut whole: Vec<u8> = Vec::new();
        let mut too_much = false;
        let on_line = |stream: Stream, line: &[u8]| {
            let source = match stream {
                Stream::Out if call.quiet => return,
                Stream::Out => Source::Out,
                Stream::Err => Source::Err,
            };
            context
                .feed
                .line(source, &address.masked(&String::from_utf8_lossy(line)));
        };
        let on_out = |chunk: &[u8]| {
            let room = MOST.saturating_sub(whole.len()).min(chunk.len());
            whole.extend_from_slice(&chunk[..room]);
            too_much |= room < chunk.len();
        };
        let ended = process::run_raw(&invocation, &context.cancel, on_line, on_out)
            .await
            .map_err(|error| not_started(error.to_string()))?;
        let out = address.masked(&String::from_utf8_lossy(&whole));
        if std::str::from_utf8(&whole).is_err() {
            let said = "its output is not UTF-8; what is not is shown as �";
            context.feed.say(said);
        }
        let words = ending_words(ended.ending, started.elapsed());
        let well = matches!(ended.ending, Ending::Exited(status) if status.success());
        let stderr = address.masked(&clean_bytes(&ended.stderr));
        let trouble = (!well).then(|| match ended.ending {
            Ending::Exited(_) => Trouble::read(&out, &stderr, &words),
            Ending::TimedOut | Ending::Canceled => Trouble::Said(words),
        });
        Ok(Called {
            out,
            ending: ended.ending,
            trouble,
            too_much,
        })
    }

    /// What Alembic is told of the target. A driver over libpq takes everything but the database
    /// from libpq's own variables, so that its URL holds nothing that a configuration file would
    /// have to quote.
    fn address(&self, info: &Conninfo, call: &Call<'_>) -> Result<ChildAddress, String> {
        let name = sessions_of(self.context);
        let options = match call.acts {
            true => format!(
                "-c lock_timeout={} -c statement_timeout={}",
                self.gate.lock_timeout.as_millis(),
                self.gate.statement_timeout.as_millis()
            ),
            false => "-c default_transaction_read_only=on".to_owned(),
        };
        let scheme = &self.described.url_scheme;
        let libpq = !scheme.contains('+') || scheme.contains("psycopg");
        let told = Told {
            url: (!libpq).then_some(self.described.url_env.as_str()),
            scheme,
            user: None,
            password: None,
            application_name: &name,
            options: &options,
        };
        let mut address = ChildAddress::make(info, &told, &self.context.folder)?;
        if libpq {
            let (user, database) = (encode(&info.user), encode(&info.database));
            let url = match &info.host {
                Host::Socket(_) => format!("{scheme}://{user}@/{database}"),
                Host::Tcp(host) if host.contains(':') => {
                    format!("{scheme}://{user}@[{host}]:{}/{database}", info.port)
                }
                Host::Tcp(host) => format!("{scheme}://{user}@{host}:{}/{database}", info.port),
            };
            address.add(&self.described.url_env, url);
        }
        Ok(address)
    }

    fn environment(&self, address: &[(String, String)]) -> Vec<(String, String)> {
        let always = ["PATH", "HOME"].into_iter();
        let named = self.described.env.iter().map(String::as_str);
        let passed = always.chain(named).filter_map(|name| {
            let value = self.context.targets.variable(name)?;
            Some((name.to_owned(), value.to_owned()))
        });
        let own = [
            // What it prints is read as it comes, and the working tree stays as it is.
            ("PYTHONUNBUFFERED", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONUTF8", "1"),
            ("NO_COLOR", "1"),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        // The target's own address wins over whatever the surroundings call by the same name.
        own.into_iter()
            .chain(passed)
            .chain(address.iter().cloned())
            .collect()
    }

    /// Asks Alembic where it connects and which revisions it finds there: every address that it
    /// names must be the target's, here or on a private server, and it must see what we see.
    /// Gives why nothing may be run, if so.
    ///
    /// # Errors
    /// Why it could not be asked.
    pub(super) async fn leads_elsewhere(
        &self,
        targets: &Targets,
        versions: &[String],
    ) -> Result<Option<String>, Finding> {
        let call = Call {
            arguments: &["current", "-v"],
            target: &self.gate.target,
            targets,
            acts: false,
            quiet: true,
        };
        let called = self.call(&call).await?;
        if let Some(trouble) = called.trouble {
            return Err(
                failed("Alembic cannot ask the database", &trouble).because("nothing was run")
            );
        }
        let info = targets.conninfo(&self.gate.target);
        let info = info.map_err(|error| Finding::errored(error.to_string()))?;
        Ok(whereabouts(&called.out, &info, versions))
    }
}

/// What is wrong with where Alembic says that it connects, and with what it finds there.
fn whereabouts(said: &str, info: &Conninfo, versions: &[String]) -> Option<String> {
    let places = said
        .lines()
        .filter_map(|line| line.strip_prefix("Current revision(s) for "));
    let places: Vec<&str> = places.map(|place| place.trim_end_matches(':')).collect();
    if places.is_empty() {
        return Some("it does not say where it connects".to_owned());
    }
    if let Some(reason) = places.iter().find_map(|place| elsewhere(place, info)) {
        return Some(reason);
    }
    if places.len() > 1 {
        return Some(format!(
            "its env.py works on {} databases at once",
            places.len()
        ));
    }
    let revisions = said.lines().filter_map(|line| line.strip_prefix("Rev: "));
    let mut found: Vec<&str> = revisions
        .filter_map(|words| words.split_whitespace().next())
        .collect();
    found.sort_unstable();
    let mut wanted: Vec<&str> = versions.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    let words = |ids: &[&str]| match ids {
        [] => "no revision".to_owned(),
        ids => ids.join(", "),
    };
    (found != wanted).then(|| {
        let (found, wanted) = (words(&found), words(&wanted));
        format!(
            "it finds {found} there, and the version table says {wanted}: it keeps its versions in \
             another table or schema, or somebody migrates at this moment"
        )
    })
}

/// Compares an address, as SQLAlchemy shows it, with the target's. What it does not say, libpq's
/// variables say.
fn elsewhere(said: &str, info: &Conninfo) -> Option<String> {
    let rest = said.split_once("://").map_or(said, |(_, rest)| rest);
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A driver has words of its own; where it leads is said by these.
    let leads = |part: &&str| {
        let key = part.split('=').next().unwrap_or_default();
        ["host", "hostaddr", "port", "dbname"].contains(&key)
    };
    let query: Vec<&str> = query.split('&').filter(leads).collect();
    let rest = format!("{place}?{}", query.join("&"));
    let variables = info.child_environment(None);
    let variables = variables.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let around = Environment::from_variables(variables);
    let found = match Conninfo::resolve(&format!("postgresql://{rest}"), &around) {
        Ok(found) => found,
        Err(error) => return Some(format!("its address cannot be read: {error}")),
    };
    let place = |info: &Conninfo| (info.host.clone(), info.port, info.database.clone());
    (place(&found) != place(info)).then(|| {
        let (found, wanted) = (found.describe(), info.describe());
        format!("it connects to {found}, and the target is {wanted}")
    })
}

pub(super) fn failed(summary: &str, trouble: &Trouble) -> Finding {
    Finding::failed(summary)
        .because(clean_line(&trouble.words()))
        .can(trouble.advice())
}

fn ending_words(ending: Ending, took: Duration) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match ending {
        Ending::TimedOut => format!("it took longer than {} s and was ended", took.as_secs()),
        Ending::Canceled => "it was canceled".to_owned(),
        Ending::Exited(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("ended with code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(source: &str) -> Conninfo {
        Conninfo::resolve(source, &Environment::default()).unwrap()
    }

    #[test]
    fn every_place_counts_and_so_does_what_is_found_there() {
        let info = to("postgresql://u@db.example:6000/app");
        let at = |said: &str, versions: &[&str]| {
            let versions: Vec<String> = versions.iter().map(|v| (*v).to_owned()).collect();
            whereabouts(said, &info, &versions)
        };
        let here = "Current revision(s) for postgresql://u@db.example:6000/app:\n";
        let one = format!("{here}Rev: aaaa (head)\nParent: <base>\n");
        assert_eq!(at(&one, &["aaaa"]), None);
        assert_eq!(at(here, &[]), None);
        assert!(at(&one, &["bbbb"]).unwrap().contains("aaaa"));
        assert!(at(here, &["aaaa"]).unwrap().contains("no revision"));
        assert!(at("", &[]).unwrap().contains("does not say"));
        let two = format!("{here}Current revision(s) for postgresql://u@db.example:6000/other:\n");
        assert!(at(&two, &[]).is_some());
        assert!(
            at(&format!("{here}{here}"), &[])
                .unwrap()
                .contains("2 databases")
        );
    }

    #[test]
    fn where_alembic_connects_is_compared_part_by_part() {
        let tcp = to("postgresql://u@db.example:6000/app");
        for same in [
            "postgresql+psycopg://u:***@db.example:6000/app",
            "postgresql://u@/app",
            "postgresql://",
            "postgresql+asyncpg://u@localhost:6000/app?host=db.example&x=y",
        ] {
            assert_eq!(elsewhere(same, &tcp), None, "{same}");
        }
        for other in [
            "postgresql://u@db.example:6000/other",
            "postgresql://u@db.example:5432/app",
            "postgresql://u@localhost/app",
        ] {
            assert!(elsewhere(other, &tcp).is_some(), "{other}");
        }
        let socket = to("postgresql://u@/app?host=/run/my%20pg&port=5433");
        assert_eq!(elsewhere("x://u@/app?host=%2Frun%2Fmy%20pg", &socket), None);
    }
}
