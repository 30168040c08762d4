//! `recovery-point`: the point to which a target could be taken back, and whether the archive
//! would really lead there.

use super::query::unreachable;
use super::recovery_seen::{ArchiverSeen, RecoverySeen, bytes_after};
use super::{Context, Evidence, Outcome, Plan, Reconciled, Tone};
use crate::expectation::{Finding, Verdict};
use crate::postgres::PostgresError;
use crate::postgres::session::{Session, SessionSettings};
use crate::promotion::Resolution;
use crate::runbook::{RECOVERY_POINT_CAPTURE, RecoveryPoint};
use crate::untrusted::clean;

/// One row of everything that is asked. Times are the server's, written in UTC.
const FACTS: &str = "\
    SELECT pg_catalog.pg_is_in_recovery(), \
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' \
                ELSE pg_catalog.pg_current_wal_lsn()::text END, \
           pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()), \
                              'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL \
                ELSE ('x' OPERATOR(pg_catalog.||) pg_catalog.substr(pg_catalog.pg_walfile_name( \
                        pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int4 END, \
           pg_catalog.current_setting('wal_level'), \
           pg_catalog.current_setting('archive_mode'), \
           coalesce(pg_catalog.current_setting('archive_command', true), ''), \
           coalesce(pg_catalog.current_setting('archive_library', true), ''), \
           (SELECT setting::int8 FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'), \
           a.archived_count, a.failed_count, a.last_archived_wal, \
           pg_catalog.to_char(pg_catalog.timezone('UTC', a.last_archived_time), \
                              'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
           extract(epoch FROM pg_catalog.clock_timestamp() - a.last_archived_time)::int8, \
           a.last_failed_wal, \
           pg_catalog.to_char(pg_catalog.timezone('UTC', a.last_failed_time), \
                              'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
           extract(epoch FROM pg_catalog.clock_timestamp() - a.last_failed_time)::int8, \
           coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) \
      FROM pg_catalog.pg_stat_archiver AS a";

pub(super) fn plan(gate: &RecoveryPoint, context: &Context) -> Plan {
    let name = gate.restore_point.as_ref().map(|name| context.fill(name));
    let summary = match &name {
        Some(name) => format!("make the restore point `{name}` on {}", gate.target),
        None => format!("note the recovery point of {}", gate.target),
    };
    let age = gate.max_archive_age.map(|age| age.as_secs().to_string());
    let mut plan = Plan::new(
        summary,
        &[
            &gate.target,
            name.as_deref().unwrap_or_default(),
            age.as_deref().unwrap_or_default(),
            if gate.require_archiving {
                "archiving"
            } else {
                ""
            },
        ],
    );
    if gate.require_archiving {
        plan.line(
            Tone::Plain,
            "wal_level, archive_mode and what archives must be set",
        );
        plan.line(
            Tone::Plain,
            "the archiver's last attempt must have succeeded",
        );
    } else {
        plan.line(Tone::Warning, "the runbook does not ask for archiving");
    }
    if let Some(age) = &age {
        let line = format!("while the log grows, the last archived segment is at most {age} s old");
        plan.line(Tone::Plain, line);
    }
    if let Some(name) = &name {
        plan.line(
            Tone::Sql,
            format!("SELECT pg_create_restore_point('{name}')"),
        );
        if name.len() > 63 {
            let reason = format!("`{name}` is longer than the 63 bytes of a restore point's name");
            plan.line(Tone::Bad, &reason);
            plan.refuses = Some(reason);
        }
    }
    plan.with(
        Tone::Muted,
        format!("later gates know the point as {{{RECOVERY_POINT_CAPTURE}}}"),
    )
}

