//! The settings of a session: made and read back in one round trip.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::PostgresError;
use super::session::{ServerVersion, Session, SessionSettings};

/// How often a server looks whether its client is still there while it works for it. Without
/// this a killed client's ALTER TABLE would still wait for its lock and then apply itself.
const CONNECTION_CHECK: &str = "client_connection_check_interval";
const CONNECTION_CHECK_MS: &str = "500";
/// What a server keeps of an application name.
const NAME_LIMIT: usize = 63;

pub(super) struct Made {
    pub(super) version: ServerVersion,
    pub(super) read_back: Vec<(String, String)>,
}

/// Reduces a name to what every server version keeps unchanged.
pub(super) fn clean_application_name(name: &str) -> String {
    name.chars()
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .take(NAME_LIMIT)
        .collect()
}

/// Makes the settings, and refuses a session that does not keep them.
pub(super) async fn make(
    session: &Session,
    settings: &SessionSettings,
    tcp: bool,
) -> Result<Made, PostgresError> {
    let mut wanted = wanted(settings);
    let made = match ask(session, &wanted, tcp).await {
        // Only some operating systems can tell a server that a client is gone.
        Err(PostgresError::Database(error))
            if error.sqlstate == "22023" && error.message.contains(CONNECTION_CHECK) =>
        {
            wanted.retain(|(name, _)| *name != CONNECTION_CHECK);
            ask(session, &wanted, tcp).await?
        }
        other => other?,
    };
    compare(&wanted, &made.read_back)?;
    Ok(made)
}

fn wanted(settings: &SessionSettings) -> Vec<(&'static str, String)> {
    let ms = |duration: Duration| duration.as_millis().min(i32::MAX as u128).to_string();
    let mut wanted = vec![
        (
            "application_name",
            clean_application_name(&settings.application_name),
        ),
        ("lock_timeout", ms(settings.lock_timeout)),
        ("statement_timeout", ms(settings.statement_timeout)),
        (
            "idle_in_transaction_session_timeout",
            ms(settings.idle_in_transaction_timeout),
        ),
        (CONNECTION_CHECK, CONNECTION_CHECK_MS.to_owned()),
        // Others may have set these on the role; they would end our sessions between two steps.
        ("idle_session_timeout", "0".to_owned()),
        ("transaction_timeout", "0".to_owned()),
        // Texts are read the same way whatever the role says.
        ("standard_conforming_strings", "on".to_owned()),
        ("client_min_messages", "notice".to_owned()),
        ("DateStyle", "ISO, MDY".to_owned()),
        ("IntervalStyle", "postgres".to_owned()),
        ("bytea_output", "hex".to_owned()),
    ];
    if let Some(path) = &settings.search_path {
        wanted.push(("search_path", path.clone()));
    }
    if settings.read_only {
        wanted.push(("default_transaction_read_only", "on".to_owned()));
    }
    wanted
}

/// Settings by which the server notices that this machine is gone. They are not read back: where
/// the operating system has no such thing they stay as they are.
const KEEPALIVES: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30000"),
];

/// Those settings for a session over the network; none for one through a socket.
pub(super) fn keepalives(tcp: bool) -> impl Iterator<Item = (String, String)> {
    let settings = KEEPALIVES.iter().filter(move |_| tcp);
    settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

async fn ask(
    session: &Session,
    wanted: &[(&str, String)],
    tcp: bool,
) -> Result<Made, PostgresError> {
    let wanted_here = wanted.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
    // Everything is named in full, operators too: the role's search_path may hold others. What this
    // version does not know is left out. The view of all settings is not asked: it is made whole,
    // some hundred of them, before one is taken.
    let made: Vec<String> = wanted_here
        .chain(keepalives(tcp))
        .map(|(name, value)| {
            let (name, value) = (literal(&name), literal(&value));
            format!(
                "CASE WHEN pg_catalog.current_setting({name}, true) IS NOT NULL \
                 THEN pg_catalog.set_config({name}, {value}, false) END"
            )
        })
        .collect();
    let read: Vec<String> = wanted
        .iter()
        .map(|(name, _)| format!("({}, {})", literal(name), read_back(name)))
        .collect();
    let sql = format!(
        "SELECT {}; \
         SELECT 'version', pg_catalog.current_setting('server_version_num'), \
                pg_catalog.current_setting('server_version'); \
         SELECT 'setting', v.name, v.value FROM (VALUES {}) AS v(name, value) \
          WHERE v.value IS NOT NULL",
        made.join(", "),
        read.join(", "),
    );
    let mut version = None;
    let mut found = Vec::new();
    for row in session.rows(&sql).await? {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        match (fields.next().as_deref(), fields.next(), fields.next()) {
            (Some("version"), Some(num), Some(text)) => {
                let num = num.parse().map_err(|_| PostgresError::Protocol {
                    reason: format!("the server's version is '{num}'"),
                })?;
                version = Some(ServerVersion { num, text });
            }
            (Some("setting"), Some(name), Some(value)) => found.push((name, value)),
            _ => {}
        }
    }
    let version = version.ok_or_else(|| PostgresError::Protocol {
        reason: "the server does not say its version".to_owned(),
    })?;
    found.sort();
    Ok(Made {
        version,
        read_back: found,
    })
}

/// The expression that reads a setting as it was set: times in milliseconds, whatever unit the
/// server shows them in.
fn read_back(name: &str) -> String {
    let value = format!("pg_catalog.current_setting({}, true)", literal(name));
    if !(name.ends_with("_timeout") || name == CONNECTION_CHECK) {
        return value;
    }
    format!(
        "(EXTRACT(epoch FROM {value}::pg_catalog.interval) \
         OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8::text"
    )
}

/// Compares what was asked for with what is. A setting that this version does not know is left
/// out of the answer, and of the comparison.
fn compare(wanted: &[(&str, String)], found: &[(String, String)]) -> Result<(), PostgresError> {
    let found: BTreeMap<&str, &str> = found
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for (name, wanted) in wanted {
        match found.get(name) {
            Some(found) if found != wanted => {
                return Err(PostgresError::SettingNotKept {
                    name: (*name).to_owned(),
                    wanted: wanted.clone(),
                    found: (*found).to_owned(),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Quotes a text so that it is read the same under either value of
/// `standard_conforming_strings`.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_name_is_reduced_to_what_a_server_keeps() {
        assert_eq!(clean_application_name("run é\n1"), "run ??1");
        assert_eq!(clean_application_name(&"x".repeat(80)).len(), 63);
    }

    #[test]
    fn a_literal_cannot_be_left() {
        assert_eq!(literal(r"a'; DROP \' x"), r"E'a''; DROP \\'' x'");
    }

    #[test]
    fn a_setting_that_was_not_kept_is_named() {
        let wanted = [("lock_timeout", "3000".to_owned())];
        let found = [("lock_timeout".to_owned(), "0".to_owned())];
        let error = compare(&wanted, &found).unwrap_err().to_string();
        assert!(
            error.contains("lock_timeout") && error.contains("pooler"),
            "{error}"
        );
        compare(&wanted, &[]).unwrap();
    }
}
