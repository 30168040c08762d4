//! Turns a written address and its surroundings into a [`Conninfo`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::connection_string::several_hosts;
use super::conninfo::{
    ChannelBinding, Conninfo, ConninfoError, Host, Keepalives, RootCertificates, SslMode,
};
use super::conninfo_sources::Settings;
use super::environment::Environment;
use super::passfile::{self, Lookup, Wanted};

const DEFAULT_PORT: u16 = 5432;
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn resolve(source: &str, environment: &Environment) -> Result<Conninfo, ConninfoError> {
    let mut settings = Settings::read(source, environment)?;
    settings.add_service(environment)?;
    settings.add_variables(environment);
    settings.check_support()?;
    settings.build(environment)
}

impl Settings {
    fn build(&self, environment: &Environment) -> Result<Conninfo, ConninfoError> {
        let port = self
            .read_as("port", "write one number from 1 to 65535", |value| {
                value.parse::<u16>().ok().filter(|&port| port != 0)
            })?
            .unwrap_or(DEFAULT_PORT);
        let hostaddr = self.read_as(
            "hostaddr",
            "write one IP address; a name goes into host",
            |value| value.parse::<IpAddr>().ok(),
        )?;
        let host = self.host(hostaddr, port, environment)?;
        let user = match self.get("user").or_else(|| environment.user()) {
            Some(user) => user.to_owned(),
            None => {
                return Err(self.wrong(
                    "user",
                    "it names no user and the operating system's is unknown; add user=NAME"
                        .to_owned(),
                ));
            }
        };
        let database = self.get("dbname").unwrap_or(&user).to_owned();
        let sslrootcert = self.root_certificates(environment);
        let mut info = Conninfo {
            sslmode: self.sslmode(sslrootcert.as_ref())?,
            sslcert: self.own_file("sslcert", "postgresql.crt", environment),
            sslkey: self.own_file("sslkey", "postgresql.key", environment),
            ssl_direct: self.ssl_direct()?,
            tls13_only: self.tls13_only()?,
            channel_binding: self.channel_binding()?,
            connect_timeout: self.connect_timeout()?,
            keepalives: self.keepalives()?,
            options: self.get("options").map(str::to_owned),
            application_name: self.get("application_name").map(str::to_owned),
            must_be_primary: self.must_be_primary()?,
            password: self
                .get("password")
                .map(|password| SecretString::from(password.to_owned())),
            notes: Vec::new(),
            host,
            hostaddr,
            port,
            user,
            database,
            sslrootcert,
        };
        if info.ssl_direct && info.sslmode < SslMode::Require {
            return Err(self.wrong(
                "sslnegotiation",
                format!(
                    "sslnegotiation=direct needs sslmode=require or stronger, not {}",
                    info.sslmode.as_str()
                ),
            ));
        }
        if info.password.is_none() {
            self.look_up_password(&mut info, environment);
        }
        Ok(info)
    }

    fn host(
        &self,
        hostaddr: Option<IpAddr>,
        port: u16,
        environment: &Environment,
    ) -> Result<Host, ConninfoError> {
        match (self.get("host"), hostaddr) {
            (Some(host), _) if host.contains(',') => Err(self.wrong("host", several_hosts())),
            (Some(host), _) if host.starts_with('@') => Err(self.wrong(
                "host",
                "sockets in the abstract namespace are not supported; name a folder".to_owned(),
            )),
            (Some(folder), _) if folder.starts_with('/') => Ok(Host::Socket(PathBuf::from(folder))),
            (Some(name), _) => Ok(Host::Tcp(name.to_owned())),
            (None, Some(address)) => Ok(Host::Tcp(address.to_string())),
            (None, None) => Ok(environment.socket_folder(port).map_or_else(
                || Host::Tcp("localhost".to_owned()),
                |folder| Host::Socket(folder.to_owned()),
            )),
        }
    }

