//! Asks both ends who they are, and reads what must be known of them before anything is made.

use std::sync::Arc;

use super::guards::Ends;
use crate::expectation::Finding;
use crate::gate::restore::{Trouble, own_prefix};
use crate::gate::{Context, Evidence, TargetError};
use crate::postgres::PostgresError;
use crate::postgres::clone_outward;
use crate::postgres::enrolment::{self, Mark};
use crate::postgres::identity::Identity;
use crate::postgres::ledger::identifier;
use crate::postgres::session::{Session, SessionSettings};
use crate::postgres::swap::{self, OtherSession};
use crate::promotion::GateState;
use crate::runbook::{self, CloneDatabase, Environment};
use crate::untrusted::{clean, clean_line};

/// How long a session of a clone may go on: as long as the rows take.
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// A session at each end, proved to be what they should be.
pub(super) struct Sessions {
    pub(super) source: Session,
    pub(super) destination: Session,
    pub(super) ends: Ends,
}

/// What a session that only reads the source is set to: it holds no lock for long and writes
/// nothing.
pub(super) fn reading() -> SessionSettings {
    SessionSettings {
        read_only: true,
        statement_timeout: DAY,
        idle_in_transaction_timeout: DAY,
        ..SessionSettings::default()
    }
}

/// What a session that fills the copy is set to.
pub(super) fn writing() -> SessionSettings {
    SessionSettings {
        statement_timeout: DAY,
        ..SessionSettings::default()
    }
}

/// The server that the source's backup was taken of, where its gate stands as passed.
fn backed_up(gate: &CloneDatabase, context: &Context) -> Option<String> {
    let passed = context.states.get(&gate.backup) == Some(&GateState::Passed);
    match context.earlier.get(&gate.backup).map(Arc::as_ref) {
        Some(Evidence::Backup { target, server, .. }) if passed && *target == gate.from => {
            Some(server.clone())
        }
        _ => None,
    }
}

/// Opens a session at each end and asks every production target who it is.
pub(super) async fn open(gate: &CloneDatabase, context: &Context) -> Result<Sessions, Trouble> {
    let targets = &context.targets;
    let id = &context.gate.id;
    let (source, source_identity) = targets
        .open(&gate.from, id, reading())
        .await
        .map_err(|error| silent(&gate.from, &error))?;
    let (destination, identity) = targets
        .open(&gate.target, id, writing())
        .await
        .map_err(|error| silent(&gate.target, &error))?;
    let source_mark = mark(&source, &gate.from).await?;
    let mark = mark(&destination, &gate.target).await?;
    let mut production = Vec::new();
    let mut unanswered = Vec::new();
    for (name, target) in &context.runbook.targets {
        if target.environment != Environment::Production {
            continue;
        }
        match ask(context, name, (&gate.from, &source_identity)).await {
            Ok(identity) => production.push((name.clone(), identity)),
            Err(error) => unanswered.push((name.clone(), clean_line(&error.to_string()))),
        }
    }
    let environment = |name: &str| {
        // A target that is not known is taken for the worst.
        targets.environment(name).unwrap_or(Environment::Production)
    };
    let ends = Ends {
        source_environment: environment(&gate.from),
        environment: environment(&gate.target),
        backed_up: backed_up(gate, context),
        source: source_identity,
        source_mark,
        destination: identity,
        mark,
        production,
        silent: unanswered,
    };
    Ok(Sessions {
        source,
        destination,
        ends,
    })
}

async fn ask(
    context: &Context,
    name: &str,
    (from, source): (&str, &Identity),
) -> Result<Identity, TargetError> {
    if name == from {
        return Ok(source.clone());
    }
    let opened = context
        .targets
        .open(name, &context.gate.id, reading())
        .await;
    opened.map(|(_, identity)| identity)
}

