//! `{name}` in the strings that say so: paths, arguments, checklist texts, expected values.

use std::collections::BTreeMap;

/// A placeholder that nothing fills in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{{{0}}}` is not known here")]
pub struct UnknownPlaceholder(pub String);

/// The names that a template asks for, in order. `{{` stands for a brace.
pub fn placeholders(template: &str) -> Vec<String> {
    let mut names = Vec::new();
    walk(template, |part| {
        if let Part::Name(name) = part {
            names.push(name.to_owned());
        }
    });
    names
}

/// Fills a template in. A value becomes text as it is; it is never read as a template again.
///
/// # Errors
/// When a placeholder has no value.
pub fn fill(
    template: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, UnknownPlaceholder> {
    let mut out = String::with_capacity(template.len());
    let mut unknown = None;
    walk(template, |part| match part {
        Part::Text(text) => out.push_str(text),
        Part::Name(name) => match values.get(name) {
            Some(value) => out.push_str(value),
            None => unknown = unknown.take().or_else(|| Some(name.to_owned())),
        },
    });
    match unknown {
        None => Ok(out),
        Some(name) => Err(UnknownPlaceholder(name)),
    }
}

/// Fills the content of a file in. Unlike [`fill`], `${…}` and `${{…}}` are the file's own: shells
/// and continuous integration write their variables so.
///
/// # Errors
/// When a placeholder has no value.
pub fn fill_content(
    template: &str,
    values: &BTreeMap<String, String>,
) -> Result<String, UnknownPlaceholder> {
    let mut out = String::with_capacity(template.len());
    for (text, own) in around_dollars(template) {
        out.push_str(&fill(text, values)?);
        out.push_str(own);
    }
    Ok(out)
}

/// The names that the content of a file asks for, in order.
pub fn content_placeholders(template: &str) -> Vec<String> {
    let texts = around_dollars(template).into_iter();
    texts.flat_map(|(text, _)| placeholders(text)).collect()
}

/// Cuts a text at every `${`, which is given with all the braces that follow it.
fn around_dollars(template: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find("${") {
        let braces = rest[at + 1..].bytes().take_while(|b| *b == b'{').count();
        let end = at + 1 + braces;
        out.push((&rest[..at], &rest[at..end]));
        rest = &rest[end..];
    }
    out.push((rest, ""));
    out
}

enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn walk<'a>(template: &'a str, mut each: impl FnMut(Part<'a>)) {
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        each(Part::Text(&rest[..open]));
        rest = &rest[open..];
        if rest.starts_with("{{") {
            each(Part::Text("{"));
            rest = &rest[2..];
            continue;
        }
        match rest[1..].find('}').map(|end| &rest[1..=end]) {
            Some(name) if is_name(name) => {
                each(Part::Name(name));
                rest = &rest[name.len() + 2..];
            }
            // Braces that hold no name are text: JSON and regular expressions have plenty.
            _ => {
                each(Part::Text("{"));
                rest = &rest[1..];
            }
        }
    }
    each(Part::Text(rest));
}

/// Tells whether a text can name a variable: a letter, then letters, digits, `_`, `.` or `-`.
pub(super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_once() {
        let values = BTreeMap::from([("a".to_owned(), "{b}".to_owned())]);
        assert_eq!(fill("x{a}y", &values).as_deref(), Ok("x{b}y"));
        assert_eq!(
            fill("{{a} {1,2} {}", &values).as_deref(),
            Ok("{a} {1,2} {}")
        );
        assert_eq!(fill("{zz}", &values), Err(UnknownPlaceholder("zz".into())));
        assert_eq!(placeholders("{a}/{run.id}"), ["a", "run.id"]);
    }

    #[test]
    fn content_keeps_the_variables_of_shells_and_pipelines() {
        let values = BTreeMap::from([("app".to_owned(), "vh".to_owned())]);
        let text = "${{ github.sha }} ${HOME} $app {app} {{app} ${{{ {app}";
        assert_eq!(
            fill_content(text, &values).as_deref(),
            Ok("${{ github.sha }} ${HOME} $app vh {app} ${{{ vh")
        );
        assert_eq!(content_placeholders(text), ["app", "app"]);
    }
}
