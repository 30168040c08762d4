//! `restore`: shows what would be written and where, asks for the target's name, and writes.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::arguments::Format;
use super::backup_arguments::{ConflictPolicy, RestoreArguments};
use super::interruptible::{self, Ticker, bytes};
use super::{Exit, address, restore_archive, say, verify_backup};
use crate::postgres::conninfo::Conninfo;
use crate::postgres::json_restore::{
    self, JsonRestoreError, JsonRestoreRequest, JsonRestored, JsonSurvey,
};
use crate::postgres::json_target::Conflict;
use crate::postgres::{Identity, OperatorLockError};
use crate::untrusted::clean_line;

/// How other operators see this one.
pub(super) const NAME: &str = "by hand";

pub(super) fn run(arguments: &RestoreArguments) -> Exit {
    let info = match address::resolve(&arguments.target) {
        Ok(info) => info,
        Err(error) => {
            let next = "see: stagegate restore --help";
            return refused(&error, next, Exit::Config);
        }
    };
    let done = interruptible::run(|cancel| async move {
        match verify_backup::json_folder(&arguments.backup) {
            Some(folder) => json(arguments, folder, &info, &cancel).await,
            None => restore_archive::run(arguments, &info, &cancel).await,
        }
    });
    match done {
        Ok(Ok(text)) => {
            say::data(&text);
            Exit::Well
        }
        Ok(Err(exit)) | Err(exit) => exit,
    }
}

/// Says that nothing was written, and why.
pub(super) fn refused(what: &str, next: &str, exit: Exit) -> Exit {
    say::Trouble {
        what: format!("nothing was restored: {what}"),
        untouched: "the target is as it was",
        next: next.to_owned(),
        evidence: "this message".to_owned(),
    }
    .say();
    exit
}

/// Has the target's name typed, or takes it from `--confirm`. Nobody there to type is a no.
pub(super) fn confirmed(arguments: &RestoreArguments, identity: &Identity) -> Result<(), Exit> {
    let name = &identity.database;
    let typed = match &arguments.confirm {
        Some(given) => given.clone(),
        None if std::io::stdin().is_terminal() => {
            let shown = clean_line(name);
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "type `{shown}` to write into it: ");
            let _ = err.flush();
            let mut line = String::new();
            let _ = std::io::stdin().lock().read_line(&mut line);
            line.trim_end_matches(['\n', '\r']).to_owned()
        }
        None => {
            let what = "the name of the target was not confirmed, and nobody is there to ask";
            let next = format!(
                "look at the above; then add: --confirm {}",
                clean_line(name)
            );
            return Err(refused(what, &next, Exit::DestructiveRefused));
        }
    };
    if typed == *name {
        return Ok(());
    }
    let what = format!(
        "`{}` is not the name of the target, which is `{}`",
        clean_line(&typed),
        clean_line(name)
    );
    let next = "make sure which database is meant";
    Err(refused(&what, next, Exit::DestructiveRefused))
}

async fn json(
    arguments: &RestoreArguments,
    folder: &Path,
    info: &Conninfo,
    cancel: &CancellationToken,
) -> Result<String, Exit> {
    let request = JsonRestoreRequest {
        info,
        folder,
        conflict: match arguments.conflict {
            ConflictPolicy::Refuse => Conflict::Refuse,
            ConflictPolicy::Replace => Conflict::Replace,
            ConflictPolicy::Keep => Conflict::Keep,
        },
        name: NAME,
    };
    let survey = json_restore::survey(&request)
        .await
        .map_err(|error| trouble(&error))?;
    show(&survey, request.conflict);
    if !survey.looked.refusals.is_empty() {
        return Err(trouble(&JsonRestoreError::Refused(survey.looked.refusals)));
    }
    confirmed(arguments, &survey.identity)?;
    let ticker = Ticker::new();
    let restored = json_restore::restore(&request, &survey.identity, cancel, |what| {
        ticker.tell(what);
    })
    .await;
    drop(ticker);
    match restored {
        Ok(restored) => Ok(report(arguments.format, &survey, &restored)),
        Err(error) => Err(trouble(&error)),
    }
}

