//! Reads the variables, and what the command line puts in their place.

use std::collections::BTreeMap;

use super::names::BUILT_IN;
use super::problem::choices;
use super::reader::{TableReader, kind_of, scalar};
use super::template::is_name;

/// Reads `[vars]`; `given` replaces what stands there.
pub(super) fn read_vars(
    top: &mut TableReader<'_, '_>,
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut vars = BTreeMap::new();
    let table = top.table("vars", "the variables");
    for (key, value) in table.iter().flat_map(TableReader::entries) {
        let (label, help) = if BUILT_IN.contains(&key.value.as_str()) {
            ("stagegate fills this name in itself", "choose another name")
        } else if is_name(&key.value) {
            ("", "")
        } else {
            (
                "not a name",
                "a name is a letter, then letters, digits, `_`, `.` or `-`",
            )
        };
        if !label.is_empty() {
            let message = format!("`{}` cannot name a variable", key.value);
            top.findings
                .add(key.span, message, label, Some(help.to_owned()));
        }
        let text = scalar(value.get_ref());
        if text.is_none() {
            top.findings.add(
                value.span(),
                format!(
                    "variable `{}` must be a string, a number or true/false",
                    key.value
                ),
                format!("this is {}", kind_of(value.get_ref())),
                None,
            );
        }
        vars.insert(key.value, text.unwrap_or_default());
    }
    let place = top.place("vars");
    for (name, value) in given {
        if !vars.contains_key(name) {
            let valid: Vec<&str> = vars.keys().map(String::as_str).collect();
            let help = match valid.as_slice() {
                [] => "this runbook has no variables".to_owned(),
                valid => choices(name, valid),
            };
            top.findings.add(
                place.clone(),
                format!("--var names `{name}`, which this runbook does not have"),
                "the variables that it has stand here",
                Some(help),
            );
        } else {
            vars.insert(name.clone(), value.clone());
        }
    }
    vars
}
