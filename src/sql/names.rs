//! The names in a statement that could be relations.

use squawk_lexer::{TokenKind, tokenize};

/// Returns every name, with its qualification and quotes as written, that stands in `sql`.
///
/// What is a keyword, a column or a function is returned as well: the server is asked which of
/// them are relations, and it knows better.
pub fn possible_relations(sql: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut dotted = false;
    let mut at = 0;
    for token in tokenize(sql) {
        let text = sql.get(at..at + token.len as usize).unwrap_or_default();
        at += token.len as usize;
        match token.kind {
            TokenKind::Ident
            | TokenKind::QuotedIdent {
                terminated: true,
                uescape: false,
            } => {
                if !dotted {
                    keep(&mut names, &mut current);
                }
                current.push_str(text);
                dotted = false;
            }
            TokenKind::Dot if !current.is_empty() => {
                current.push('.');
                dotted = true;
            }
            _ => {
                if dotted {
                    current.clear();
                }
                keep(&mut names, &mut current);
                dotted = false;
            }
        }
    }
    if !dotted {
        keep(&mut names, &mut current);
    }
    names
}

fn keep(names: &mut Vec<String>, current: &mut String) {
    let name = std::mem::take(current);
    if !name.is_empty() && !names.contains(&name) {
        names.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_schema_and_quotes() {
        let names =
            possible_relations("SELECT t.a FROM eng.t, \"Odd Name\".\"x\" WHERE 'eng.z' = b");
        assert!(names.contains(&"eng.t".to_owned()));
        assert!(names.contains(&"\"Odd Name\".\"x\"".to_owned()));
        assert!(!names.iter().any(|name| name.contains('z')));
    }
}
