//! A SQL file as statements that can be run one by one, or the reasons why it cannot.

use std::ops::Range;

use super::alone::{Alone, NotAlone};
use super::classify::{Class, classify};
use super::psql;
use super::split::{Piece, pieces};

/// Data that follows a `COPY … FROM stdin`.
pub type CopyData = Range<usize>;

/// One statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Bytes of the file's normalised text, without the semicolon.
    pub span: Range<usize>,
    /// The line it begins on, from 1.
    pub line: usize,
    pub class: Class,
    /// For [`Class::CopyFromStdin`], where its data stand.
    pub data: Option<CopyData>,
}

/// A reason why a file cannot be run, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptProblem {
    pub line: usize,
    pub message: String,
    pub help: String,
}

/// Who is going to run a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// We do, statement by statement.
    Sql,
    /// The client program `psql`, with those of its commands that stay in its session.
    Psql,
}

/// A file that was read, normalised and split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The normalised text; the very bytes that run.
    pub text: String,
    pub statements: Vec<Statement>,
    /// Empty when the file can be run.
    pub problems: Vec<ScriptProblem>,
    /// Settings that it makes and that no migration may: whoever only loads a file, as a dump of
    /// its own into a server of its own, has no harm from them.
    pub unsafe_settings: Vec<ScriptProblem>,
    pub dialect: Dialect,
    /// Its statement that no transaction can hold, with its line and first words.
    alone: Option<(usize, String, Alone)>,
}

impl Script {
    /// Reads a file's text.
    pub fn read(text: &str) -> Script {
        Script::read_as(text, Dialect::Sql)
    }

    /// A file that nobody runs: without its text.
    pub fn unread(dialect: Dialect) -> Script {
        Script {
            text: String::new(),
            statements: Vec::new(),
            problems: Vec::new(),
            unsafe_settings: Vec::new(),
            dialect,
            alone: None,
        }
    }

    /// Reads a file's text for whoever runs it.
    pub fn read_as(text: &str, dialect: Dialect) -> Script {
        let text = super::normalise(text).into_owned();
        let lines = LineStarts::new(&text);
        let mut script = Script {
            statements: Vec::new(),
            problems: Vec::new(),
            text: String::new(),
            unsafe_settings: Vec::new(),
            alone: None,
            dialect,
        };
        if let Some(at) = text.find('\0') {
            script.refuse(
                lines.line(at),
                "holds a NUL byte",
                "PostgreSQL text cannot hold it",
            );
        }
        let mut branches = 0;
        for piece in pieces(&text) {
            if dialect == Dialect::Psql {
                script.read_with_psql(&text, &piece, &mut branches, &lines);
            }
            match piece {
                Piece::Statement { span, words } => {
                    script.push_statement(&text, span, &words, &lines);
                }
                Piece::CopyData { span } => {
                    if let Some(last) = script.statements.last_mut() {
                        last.data = Some(span);
                    }
                }
                Piece::Meta { span } => {
                    script.push_meta(&text[span.clone()], lines.line(span.start));
                }
                Piece::Unterminated { at, what } => {
                    let message = format!("a {what} that begins here never ends");
                    script.refuse(lines.line(at), &message, "close it");
                }
            }
        }
        script.text = text;
        if let Some((line, named, _)) = &script.alone
            && script.statements.len() > 1
        {
            let (line, message) = (*line, format!("`{named}` cannot run inside a transaction"));
            script.refuse(
                line,
                &message,
                "put it into a file of its own, and nothing else there",
            );
        }
        script
    }

    /// The statement of a file that no transaction can hold. It is the only one of its file.
    pub fn alone(&self) -> Option<&Alone> {
        self.alone.as_ref().map(|(_, _, alone)| alone)
    }

    /// The text of a statement.
    pub fn statement(&self, index: usize) -> &str {
        self.statements
            .get(index)
            .map_or("", |s| &self.text[s.span.clone()])
    }

    /// The COPY data of a statement.
    pub fn copy_data(&self, index: usize) -> Option<&str> {
        let span = self.statements.get(index)?.data.clone()?;
        Some(&self.text[span])
    }

