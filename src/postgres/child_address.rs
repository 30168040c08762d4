//! What another program is given to reach a target: libpq's variables, a password file, and a URL.
//!
//! A password is in the password file, and in the environment where the program reads it from
//! nowhere else. What the program prints passes through [`ChildAddress::masked`].

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::conninfo::{Conninfo, Host, RootCertificates};
use super::passfile::ChildPassfile;

/// What stands in the place of a password.
const MASK: &str = "***";
/// What a libpq of its own does unless told otherwise; not every driver knows the variable.
const USUAL_BINDING: (&str, &str) = ("PGCHANNELBINDING", "prefer");

/// How the program wants to be told.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The variable for the URL.
    pub url: Option<&'a str>,
    /// What stands before `://`; drivers of Java get user and password apart.
    pub scheme: &'a str,
    pub user: Option<&'a str>,
    pub password: Option<&'a str>,
    pub application_name: &'a str,
    /// Settings of its sessions, such as `-c lock_timeout=2000`.
    pub options: &'a str,
}

/// The variables, for as long as the program runs: the password file is gone when this is dropped.
#[derive(Debug)]
pub struct ChildAddress {
    variables: Vec<(String, String)>,
    secrets: Vec<String>,
    _passfile: Option<ChildPassfile>,
}

impl ChildAddress {
    /// Makes the variables; `folder` receives the password file, private to its owner.
    ///
    /// # Errors
    /// Why the program cannot be told, in words that hold no secret.
    pub fn make(info: &Conninfo, told: &Told<'_>, folder: &Path) -> Result<ChildAddress, String> {
        let passfile = match &info.password {
            Some(password) => Some(
                ChildPassfile::write(folder, password)
                    .map_err(|error| format!("no password file: {error}"))?,
            ),
            None => None,
        };
        let options = options(info, told.options);
        let mut variables = info.child_environment(passfile.as_ref().map(ChildPassfile::path));
        variables.retain(|(name, value)| {
            !matches!(name.as_str(), "PGAPPNAME" | "PGOPTIONS")
                && (name.as_str(), value.as_str()) != USUAL_BINDING
        });
        let name = told.application_name.to_owned();
        variables.push(("PGAPPNAME".to_owned(), name));
        if !options.is_empty() {
            variables.push(("PGOPTIONS".to_owned(), options.clone()));
        }
        let secret = info.password.as_ref().map(|p| p.expose_secret());
        if let Some(url) = told.url {
            let made = url_of(info, told, &options, secret)?;
            variables.push((url.to_owned(), made));
        }
        if let Some(user) = told.user {
            variables.push((user.to_owned(), info.user.clone()));
        }
        if let (Some(password), Some(secret)) = (told.password, secret) {
            variables.push((password.to_owned(), secret.to_owned()));
        }
        Ok(ChildAddress {
            variables,
            secrets: spellings(secret),
            _passfile: passfile,
        })
    }

    /// The variables, secrets among them.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Gives one more variable.
    pub fn add(&mut self, name: &str, value: String) {
        self.variables.push((name.to_owned(), value));
    }

    /// Takes the password out of a text, in every spelling that it was given in.
    pub fn masked(&self, text: &str) -> String {
        without(&self.secrets, text)
    }
}

/// Takes a password out of a text, in every spelling that a program could have been given.
pub fn masked(secret: Option<&SecretString>, text: &str) -> String {
    without(&spellings(secret.map(ExposeSecret::expose_secret)), text)
}

fn without(secrets: &[String], text: &str) -> String {
    let replace = |text: String, secret: &String| text.replace(secret, MASK);
    secrets.iter().fold(text.to_owned(), replace)
}

/// The spellings of a password, the longest first.
fn spellings(secret: Option<&str>) -> Vec<String> {
    let Some(secret) = secret.filter(|secret| !secret.is_empty()) else {
        return Vec::new();
    };
    let encoded = encode(secret);
    let lower = encoded.replace("%2F", "%2f");
    let in_file = secret.replace('\\', "\\\\").replace(':', "\\:");
    let mut all = vec![encoded, lower, in_file, secret.to_owned()];
    all.sort_by_key(|one| std::cmp::Reverse(one.len()));
    all.dedup();
    all
}

fn options(info: &Conninfo, ours: &str) -> String {
    let given = info.options.iter().map(String::as_str);
    let all = given.chain([ours]).filter(|text| !text.is_empty());
    all.collect::<Vec<_>>().join(" ")
}

