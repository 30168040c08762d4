//! Reads `allowed_signers`, the list of whose keys may sign what, and refuses what is too wide.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use ssh_key::{HashAlg, PublicKey};

use super::pattern;
use super::rules::Wanted;

/// One line of the list: a person, a key, and what the key may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigner {
    /// From 1.
    pub line: usize,
    pub principals: Vec<String>,
    pub namespaces: Vec<String>,
    pub valid_after: Option<Timestamp>,
    pub valid_before: Option<Timestamp>,
    pub key: PublicKey,
}

/// What is wrong with a line; line 0 is the list as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    pub line: usize,
    pub what: String,
}

/// The list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedSigners(pub Vec<AllowedSigner>);

impl AllowedSigner {
    /// The fingerprint of its key, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Tells whether the line is about this person.
    pub fn is_of(&self, person: &str) -> bool {
        self.principals.iter().any(|principal| principal == person)
    }

    /// Tells whether its key may sign in a namespace.
    pub fn signs(&self, namespace: &str) -> bool {
        pattern::names(&self.namespaces, namespace)
    }

    /// Why its key does not count at a time, if so. Both ends are inclusive, as `ssh-keygen` has
    /// them.
    pub fn not_valid_at(&self, time: Timestamp) -> Option<String> {
        if let Some(after) = self.valid_after.filter(|after| time < *after) {
            return Some(format!("it counts only from {after} on"));
        }
        let past = |before: &Timestamp| time.as_second() > before.as_second();
        let before = self.valid_before.filter(past)?;
        Some(format!("it expired at {before}"))
    }
}

impl AllowedSigners {
    /// Reads the list. Lines that cannot be read, or that let too much in, are problems.
    pub fn read(text: &str) -> (AllowedSigners, Vec<LineProblem>) {
        let (mut list, mut problems) = (AllowedSigners::default(), Vec::new());
        for (index, content) in text.lines().enumerate() {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let line = index + 1;
            match read_line(content, line) {
                Ok(signer) => list.0.push(signer),
                Err(what) => problems.push(LineProblem { line, what }),
            }
        }
        problems.extend(list.shared_keys());
        (list, problems)
    }

    /// A key proves one person, and no second one.
    fn shared_keys(&self) -> Vec<LineProblem> {
        let mut owners: BTreeMap<String, (&str, usize)> = BTreeMap::new();
        let mut problems = Vec::new();
        for signer in &self.0 {
            let fingerprint = signer.fingerprint();
            for person in &signer.principals {
                let known = owners.get(&fingerprint);
                match known {
                    Some((other, first)) if *other != person.as_str() => problems.push(LineProblem {
                        line: signer.line,
                        what: format!(
                            "the key {fingerprint} is listed for `{other}` (line {first}) and for \
                             `{person}`: one key proves one person"
                        ),
                    }),
                    Some(_) => {}
                    None => {
                        owners.insert(fingerprint.clone(), (person, signer.line));
                    }
                }
            }
        }
        problems
    }

    /// Every role that is asked to sign needs somebody with a key for it.
    pub fn lacking(&self, wanted: &[Wanted]) -> Vec<LineProblem> {
        let lacks = |wanted: &&Wanted| {
            !self.0.iter().any(|signer| {
                signer.signs(&wanted.namespace)
                    && wanted.members.iter().any(|member| signer.is_of(member))
            })
        };
        let problem = |wanted: &Wanted| LineProblem {
            line: 0,
            what: format!(
                "role `{}` has no key for the namespace {}; its members: {}",
                wanted.role,
                wanted.namespace,
                wanted.members.join(", ")
            ),
        };
        wanted.iter().filter(lacks).map(problem).collect()
    }
}

