//! Which columns are hidden, how, and whether somebody has decided about all that are personal.

use std::collections::BTreeMap;

use super::build::could_not;
use crate::expectation::Finding;
use crate::gate::Feed;
use crate::gate::restore::Trouble;
use crate::postgres::PostgresError;
use crate::postgres::clone_rows::CopyPlan;
use crate::postgres::enrolment;
use crate::postgres::ledger::identifier;
use crate::postgres::mask::{self, Hidden};
use crate::postgres::session::Session;
use crate::postgres::tables::{Column, Table, Tables};
use crate::runbook::{CloneDatabase, Mask};

/// The rows that are carried over, with what is hidden of them.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    pub(super) plans: Vec<CopyPlan>,
    /// Every column that is hidden: table, column, and its expression where the runbook wrote it.
    pub(super) hidden: Vec<(String, String, Option<String>)>,
    /// The same for people: `app.people.mail: email`.
    pub(super) said: Vec<String>,
    /// Tables of extensions, whose rows stay behind.
    pub(super) left: Vec<String>,
}

/// The names under which rules may speak of a table besides its own: those of the tables that it
/// inherits from or is a part of.
type Above = BTreeMap<u32, Vec<String>>;

/// Asks which tables each table is a part of or inherits from, near and far, as `schema.table`.
pub(super) async fn above(session: &Session) -> Result<Above, PostgresError> {
    let sql = "WITH RECURSIVE up (oid, parent) AS ( \
               SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits \
               UNION SELECT u.oid, i.inhparent FROM up u \
               JOIN pg_catalog.pg_inherits i ON i.inhrelid = u.parent) \
               SELECT u.oid, n.nspname::text || '.' || r.relname::text FROM up u \
               JOIN pg_catalog.pg_class r ON r.oid = u.parent AND r.relkind IN ('r', 'p') \
               JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace";
    let mut above = Above::new();
    for row in session.client.query_typed(sql, &[]).await? {
        above.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(above)
}

/// Works out what of which table is carried over.
///
/// # Errors
/// A rule that speaks of nothing, one that cannot hold, a personal column without a decision.
pub(super) fn decide(
    gate: &CloneDatabase,
    tables: &Tables,
    above: &Above,
    salt: &str,
) -> Result<Masked, Finding> {
    let mut masked = Masked {
        plans: Vec::new(),
        hidden: Vec::new(),
        said: Vec::new(),
        left: Vec::new(),
    };
    let mut spoken: Vec<&str> = Vec::new();
    let mut undecided = Vec::new();
    for table in &tables.tables {
        if table.quoted == enrolment::TABLE {
            continue;
        }
        if table.extension.is_some() {
            masked.left.push(table.quoted.clone());
            continue;
        }
        let mut plan = CopyPlan::of(table);
        for column in &table.columns {
            let full = format!("{}.{}.{}", table.schema, table.name, column.name);
            match rule(gate, table, above, column) {
                Some((name, rule)) => {
                    spoken.push(name);
                    masked.hide(table, &mut plan, column, (&full, rule, salt))?;
                }
                None if is_personal(gate, column) => undecided.push(full),
                None => {}
            }
        }
        masked.plans.push(plan);
    }
    all_decided(gate, &spoken, &undecided)?;
    // The largest first, so that no worker is left alone with it at the end.
    masked
        .plans
        .sort_by_key(|plan| std::cmp::Reverse(plan.bytes));
    Ok(masked)
}

/// Every rule speaks of a column, and every personal column has one.
fn all_decided(gate: &CloneDatabase, spoken: &[&str], undecided: &[String]) -> Result<(), Finding> {
    let silent = gate
        .mask
        .keys()
        .find(|rule| !spoken.contains(&rule.as_str()));
    if let Some(rule) = silent {
        return Err(Finding::failed(format!("there is no column {rule}"))
            .because("a rule that hides nothing is taken for a mistake")
            .because("nothing was changed")
            .can("mend its name in the runbook"));
    }
    if undecided.is_empty() {
        return Ok(());
    }
    let mut finding = Finding::failed(match undecided.len() {
        1 => "nobody has decided about a column".to_owned(),
        count => format!("nobody has decided about {count} columns"),
    });
    for column in undecided.iter().take(12) {
        finding = finding.because(format!("{column} matches `personal` and has no rule"));
    }
    Err(finding
        .because("nothing was changed")
        .can("give each a rule in [phase.gate.clone.mask]; \"keep\" is one too"))
}

fn rule<'a>(
    gate: &'a CloneDatabase,
    table: &Table,
    above: &Above,
    column: &Column,
) -> Option<(&'a str, &'a Mask)> {
    let own = format!("{}.{}", table.schema, table.name);
    let parents = above.get(&table.oid).into_iter().flatten();
    std::iter::once(&own)
        .chain(parents)
        .find_map(|name| {
            let name = format!("{name}.{}", column.name);
            gate.mask.get_key_value(&name)
        })
        .map(|(name, rule)| (name.as_str(), rule))
}

