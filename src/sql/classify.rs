//! Tells what a statement is, as far as running it depends on that.

use squawk_syntax::SourceFile;
use squawk_syntax::ast::Stmt;

/// What running a statement depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Runs inside a transaction like most.
    Transactional,
    /// Begins, ends or divides a transaction.
    TransactionControl,
    /// The server refuses it inside a transaction.
    NonTransactional,
    /// Reads data that follows in the file.
    CopyFromStdin,
    /// Writes its result to the client.
    CopyToStdout,
    /// Runs a program on the server's host, or reads or writes its files.
    Host,
}

/// Classifies one statement: by its words, and as a second opinion by the parser.
///
/// The parser is asked because words alone could be fooled by what they do not know; the words are
/// asked because a statement that does not parse must still be recognised.
pub fn classify(statement: &str, words: &[String]) -> Class {
    match by_words(words) {
        Class::Transactional if parser_sees_control(statement) => Class::TransactionControl,
        class => class,
    }
}

fn by_words(words: &[String]) -> Class {
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let has = |wanted: &str| words.iter().any(|w| w == wanted);
    match (word(0), word(1)) {
        ("BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE", _)
        | ("START" | "PREPARE", "TRANSACTION") => Class::TransactionControl,
        ("VACUUM", _)
        | ("ALTER", "SYSTEM")
        | ("CREATE" | "DROP", "DATABASE" | "TABLESPACE" | "SUBSCRIPTION")
        | ("REINDEX", "DATABASE" | "SYSTEM") => Class::NonTransactional,
        ("CREATE" | "DROP" | "REINDEX" | "ALTER", _) if has("CONCURRENTLY") => {
            Class::NonTransactional
        }
        ("COPY", _) if copies_from_stdin(words) => Class::CopyFromStdin,
        ("COPY", _) if words.windows(2).any(|w| w[0] == "TO" && w[1] == "STDOUT") => {
            Class::CopyToStdout
        }
        ("COPY", _) => Class::Host,
        _ => Class::Transactional,
    }
}

pub(super) fn copies_from_stdin(words: &[String]) -> bool {
    words.first().is_some_and(|w| w == "COPY")
        && words.windows(2).any(|w| w[0] == "FROM" && w[1] == "STDIN")
}

fn parser_sees_control(statement: &str) -> bool {
    SourceFile::parse(statement).tree().stmts().any(|stmt| {
        matches!(
            stmt,
            Stmt::Begin(_)
                | Stmt::Commit(_)
                | Stmt::Rollback(_)
                | Stmt::SavepointCreate(_)
                | Stmt::ReleaseSavepoint(_)
                | Stmt::PrepareTransaction(_)
        )
    })
}