fn read_line(content: &str, line: usize) -> Result<AllowedSigner, String> {
    let (principals, rest) = field(content)?;
    let principals = list_of(&principals);
    if principals.is_empty() {
        return Err("it names nobody".to_owned());
    }
    for principal in &principals {
        if principal == "*" {
            return Err("`*` lets one key sign as anybody; name the person".to_owned());
        }
        if pattern::is_pattern(principal) {
            return Err(format!(
                "`{principal}` lets one key sign as several people; name the person"
            ));
        }
    }
    let rest = rest.trim_start();
    let (options, key) = match PublicKey::from_openssh(rest) {
        Ok(key) => (Options::default(), Ok(key)),
        Err(_) => {
            let (options, key) = options_end(rest)?;
            (Options::read(options)?, PublicKey::from_openssh(key.trim()))
        }
    };
    if options.authority {
        return Err(
            "it is an authority for certificates, which this version does not verify; list each \
             person's own key"
                .to_owned(),
        );
    }
    let key = key.map_err(|error| format!("its key cannot be read: {error}"))?;
    if key.key_data().is_dsa() || key.key_data().is_other() {
        return Err(format!("keys of type {} do not count", key.algorithm()));
    }
    let Some(namespaces) = options.namespaces else {
        return Err(
            "it lacks namespaces=\"…\": a key without them signs for every role and purpose"
                .to_owned(),
        );
    };
    Ok(AllowedSigner {
        line,
        principals,
        namespaces,
        valid_after: options.valid_after,
        valid_before: options.valid_before,
        key,
    })
}

/// Reads the first field, which may stand in quotes.
fn field(text: &str) -> Result<(String, &str), String> {
    match text.strip_prefix('"') {
        Some(quoted) => quoted
            .split_once('"')
            .map(|(field, rest)| (field.to_owned(), rest))
            .ok_or_else(|| "a quote is not closed".to_owned()),
        None => text
            .split_once(char::is_whitespace)
            .map(|(field, rest)| (field.to_owned(), rest))
            .ok_or_else(|| "its key is missing".to_owned()),
    }
}

/// Splits where the options end: at the first blank that stands outside of quotes.
fn options_end(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return Ok(text.split_at(at)),
            _ => {}
        }
    }
    Err(match quoted {
        true => "a quote is not closed".to_owned(),
        false => "its key is missing, or cannot be read".to_owned(),
    })
}

fn list_of(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[derive(Default)]
struct Options {
    authority: bool,
    namespaces: Option<Vec<String>>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl Options {
    fn read(text: &str) -> Result<Options, String> {
        let mut options = Options::default();
        for option in split_options(text) {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(unquoted(value))),
                None => (option.as_str(), None),
            };
            match (name.to_ascii_lowercase().as_str(), value) {
                ("cert-authority", None) => options.authority = true,
                ("namespaces", Some(list)) if !list_of(list).is_empty() => {
                    options.namespaces = Some(list_of(list));
                }
                ("valid-after", Some(time)) => options.valid_after = Some(time_of(time)?),
                ("valid-before", Some(time)) => options.valid_before = Some(time_of(time)?),
                _ => return Err(format!("`{option}` is no option that is known here")),
            }
        }
        Ok(options)
    }
}

