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
    let values: Vec<String> = wanted_here
        .chain(keepalives(tcp))
        .map(|(name, value)| format!("({}, {})", literal(&name), literal(&value)))
        .collect();
    let names: Vec<String> = wanted.iter().map(|(name, _)| literal(name)).collect();
    // Everything is named in full, operators too: the role's search_path may hold others.
    let sql = format!(
        "SELECT pg_catalog.set_config(s.name, v.value, false) \
           FROM pg_catalog.pg_settings s \
           JOIN (VALUES {values}) AS v(name, value) ON s.name OPERATOR(pg_catalog.=) v.name; \
         SELECT 'version', pg_catalog.current_setting('server_version_num'), \
                pg_catalog.current_setting('server_version'); \
         SELECT 'setting', name, setting FROM pg_catalog.pg_settings \
          WHERE name OPERATOR(pg_catalog.=) ANY (ARRAY[{names}])",
        values = values.join(", "),
        names = names.join(", "),
    );
    let mut version = None;
    let mut read_back = Vec::new();
    for row in session.rows(&sql).await? {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        match (fields.next().as_deref(), fields.next(), fields.next()) {
            (Some("version"), Some(num), Some(text)) => {
                let num = num.parse().map_err(|_| PostgresError::Protocol {
                    reason: format!("the server's version is '{num}'"),
                })?;
                version = Some(ServerVersion { num, text });
            }
            (Some("setting"), Some(name), Some(value)) => read_back.push((name, value)),
            _ => {}
        }
    }
    let version = version.ok_or_else(|| PostgresError::Protocol {
        reason: "the server does not say its version".to_owned(),
    })?;
    read_back.sort();
    Ok(Made { version, read_back })
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
