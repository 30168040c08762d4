//! `query`: one statement, in a transaction that is always rolled back, and what it must answer.

use super::{Context, Evidence, Outcome, Plan, TargetError, Tone};
use crate::expectation::{Answer, ErrorSeen, Finding, QueryExpectation, Table};
use crate::postgres::ask::{self, AskError, Asked, Question};
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::{DatabaseError, PostgresError};
use crate::runbook::{Query, SqlSource};
use crate::sql::{Script, possible_relations};
use crate::untrusted::clean;

/// How many rows of a result are kept as evidence.
const KEPT_ROWS: usize = 200;
/// How many characters of one value are kept.
const KEPT_CHARS: usize = 400;
/// A privilege error: what tests of a role expect.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

pub(super) fn plan(gate: &Query, context: &Context) -> Plan {
    let (sql, refuses) = match statement(gate, context) {
        Ok(sql) => (sql, None),
        Err(reason) => (String::new(), Some(reason)),
    };
    let expect = filled(gate, context);
    let wanted = expectation_lines(&expect).join("\n");
    let role = gate.role.as_deref().unwrap_or_default();
    let summary = match &gate.role {
        Some(role) => format!("ask {} as {role}", gate.target),
        None => format!("ask {}", gate.target),
    };
    let mut plan = Plan::new(summary, &[&gate.target, role, &sql, &wanted]);
    plan.line(Tone::Sql, sql.trim());
    plan.line(Tone::Heading, "expected");
    plan.line(Tone::Plain, &wanted);
    plan.line(Tone::Muted, "the transaction is rolled back whatever comes");
    if let Some(reason) = &refuses {
        plan.line(Tone::Bad, reason);
    }
    plan.refuses = refuses;
    plan
}

fn expectation_lines(expect: &QueryExpectation) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(rows) = &expect.rows {
        lines.push(format!("  rows {rows}"));
    }
    if let Some(value) = &expect.value {
        lines.push(format!("  value {value}"));
    }
    if let Some(table) = &expect.table {
        lines.push(format!("  exactly these {} rows:", table.len()));
        lines.extend(table.iter().map(|row| format!("    {}", row.join(" | "))));
    }
    if let Some(error) = &expect.error {
        let from = error
            .routine
            .as_ref()
            .map_or(String::new(), |r| format!(" from {r}"));
        lines.push(format!("  error {}{from}", error.sqlstate));
    }
    lines
}

/// Fills captures in into the expected values.
fn filled(gate: &Query, context: &Context) -> QueryExpectation {
    let mut expect = gate.expect.clone();
    for comparison in [&mut expect.rows, &mut expect.value].into_iter().flatten() {
        comparison.value = context.fill(&comparison.value);
    }
    expect
}

/// The one statement that the gate runs.
fn statement(gate: &Query, context: &Context) -> Result<String, String> {
    let sql = match &gate.sql {
        SqlSource::Inline(sql) => sql.clone(),
        SqlSource::File(path) => {
            let path = context.path(path);
            std::fs::read_to_string(&path)
                .map_err(|error| format!("{} cannot be read: {error}", context.shown(&path)))?
        }
    };
    let script = Script::read(&sql);
    if let Some(problem) = script.problems.first() {
        return Err(format!("line {}: {}", problem.line, problem.message));
    }
    match script.statements.len() {
        1 => Ok(script.statement(0).to_owned()),
        n => Err(format!("a query gate runs one statement; this is {n}")),
    }
}

pub(super) async fn run(gate: &Query, context: &Context) -> Outcome {
    let sql = match statement(gate, context) {
        Ok(sql) => sql,
        Err(reason) => {
            return Outcome::of(Finding::errored(reason).can("mend the query in the runbook"));
        }
    };
    let mut settings = SessionSettings::default();
    if let Some(timeout) = context.gate.timeout {
        settings.statement_timeout = timeout;
    }
    let (session, identity) = match context
        .targets
        .open(&gate.target, &context.gate.id, settings)
        .await
    {
        Ok(opened) => opened,
        Err(error) => return unreachable(&gate.target, &error),
    };
    if let Some(finding) = meaningless(gate, &session, &sql).await {
        return Outcome::of(finding);
    }
    let expect = filled(gate, context);
    let question = Question {
        sql: &sql,
        role: gate.role.as_deref(),
        read_only: expect.error.is_none(),
        keep_rows: KEPT_ROWS,
        keep_chars: KEPT_CHARS,
    };
    let asked = tokio::select! {
        asked = ask::ask(&session, &question) => asked,
        () = context.cancel.cancelled() => {
            let _ = session.canceller().cancel().await;
            return Outcome::canceled("the query was canceled; nothing was changed");
        }
    };
    match asked {
        Ok(asked) => judged(gate, sql, identity.describe(), expect, asked),
        Err(error) => could_not_ask(&gate.target, error),
    }
}

