//! Takes measurements: each metric on a session of its own, so that one that hangs stops no other.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::flag::Flag;
use crate::expectation::{ArithmeticError, Condition, MetricRule, Number, Reading};
use crate::postgres::ask::{self, Question};
use crate::postgres::session::{Session, SessionSettings};
use crate::runbook::{Metric, MetricSource, placeholders};
use crate::sql::Script;
use crate::system::clock;
use crate::system::process::{self, Ending, Invocation};
use crate::untrusted::{clean, clean_bytes, clean_line};

/// The longest that one measurement may take.
const LONGEST: Duration = Duration::from_secs(10);
/// The shortest time that one measurement is given.
const SHORTEST: Duration = Duration::from_secs(1);
/// How many characters of an answer are kept.
const KEPT: usize = 100;
/// How many looks may wait to be taken.
const QUEUE: usize = 4;

/// One look at everything.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    /// When it began.
    pub(super) begun: Duration,
    /// When everything was answered.
    pub(super) at: Duration,
    pub(super) readings: Vec<Reading>,
    /// What the flag was read as, where there is one.
    pub(super) flag: Option<Result<u8, String>>,
}

/// Looks until it is dropped.
pub(super) struct Looking {
    pub(super) looks: mpsc::Receiver<Look>,
    task: JoinHandle<()>,
}

impl Drop for Looking {
    fn drop(&mut self) {
        // Its sessions end with it, whatever they are waiting for.
        self.task.abort();
    }
}

/// Begins to look at metrics, and at a flag, every so often.
pub(super) fn begin(
    context: &Context,
    target: Option<&str>,
    metrics: &[Metric],
    every: Duration,
    flag: Option<Flag>,
) -> Looking {
    let (sender, looks) = mpsc::channel(QUEUE);
    let limit = every.clamp(SHORTEST, LONGEST);
    let probe = |metric: &Metric| Probe {
        context: context.clone(),
        target: target.unwrap_or_default().to_owned(),
        source: metric.source.clone(),
        session: None,
    };
    let mut probes: Vec<Probe> = metrics.iter().map(probe).collect();
    let task = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let begun = clock::since_start();
            let measured = join_all(probes.iter_mut().map(|probe| probe.measure(limit)));
            let read = async {
                match &flag {
                    None => None,
                    Some(flag) => Some(match timeout(limit, flag.read()).await {
                        Ok(read) => read,
                        Err(_) => Err("the flag did not answer in time".to_owned()),
                    }),
                }
            };
            let (readings, flag) = tokio::join!(measured, read);
            let at = clock::since_start();
            let look = Look {
                begun,
                at,
                readings,
                flag,
            };
            if sender.send(look).await.is_err() {
                return;
            }
        }
    });
    Looking { looks, task }
}

struct Probe {
    context: Context,
    target: String,
    source: MetricSource,
    session: Option<Session>,
}

impl Probe {
    async fn measure(&mut self, limit: Duration) -> Reading {
        let measured = match &self.source {
            MetricSource::Argv(argv) => {
                let (context, argv) = (self.context.clone(), argv.clone());
                return run_once(&context, &argv, limit).await;
            }
            MetricSource::Sql(sql) => {
                let sql = sql.clone();
                timeout(limit, self.ask(&sql, limit)).await
            }
        };
        measured.unwrap_or_else(|_| {
            // A session that hangs is of no more use.
            self.session = None;
            Reading::Error(format!("no answer within {} s", limit.as_secs()))
        })
    }

    async fn ask(&mut self, sql: &str, limit: Duration) -> Reading {
        if self.session.as_ref().is_none_or(Session::is_closed) {
            match open(&self.context, &self.target, (limit, limit)).await {
                Ok(session) => self.session = Some(session),
                Err(why) => return Reading::Error(why),
            }
        }
        let Some(session) = &self.session else {
            return Reading::Error("there is no session".to_owned());
        };
        match one_value(session, sql).await {
            Ok(reading) => reading,
            Err(why) => {
                self.session = None;
                Reading::Error(why)
            }
        }
    }
}

async fn open(
    context: &Context,
    target: &str,
    (statement, lock): (Duration, Duration),
) -> Result<Session, String> {
    let settings = SessionSettings {
        statement_timeout: statement,
        lock_timeout: lock,
        read_only: true,
        ..SessionSettings::default()
    };
    let opened = context
        .targets
        .open(target, &context.gate.id, settings)
        .await;
    match opened {
        Ok((session, _)) => Ok(session),
        Err(error) => Err(clean_line(&error.to_string())),
    }
}

/// Asks for the first column of the first row. An error of the statement is an answer.
async fn one_value(session: &Session, sql: &str) -> Result<Reading, String> {
    let question = Question {
        sql,
        role: None,
        read_only: true,
        keep_rows: 1,
        keep_chars: KEPT,
    };
    let asked = ask::ask(session, &question)
        .await
        .map_err(|error| clean_line(&error.to_string()))?;
    Ok(match asked.answer {
        Err(error) => Reading::Error(clean_line(&format!(
            "{} ({})",
            error.message, error.sqlstate
        ))),
        Ok(rows) => match rows.rows.first().and_then(|row| row.first()) {
            None => Reading::NoData("no row".to_owned()),
            Some(None) => Reading::NoData("NULL".to_owned()),
            Some(Some(text)) => of_text(text),
        },
    })
}

