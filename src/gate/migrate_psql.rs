//! Files that `psql` runs: one transaction each, with the same row in the ledger.

use std::time::Instant;

use super::migrate::new_row;
use super::migrate_apply::{Stop, Work};
use super::migrate_plan::PlannedFile;
use super::migrate_session::jittered;
use super::{AppliedFile, FileState, Progress, Source, TargetError, Unit};
use crate::expectation::Finding;
use crate::postgres::ledger;
use crate::postgres::programs::Program;
use crate::postgres::psql::{self, PsqlEnd, PsqlError, PsqlFile};
use crate::postgres::settle;
use crate::promotion::EffectOutcome;
use crate::system::process::Stream;
use crate::untrusted::{clean_line, clip};

/// What cannot be as with the native engine, for the plan.
pub(super) const CANNOT: [&str; 3] = [
    "psql runs the files: COMMIT, \\connect, \\! and \\i are refused, the ledger is written in the \
     file's transaction, and the ledger says how it ended",
    "what psql cannot do: statements are not shown one by one, nor traced in a rehearsal, and the \
     queue behind them is not watched; lock_timeout, attempts and budget hold as always",
    "what \\gexec makes is not reviewed; should it end the transaction, the database refuses it",
];

impl Work<'_> {
    /// Runs a file, again where a lock or a deadlock was in the way.
    pub(super) async fn by_psql(
        &self,
        program: &Program,
        file: &PlannedFile,
        record: &mut AppliedFile,
        counted: (u64, u64),
    ) -> Result<(), Stop> {
        loop {
            record.attempts += 1;
            self.locks.unwatched(record.attempts);
            let started = Instant::now();
            let ended = self.let_psql_run(program, file, record, counted).await;
            let ended = match ended {
                Ok(ended) => ended,
                Err(reason) => {
                    return Err(Stop::Failed(
                        Finding::errored("psql could not be started")
                            .because(reason)
                            .because("nothing was run")
                            .can("mend what it says, then press r"),
                    ));
                }
            };
            match self.became(file, record).await {
                Ok(Some(true)) => {
                    self.committed(file, record, started.elapsed()).await;
                    return Ok(());
                }
                Ok(Some(false)) => {}
                Ok(None) => {
                    record.state = FileState::Unknown;
                    return Err(self
                        .lost(file, "psql's session still works on the server")
                        .await);
                }
                Err(error) => {
                    record.state = FileState::Unknown;
                    return Err(self.lost(file, &error.to_string()).await);
                }
            }
            let transient = matches!(&ended, PsqlEnd::Failed(PsqlError { sqlstate: Some(code), .. })
                if matches!(code.as_str(), "55P03" | "40P01" | "40001"));
            let pause = self.locks.pause(record.attempts).map(jittered);
            let Some(pause) = pause.filter(|_| transient) else {
                return Err(self.psql_failed(file, record, &ended).await);
            };
            self.locks
                .pausing(record.attempts, pause, &words(file, &ended));
            // The key of this attempt was taken to prove that it cannot commit any more.
            record.nonce = super::migrate::next_nonce(&record.nonce, record.attempts);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.context.cancel.cancelled() => {
                    return Err(self.psql_failed(file, record, &PsqlEnd::Canceled).await);
                }
            }
        }
    }

    async fn let_psql_run(
        &self,
        program: &Program,
        file: &PlannedFile,
        record: &AppliedFile,
        (done, total): (u64, u64),
    ) -> Result<PsqlEnd, String> {
        let context = self.context;
        context.feed.say(format!("{}: psql begins", file.name));
        context.feed.progress(Progress {
            label: file.name.clone(),
            done,
            total: Some(total),
            unit: Unit::Statements,
            detail: "psql runs it".to_owned(),
        });
        let info = context.targets.conninfo(&self.gate.target);
        let info = info.map_err(|error| error.to_string())?;
        let mut settings = self.settings.clone();
        settings.retain(|(name, _)| name != "application_name");
        settings.push(("default_transaction_read_only".to_owned(), "on".to_owned()));
        settings.extend(
            self.more
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        let to_run = PsqlFile {
            program,
            info: &info,
            text: &file.script.text,
            row: new_row(context, file, &record.nonce),
            role: self.gate.role.as_deref(),
            guards: &self.guards,
            settings: &settings,
            application_name: &self.psql_name(),
            folder: &context.folder,
            timeout: context.gate.timeout,
        };
        psql::run(&to_run, &context.cancel, |stream, line| {
            let source = match stream {
                Stream::Out => Source::Out,
                Stream::Err => Source::Err,
            };
            context.feed.line(source, line);
        })
        .await
    }

    /// psql's session has a name of its own, so that it is told from those that look on.
    pub(super) fn psql_name(&self) -> String {
        psql_name(self.context)
    }

    /// Asks the ledger what became of it, once psql's session is gone.
    async fn became(
        &self,
        file: &PlannedFile,
        record: &AppliedFile,
    ) -> Result<Option<bool>, TargetError> {
        let session = self.fresh().await?;
        let feed = &self.context.feed;
        let left =
            settle::wait_until_gone(&session, &self.psql_name(), |line| feed.say(line)).await?;
        if !left.is_empty() {
            return Ok(None);
        }
        let row = new_row(self.context, file, &record.nonce);
        Ok(Some(ledger::fence(&session, &row).await?))
    }

    async fn psql_failed(
        &self,
        file: &PlannedFile,
        record: &mut AppliedFile,
        ended: &PsqlEnd,
    ) -> Stop {
        let text = words(file, ended);
        record.state = FileState::RolledBack;
        record.failure = Some(text.clone());
        self.effect(file, EffectOutcome::RolledBack, 0, text.clone())
            .await;
        let error = match ended {
            PsqlEnd::Canceled => return Stop::Canceled,
            PsqlEnd::Failed(error) => Some(error),
            PsqlEnd::Well | PsqlEnd::TimedOut => None,
        };
        let mut finding = Finding::failed(text);
        for line in error.iter().flat_map(|error| &error.more) {
            finding = finding.because(clip(&clean_line(line), 400));
        }
        Stop::Failed(
            finding
                .because(format!(
                    "{} left nothing behind, says the ledger",
                    file.name
                ))
                .can("mend the data or the file, then press r: only what is pending runs"),
        )
    }
}

/// The name of psql's sessions on the server.
pub(super) fn psql_name(context: &super::Context) -> String {
    let id = &context.gate.id;
    context.targets.application_name(&format!("psql {id}"))
}

fn words(file: &PlannedFile, ended: &PsqlEnd) -> String {
    let name = &file.name;
    match ended {
        PsqlEnd::Well => format!("{name}: psql ended well, and the ledger has no row of it"),
        PsqlEnd::Canceled => format!("{name}: canceled"),
        PsqlEnd::TimedOut => format!("{name}: psql took longer than the gate's timeout"),
        PsqlEnd::Failed(error) => {
            let place = error.line.map_or(String::new(), |line| format!(":{line}"));
            let code = match error.sqlstate.as_deref() {
                None | Some("SG001") => String::new(),
                Some(code) => format!(" ({code})"),
            };
            format!("{name}{place}: {}{code}", clean_line(&error.message))
        }
    }
}