fn show(survey: &JsonSurvey, conflict: Conflict) {
    let manifest = &survey.manifest;
    let identity = &survey.identity;
    let mut text = format!(
        "backup   {} of {}\nholds    {} tables, {} rows, {} sequences, {}\ninto     {}, \
         PostgreSQL {}",
        clean_line(&manifest.taken_at),
        clean_line(&manifest.server),
        manifest.tables.len(),
        manifest.rows(),
        manifest.sequences.len(),
        bytes(manifest.bytes()),
        clean_line(&identity.describe()),
        clean_line(&identity.server_version),
    );
    if let Some(purpose) = survey.purpose {
        text.push_str(&format!(
            "\nmarked   {}, by its own enrolment",
            purpose.word().to_uppercase()
        ));
    }
    let holding = survey.looked.holding_names();
    let what = match conflict {
        Conflict::Refuse => "that refuses it",
        Conflict::Replace => "LOST: every row of them is removed first",
        Conflict::Keep => "kept; rows with other keys are added",
    };
    if !holding.is_empty() {
        text.push_str(&format!(
            "\nrows in  {}: {what}",
            clean_line(&some(&holding, 12))
        ));
    }
    if conflict == Conflict::Replace {
        text.push_str("\nfirst    back the target up, if a row of it matters");
    }
    let circles: Vec<&Vec<u32>> = survey
        .looked
        .order
        .iter()
        .filter(|group| group.tables.len() > 1)
        .map(|group| &group.tables)
        .collect();
    if !circles.is_empty() {
        text.push_str(&format!(
            "\norder    from the foreign keys; {} circles, whose keys are checked when all their \
             rows are there",
            circles.len()
        ));
    }
    text.push_str("\nthen     every key checked, rows compared with the backup, one COMMIT");
    say::note(&text);
}

fn some(names: &[&str], most: usize) -> String {
    let shown = names[..names.len().min(most)].join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn report(format: Format, survey: &JsonSurvey, restored: &JsonRestored) -> String {
    if format == Format::Json {
        let report = json!({
            "format": 1, "target": survey.identity, "tables": restored.tables,
            "sequences": restored.sequences,
        });
        return format!("{report}\n");
    }
    let mut text = String::new();
    for table in &restored.tables {
        let kept = match table.compared {
            true => "equal to the backup".to_owned(),
            false => format!("{} were there and were kept", table.kept),
        };
        let name = clean_line(&table.table);
        text.push_str(&format!("{:>12} rows  {name}: {kept}\n", table.written));
    }
    text.push_str(&format!(
        "restored into {}: {} tables, {} sequences, committed\n",
        clean_line(&survey.identity.describe()),
        restored.tables.len(),
        restored.sequences
    ));
    text
}

fn trouble(error: &JsonRestoreError) -> Exit {
    let (next, exit) = match error {
        JsonRestoreError::Unknown { .. } => {
            say::Trouble {
                what: clean_line(&error.to_string()),
                untouched: "nothing beside this one transaction",
                next: "ask the server as above, and look at the tables, before you run it again"
                    .to_owned(),
                evidence: "this message".to_owned(),
            }
            .say();
            return Exit::Unknown;
        }
        JsonRestoreError::Canceled => ("run it again", Exit::Interrupted),
        JsonRestoreError::Held(OperatorLockError::Held(_)) => {
            ("wait for that operator, and run it again", Exit::Held)
        }
        JsonRestoreError::Refused(reasons) => (
            match reasons.iter().all(|r| r.contains("has rows already")) {
                true => {
                    "empty those tables, or say what becomes of their rows: --conflict replace or keep"
                }
                false => "mend the target's schema, or restore into another database",
            },
            Exit::DestructiveRefused,
        ),
        JsonRestoreError::Backup(_) => ("use another backup", Exit::Error),
        JsonRestoreError::Differs(_) => (
            "look for rules, collations or types that change values there",
            Exit::Error,
        ),
        JsonRestoreError::Moved(_) => ("make sure which database is meant", Exit::Error),
        error => (advice(error), Exit::Error),
    };
    let what = match error {
        JsonRestoreError::Refused(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(|r| clean_line(r)).collect();
            format!("the target cannot take it\n    {}", reasons.join("\n    "))
        }
        JsonRestoreError::Backup(error) => clean_line(&error.to_string()),
        error => where_too(error),
    };
    refused(&what, next, exit)
}

/// What helps against what the server said.
fn advice(error: &JsonRestoreError) -> &'static str {
    let sqlstate = error.database_error().map(|error| error.sqlstate.as_str());
    match sqlstate {
        Some("23503") => "restore the tables that those rows refer to as well",
        Some("42501") => "connect as the owner of the tables, or as a superuser",
        Some("55P03") => "wait until nobody uses those tables, or end those sessions",
        Some("23505" | "23514" | "23502") => {
            "a constraint of the target refuses a row of the backup; compare the schemas"
        }
        _ => "mend what it says, and run it again",
    }
}

/// What the server said, with the place in the file that it complains of.
fn where_too(error: &JsonRestoreError) -> String {
    match error.database_error().and_then(|e| e.where_.as_ref()) {
        Some(place) => format!("{error}; {}", clean_line(place)),
        None => error.to_string(),
    }
}