/// Asks a target once, on a session of its own.
pub(super) async fn ask_once(
    context: &Context,
    target: &str,
    sql: &str,
    limits: (Duration, Duration),
) -> Reading {
    let work = async {
        let session = open(context, target, limits).await?;
        let reading = one_value(&session, sql).await?;
        session.close().await;
        Ok::<_, String>(reading)
    };
    match timeout(limits.0 * 2, work).await {
        Ok(Ok(reading)) => reading,
        Ok(Err(why)) => Reading::Error(why),
        Err(_) => Reading::Error("the server did not answer in time".to_owned()),
    }
}

/// Runs a program that only looks; the last line of its output is the number.
pub(super) async fn run_once(context: &Context, argv: &[String], limit: Duration) -> Reading {
    let argv: Vec<String> = argv.iter().map(|part| context.fill(part)).collect();
    let Some(program) = process::find_program(&argv[0], &context.base) else {
        return Reading::Error(format!("there is no program `{}`", argv[0]));
    };
    let invocation = Invocation {
        program,
        arguments: argv[1..].to_vec(),
        environment: path_only(context),
        folder: Some(context.base.clone()),
        timeout: Some(limit),
    };
    let ended = match process::run(&invocation, &CancellationToken::new(), |_, _| {}).await {
        Ok(ended) => ended,
        Err(error) => return Reading::Error(clean_line(&error.to_string())),
    };
    match ended.ending {
        Ending::Exited(status) if status.success() => {}
        Ending::Exited(status) => {
            let said = clean_bytes(&ended.stderr);
            let said = said.lines().last().unwrap_or_default();
            return Reading::Error(format!("`{}` ended with {status}: {said}", argv[0]));
        }
        _ => return Reading::Error(format!("`{}` took longer than {limit:?}", argv[0])),
    }
    let out = clean_bytes(&ended.stdout);
    match out.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        None => Reading::NoData("no output".to_owned()),
        Some(line) => of_text(line),
    }
}

/// A program that was found in PATH can expect to find its own helpers there.
pub(super) fn path_only(context: &Context) -> Vec<(String, String)> {
    let path = context.targets.variable("PATH");
    path.map(|path| ("PATH".to_owned(), path.to_owned()))
        .into_iter()
        .collect()
}

fn of_text(text: &str) -> Reading {
    match text.parse::<Number>() {
        Ok(number) => Reading::Value(number),
        Err(_) if text.trim().eq_ignore_ascii_case("nan") => Reading::NoData("NaN".to_owned()),
        Err(_) => Reading::Error(format!("`{}` is not a number", clean(text))),
    }
}

/// The rules with their limits computed, each with the number before the change where its limit
/// is computed from one.
///
/// # Errors
/// Why a limit has no value.
pub(super) fn rules(
    metrics: &[Metric],
    values: &BTreeMap<String, String>,
) -> Result<Vec<(MetricRule, Option<Number>)>, String> {
    for metric in metrics {
        if let MetricSource::Sql(sql) = &metric.source {
            one_statement(sql).map_err(|why| format!("`{}`: {why}", metric.name))?;
        }
    }
    metrics.iter().map(|metric| rule(metric, values)).collect()
}

/// A second statement could end the transaction that keeps a look from changing anything.
///
/// # Errors
/// What else it is.
pub(super) fn one_statement(sql: &str) -> Result<(), String> {
    let script = Script::read(sql);
    if let Some(problem) = script.problems.first() {
        return Err(format!("line {}: {}", problem.line, problem.message));
    }
    match script.statements.len() {
        1 => Ok(()),
        n => Err(format!("a look is one statement; this is {n}")),
    }
}

fn rule(
    metric: &Metric,
    values: &BTreeMap<String, String>,
) -> Result<(MetricRule, Option<Number>), String> {
    let band = |condition: &Option<Condition>| {
        let band = condition.as_ref().map(|condition| condition.band(values));
        band.transpose().map_err(|error: ArithmeticError| {
            format!("a limit of `{}` cannot be computed: {error}", metric.name)
        })
    };
    let written = [&metric.success, &metric.failure];
    let baseline = written
        .into_iter()
        .flatten()
        .flat_map(|condition| placeholders(&condition.written))
        .find_map(|name| values.get(&name)?.parse::<Number>().ok());
    let rule = MetricRule {
        name: metric.name.clone(),
        unit: metric.unit.clone(),
        success: band(&metric.success)?,
        failure: band(&metric.failure)?,
        min_samples: metric.min_samples,
        failures_allowed: metric.failures_allowed,
        errors_allowed: metric.errors_allowed,
        inconclusive_allowed: metric.inconclusive_allowed,
    };
    Ok((rule, baseline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_value() {
        assert_eq!(of_text("NaN"), Reading::NoData("NaN".into()));
        assert!(matches!(of_text(" 12.5 "), Reading::Value(_)));
        assert!(matches!(of_text("12 ms"), Reading::Error(_)));
        assert!(matches!(of_text("Infinity"), Reading::Error(_)));
    }
}