/// An end that does not answer is named.
fn silent(target: &str, error: &TargetError) -> Trouble {
    let finding = match error {
        TargetError::WrongServer(_) => Finding::failed(format!("`{target}` is another server")),
        _ => Finding::errored(format!("`{target}` cannot be worked on")),
    };
    finding
        .because(clean(&error.to_string()).into_owned())
        .because("nothing was changed")
        .can(format!(
            "mend what it says of `{target}`, then retry this gate"
        ))
        .into()
}

async fn mark(session: &Session, target: &str) -> Result<Option<Mark>, Trouble> {
    enrolment::read(session).await.map_err(|error| {
        Finding::errored(format!("the enrolment of `{target}` cannot be read"))
            .because(clean(&error.to_string()).into_owned())
            .because("nothing was changed")
            .can("let the role read stagegate.enrolment, or withdraw it and enrol anew")
            .into()
    })
}

/// What in the destination there is to lose, and what the source needs there.
#[derive(Debug, Clone, Default)]
pub(super) struct Lay {
    /// Schema, how many tables, about how many rows, bytes: what is lost at the destination.
    pub(super) dropped: Vec<(String, i64, i64, i64)>,
    /// The largest tables that are lost, with about how many rows.
    pub(super) tables: Vec<(String, i64)>,
    pub(super) others: Vec<OtherSession>,
    /// Schemas that only the destination has, and that hold something.
    pub(super) lost: Vec<String>,
    /// Roles that objects of the source belong to or are granted to, and the destination lacks.
    pub(super) roles: Vec<String>,
    /// Extensions of the source that the destination's server cannot make.
    pub(super) extensions: Vec<String>,
    /// Code of the source that may call out of it, and that nobody has allowed.
    pub(super) calls: Vec<String>,
    pub(super) large_objects: i64,
}

const SCHEMAS: &str = "SELECT n.nspname::text, \
    count(*) FILTER (WHERE c.relkind IN ('r', 'p')), \
    coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relkind = 'r'), 0)::bigint, \
    coalesce(sum(pg_catalog.pg_table_size(c.oid)) FILTER (WHERE c.relkind IN ('r', 'm')), 0)::bigint, \
    count(c.oid) + (SELECT count(*) FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid) \
    FROM pg_catalog.pg_namespace n \
    LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid \
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' GROUP BY n.oid, 1 ORDER BY 1";
const TABLES: &str = "SELECT c.oid::regclass::text, greatest(c.reltuples, 0)::bigint \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' \
    AND n.nspname NOT IN ('information_schema', 'stagegate') \
    ORDER BY c.reltuples DESC, 1 LIMIT 12";
const ROLES: &str = "SELECT DISTINCT pg_catalog.pg_get_userbyid(d.refobjid)::text \
    FROM pg_catalog.pg_shdepend d \
    WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.dbid = \
    (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) ORDER BY 1";

/// Reads what lies at both ends.
pub(super) async fn lay(
    gate: &CloneDatabase,
    context: &Context,
    sessions: &Sessions,
) -> Result<Lay, PostgresError> {
    let (source, destination) = (&sessions.source, &sessions.destination);
    let own = own_prefix(context);
    let database = &sessions.ends.destination.database;
    let others = swap::other_sessions(destination, database, &own).await?;
    let there = texts(source, "SELECT nspname::text FROM pg_catalog.pg_namespace").await?;
    let mut lay = Lay {
        others,
        ..Lay::default()
    };
    for row in destination.client.query_typed(SCHEMAS, &[]).await? {
        let (schema, holds): (String, i64) = (row.get(0), row.get(4));
        if schema == "stagegate" {
            continue;
        }
        if holds > 0 && !there.contains(&schema) && !gate.may_drop.contains(&schema) {
            lay.lost.push(schema.clone());
        }
        lay.dropped
            .push((schema, row.get(1), row.get(2), row.get(3)));
    }
    for row in destination.client.query_typed(TABLES, &[]).await? {
        lay.tables.push((row.get(0), row.get(1)));
    }
    let roles = texts(destination, "SELECT rolname::text FROM pg_catalog.pg_roles").await?;
    let wanted = texts(source, ROLES).await?;
    lay.roles = wanted
        .into_iter()
        .filter(|role| !roles.contains(role))
        .collect();
    let can = "SELECT name::text FROM pg_catalog.pg_available_extensions";
    let can = texts(destination, can).await?;
    let wanted = texts(source, "SELECT extname::text FROM pg_catalog.pg_extension").await?;
    lay.extensions = wanted
        .into_iter()
        .filter(|name| !can.contains(name))
        .collect();
    let calls = clone_outward::calls_out(source).await?;
    lay.calls = calls
        .into_iter()
        .filter(|call| !gate.may_call.contains(call))
        .collect();
    let count = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata";
    let row = source.client.query_typed_one(count, &[]).await?;
    lay.large_objects = row.get(0);
    Ok(lay)
}

