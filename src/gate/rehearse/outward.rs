//! What would leave the private server: code of the restored database and of the files is looked
//! at before any of it runs, and refused until the gate names it.

use regex::Regex;

use super::down::undone_by;
use super::restore::Scratch;
use super::source::Origin;
use super::{Halt, Work, fit};
use crate::expectation::Finding;
use crate::gate::migrate_files::{expand, read_text};
use crate::gate::{Context, Plan, Tone};
use crate::postgres::rehearsal_outward;
use crate::runbook::{Kind, Migrate, Rehearse, SqlSource};
use crate::sql::hazard;
use crate::untrusted::clean_line;

/// How many are named in the causes; all of them are in what can be done.
const NAMED: usize = 12;

/// Hazards of a text that leave the server for its host or another one.
const LEAVES: [&str; 6] = [
    "copy-program",
    "copy-server-file",
    "untrusted-language",
    "load-library",
    "host-function",
    "psql-host-command",
];

/// Calls and servers that the rules for hazards do not know.
const CALLS: &str = r"(?ix) \b dblink (_\w+ | \s* \() | \b net \. http | \b cron \.
    | \b http (_get|_post|_put|_patch|_delete|_head)? \s* \(
    | \b (create|alter) \s+ (server|subscription|foreign \s+ data \s+ wrapper) \b
    | \b import \s+ foreign \s+ schema \b";

/// Refuses what may call out, by name, and says how it is allowed.
pub(super) fn refused(calls: &[String]) -> Finding {
    let mut finding = Finding::failed("code of the source may call out of the rehearsal");
    for call in calls.iter().take(NAMED) {
        finding = finding.because(clean_line(call));
    }
    let names: Vec<String> = calls.iter().map(|call| format!("{call:?}")).collect();
    finding
        .because("a check, a view, a trigger or a file may run it while it is rehearsed")
        .can(clean_line(&format!(
            "if it may run there: may_call = [{}]",
            names.join(", ")
        )))
}

/// Says in a plan who is a superuser there, and what may call out.
pub(super) fn describe(plan: &mut Plan, gate: &Rehearse) {
    match gate.keep_superusers {
        true => plan.line(
            Tone::Warning,
            "roles    superusers of the source are superusers there, as superusers says",
        ),
        false => plan.line(
            Tone::Plain,
            "roles    none is a superuser there but the one that connects, where it is one",
        ),
    }
    for call in &gate.may_call {
        let said = format!("calls    {call}, as may_call says");
        plan.line(Tone::Warning, clean_line(&said));
    }
}

impl Work<'_> {
    /// Lowers the roles, and refuses what may call out before any gate runs there.
    pub(super) async fn keep_in(&mut self, origin: &Origin, scratch: &Scratch) -> Result<(), Halt> {
        if !self.gate.keep_superusers {
            let (made, connects) = (&self.seen.roles, &origin.identity.user);
            let lowered = rehearsal_outward::lower(&scratch.admin, made, connects).await?;
            self.seen.missing.extend(lowered);
        }
        let may_call = &self.gate.may_call;
        let mut calls = rehearsal_outward::calls(&scratch.admin, may_call).await?;
        let texts = texts(self.gate, self.context);
        let gates = fit::steps(self.gate, self.context).gates;
        calls.extend(self.leaving_revisions(scratch, &gates).await);
        let leaving = texts.into_iter().filter(|(_, text)| leaves(text));
        calls.extend(leaving.map(|(name, _)| name));
        calls.retain(|call| !may_call.contains(call));
        match calls.is_empty() {
            true => Ok(()),
            false => Err(refused(&calls).into()),
        }
    }
}

/// Every text that runs there, with the name by which it is allowed: files by their names, and what
/// stands in the runbook itself by its gate's.
fn texts(gate: &Rehearse, context: &Context) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for step in fit::steps(gate, context).gates {
        match &step.kind {
            Kind::Migrate(migrate) => {
                texts.extend(files(migrate, context));
                if let Some(Kind::Migrate(back)) =
                    undone_by(&context.runbook, &step.id).map(|gate| &gate.kind)
                {
                    texts.extend(files(back, context));
                }
            }
            Kind::Query(query) => match &query.sql {
                SqlSource::Inline(text) => texts.push((step.id.clone(), text.clone())),
                SqlSource::File(file) => {
                    let path = context.path(file);
                    let text = read_text(&path).unwrap_or_default();
                    texts.push((context.shown(&path), text));
                }
            },
            Kind::Tool(tool) => texts.extend(crate::gate::tool::files(tool, context)),
            _ => {}
        }
    }
    texts
}

fn files(gate: &Migrate, context: &Context) -> Vec<(String, String)> {
    let paths = gate.files.iter();
    let mut paths: Vec<_> = paths.flat_map(|one| expand(&context.path(one))).collect();
    paths.sort();
    // A file that cannot be read is refused by the gate itself.
    let text = |path: &std::path::PathBuf| read_text(path).unwrap_or_default();
    let named = paths.iter().map(|path| (context.shown(path), text(path)));
    named.collect()
}

/// Tells whether a text may leave the server.
pub(super) fn leaves(text: &str) -> bool {
    let found = hazard::hazards(text);
    found.iter().any(|one| LEAVES.contains(&one.code.as_str()))
        || Regex::new(CALLS).is_ok_and(|calls| calls.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_server_is_seen_in_a_text() {
        assert!(Regex::new(CALLS).is_ok());
        for text in [
            "SELECT dblink_exec('host=prod', 'DROP TABLE t')",
            "DO $$ BEGIN PERFORM dblink('host=prod', 'x'); END $$",
            "DO $$ BEGIN COPY t TO PROGRAM 'curl prod'; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN COPY t FROM PROGRAM 'curl prod'; END $$",
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpython3u AS $$ import os $$",
            "SELECT net.http_post('https://prod')",
            "SELECT * FROM http_get('https://prod')",
            "CREATE SERVER prod FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'prod')",
        ] {
            assert!(leaves(text), "{text}");
        }
        for text in [
            "CREATE TABLE app.t (id int, url text DEFAULT 'https://x.example/')",
            "COPY app.t FROM stdin;\n1\n\\.\n",
            "CREATE EXTENSION dblink",
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$",
        ] {
            assert!(!leaves(text), "{text}");
        }
    }
}
