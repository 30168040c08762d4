//! The connection keywords of PostgreSQL's own client library: which are honoured, which refused
//! and why, and the variable that stands in for each.

/// What this program does with a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    Honoured,
    /// Changes nothing that matters here, so it is read and left at that.
    Ignored,
    /// Honoured only with these values, because the rest would promise something.
    Only(&'static [&'static str], &'static str),
    /// Would promise something that is not kept.
    Refused(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keyword {
    pub(super) name: &'static str,
    pub(super) variable: Option<&'static str>,
    pub(super) support: Support,
}

const fn honoured(name: &'static str, variable: Option<&'static str>) -> Keyword {
    Keyword {
        name,
        variable,
        support: Support::Honoured,
    }
}

const fn ignored(name: &'static str, variable: Option<&'static str>) -> Keyword {
    Keyword {
        name,
        variable,
        support: Support::Ignored,
    }
}

const fn only(
    name: &'static str,
    variable: Option<&'static str>,
    values: &'static [&'static str],
    why: &'static str,
) -> Keyword {
    Keyword {
        name,
        variable,
        support: Support::Only(values, why),
    }
}

const fn refused(name: &'static str, variable: Option<&'static str>, why: &'static str) -> Keyword {
    Keyword {
        name,
        variable,
        support: Support::Refused(why),
    }
}

const NO_KERBEROS: &str = "Kerberos is not spoken here";
const NO_REVOCATION: &str = "revocation lists are not checked here";

pub(super) const KEYWORDS: &[Keyword] = &[
    honoured("host", Some("PGHOST")),
    honoured("hostaddr", Some("PGHOSTADDR")),
    honoured("port", Some("PGPORT")),
    honoured("dbname", Some("PGDATABASE")),
    honoured("user", Some("PGUSER")),
    honoured("password", Some("PGPASSWORD")),
    honoured("passfile", Some("PGPASSFILE")),
    honoured("service", Some("PGSERVICE")),
    honoured("servicefile", Some("PGSERVICEFILE")),
    honoured("application_name", Some("PGAPPNAME")),
    ignored("fallback_application_name", None),
    honoured("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    honoured("options", Some("PGOPTIONS")),
    honoured("sslmode", Some("PGSSLMODE")),
    honoured("sslrootcert", Some("PGSSLROOTCERT")),
    honoured("sslcert", Some("PGSSLCERT")),
    honoured("sslkey", Some("PGSSLKEY")),
    honoured("sslnegotiation", Some("PGSSLNEGOTIATION")),
    honoured("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    honoured("channel_binding", Some("PGCHANNELBINDING")),
    honoured("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    honoured("keepalives", None),
    honoured("keepalives_idle", None),
    honoured("keepalives_interval", None),
    honoured("keepalives_count", None),
    honoured("tcp_user_timeout", None),
    // The session speaks UTF-8, whatever the programs of this user like to read.
    ignored("client_encoding", Some("PGCLIENTENCODING")),
    ignored("sslcompression", Some("PGSSLCOMPRESSION")),
    ignored("sslsni", Some("PGSSLSNI")),
    only(
        "load_balance_hosts",
        Some("PGLOADBALANCEHOSTS"),
        &["disable"],
        "the server on the screen must be the server that is changed",
    ),
    only(
        "gssencmode",
        Some("PGGSSENCMODE"),
        &["disable", "prefer"],
        NO_KERBEROS,
    ),
    only(
        "replication",
        None,
        &["false", "off", "no", "0"],
        "a replication connection runs no statements",
    ),
    ignored("krbsrvname", Some("PGKRBSRVNAME")),
    ignored("gsslib", Some("PGGSSLIB")),
    only(
        "gssdelegation",
        Some("PGGSSDELEGATION"),
        &["0"],
        NO_KERBEROS,
    ),
    refused(
        "sslpassword",
        None,
        "encrypted key files are not read; decrypt the key into a file with mode 0600",
    ),
    refused("sslcrl", Some("PGSSLCRL"), NO_REVOCATION),
    refused("sslcrldir", Some("PGSSLCRLDIR"), NO_REVOCATION),
    refused(
        "requirepeer",
        Some("PGREQUIREPEER"),
        "the server process's owner is not checked here",
    ),
    refused(
        "require_auth",
        Some("PGREQUIREAUTH"),
        "the method is not checked here; use channel_binding=require",
    ),
    refused(
        "ssl_max_protocol_version",
        Some("PGSSLMAXPROTOCOLVERSION"),
        "the newest TLS that both ends know is used",
    ),
];

/// Finds a keyword by its name.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// Returns the names that may be written, for an error about one that may not.
pub(super) fn valid_names() -> String {
    KEYWORDS
        .iter()
        .filter(|keyword| !matches!(keyword.support, Support::Refused(_)))
        .map(|keyword| keyword.name)
        .collect::<Vec<_>>()
        .join(", ")
}
