//! Reads Rust just far enough to check it: what is code, which paths it names, how long its
//! functions are. What stands in comments and strings is not code.

/// A path such as `std::time::Instant` and the line it stands on. Braces are expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

impl NamedPath {
    /// Tells whether these segments stand in the path, side by side.
    pub(crate) fn holds(&self, wanted: &[&str]) -> bool {
        self.segments
            .windows(wanted.len())
            .any(|part| part == wanted)
    }
}

/// A function, from its `fn` to its last brace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// Blanks out strings, and comments as well unless they are kept. Lines stay where they are.
pub(crate) fn masked(text: &str, keep_comments: bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if let Some((end, comment)) = end {
            for c in &chars[at..end] {
                let shown = *c == '\n' || (comment && keep_comments);
                out.push(if shown { *c } else { ' ' });
            }
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends, and whether it is a comment.
fn literal_end(chars: &[char], at: usize) -> Option<(usize, bool)> {
    let rest = &chars[at..];
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match rest {
        ['/', '/', ..] => {
            let length = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
            Some((at + length, true))
        }
        ['/', '*', ..] => Some((block_comment_end(chars, at), true)),
        ['"', ..] => Some((string_end(chars, at), false)),
        ['r', '"' | '#', ..] if !after_word => raw_string_end(chars, at).map(|end| (end, false)),
        ['b', 'r', '"' | '#', ..] if !after_word => {
            raw_string_end(chars, at + 1).map(|end| (end, false))
        }
        ['\'', '\\', ..] => {
            let length = rest[3..].iter().position(|c| *c == '\'')?;
            Some((at + length + 4, false))
        }
        ['\'', _, '\'', ..] => Some((at + 3, false)),
        _ => None,
    }
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut at = at;
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut at = at + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let found = chars[open + 1..]
        .windows(close.len())
        .position(|part| part == close);
    Some(found.map_or(chars.len(), |found| open + 1 + found + close.len()))
}

/// A word or a sign, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    line: usize,
    text: String,
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let word = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_');
            let length = match word.map(char::len_utf8).sum() {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                length => length,
            };
            let (token, after) = rest.split_at(length);
            if !first.is_whitespace() {
                let text = token.to_owned();
                tokens.push(Token {
                    line: index + 1,
                    text,
                });
            }
            rest = after;
        }
    }
    tokens
}

/// Every path of more than one segment that the code names.
pub(crate) fn paths(code: &str) -> Vec<NamedPath> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = is_word(&tokens[at].text) && (at == 0 || tokens[at - 1].text != "::");
        if starts && tokens.get(at + 1).is_some_and(|next| next.text == "::") {
            at = tree(&tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one path or one branch of a use tree. Gives the place after it.
fn tree(tokens: &[Token], start: usize, before: &[String], found: &mut Vec<NamedPath>) -> usize {
    let mut segments = before.to_vec();
    let mut at = start;
    let line = tokens[start].line;
    while at < tokens.len() && (is_word(&tokens[at].text) || tokens[at].text == "*") {
        segments.push(tokens[at].text.clone());
        at += 1;
        if tokens.get(at).is_none_or(|next| next.text != "::") {
            break;
        }
        at += 1;
        if tokens.get(at).is_some_and(|next| next.text == "{") {
            return branches(tokens, at + 1, &segments, found);
        }
    }
    found.push(NamedPath { line, segments });
    at.max(start + 1)
}

fn branches(
    tokens: &[Token],
    start: usize,
    before: &[String],
    found: &mut Vec<NamedPath>,
) -> usize {
    let mut at = start;
    while at < tokens.len() && tokens[at].text != "}" {
        at = match tokens[at].text.as_str() {
            "," => at + 1,
            // The new name of `x as y` is no path.
            "as" => at + 2,
            _ => tree(tokens, at, before, found),
        };
    }
    at + 1
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Every function that has a body.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some(name) = tokens
            .get(at + 1)
            .filter(|name| token.text == "fn" && is_word(&name.text))
        else {
            continue;
        };
        let (mut depth, mut brackets) = (0, 0);
        for token in &tokens[at..] {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                "(" | "[" => brackets += 1,
                ")" | "]" => brackets -= 1,
                ";" if depth == 0 && brackets == 0 => break,
                _ => {}
            }
            if token.text == "}" && depth == 0 {
                found.push(Function {
                    name: name.text.clone(),
                    line: tokens[at].line,
                    lines: token.line - tokens[at].line + 1,
                });
                break;
            }
        }
    }
    found
}

#[test]
fn what_is_in_comments_and_strings_is_not_code() {
    let text = "a /* b /* c */ d */ e // f\n\"g\\\"h\" r#\"i\"j\"# 'k' '\\'' b\"l\" 'm: loop {}";
    let code: String = masked(text, false)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(code, "a e b 'm: loop {}");
    assert!(masked(text, true).contains("// f\n"));
    assert!(masked("let r#type = \"x\"; '\\u{1b}' y", false).ends_with(" y"));
}

#[test]
fn paths_are_expanded() {
    let code = "use std::{fs, time::{Duration, Instant as Then}};\nlet x = a::b(c::<D>::e());";
    let found: Vec<(usize, String)> = paths(code)
        .iter()
        .map(|path| (path.line, path.segments.join("::")))
        .collect();
    let expected = [
        (1, "std::fs"),
        (1, "std::time::Duration"),
        (1, "std::time::Instant"),
        (2, "a::b"),
        (2, "c"),
    ];
    for (line, path) in expected {
        assert!(
            found.contains(&(line, path.to_owned())),
            "{path} in {found:?}"
        );
    }
}

#[test]
fn functions_are_measured() {
    let code =
        "trait T { fn a(); fn b() -> [u8; 2] {\n  if x {\n }\n}\n}\nfn c<F: Fn()>(f: fn(u8)) {}";
    let measured: Vec<(String, usize, usize)> = functions(code)
        .into_iter()
        .map(|f| (f.name, f.line, f.lines))
        .collect();
    assert_eq!(measured, [("b".to_owned(), 1, 4), ("c".to_owned(), 6, 1)]);
}
