//! Reads the two written forms of an address, `postgresql://…` and `host=… dbname=…`, into
//! keywords and values.
//!
//! What cannot be read is described without being quoted: any part of a mangled address may be a
//! part of its password.

use super::keywords;

/// Keywords with their values, in the order written.
pub(super) type Pairs = Vec<(&'static str, String)>;

const ENCODE: &str = "write '/', '@', ':', '?' and '%' in a name or password percent-encoded \
                      (%2F, %40, %3A, %3F, %25)";

pub(super) fn is_uri(text: &str) -> bool {
    strip_scheme(text).is_some()
}

fn strip_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"))
}

/// Reads `postgresql://user:password@host:port/database?keyword=value`.
pub(super) fn parse_uri(text: &str) -> Result<Pairs, String> {
    let rest = strip_scheme(text).unwrap_or(text);
    let mut pairs = Pairs::new();
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let (credentials, rest) = match rest.get(..authority_end).and_then(|part| part.rfind('@')) {
        Some(at) => (rest.get(..at), rest.get(at + 1..).unwrap_or_default()),
        None => (None, rest),
    };
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        push(&mut pairs, "user", user)?;
        push(&mut pairs, "password", password.unwrap_or_default())?;
    }
    let (before_query, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match before_query.split_once('/') {
        Some((authority, database)) => (authority, database),
        None => (before_query, ""),
    };
    push_hosts(&mut pairs, authority)?;
    push(&mut pairs, "dbname", database)?;
    for parameter in query.into_iter().flat_map(|query| query.split('&')) {
        if parameter.is_empty() {
            continue;
        }
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(format!(
                "a parameter after '?' has no '='; write keyword=value, and {ENCODE}"
            ));
        };
        push_named(&mut pairs, &decode(name)?, decode(value)?, text)?;
    }
    Ok(pairs)
}

fn push(pairs: &mut Pairs, name: &'static str, encoded: &str) -> Result<(), String> {
    if !encoded.is_empty() {
        pairs.push((name, decode(encoded)?));
    }
    Ok(())
}

fn push_hosts(pairs: &mut Pairs, authority: &str) -> Result<(), String> {
    if authority.contains(',') {
        return Err(several_hosts());
    }
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed
            .split_once(']')
            .ok_or("a '[' before an IPv6 address is not closed")?;
        match rest.strip_prefix(':') {
            Some(port) => (host, port),
            None if rest.is_empty() => (host, ""),
            None => return Err(format!("there is text after ']'; {ENCODE}")),
        }
    } else {
        authority.split_once(':').unwrap_or((authority, ""))
    };
    push(pairs, "host", host)?;
    // Checked here, where it may still be the wrong half of a password, and so not quoted.
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return Err(format!(
            "the port after the host is not a number from 1 to 65535; {ENCODE}"
        ));
    }
    push(pairs, "port", port)
}

pub(super) fn several_hosts() -> String {
    "it names several hosts. The server on the screen must be the server that is changed: \
     name the one that is meant"
        .to_owned()
}

/// Reads `keyword = value` pairs; values may be quoted as in `'it\'s'`.
pub(super) fn parse_keywords(text: &str) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once('=') else {
            return Err(
                "a keyword has no '='; write keyword=value, and quote values \
                        with spaces: password='two words'"
                    .to_owned(),
            );
        };
        let name = name.trim_end();
        let (value, after) = take_value(after.trim_start())?;
        push_named(&mut pairs, name, value, text)?;
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// Takes one value off the front, with its quotes and backslashes resolved.
fn take_value(text: &str) -> Result<(String, &str), String> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            _ if !quoted && character.is_whitespace() => {
                return Ok((value, text.get(at..).unwrap_or_default()));
            }
            _ => value.push(character),
        }
    }
    if quoted {
        return Err("a quoted value has no closing quote".to_owned());
    }
    Ok((value, ""))
}

fn push_named(pairs: &mut Pairs, name: &str, value: String, all: &str) -> Result<(), String> {
    // Spelled this way by other programs, and read so by PostgreSQL's own library.
    let (name, value) = match (name, value.as_str()) {
        ("ssl", "true") => ("sslmode", "require".to_owned()),
        _ => (name, value),
    };
    match keywords::find(name) {
        Some(keyword) => {
            pairs.push((keyword.name, value));
            Ok(())
        }
        None => Err(unknown(name, all)),
    }
}