fn split_options(text: &str) -> Vec<String> {
    let (mut options, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        match c {
            ',' if !quoted => options.push(String::new()),
            c => {
                quoted ^= c == '"';
                if let Some(last) = options.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    options
}

fn unquoted(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// Reads `YYYYMMDD`, with `HHMM` and `SS` behind it or not. Without a `Z` it would mean another
/// moment on every machine.
fn time_of(text: &str) -> Result<Timestamp, String> {
    let Some(digits) = text.strip_suffix(['Z', 'z']) else {
        return Err(format!("the time `{text}` must end in Z, which is UTC"));
    };
    let format = match digits.len() {
        8 => "%Y%m%d",
        12 => "%Y%m%d%H%M",
        14 => "%Y%m%d%H%M%S",
        _ => "",
    };
    let read = match digits.len() {
        8 => jiff::civil::Date::strptime(format, digits).map(DateTime::from),
        _ => DateTime::strptime(format, digits),
    };
    let zoned = read.and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
    zoned
        .map(|time| time.timestamp())
        .map_err(|_| format!("`{text}` is no time; write it as 20260131Z or 202601312359Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X";

    fn problems(text: &str) -> Vec<(usize, String)> {
        let (_, problems) = AllowedSigners::read(text);
        problems.into_iter().map(|p| (p.line, p.what)).collect()
    }

    #[track_caller]
    fn refused(line: &str, words: &str) {
        let found = problems(&format!("# a list\n\n{line}\n"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, 3);
        assert!(found[0].1.contains(words), "{found:?}");
    }

    #[test]
    fn a_line_is_read_with_all_its_parts() {
        let text = format!(
            "ana@example.com namespaces=\"dba.signoff.x,dba.waiver.x\",valid-after=\"20260101Z\",\
             valid-before=\"202701011230Z\" {KEY} ana's key, touch needed\n"
        );
        let (list, problems) = AllowedSigners::read(&text);
        assert!(problems.is_empty(), "{problems:?}");
        let signer = &list.0[0];
        assert!(signer.is_of("ana@example.com") && !signer.is_of("ana"));
        assert!(signer.signs("dba.waiver.x") && !signer.signs("dba.signoff.y"));
        let at = |time: &str| signer.not_valid_at(time.parse().unwrap());
        assert!(at("2025-12-31T23:59:59Z").is_some());
        assert_eq!(at("2026-01-01T00:00:00Z"), None);
        assert_eq!(at("2027-01-01T12:30:00.9Z"), None);
        assert!(at("2027-01-01T12:30:01Z").unwrap().contains("expired"));
        assert!(signer.fingerprint().starts_with("SHA256:"));
    }

    #[test]
    fn what_lets_too_much_in_is_refused() {
        refused(&format!("* namespaces=\"x\" {KEY}"), "name the person");
        refused(
            &format!("*@example.com namespaces=\"x\" {KEY}"),
            "several people",
        );
        refused(&format!("ana,*,bob namespaces=\"x\" {KEY}"), "anybody");
        refused(&format!("ana {KEY}"), "lacks namespaces");
        refused(
            &format!("ana valid-after=\"20260101Z\" {KEY}"),
            "lacks namespaces",
        );
        refused(
            &format!("ana cert-authority,namespaces=\"x\" {KEY}"),
            "certificates",
        );
        refused(
            &format!("ana namespaces=\"x\",magic {KEY}"),
            "`magic` is no option",
        );
        refused(
            &format!("ana namespaces=\"x\",valid-before=\"20260101\" {KEY}"),
            "must end in Z",
        );
        refused("ana namespaces=\"x\" ssh-ed25519 AAAA", "cannot be read");
        refused("ana namespaces=\"x ssh-ed25519", "quote is not closed");
        refused("ana", "its key is missing");
        refused(
            &format!("ana,bob namespaces=\"x\" {KEY}"),
            "one key proves one person",
        );
    }

    #[test]
    fn one_key_on_two_people_names_both_lines() {
        let text = format!(
            "ana namespaces=\"a\" {KEY}\nana namespaces=\"b\" {KEY}\nbob namespaces=\"b\" {KEY}\n"
        );
        let found = problems(&text);
        assert_eq!(found.len(), 1, "a person may have two lines: {found:?}");
        assert_eq!(found[0].0, 3);
        assert!(found[0].1.contains("`ana` (line 1)"), "{found:?}");
    }

    #[test]
    fn a_role_without_a_key_is_named() {
        let text =
            format!("ana namespaces=\"dba.signoff.x\" {KEY}\neve namespaces=\"*\" {OTHER}\n");
        let (list, _) = AllowedSigners::read(&text);
        let wanted = |role: &str, member: &str| Wanted {
            role: role.to_owned(),
            namespace: format!("{role}.signoff.x"),
            members: vec![member.to_owned()],
        };
        let lacking = list.lacking(&[wanted("dba", "ana"), wanted("security", "sam")]);
        assert_eq!(lacking.len(), 1);
        assert!(lacking[0].what.contains("role `security`"));
    }
}
