//! Passwords in files: looking one up in `.pgpass`, and handing one to a child program.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// What a lookup found.
#[derive(Debug)]
pub(super) enum Lookup {
    Found(SecretString),
    Nothing,
    /// The file is there and was not used; the reason is for the screen.
    Unusable(String),
}

/// Whom a password is for.
pub(super) struct Wanted<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// Looks a password up the way PostgreSQL's own programs do: the first line that matches, and
/// not at all in a file that others may read.
pub(super) fn look_up(file: &Path, wanted: &Wanted<'_>) -> Lookup {
    let metadata = match std::fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Lookup::Nothing,
        Err(error) => return unusable(file, &format!("cannot be looked at: {error}")),
    };
    if !metadata.is_file() {
        return unusable(file, "is not a plain file");
    }
    if metadata.mode() & 0o077 != 0 {
        return unusable(
            file,
            &format!(
                "may be read by others (mode {:o}); run chmod 0600 on it",
                metadata.mode() & 0o777
            ),
        );
    }
    match std::fs::read_to_string(file) {
        Ok(text) => find_line(&text, wanted).map_or(Lookup::Nothing, Lookup::Found),
        Err(error) => unusable(file, &format!("cannot be read: {error}")),
    }
}

fn unusable(file: &Path, why: &str) -> Lookup {
    Lookup::Unusable(format!(
        "the password file {} was not used: it {why}",
        file.display()
    ))
}

fn find_line(text: &str, wanted: &Wanted<'_>) -> Option<SecretString> {
    let port = wanted.port.to_string();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line;
            for value in [wanted.host, &port, wanted.database, wanted.user] {
                let (field, after) = take_field(rest)?;
                if field != "*" && unescape(field) != value {
                    return None;
                }
                rest = after;
            }
            // The password is the rest of the line, up to an unescaped colon.
            let password = take_field(rest).map_or(rest, |(password, _)| password);
            Some(SecretString::from(unescape(password)))
        })
}

/// Takes a field off the front, still escaped, and what follows its colon.
fn take_field(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    plain
}

/// A password file for a child program, gone when dropped. No password is ever put into a
/// child's arguments or environment, where every process of the user can read it.
#[derive(Debug)]
pub struct ChildPassfile {
    file: tempfile::NamedTempFile,
}

impl ChildPassfile {
    /// Writes one into a folder, readable by this user only. It answers for every server,
    /// because the child is told by its environment which one to reach.
    pub fn write(folder: &Path, password: &SecretString) -> std::io::Result<Self> {
        let secret = password.expose_secret();
        if secret.contains(['\n', '\r', '\0']) {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "a password with a line break cannot be written to a password file",
            ));
        }
        let mut file = tempfile::Builder::new()
            .prefix(".passfile-")
            .tempfile_in(folder)?;
        let escaped = secret.replace('\\', "\\\\").replace(':', "\\:");
        writeln!(file, "*:*:*:*:{escaped}")?;
        file.flush()?;
        Ok(Self { file })
    }

    /// Returns where it is, for `PGPASSFILE`.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const TEXT: &str = "# comment\n\
        h:5432:d:u:plain\n\
        h:*:*:colon\\:user:p\\:a\\\\ss\n\
        odd\\\\host:5432:*:*:backslash\n\
        short:line\n\
        *:6000:*:*:any host\n\
        *:*:*:last:with:trailing\n";

    fn found(host: &str, port: u16, database: &str, user: &str) -> Option<String> {
        let wanted = Wanted {
            host,
            port,
            database,
            user,
        };
        find_line(TEXT, &wanted).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn the_first_matching_line_wins_with_wildcards_and_escapes() {
        assert_eq!(found("h", 5432, "d", "u").as_deref(), Some("plain"));
        assert_eq!(found("h", 1, "x", "colon:user").as_deref(), Some("p:a\\ss"));
        assert_eq!(
            found("odd\\host", 5432, "x", "y").as_deref(),
            Some("backslash")
        );
        assert_eq!(found("z", 6000, "x", "y").as_deref(), Some("any host"));
        assert_eq!(found("z", 1, "x", "last").as_deref(), Some("with"));
        assert_eq!(found("h", 5433, "d", "u"), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        std::fs::write(&file, TEXT).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let wanted = Wanted {
            host: "h",
            port: 5432,
            database: "d",
            user: "u",
        };
        let Lookup::Unusable(why) = look_up(&file, &wanted) else {
            panic!("it was used");
        };
        assert!(why.contains("640") && why.contains("chmod 0600"), "{why}");
        assert!(matches!(
            look_up(&folder.path().join("none"), &wanted),
            Lookup::Nothing
        ));
        assert!(matches!(
            look_up(folder.path(), &wanted),
            Lookup::Unusable(_)
        ));
    }

    #[test]
    fn a_childs_file_is_private_readable_and_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let secret = "a:b\\c d";
        let passfile = ChildPassfile::write(folder.path(), &SecretString::from(secret)).unwrap();
        let path = passfile.path().to_owned();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let wanted = Wanted {
            host: "h",
            port: 1,
            database: "d",
            user: "u",
        };
        let Lookup::Found(read) = look_up(&path, &wanted) else {
            panic!("not found");
        };
        assert_eq!(read.expose_secret(), secret);
        drop(passfile);
        assert!(!path.exists());
        assert!(ChildPassfile::write(folder.path(), &SecretString::from("a\nb")).is_err());
    }
}
