//! Where a schema comes from, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place that a schema can be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A database: `postgresql://…`, `env:NAME`, `service:NAME`.
    Database(String),
    /// A file of SQL, such as a dump.
    File(PathBuf),
    /// A snapshot that was saved.
    Snapshot(PathBuf),
    /// `git:REV:path`: a file of SQL as a revision has it.
    Git { revision: String, path: String },
    /// `dir:folder`: migrations, applied in the order of their names.
    Migrations(PathBuf),
}

/// Why a text names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(
        "`{0}` is no source; write file.sql, snapshot.json, git:REV:path, dir:migrations/, \
         env:NAME, service:NAME or postgresql://…"
    )]
    Unknown(String),
    #[error("`{0}` is no revision and path; write git:REV:path, such as git:main:db/schema.sql")]
    Git(String),
    #[error("the address holds a password; write env:NAME, and put the address there")]
    Password,
}

impl Source {
    /// Tells whether it has to be loaded into a scratch server.
    pub fn is_loaded(&self) -> bool {
        matches!(
            self,
            Source::File(_) | Source::Git { .. } | Source::Migrations(_)
        )
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Source, SourceError> {
        if text.starts_with("postgresql://") || text.starts_with("postgres://") {
            return match has_password(text) {
                true => Err(SourceError::Password),
                false => Ok(Source::Database(text.to_owned())),
            };
        }
        match text.split_once(':') {
            Some(("env" | "service", name)) if !name.is_empty() => {
                return Ok(Source::Database(text.to_owned()));
            }
            Some(("git", rest)) => {
                return rest
                    .split_once(':')
                    // A revision that looks like an option would be taken for one.
                    .filter(|(revision, path)| {
                        !revision.is_empty() && !revision.starts_with('-') && !path.is_empty()
                    })
                    .map(|(revision, path)| Source::Git {
                        revision: revision.to_owned(),
                        path: path.to_owned(),
                    })
                    .ok_or_else(|| SourceError::Git(text.to_owned()));
            }
            Some(("dir", folder)) if !folder.is_empty() => {
                return Ok(Source::Migrations(PathBuf::from(folder)));
            }
            _ => {}
        }
        let path = PathBuf::from(text);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("sql") => Ok(Source::File(path)),
            Some("json") => Ok(Source::Snapshot(path)),
            _ => Err(SourceError::Unknown(text.to_owned())),
        }
    }
}

fn has_password(address: &str) -> bool {
    let rest = address.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || address.contains("password=")
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Database(address) => f.write_str(address),
            Source::File(path) | Source::Snapshot(path) => write!(f, "{}", path.display()),
            Source::Git { revision, path } => write!(f, "git:{revision}:{path}"),
            Source::Migrations(folder) => write!(f, "dir:{}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_as_it_was() {
        for text in [
            "db/schema.sql",
            "before.json",
            "git:main~2:db/schema.sql",
            "dir:db/migrations",
            "env:PROD",
            "service:prod",
            "postgresql://ana@db.example/app?sslmode=require",
        ] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_source_is_refused_and_a_password_never_repeated() {
        for text in ["schema", "git:main", "git:-x:y.sql", "env:", "dir:", ""] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
        for text in [
            "postgresql://ana:secret@db/app",
            "postgres://db/app?password=secret",
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
