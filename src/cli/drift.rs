//! `drift` and `snapshot`: what a database is, and what it should be.

use tokio_util::sync::CancellationToken;

use super::arguments::{DriftArguments, DriftFormat, SnapshotArguments};
use super::{Exit, drift_formats, runtime, say};
use crate::gate::drift::{self, Compared, DriftOptions, LoadError, Surroundings};
use crate::postgres::scratch::ScratchError;
use crate::schema::{IgnoreRule, Source};
use crate::untrusted::{clean, clean_line};

pub(super) fn run(arguments: &DriftArguments) -> Exit {
    let (expected, actual, options) = match read(arguments) {
        Ok(read) => read,
        Err(what) => return usage(what),
    };
    let work = drift_of(&expected, &actual, &options);
    match block_on(work) {
        Ok(compared) => {
            say::data(&written(arguments, &compared));
            match compared.comparison.equal {
                true => Exit::Well,
                false => Exit::Differs,
            }
        }
        Err(exit) => exit,
    }
}

pub(super) fn snapshot(arguments: &SnapshotArguments) -> Exit {
    let source: Source = match arguments.source.parse() {
        Ok(source) => source,
        Err(error) => return usage(format!("{error}")),
    };
    let work = async {
        let surroundings = Surroundings::of_process();
        drift::read(&source, &surroundings, &CancellationToken::new()).await
    };
    let mut loaded = match block_on(work) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    loaded.snapshot.only_schemas(&arguments.schema);
    match loaded.snapshot.to_json() {
        Ok(text) => {
            say::data(&text);
            Exit::Well
        }
        Err(error) => {
            say::note(&format!("stagegate: {error}"));
            Exit::Error
        }
    }
}

async fn drift_of(
    expected: &Source,
    actual: &Source,
    options: &DriftOptions,
) -> Result<Compared, LoadError> {
    let cancel = CancellationToken::new();
    let surroundings = Surroundings::of_process();
    let work = drift::compared(expected, actual, options, &surroundings, &cancel);
    let mut work = std::pin::pin!(work);
    tokio::select! {
        compared = &mut work => return compared,
        _ = tokio::signal::ctrl_c() => cancel.cancel(),
    }
    // It ends in good order, so that no private server is left behind.
    work.await
}

fn block_on<T>(work: impl Future<Output = Result<T, LoadError>>) -> Result<T, Exit> {
    let runtime = runtime().map_err(|error| {
        say::note(&format!("stagegate: {error}"));
        Exit::Error
    })?;
    runtime.block_on(work).map_err(|error| trouble(&error))
}

fn read(arguments: &DriftArguments) -> Result<(Source, Source, DriftOptions), String> {
    let source = |text: &str| text.parse::<Source>().map_err(|error| error.to_string());
    let ignore: Result<Vec<IgnoreRule>, _> =
        arguments.ignore.iter().map(|text| text.parse()).collect();
    Ok((
        source(&arguments.expected)?,
        source(&arguments.actual)?,
        DriftOptions {
            schemas: arguments.schema.clone(),
            ignore: ignore.map_err(|error| error.to_string())?,
            allow: Vec::new(),
            without_checksums: arguments.format != DriftFormat::Json,
        },
    ))
}

fn usage(what: String) -> Exit {
    say::Trouble {
        what,
        untouched: "nothing was read",
        next: "see: stagegate drift --help".to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    Exit::Usage
}

fn trouble(error: &LoadError) -> Exit {
    let (next, exit) = match error {
        LoadError::Canceled => ("run it again", Exit::Interrupted),
        LoadError::Scratch(ScratchError::Refused { .. } | ScratchError::Load { .. }) => {
            ("mend the file at that place", Exit::Error)
        }
        LoadError::Scratch(_) => (
            "run it again; if it stays so, see: stagegate doctor",
            Exit::Error,
        ),
        LoadError::Git { .. } => (
            "name a revision and a path that `git show` finds in this repository",
            Exit::Error,
        ),
        error if error.is_locked() => (
            "wait until that session has ended its transaction, or end it, and run it again",
            Exit::Error,
        ),
        error if error.is_of_configuration() => ("name a source that can be read", Exit::Config),
        _ => (
            "mend the address, the server or the privileges",
            Exit::Error,
        ),
    };
    say::Trouble {
        what: clean(&error.to_string()).into_owned(),
        untouched: "no database was changed; a private server, if one ran, is gone",
        next: next.to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}

fn written(arguments: &DriftArguments, compared: &Compared) -> String {
    let comparison = &compared.comparison;
    let expected = clean_line(&arguments.expected);
    match arguments.format {
        DriftFormat::Text => drift_formats::text(comparison),
        DriftFormat::Json => drift_formats::json(compared),
        DriftFormat::Github => drift_formats::github(comparison, &expected),
        DriftFormat::Junit => drift_formats::junit(comparison),
        DriftFormat::Sarif => drift_formats::sarif(comparison, &expected),
    }
}
