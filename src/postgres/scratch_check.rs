//! What a file may not hold that is loaded into a scratch server.

use super::scratch::ScratchError;
use super::scratch_manner::{Manner, manner};
use crate::sql::{Class, Script};

/// Refuses what psql alone understands, what never ends, and what reaches beyond the server. Tells
/// of every statement how it runs.
pub(super) fn check(file: &str, script: &Script) -> Result<Vec<Manner>, ScratchError> {
    let refuse = |line: usize, message: &str, help: &str| {
        Err(ScratchError::Refused {
            file: file.to_owned(),
            line,
            message: message.to_owned(),
            help: help.to_owned(),
        })
    };
    for problem in &script.problems {
        // Statements that only cannot run in a transaction are looked at below.
        let of_statement = script.statements.iter().any(|statement| {
            statement.line == problem.line && statement.class != Class::Transactional
        });
        if !of_statement || problem.message.contains("command of psql") {
            return refuse(problem.line, &problem.message, &problem.help);
        }
    }
    let mut manners = Vec::with_capacity(script.statements.len());
    for (index, statement) in script.statements.iter().enumerate() {
        let text = script.statement(index);
        match statement.class {
            Class::Transactional => match manner(text) {
                Ok(manner) => manners.push(manner),
                Err(beyond) => {
                    return refuse(statement.line + beyond.line, &beyond.message, &beyond.help);
                }
            },
            _ => manners.push(Manner::Plain),
        }
        let (message, help) = match statement.class {
            Class::Host => (
                "COPY with a file or a program works on the server's own host",
                "a schema needs no data: take it out",
            ),
            Class::TransactionControl if !is_outer(text) => (
                "it would undo a part of the file",
                "take it out: a schema file says what there is",
            ),
            Class::NonTransactional if leaves(text) => (
                "it works on the whole server, not on a schema",
                "take it out, or dump without --create",
            ),
            _ => continue,
        };
        return refuse(statement.line, message, help);
    }
    Ok(manners)
}

/// The first words of a statement, in capitals.
pub(super) fn words(statement: &str) -> Vec<String> {
    statement
        .split_whitespace()
        .take(3)
        .map(|word| word.trim_end_matches(';').to_ascii_uppercase())
        .collect()
}

/// Begins or ends a transaction around others; that is left out.
fn is_outer(statement: &str) -> bool {
    let words = words(statement);
    matches!(
        words.first().map(String::as_str),
        Some("BEGIN" | "START" | "COMMIT" | "END")
    )
}

fn leaves(statement: &str) -> bool {
    let words = words(statement);
    let second = words.get(1).map_or("", String::as_str);
    match second {
        "DATABASE" | "TABLESPACE" => words.first().is_some_and(|word| word != "REINDEX"),
        "SYSTEM" => true,
        // It would connect to the publisher unless it says otherwise, as a dump does.
        "SUBSCRIPTION" => !statement.contains("connect = false"),
        _ => false,
    }
}