/// Describes an unknown keyword, quoting it only where it cannot be a piece of a password.
pub(super) fn unknown(name: &str, all: &str) -> String {
    let word = name.len() <= 30
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let harmless = word && !all.contains("password") && !all.contains('@');
    let which = if harmless {
        format!("the keyword '{name}' is unknown")
    } else {
        "one of the keywords is unknown".to_owned()
    };
    format!("{which}; valid are {}", keywords::valid_names())
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits {
            Some(0) => return Err("%00 can be no part of an address".to_owned()),
            Some(decoded) => bytes.push(decoded),
            None => return Err(format!("a '%' has no two hexadecimal digits; {ENCODE}")),
        }
        rest = after.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| "a percent-encoded part is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Vec<(&'static str, String)> {
        parse_uri(text).unwrap()
    }

    #[test]
    fn every_part_of_a_uri_is_read_and_decoded() {
        assert_eq!(
            uri("postgresql://a%40b:p%2Fw%25@db.example:6432/my%20db?sslmode=verify-full"),
            [
                ("user", "a@b".to_owned()),
                ("password", "p/w%".to_owned()),
                ("host", "db.example".to_owned()),
                ("port", "6432".to_owned()),
                ("dbname", "my db".to_owned()),
                ("sslmode", "verify-full".to_owned()),
            ]
        );
        assert_eq!(uri("postgres://"), []);
        assert_eq!(uri("postgresql:///d"), [("dbname", "d".to_owned())]);
        assert_eq!(
            uri("postgresql://[2001:db8::1]:5433/"),
            [
                ("host", "2001:db8::1".to_owned()),
                ("port", "5433".to_owned())
            ]
        );
        assert_eq!(
            uri("postgresql://u@/d?host=/run/x&ssl=true"),
            [
                ("user", "u".to_owned()),
                ("dbname", "d".to_owned()),
                ("host", "/run/x".to_owned()),
                ("sslmode", "require".to_owned())
            ]
        );
        assert_eq!(
            uri("postgresql://%2Fvar%2Frun/d")[0],
            ("host", "/var/run".to_owned())
        );
    }

    #[test]
    fn keywords_are_read_with_quotes_and_spaces() {
        assert_eq!(
            parse_keywords(r"host = h  password='it\'s a \\ b' dbname=x\ y user='' ").unwrap(),
            [
                ("host", "h".to_owned()),
                ("password", r"it's a \ b".to_owned()),
                ("dbname", "x y".to_owned()),
                ("user", String::new()),
            ]
        );
        assert!(parse_keywords("host='x").unwrap_err().contains("closing"));
    }

    #[test]
    fn several_hosts_are_refused_with_the_reason() {
        for text in ["postgresql://a,b/d", "postgresql://a:1,b:2/d"] {
            assert!(parse_uri(text).unwrap_err().contains("several hosts"));
        }
    }

    #[test]
    fn an_unknown_keyword_is_named_and_so_are_the_valid_ones() {
        let error = parse_keywords("host=h databse=x").unwrap_err();
        assert!(error.contains("'databse'"), "{error}");
        assert!(error.contains("dbname"), "{error}");
        assert!(!error.contains("sslcrl"), "{error}");
    }

    #[test]
    fn no_error_quotes_what_may_be_a_password() {
        let mangled = [
            "postgresql://u:hun/ter2@host/db",
            "postgresql://u:hun/ter2?x@host/db",
            "postgresql://u:hunter2%@host/db",
            "postgresql://u:hun%zzter2@host/db",
            "postgresql://u:p@h:hunter2/db",
            "postgresql://u:p@[hunter2/db",
            "postgresql://u:p@h/d?hunter2",
            "postgresql://u:p@h/d?hunter2=1",
            "host=h password=a hunter2=b",
            "host=h password=a hunter2",
            "password='hunter2",
        ];
        for text in mangled {
            let result = if is_uri(text) {
                parse_uri(text)
            } else {
                parse_keywords(text)
            };
            let error = result.unwrap_err();
            for part in ["hun", "ter2", "hunter2"] {
                let words = error.split(|c: char| !c.is_alphanumeric());
                assert!(
                    words.into_iter().all(|word| word != part),
                    "{text}: {error}"
                );
            }
        }
    }
}