pub(super) async fn run(gate: &RecoveryPoint, context: &Context) -> Outcome {
    let name = gate.restore_point.as_ref().map(|name| context.fill(name));
    if name.is_some()
        && let Err(error) = context.targets.hold(&gate.target).await
    {
        return unreachable(&gate.target, &error);
    }
    let mut settings = SessionSettings {
        read_only: name.is_none(),
        ..SessionSettings::default()
    };
    if let Some(timeout) = context.gate.timeout {
        settings.statement_timeout = timeout;
    }
    let opened = context
        .targets
        .open(&gate.target, &context.gate.id, settings)
        .await;
    let (session, identity) = match opened {
        Ok(opened) => opened,
        Err(error) => return unreachable(&gate.target, &error),
    };
    let mut seen = match look(gate, &session).await {
        Ok(seen) => seen,
        Err(error) => return unreachable(&gate.target, &error.into()),
    };
    seen.verified = gate.verified.then(|| {
        let found = super::rehearse::verified(context, &gate.target);
        found.map_or_else(Vec::new, |(rehearsal, backup)| vec![backup, rehearsal])
    });
    if seen.verified.as_ref().is_some_and(Vec::is_empty) {
        seen.unverified = super::rehearse::unverified(context, &gate.target);
    }
    let mut finding = seen.judge();
    if let Some(name) = name.filter(|_| finding.verdict == Verdict::Passed) {
        match make(&session, &name).await {
            Ok(position) => {
                seen.wal_position.clone_from(&position);
                seen.restore_point = Some((name, position));
                finding = seen.judge();
            }
            Err(error) => {
                return Outcome::of(
                    Finding::errored(format!("the restore point `{name}` could not be made"))
                        .because(clean(&error.to_string()).into_owned())
                        .can(
                            "GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) to the user \
                              that connects, or leave `restore_point` out; then retry this gate",
                        ),
                );
            }
        }
    }
    let passed = finding.verdict == Verdict::Passed;
    let mut outcome = Outcome::of(finding);
    if passed {
        let name = RECOVERY_POINT_CAPTURE.to_owned();
        outcome.captures.insert(name, seen.point());
    }
    outcome.with(Evidence::RecoveryPoint {
        target: gate.target.clone(),
        server: identity.describe(),
        seen,
    })
}

async fn look(gate: &RecoveryPoint, session: &Session) -> Result<RecoverySeen, PostgresError> {
    let rows = session.rows(FACTS).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let text = |index: usize| row.get(index).cloned().flatten();
    let words = |index: usize| text(index).map_or(String::new(), |t| clean(&t).into_owned());
    let number = |index: usize| text(index).and_then(|t| t.parse::<i64>().ok());
    let count = |index: usize| number(index).map(|n| n.max(0) as u64);
    let flag = |index: usize| text(index).as_deref() == Some("t");
    let set = |index: usize| !matches!(text(index).as_deref(), None | Some("" | "(disabled)"));
    // The library wins where the server has one and it is set.
    let archived_by = match (set(7), set(6)) {
        (true, _) => "archive_library",
        (false, true) => "archive_command",
        (false, false) => "",
    };
    let position = words(1);
    let last_archived = text(11);
    let segment_size = count(8).unwrap_or(16 * 1024 * 1024);
    Ok(RecoverySeen {
        in_recovery: flag(0),
        at: words(2),
        timeline: count(3).and_then(|n| u32::try_from(n).ok()),
        wal_level: words(4),
        archive_mode: words(5),
        archived_by: archived_by.to_owned(),
        archiver: ArchiverSeen {
            archived: count(9).unwrap_or(0),
            failed: count(10).unwrap_or(0),
            not_archived_bytes: last_archived
                .as_deref()
                .and_then(|segment| bytes_after(segment, &position, segment_size)),
            last_archived,
            last_archived_at: text(12),
            last_archived_age_s: count(13),
            last_failed: text(14),
            last_failed_at: text(15),
            last_failed_age_s: count(16),
            failing: flag(17),
        },
        wal_position: position,
        require_archiving: gate.require_archiving,
        max_archive_age_s: gate.max_archive_age.map(|age| age.as_secs()),
        restore_point: None,
        verified: None,
        unverified: None,
    })
}

async fn make(session: &Session, name: &str) -> Result<String, PostgresError> {
    let name = crate::postgres::ledger::literal(name);
    let sql = format!("SELECT pg_catalog.pg_create_restore_point({name})");
    let rows = session.rows(&sql).await?;
    let position = rows
        .into_iter()
        .next()
        .and_then(|row| row.into_iter().next());
    Ok(position.flatten().unwrap_or_default())
}

/// A restore point cannot be asked after; one more of the same name does no harm.
pub(super) fn reconcile() -> Reconciled {
    Reconciled {
        resolution: Some(Resolution::Pending),
        finding: Finding::inconclusive("nobody saw whether the restore point was made")
            .because("the log holds it or not; a server does not list its restore points")
            .can("press Enter to make it again: recovery stops at the first one of the name"),
        evidence: None,
    }
}