/// Makes the whole address: everything that decides where it leads and how safely.
fn url_of(
    info: &Conninfo,
    told: &Told<'_>,
    options: &str,
    secret: Option<&str>,
) -> Result<String, String> {
    let java = told.scheme.starts_with("jdbc:");
    let mut parameters: Vec<(&str, String)> = Vec::new();
    let host = match &info.host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
        Host::Tcp(name) => encode(name),
        Host::Socket(folder) if java => {
            return Err(format!(
                "a driver of Java reaches no socket, and the target is at {}; give it a host name",
                folder.display()
            ));
        }
        // Not every parser takes a folder for a host, so it stands in a parameter, which wins.
        Host::Socket(folder) => {
            parameters.push(("host", folder.to_string_lossy().into_owned()));
            "localhost".to_owned()
        }
    };
    if let Some(address) = info.hostaddr.filter(|_| !java) {
        parameters.push(("hostaddr", address.to_string()));
    }
    // There is no TLS on a socket, whatever the target says.
    let mode = match &info.host {
        Host::Socket(_) => "disable",
        Host::Tcp(_) => info.sslmode.as_str(),
    };
    parameters.push(("sslmode", mode.to_owned()));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let roots = info.sslrootcert.as_ref().map(|roots| match roots {
        RootCertificates::File(path) => text(path),
        RootCertificates::System => "system".to_owned(),
    });
    let files = [
        ("sslrootcert", roots),
        ("sslcert", info.sslcert.as_deref().map(text)),
        ("sslkey", info.sslkey.as_deref().map(text)),
    ];
    parameters.extend(
        files
            .into_iter()
            .filter_map(|(name, path)| Some((name, path?))),
    );
    let name = if java {
        "ApplicationName"
    } else {
        "application_name"
    };
    parameters.push((name, told.application_name.to_owned()));
    if !options.is_empty() {
        parameters.push(("options", options.to_owned()));
    }
    let parameters: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let who = match (java, secret) {
        (true, _) => String::new(),
        (false, None) => format!("{}@", encode(&info.user)),
        (false, Some(secret)) => format!("{}:{}@", encode(&info.user), encode(secret)),
    };
    Ok(format!(
        "{}://{who}{host}:{}/{}?{}",
        told.scheme,
        info.port,
        encode(&info.database),
        parameters.join("&")
    ))
}

/// Percent-encodes everything but what is safe anywhere in a URL.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::environment::Environment;

    fn told(scheme: &str) -> Told<'_> {
        Told {
            url: Some("DATABASE_URL"),
            scheme,
            user: None,
            password: None,
            application_name: "stagegate r tool g",
            options: "-c lock_timeout=2000",
        }
    }

    fn made(source: &str, told: &Told<'_>) -> (ChildAddress, String) {
        let info = Conninfo::resolve(source, &Environment::default()).unwrap();
        let folder = std::env::temp_dir();
        let address = ChildAddress::make(&info, told, &folder).unwrap();
        let of = |name: &str| address.variables.iter().find(|(n, _)| n == name).cloned();
        let url = of("DATABASE_URL").unwrap().1;
        (address, url)
    }

    #[test]
    fn a_url_is_whole_and_leads_back_to_the_same_place() {
        let source = "postgresql://a%40b:p%2Fw%20d@db.example:6000/my%20db?sslmode=verify-full\
                      &sslrootcert=system";
        let (_, url) = made(source, &told("postgresql"));
        let info = Conninfo::resolve(source, &Environment::default()).unwrap();
        let again = Conninfo::resolve(&url, &Environment::default()).unwrap();
        assert_eq!(again.describe(), info.describe());
        assert_eq!(again.sslmode, info.sslmode);
        assert_eq!(again.options.as_deref(), Some("-c lock_timeout=2000"));
        assert_eq!(
            again.password.unwrap().expose_secret(),
            info.password.unwrap().expose_secret()
        );
    }

    #[test]
    fn a_socket_is_a_parameter_and_has_no_tls() {
        let source = "postgresql://u@/d?host=/run/my%20pg&port=5433&sslmode=require";
        let (_, url) = made(source, &told("postgres"));
        assert!(
            url.starts_with("postgres://u@localhost:5433/d?host=%2Frun%2Fmy%20pg&sslmode=disable&"),
            "{url}"
        );
        let again = Conninfo::resolve(&url, &Environment::default()).unwrap();
        assert_eq!(again.host, Host::Socket("/run/my pg".into()));
        let info = Conninfo::resolve(source, &Environment::default()).unwrap();
        let refused = ChildAddress::make(&info, &told("jdbc:postgresql"), &std::env::temp_dir());
        assert!(refused.unwrap_err().contains("reaches no socket"));
    }

    #[test]
    fn java_gets_user_and_password_apart() {
        let told = Told {
            user: Some("FLYWAY_USER"),
            password: Some("FLYWAY_PASSWORD"),
            ..told("jdbc:postgresql")
        };
        let (address, url) = made("postgresql://u:s3cret@h/d?sslmode=require", &told);
        assert!(url.starts_with("jdbc:postgresql://h:5432/d?sslmode=require&ApplicationName="));
        assert!(!url.contains("s3cret"));
        let has = |name: &str, value: &str| {
            let pair = (name.to_owned(), value.to_owned());
            assert!(address.variables().contains(&pair), "{name}");
        };
        has("FLYWAY_USER", "u");
        has("FLYWAY_PASSWORD", "s3cret");
    }

    #[test]
    fn a_password_is_masked_in_every_spelling() {
        let (address, url) = made("postgresql://u:a%3Ab%2Fc@h/d", &told("postgresql"));
        for text in ["x a:b/c y", "x a%3Ab%2Fc y", "x a\\:b/c y"] {
            assert_eq!(address.masked(text), "x *** y");
        }
        assert!(!address.masked(&url).contains("a%3A"));
    }
}
