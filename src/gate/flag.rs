//! A flag of so many per cent: set to a value and read back, by SQL, by programs, or in a file.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Context, flag_file, measure};
use crate::expectation::{Number, Reading};
use crate::postgres::session::SessionSettings;
use crate::runbook::FlagWay;
use crate::system::process::{self, Ending, Invocation};
use crate::untrusted::{clean_bytes, clean_line};

/// How long reading or setting the flag may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a statement waits for a lock before it is given up.
const LOCK: Duration = Duration::from_secs(1);

/// One flag.
#[derive(Clone)]
pub(super) struct Flag {
    way: FlagWay,
    target: String,
    context: Context,
}

impl Flag {
    pub(super) fn new(way: &FlagWay, target: Option<&str>, context: &Context) -> Flag {
        Flag {
            way: way.clone(),
            target: target.unwrap_or_default().to_owned(),
            context: context.clone(),
        }
    }

    /// Reads the value that stands there now.
    ///
    /// # Errors
    /// Why it is not known.
    pub(super) async fn read(&self) -> Result<u8, String> {
        let reading = match &self.way {
            FlagWay::Sql { read, .. } => {
                let limits = (LIMIT, LOCK);
                measure::ask_once(&self.context, &self.target, read, limits).await
            }
            FlagWay::Argv { read, .. } => measure::run_once(&self.context, read, LIMIT).await,
            FlagWay::File { path, pattern } => {
                return flag_file::read(&self.context.path(path), pattern);
            }
        };
        match reading {
            Reading::Value(value) => percent(&value),
            Reading::NoData(why) => Err(format!("no value ({why})")),
            Reading::Error(why) => Err(why),
        }
    }

    /// Sets the value. Setting it twice does what setting it once does.
    ///
    /// # Errors
    /// What was said. Whether it was set all the same, only reading it back tells.
    pub(super) async fn set(&self, value: u8) -> Result<String, String> {
        match &self.way {
            FlagWay::Sql { set, .. } => self.execute(&filled(set, value)).await,
            FlagWay::Argv { set, .. } => self.run(set, value).await,
            FlagWay::File { path, pattern } => {
                flag_file::set(&self.context, path, pattern, value).await
            }
        }
    }

    /// Switches it off. What stands in the way of a commit does not stand in the way of this.
    pub(super) async fn switch_off(&self) -> Result<String, String> {
        let done = self.set(0).await;
        match &self.way {
            FlagWay::File { path, pattern } if done.is_err() => {
                let why = done.err().unwrap_or_default();
                flag_file::write_only(&self.context.path(path), pattern, 0)
                    .map(|()| format!("written, and not committed: {why}"))
            }
            _ => done,
        }
    }

    async fn execute(&self, sql: &str) -> Result<String, String> {
        let settings = SessionSettings {
            statement_timeout: LIMIT,
            lock_timeout: LOCK,
            ..SessionSettings::default()
        };
        let id = &self.context.gate.id;
        let work = async {
            let opened = self.context.targets.open(&self.target, id, settings).await;
            let (session, _) = opened.map_err(|error| clean_line(&error.to_string()))?;
            let done = session.client.batch_execute(sql).await;
            done.map_err(|error| {
                clean_line(&crate::postgres::PostgresError::from(error).to_string())
            })?;
            session.close().await;
            Ok(String::new())
        };
        match timeout(LIMIT * 2, work).await {
            Ok(done) => done,
            Err(_) => Err("the server did not answer in time".to_owned()),
        }
    }

    async fn run(&self, argv: &[String], value: u8) -> Result<String, String> {
        let argv: Vec<String> = argv
            .iter()
            .map(|part| self.context.fill(&filled(part, value)))
            .collect();
        let program = process::find_program(&argv[0], &self.context.base)
            .ok_or_else(|| format!("there is no program `{}`", argv[0]))?;
        let invocation = Invocation {
            program,
            arguments: argv[1..].to_vec(),
            environment: measure::path_only(&self.context),
            folder: Some(self.context.base.clone()),
            timeout: Some(LIMIT),
        };
        // What has begun is not stopped half way: its end says more than its interruption.
        let ended = process::run(&invocation, &CancellationToken::new(), |_, _| {})
            .await
            .map_err(|error| error.to_string())?;
        let said = clean_bytes(&ended.stderr);
        let said = said.lines().last().unwrap_or_default();
        match ended.ending {
            Ending::Exited(status) if status.success() => Ok(String::new()),
            Ending::Exited(status) => Err(format!("`{}` ended with {status}: {said}", argv[0])),
            _ => Err(format!("`{}` took longer than {LIMIT:?}", argv[0])),
        }
    }
}

fn filled(template: &str, value: u8) -> String {
    template.replace("{percent}", &value.to_string())
}

/// A whole number from 0 to 100.
pub(super) fn percent(value: &Number) -> Result<u8, String> {
    let text = value.to_string();
    match text.parse::<u8>() {
        Ok(percent) if percent <= 100 => Ok(percent),
        _ => Err(format!("{text} is no whole number from 0 to 100")),
    }
}
