//! Lists of patterns as OpenSSH writes them: `*` and `?`, commas, and `!` for what is excluded.

/// Tells whether a list of patterns names a text: one of them does, and none that excludes does.
pub(super) fn names(list: &[String], text: &str) -> bool {
    let mut found = false;
    for pattern in list {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(excluded, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

/// Tells whether a text is more than a plain name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?']) || text.starts_with('!')
}

fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and up to where it has been taken to reach.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, reached)) = star else {
                    return false;
                };
                star = Some((at, reached + 1));
                p = at + 1;
                t = reached + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_questions_and_exclusions() {
        let list = |texts: &[&str]| -> Vec<String> {
            texts.iter().map(|text| (*text).to_owned()).collect()
        };
        assert!(names(&list(&["dba.signoff.x"]), "dba.signoff.x"));
        assert!(names(&list(&["*.signoff.x"]), "dba.signoff.x"));
        assert!(names(&list(&["d?a.*"]), "dba.signoff.x"));
        assert!(names(&list(&["*a*a*"]), "abracadabra"));
        assert!(!names(&list(&["*.waiver.x"]), "dba.signoff.x"));
        assert!(!names(&list(&["dba"]), "dba.signoff.x"));
        assert!(!names(&list(&["*", "!dba.*"]), "dba.signoff.x"));
        assert!(!names(&list(&["!other"]), "dba"), "excluding names nobody");
    }
}