    fn sslmode(&self, roots: Option<&RootCertificates>) -> Result<SslMode, ConninfoError> {
        let mode = self.read_as(
            "sslmode",
            "write disable, allow, prefer, require, verify-ca or verify-full",
            SslMode::parse,
        )?;
        match (mode, roots) {
            // Everybody can get a certificate of a public authority, so only the name proves
            // anything.
            (None, Some(RootCertificates::System)) => Ok(SslMode::VerifyFull),
            (Some(mode), Some(RootCertificates::System)) if mode != SslMode::VerifyFull => {
                Err(self.wrong(
                    "sslmode",
                    format!(
                        "sslrootcert=system needs sslmode=verify-full, not {}",
                        mode.as_str()
                    ),
                ))
            }
            (mode, _) => Ok(mode.unwrap_or(SslMode::Prefer)),
        }
    }

    fn root_certificates(&self, environment: &Environment) -> Option<RootCertificates> {
        match self.get("sslrootcert") {
            Some("system") => Some(RootCertificates::System),
            Some(file) => Some(RootCertificates::File(PathBuf::from(file))),
            None => environment
                .in_home(".postgresql/root.crt")
                .filter(|file| file.is_file())
                .map(RootCertificates::File),
        }
    }

    /// Returns a file that was named, or the usual one if it is there.
    fn own_file(&self, name: &str, usual: &str, environment: &Environment) -> Option<PathBuf> {
        match self.get(name) {
            Some(file) => Some(PathBuf::from(file)),
            None => environment
                .in_home(&format!(".postgresql/{usual}"))
                .filter(|file| file.is_file()),
        }
    }

    fn ssl_direct(&self) -> Result<bool, ConninfoError> {
        let direct = self.read_as(
            "sslnegotiation",
            "write postgres or direct",
            |value| match value {
                "postgres" => Some(false),
                "direct" => Some(true),
                _ => None,
            },
        )?;
        Ok(direct.unwrap_or(false))
    }

    fn tls13_only(&self) -> Result<bool, ConninfoError> {
        let only = self.read_as(
            "ssl_min_protocol_version",
            "write TLSv1.2 or TLSv1.3",
            |value| match value {
                "TLSv1" | "TLSv1.1" | "TLSv1.2" => Some(false),
                "TLSv1.3" => Some(true),
                _ => None,
            },
        )?;
        Ok(only.unwrap_or(false))
    }

    fn channel_binding(&self) -> Result<ChannelBinding, ConninfoError> {
        let binding = self.read_as(
            "channel_binding",
            "write disable, prefer or require",
            |value| match value {
                "disable" => Some(ChannelBinding::Disable),
                "prefer" => Some(ChannelBinding::Prefer),
                "require" => Some(ChannelBinding::Require),
                _ => None,
            },
        )?;
        Ok(binding.unwrap_or(ChannelBinding::Prefer))
    }