async fn texts(session: &Session, sql: &str) -> Result<Vec<String>, PostgresError> {
    let rows = session.client.query_typed(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

impl Lay {
    /// The first thing that stands in the way.
    pub(super) fn refusal(&self, gate: &CloneDatabase) -> Option<Finding> {
        let sessions_end = gate.sessions == runbook::Sessions::End;
        self.leads_out(gate)
            .or_else(|| self.in_the_way(sessions_end))
    }

    /// What of the source must be decided about before it is anywhere else.
    fn leads_out(&self, gate: &CloneDatabase) -> Option<Finding> {
        if !self.calls.is_empty() {
            let mut finding = Finding::failed("code of the source may call out of the copy");
            for call in self.calls.iter().take(12) {
                finding = finding.because(call.clone());
            }
            return Some(
                finding
                    .because("a view, an index or a trigger may run it while the copy is made")
                    .because("nothing was changed")
                    .can(format!(
                        "if it may be there: may_call = [{}]",
                        quoted(&self.calls)
                    )),
            );
        }
        let hides = !gate.mask.is_empty() || !gate.personal.is_empty();
        (self.large_objects > 0 && hides && gate.large_objects.is_none()).then(|| {
            Finding::failed("nobody has decided about the large objects")
                .because(format!(
                    "the source has {}, and no rule hides them",
                    self.large_objects
                ))
                .because("nothing was changed")
                .can("write large_objects = \"copy\" or \"leave\"")
        })
    }

    fn in_the_way(&self, sessions_end: bool) -> Option<Finding> {
        if !self.lost.is_empty() {
            let list = self.lost.join(", ");
            return Some(
                Finding::failed(format!("{} would be lost at the destination", list))
                    .because("the source has no schema of that name")
                    .because("nothing was changed")
                    .can(format!(
                        "if they may be lost: may_drop = [{}]",
                        quoted(&self.lost)
                    )),
            );
        }
        if !self.roles.is_empty() {
            let list = self.roles.join(", ");
            let roles: Vec<String> = self.roles.iter().map(|role| identifier(role)).collect();
            return Some(
                Finding::failed(format!("the destination's server lacks roles: {list}"))
                    .because("objects of the source belong to them or are granted to them")
                    .because("nothing was changed")
                    .can(format!(
                        "CREATE ROLE {} there, then retry",
                        roles.join("; CREATE ROLE ")
                    )),
            );
        }
        if !self.extensions.is_empty() {
            let list = self.extensions.join(", ");
            return Some(
                Finding::failed(format!("the destination's server lacks extensions: {list}"))
                    .because("nothing was changed")
                    .can("install them on that server, then retry"),
            );
        }
        if self.others.is_empty() || sessions_end {
            return None;
        }
        let mut finding = Finding::failed(match self.others.len() {
            1 => "somebody else is connected to the destination".to_owned(),
            count => format!("{count} others are connected to the destination"),
        });
        for other in self.others.iter().take(8) {
            finding = finding.because(clean_line(&other.to_string()));
        }
        Some(
            finding
                .because("nothing was changed")
                .can("let them end, then retry; sessions = \"end\" in the runbook ends them"),
        )
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