    fn push_statement(
        &mut self,
        text: &str,
        span: Range<usize>,
        words: &[String],
        lines: &LineStarts,
    ) {
        let line = lines.line(span.start);
        let statement = &text[span.clone()];
        let class = classify(statement, words);
        if let Some(setting) = guarded(statement, words) {
            let message = format!("`{setting}` keeps others safe from the file, and it changes it");
            let help = "take it out; the gate's own keys set its limits";
            self.unsafe_settings.push(ScriptProblem {
                line,
                message,
                help: help.to_owned(),
            });
        }
        let first: Vec<&str> = words.iter().map(String::as_str).take(2).collect();
        let named = first.join(" ").trim().to_owned();
        match class {
            Class::Transactional | Class::CopyFromStdin => {}
            Class::TransactionControl => self.refuse(
                line,
                &format!("`{named}` would begin or end a transaction inside the file"),
                "take it out: every file runs in one transaction of its own, which stagegate ends",
            ),
            Class::NonTransactional if self.dialect == Dialect::Psql => self.refuse(
                line,
                &format!(
                    "`{named}` cannot run inside a transaction, and psql runs the file in one"
                ),
                "put it into a file of its own that a gate with engine = \"native\" runs",
            ),
            Class::NonTransactional => match Alone::read(statement) {
                Ok(alone) => self.alone = Some((line, named, alone)),
                Err(NotAlone::Unnamed) => self.refuse(
                    line,
                    &format!(
                        "`{named}` names no index, and an interrupted one is found by its name"
                    ),
                    "give the index a name",
                ),
                Err(NotAlone::Foreign) => self.refuse(
                    line,
                    &format!("`{named}` cannot run inside a transaction, nor in a migration"),
                    "run it outside of this gate",
                ),
            },
            Class::CopyToStdout if self.dialect == Dialect::Psql => {}
            Class::CopyToStdout => self.refuse(
                line,
                "COPY … TO stdout has nobody to write to here",
                "use a query gate to look at data",
            ),
            Class::Host => self.refuse(
                line,
                "COPY with a file or a program works on the database server's own host",
                "use COPY … FROM stdin with the data in the file",
            ),
        }
        self.statements.push(Statement {
            span,
            line,
            class,
            data: None,
        });
    }