/// A test of privileges by somebody whom nothing stops proves nothing.
async fn meaningless(gate: &Query, session: &Session, sql: &str) -> Option<Finding> {
    let expects_refusal = gate
        .expect
        .error
        .as_ref()
        .is_some_and(|e| e.sqlstate == INSUFFICIENT_PRIVILEGE);
    if gate.role.is_none() && !expects_refusal {
        return None;
    }
    let relations = possible_relations(sql);
    let facts = match ask::role_facts(session, gate.role.as_deref(), &relations).await {
        Ok(facts) => facts,
        Err(error) => return Some(could_not_ask(&gate.target, error.into()).finding),
    };
    if !facts.exists {
        return Some(
            Finding::errored(format!("there is no role `{}` on this server", facts.role))
                .because("a test as a role that does not exist proves nothing")
                .can("create the role, or name the right one in the runbook, then retry"),
        );
    }
    let reason = facts.meaningless()?;
    Some(
        Finding::errored("this test would prove nothing")
            .because(reason)
            .can("test as a role that is neither superuser, owner nor BYPASSRLS"),
    )
}

fn judged(
    gate: &Query,
    sql: String,
    server: String,
    expect: QueryExpectation,
    asked: Asked,
) -> Outcome {
    let answer = match asked.answer {
        Ok(rows) => Answer::Rows(Table {
            columns: rows.columns.iter().map(|c| clean(c).into_owned()).collect(),
            rows: rows.rows,
            total: rows.total,
        }),
        Err(error) => Answer::Error(error_seen(&error)),
    };
    Outcome::of(expect.judge(&answer)).with(Evidence::Query {
        target: gate.target.clone(),
        server,
        role: gate.role.clone(),
        sql,
        expect,
        answer,
        duration_ms: asked.took.as_millis() as u64,
    })
}

fn could_not_ask(target: &str, error: AskError) -> Outcome {
    match error {
        AskError::Role { role, error } => Outcome::of(
            Finding::errored(format!("the role `{role}` cannot be taken on"))
                .because(clean(&error.to_string()).into_owned())
                .can(format!(
                    "GRANT {role} to the user that connects, then retry this gate"
                )),
        ),
        AskError::Postgres(error) => unreachable(target, &TargetError::Postgres(error)),
    }
}

/// The outcome when a target cannot be worked on at all.
pub(super) fn unreachable(target: &str, error: &TargetError) -> Outcome {
    let cause = clean(&error.to_string()).into_owned();
    let finding = match error {
        TargetError::Held(_) => Finding::errored(format!("{target} is held by another operator"))
            .because(cause)
            .can("wait until that run ends, or speak with its operator, then retry"),
        TargetError::ConnOver(_) => Finding::errored("the conn of this run is somebody else's")
            .because(cause)
            .because("nothing more was begun here")
            .can("follow the run with run --watch, and ask for the conn there"),
        TargetError::WrongServer(_) => {
            Finding::errored(format!("{target} is another server than it must be"))
                .because(cause)
                .can("find out where the address leads now; nothing was sent to that server")
        }
        TargetError::Postgres(PostgresError::Timeout { .. }) => {
            Finding::errored(format!("{target} did not answer in time")).because(cause)
        }
        _ => Finding::errored(format!("{target} cannot be worked on"))
            .because(cause)
            .can("mend the address or the server, then retry this gate"),
    };
    let mut outcome = Outcome::of(finding);
    outcome.held = matches!(error, TargetError::Held(_) | TargetError::ConnOver(_));
    outcome
}

/// Turns a server's error into evidence.
pub(super) fn error_seen(error: &DatabaseError) -> ErrorSeen {
    let text = |text: &String| clean(text).into_owned();
    ErrorSeen {
        sqlstate: error.sqlstate.clone(),
        message: text(&error.message),
        detail: error.detail.as_ref().map(text),
        hint: error.hint.as_ref().map(text),
        routine: error.routine.clone(),
    }
}