fn is_personal(gate: &CloneDatabase, column: &Column) -> bool {
    let name = column.name.to_lowercase();
    gate.personal.iter().any(|pattern| {
        glob::Pattern::new(&pattern.to_lowercase()).is_ok_and(|pattern| pattern.matches(&name))
    })
}

fn hidden(rule: &Mask) -> Option<Hidden> {
    match rule {
        Mask::Keep => None,
        Mask::Null => Some(Hidden::Null),
        Mask::Hash => Some(Hidden::Hash),
        Mask::Email => Some(Hidden::Email),
        Mask::Sql(sql) => Some(Hidden::Sql(sql.clone())),
    }
}

impl Masked {
    /// Applies a rule to a column.
    fn hide(
        &mut self,
        table: &Table,
        plan: &mut CopyPlan,
        column: &Column,
        (full, rule, salt): (&str, &Mask, &str),
    ) -> Result<(), Finding> {
        let Some(hidden) = hidden(rule) else {
            return Ok(());
        };
        if column.generated {
            return Err(Finding::failed(format!("{full} is computed by the server"))
                .because("it is not carried over but computed again of other columns")
                .because("nothing was changed")
                .can("hide the columns that it is computed of, and write \"keep\" here"));
        }
        if hidden == Hidden::Null && column.not_null {
            return Err(Finding::failed(format!("{full} cannot be null"))
                .because("the column is NOT NULL, and its rule is `null`")
                .because("nothing was changed")
                .can("hide it by hash, email or an expression"));
        }
        let expression = hidden.expression(&column.name, &column.type_name, salt);
        plan.instead
            .push((identifier(&column.name), expression.clone()));
        self.said.push(format!("{full}: {}", rule.word()));
        let written = matches!(rule, Mask::Sql(_)).then_some(expression);
        self.hidden
            .push((table.quoted.clone(), column.name.clone(), written));
        Ok(())
    }

    /// Proves at the source that no hidden column's values go along.
    pub(super) async fn prove(&self, source: &Session, feed: &Feed) -> Result<(), Trouble> {
        for (table, column, written) in &self.hidden {
            // What is made with a salt is looked at when it has arrived.
            let Some(expression) = written else { continue };
            feed.say(format!("proving what hides {table}.{column}"));
            let among = mask::originals_among(source, table, column, expression).await;
            let among = among.map_err(|error| {
                could_not(&format!(
                    "the rule of {table}.{column}, at the source: {error}"
                ))
            })?;
            if among > 0 {
                return Err(still_there(table, column, among).into());
            }
        }
        Ok(())
    }

    /// Proves of what has arrived that no hidden column holds an original: an expression may give
    /// other values each time that it is asked.
    pub(super) async fn prove_arrived(
        &self,
        source: &Session,
        copy: &Session,
    ) -> Result<(), Trouble> {
        for (table, column, _) in &self.hidden {
            let among = mask::originals_arrived(source, copy, table, column).await;
            let among = among.map_err(|error| could_not(&format!("{table}.{column}: {error}")))?;
            if among > 0 {
                return Err(still_there(table, column, among).into());
            }
        }
        Ok(())
    }
}

fn still_there(table: &str, column: &str, among: i64) -> Finding {
    Finding::failed(format!(
        "{table}.{column} would still hold {among} of its original values"
    ))
    .because("what its rule makes of the values are values of other rows")
    .because("the destination is as it was before")
    .can("write a rule whose values cannot be originals")
}

#[cfg(test)]
#[path = "masks_tests.rs"]
mod tests;