    /// Zero and less mean "for ever" to PostgreSQL's programs; here somebody is waiting.
    fn connect_timeout(&self) -> Result<Duration, ConninfoError> {
        Ok(match self.number::<i64>("connect_timeout")? {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds.unsigned_abs()),
            _ => DEFAULT_CONNECT_TIMEOUT,
        })
    }

    fn keepalives(&self) -> Result<Keepalives, ConninfoError> {
        let usual = Keepalives::default();
        let seconds = |name: &str, usual: Duration| -> Result<Duration, ConninfoError> {
            Ok(match self.number::<u64>(name)? {
                Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
                _ => usual,
            })
        };
        Ok(Keepalives {
            enabled: self.flag("keepalives")?.unwrap_or(usual.enabled),
            idle: seconds("keepalives_idle", usual.idle)?,
            interval: seconds("keepalives_interval", usual.interval)?,
            count: self
                .number::<u32>("keepalives_count")?
                .filter(|&count| count > 0)
                .unwrap_or(usual.count),
            user_timeout: self
                .number::<u64>("tcp_user_timeout")?
                .filter(|&milliseconds| milliseconds > 0)
                .map_or(usual.user_timeout, Duration::from_millis),
        })
    }

    fn must_be_primary(&self) -> Result<bool, ConninfoError> {
        let must = self.read_as(
            "target_session_attrs",
            "write any, read-write, primary or prefer-standby: this program makes changes, so a \
             server that takes none is of no use",
            |value| match value {
                "any" | "prefer-standby" => Some(false),
                "read-write" | "primary" => Some(true),
                _ => None,
            },
        )?;
        Ok(must.unwrap_or(false))
    }

    fn look_up_password(&self, info: &mut Conninfo, environment: &Environment) {
        let named = self.get("passfile").map(PathBuf::from);
        let explicit = named.is_some();
        let Some(file) = named.or_else(|| environment.in_home(".pgpass")) else {
            return;
        };
        let host = match &info.host {
            Host::Tcp(name) => name.clone(),
            // The usual folder goes by the name of the machine, other ones by their own.
            Host::Socket(_) if self.get("host").is_none() => "localhost".to_owned(),
            Host::Socket(folder) => folder.to_string_lossy().into_owned(),
        };
        let wanted = Wanted {
            host: &host,
            port: info.port,
            database: &info.database,
            user: &info.user,
        };
        match passfile::look_up(&file, &wanted) {
            Lookup::Found(password) => info.password = Some(password),
            Lookup::Unusable(why) => info.notes.push(why),
            Lookup::Nothing if explicit => info.notes.push(format!(
                "the password file {} has no line for {}",
                file.display(),
                info.describe()
            )),
            Lookup::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use secrecy::ExposeSecret;

    use super::*;

    fn surroundings(variables: &[(&'static str, &str)]) -> Environment {
        Environment::from_variables(variables.iter().copied()).with_user("os_user")
    }

    fn resolved(source: &str, variables: &[(&'static str, &str)]) -> Conninfo {
        resolve(source, &surroundings(variables)).unwrap()
    }

    fn refused(source: &str, variables: &[(&'static str, &str)]) -> String {
        resolve(source, &surroundings(variables))
            .unwrap_err()
            .to_string()
    }

    fn private(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn defaults_are_those_of_postgresqls_own_programs() {
        let info = resolved("dbname=''", &[]);
        assert_eq!(info.describe(), "os_user@localhost:5432/os_user");
        assert_eq!(info.sslmode, SslMode::Prefer);
        assert_eq!(resolved("user=u", &[]).database, "u");

        let folder = tempfile::tempdir().unwrap();
        let here = surroundings(&[]).with_socket_folders(&[Path::new("/nowhere"), folder.path()]);
        let info = resolve("user=u", &here).unwrap();
        assert_eq!(info.host, Host::Socket(folder.path().to_owned()));
    }

    #[test]
    fn what_is_written_beats_the_service_file_and_that_the_variables() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("services");
        std::fs::write(
            &file,
            "[s]\nhost=from_service\nport=1111\nuser=from_service\n",
        )
        .unwrap();
        let variables = [
            ("PGSERVICEFILE", file.to_str().unwrap()),
            ("PGPORT", "2222"),
            ("PGDATABASE", "from_variable"),
            ("PGSSLMODE", "require"),
            ("URL", "postgresql://from_url@/?service=s"),
        ];
        for source in ["env:URL", "user=from_url service=s"] {
            let info = resolved(source, &variables);
            assert_eq!(
                info.describe(),
                "from_url@from_service:1111/from_variable",
                "{source}"
            );
            assert_eq!(info.sslmode, SslMode::Require);
        }
        assert_eq!(resolved("service:s", &variables).user, "from_service");
        let by_variable = [
            ("PGSERVICEFILE", file.to_str().unwrap()),
            ("PGSERVICE", "s"),
        ];
        assert_eq!(resolved("dbname=d", &by_variable).port, 1111);
    }

    #[test]
    fn an_error_says_where_and_what_is_valid() {
        for (source, expected) in [
            ("env:MISSING", vec!["MISSING", "not set"]),
            ("prod", vec!["env:NAME", "postgresql://"]),
            ("", vec!["env:NAME"]),
            ("host=a,b", vec!["several hosts"]),
            ("port=1,2 host=h", vec!["port=1,2", "65535"]),
            ("port=0", vec!["65535"]),
            ("sslmode=on", vec!["sslmode=on", "verify-full"]),
            ("hostaddr=db.example", vec!["IP address"]),
            ("target_session_attrs=standby", vec!["primary"]),
            ("sslcrl=/x", vec!["sslcrl", "revocation"]),
            ("require_auth=none", vec!["channel_binding=require"]),
            ("gssencmode=require", vec!["gssencmode", "Kerberos"]),
            (
                "sslnegotiation=direct sslmode=prefer",
                vec!["sslmode=require"],
            ),
            ("sslrootcert=system sslmode=require", vec!["verify-full"]),
            ("service:none", vec!["'none'", "was not found"]),
        ] {
            let error = refused(source, &[]);
            for part in expected {
                assert!(error.contains(part), "{source}: {error}");
            }
        }
        let error = refused("host=h", &[("PGSSLMODE", "yes")]);
        assert!(
            error.starts_with("the environment variable PGSSLMODE"),
            "{error}"
        );
    }

    #[test]
    fn no_error_and_no_debug_shows_a_password() {
        for source in [
            "postgresql://u:s3cret@h:99999/d",
            "postgresql://u:s3cret@h/d?sslmode=bad",
            "host=h password=s3cret port=x",
            "s3cret",
        ] {
            let error = refused(source, &[]);
            assert!(!error.contains("s3cret"), "{error}");
        }
        let info = resolved("postgresql://u:s3cret@h/d", &[("PGPASSWORD", "other")]);
        assert_eq!(info.password.as_ref().unwrap().expose_secret(), "s3cret");
        assert!(!format!("{info:?}{}", info.describe()).contains("s3cret"));
        let child = info.child_environment(Some(Path::new("/p")));
        assert!(!format!("{child:?}").contains("s3cret"));
        assert!(child.contains(&("PGPASSFILE".to_owned(), "/p".to_owned())));
        assert!(Conninfo::foreign_variables().any(|name| name == "PGPASSWORD"));
    }

    #[test]
    fn a_password_is_looked_up_in_the_file_that_was_named_or_the_usual_one() {
        let home = tempfile::tempdir().unwrap();
        private(&home.path().join(".pgpass"), "h:*:*:*:usual\n");
        let named = home.path().join("named");
        private(&named, "h:*:*:*:named\n");
        let password = |variables: &[(&'static str, &str)]| {
            let environment = surroundings(variables).with_home(home.path());
            let info = resolve("host=h", &environment).unwrap();
            (
                info.password
                    .map(|secret| secret.expose_secret().to_owned()),
                info.notes,
            )
        };
        assert_eq!(password(&[]), (Some("usual".to_owned()), vec![]));
        let by_name = [("PGPASSFILE", named.to_str().unwrap())];
        assert_eq!(password(&by_name), (Some("named".to_owned()), vec![]));

        std::fs::set_permissions(&named, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (found, notes) = password(&by_name);
        assert_eq!(found, None);
        assert!(notes[0].contains("644"), "{notes:?}");
    }

    #[test]
    fn a_weak_transport_is_named_only_where_there_is_a_way_to_the_server() {
        assert_eq!(resolved("host=/tmp", &[]).transport_weakness(), None);
        assert_eq!(resolved("host=127.0.0.1", &[]).transport_weakness(), None);
        assert_eq!(
            resolved("host=db sslmode=verify-full", &[]).transport_weakness(),
            None
        );
        for mode in ["disable", "prefer", "require", "verify-ca"] {
            let info = resolved(&format!("host=db sslmode={mode}"), &[]);
            let weakness = info.transport_weakness().unwrap();
            assert!(weakness.contains(mode), "{weakness}");
        }
    }

    #[test]
    fn another_user_does_not_get_the_first_ones_password() {
        let info = resolved("postgresql://a:secret@h/d", &[]);
        assert!(info.with_user("b").password.is_none());
        assert!(info.with_database("e").password.is_some());
        assert_eq!(info.with_database("e").describe(), "a@h:5432/e");
    }
}