    /// What psql could read otherwise than it was cut here is refused.
    fn read_with_psql(
        &mut self,
        text: &str,
        piece: &Piece,
        branches: &mut usize,
        lines: &LineStarts,
    ) {
        match piece {
            Piece::Statement { span, .. } => {
                if let Err((at, reason)) = psql::is_inert(&text[span.clone()], span.start) {
                    let help = "take it out, or let a gate with engine = \"native\" run the file";
                    self.refuse(lines.line(at), &reason, help);
                }
            }
            Piece::CopyData { span } if *branches > 0 => self.refuse(
                lines.line(span.start),
                "the data of a COPY inside of `\\if` are commands where psql passes over it",
                "put the COPY outside of the branch",
            ),
            Piece::Meta { span } => {
                let word = text[span.clone()].split_whitespace().next();
                match word {
                    Some("\\if") => *branches += 1,
                    Some("\\endif") => *branches = branches.saturating_sub(1),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn push_meta(&mut self, command: &str, line: usize) {
        let word = command.split_whitespace().next().unwrap_or_default();
        // What newer pg_dump writes around a dump; it says nothing to the server.
        if matches!(word, "\\restrict" | "\\unrestrict") {
            return;
        }
        if self.dialect == Dialect::Psql {
            if let Err(reason) = psql::may_run(command) {
                let help = "take it out; psql is only let do what stays in its session";
                self.refuse(line, &reason, help);
            }
            return;
        }
        let message = format!("`{word}` is a command of psql, not SQL");
        let help = "take it out, write what it does as SQL, or say engine = \"psql\"";
        self.refuse(line, &message, help);
    }

    fn refuse(&mut self, line: usize, message: &str, help: &str) {
        self.problems.push(ScriptProblem {
            line,
            message: message.to_owned(),
            help: help.to_owned(),
        });
    }
}

/// What no file may set, not even for its own transaction: by these others are kept safe from it,
/// or its transaction is kept apart from everything else.
const GUARDED: [&str; 8] = [
    "LOCK_TIMEOUT",
    "IDLE_IN_TRANSACTION_SESSION_TIMEOUT",
    "CLIENT_CONNECTION_CHECK_INTERVAL",
    "STANDARD_CONFORMING_STRINGS",
    "SYNCHRONOUS_COMMIT",
    "DEFAULT_TRANSACTION_READ_ONLY",
    "TRANSACTION_READ_ONLY",
    "APPLICATION_NAME",
];

/// The guarded setting that a statement sets, in the words of its file.
fn guarded(statement: &str, words: &[String]) -> Option<String> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    if !matches!(word(0), "SET" | "RESET") {
        return None;
    }
    let at = 1 + usize::from(matches!(word(1), "LOCAL" | "SESSION") && word(0) == "SET");
    let name = word(at);
    let whole = (word(0) == "RESET" && name == "ALL")
        || matches!(name, "CHARACTERISTICS" | "TRANSACTION")
        || (word(1) == "SESSION" && word(2) == "CHARACTERISTICS");
    // As every pg_dump writes it, and as it is anyway.
    let text = statement.to_ascii_lowercase();
    let same = name == "STANDARD_CONFORMING_STRINGS" && text.trim_end().ends_with("on");
    if whole || (GUARDED.contains(&name) && !same) {
        let words: Vec<&str> = statement.split_whitespace().take(4).collect();
        return Some(words.join(" "));
    }
    None
}

/// Where each line begins, to turn bytes into line numbers quickly.
struct LineStarts(Vec<usize>);

impl LineStarts {
    fn new(text: &str) -> LineStarts {
        let mut starts = vec![0];
        starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(at, _)| at + 1),
        );
        LineStarts(starts)
    }

    fn line(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        let script = Script::read(sql);
        (0..script.statements.len())
            .map(|i| script.statement(i).to_owned())
            .collect()
    }

    fn problems(sql: &str) -> Vec<(usize, String)> {
        Script::read(sql)
            .problems
            .into_iter()
            .map(|p| (p.line, p.message))
            .collect()
    }

    #[test]
    fn semicolons_inside_things_end_nothing() {
        let sql = "select ';' /* ; /* ; */ */ as \";\"; -- ;\n\
            create function f() returns int language sql begin atomic select 1; \
            select case when true then 2 else 3 end; end;\n\
            do $x$ begin perform 1; end $x$;\n\
            create rule r as on insert to t do (select 1; select 2);;\n select E'\\';'";
        assert_eq!(texts(sql).len(), 5);
        assert_eq!(problems(sql), []);
    }

    #[test]
    fn transaction_control_is_refused_with_its_line() {
        for sql in [
            "begin",
            "START TRANSACTION",
            "/* x */ Commit",
            "end",
            "ROLLBACK AND CHAIN",
            "abort",
            "savepoint a",
            "release a",
            "prepare transaction 'x'",
        ] {
            let found = problems(&format!("select 1;\n\n{sql};"));
            assert_eq!(found.len(), 1, "{sql}");
            assert_eq!(found[0].0, 3, "{sql}");
        }
        assert_eq!(
            problems("create function f() returns int as 'begin return 1; end' language plpgsql"),
            []
        );
        assert_eq!(problems("prepare p as select 1"), []);
    }

    #[test]
    fn what_cannot_run_in_a_transaction_has_a_file_of_its_own() {
        for sql in [
            "create unique index concurrently i on t (a)",
            "drop index concurrently i",
            "vacuum full t",
            "alter table t detach partition p concurrently",
            "reindex table concurrently t",
        ] {
            assert_eq!(problems(sql).len(), 0, "{sql}");
            assert!(Script::read(sql).alone().is_some(), "{sql}");
            let found = problems(&format!("select 1;\n{sql}"));
            assert_eq!(found.len(), 1, "{sql}");
            assert_eq!(found[0].0, 2, "{sql}");
        }
        for sql in [
            "create index concurrently on t (a)",
            "create database x",
            "alter system set a = 1",
            "copy t from '/etc/passwd'",
            "copy t to program 'rm x'",
            "copy t to stdout",
        ] {
            assert_eq!(problems(sql).len(), 1, "{sql}");
        }
    }

    #[test]
    fn what_keeps_others_safe_is_not_set() {
        for sql in [
            "set lock_timeout = 0",
            "SET LOCAL lock_timeout TO '1h'",
            "set session default_transaction_read_only = off",
            "set session characteristics as transaction read write",
            "set transaction isolation level serializable",
            "reset all",
            "reset lock_timeout",
            "set application_name = 'x'",
        ] {
            assert_eq!(Script::read(sql).unsafe_settings.len(), 1, "{sql}");
        }
        for sql in [
            "set statement_timeout = 0",
            "set local search_path = eng",
            "set standard_conforming_strings = on",
            "reset search_path",
        ] {
            assert_eq!(Script::read(sql).unsafe_settings, [], "{sql}");
        }
    }

    #[test]
    fn psql_commands_are_told_apart() {
        assert_eq!(
            problems("\\restrict abc\nselect 1;\n\\unrestrict abc\n"),
            []
        );
        let found = problems("select 1;\n\\i other.sql\n\\! rm x\nselect 2;");
        assert_eq!(found.iter().map(|p| p.0).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(texts("select 1;\n\\i x\nselect 2;").len(), 2);
    }

    #[test]
    fn copy_data_are_kept_beside_their_statement() {
        let script = Script::read("copy t (a, b) from stdin;\n1\tx;y\n2\t\\N\n\\.\nselect 1;\n");
        assert_eq!(script.statements.len(), 2);
        assert_eq!(script.copy_data(0), Some("1\tx;y\n2\t\\N\n"));
        assert_eq!(script.statements[1].line, 5);
        assert_eq!(problems("copy t from stdin;\n1\n").len(), 1);
    }

    #[test]
    fn what_never_ends_is_refused() {
        for sql in ["select 'x", "select $a$ x", "/* x", "select \"x"] {
            assert_eq!(problems(sql).len(), 1, "{sql}");
        }
    }

    proptest::proptest! {
        #[test]
        fn splitting_never_panics_and_keeps_order(sql in "[a-z;'$\"\\\\ \n(){}/*-]{0,80}") {
            let script = Script::read(&sql);
            let spans: Vec<_> = script.statements.iter().map(|s| s.span.clone()).collect();
            proptest::prop_assert!(spans.windows(2).all(|w| w[0].end <= w[1].start));
        }
    }
}
