//! The flag that keeps migrations from running: what it says now, and what gates make of it.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Context, Outcome, Plan, PlanLine, Tone};
use crate::expectation::Finding;
use crate::promotion::FlagSays;
use crate::runbook::{self, DisabledBy, FLAG_VALUES, FlagMeaning, Kind, flag_meaning, line_value};
use crate::untrusted::clean_line;

/// A file larger than this holds no settings, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// A value longer than this may be a secret that was put into the wrong place.
const SHOWN: usize = 12;

/// Looks at the flag. A file that is not there sets nothing; one that cannot be read is unclear.
pub fn look<'a>(
    by: &DisabledBy,
    base: &Path,
    vars: &BTreeMap<String, String>,
    variable: impl Fn(&str) -> Option<&'a str>,
) -> FlagSays {
    let value = match by {
        DisabledBy::Variable(name) => Ok(variable(name).map(str::to_owned)),
        DisabledBy::Line { path, name } => {
            let path = runbook::fill(path, vars).unwrap_or_else(|_| path.clone());
            read(&base.join(path)).map(|text| text.and_then(|text| line_value(&text, name)))
        }
    };
    match value {
        Err(why) => FlagSays::Unclear { why },
        Ok(value) => says(value.unwrap_or_default().trim()),
    }
}

fn says(value: &str) -> FlagSays {
    match flag_meaning(value) {
        FlagMeaning::Set => FlagSays::Disabled {
            value: value.to_owned(),
        },
        FlagMeaning::NotSet => FlagSays::Enabled,
        FlagMeaning::Unknown => {
            let word = value.chars().all(char::is_alphanumeric);
            let shown = match word && value.chars().count() <= SHOWN {
                true => format!("`{value}`"),
                false => format!("a value of {} characters", value.chars().count()),
            };
            FlagSays::Unclear {
                why: format!("{shown} is none of its values: {FLAG_VALUES}"),
            }
        }
    }
}

fn read(path: &Path) -> Result<Option<String>, String> {
    let told = |error: &dyn std::fmt::Display| {
        clean_line(&format!("{} cannot be read: {error}", path.display()))
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(&error)),
        Ok(found) if !found.is_file() => return Err(told(&"it is no file")),
        Ok(found) if found.len() > LARGEST => return Err(told(&"it is larger than 1 MB")),
        Ok(_) => {}
    }
    let bytes = std::fs::read(path).map_err(|error| told(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| told(&"it is not UTF-8"))?;
    Ok(Some(text))
}

/// Says in a plan what the flag makes of the gate.
pub(super) fn mark(mut plan: Plan, context: &Context) -> Plan {
    if let Kind::Signoff(_) = &context.gate.kind
        && !context.left_out.is_empty()
    {
        let flag = context.migrations.as_ref().map_or("a flag", |f| &f.flag);
        let gates = context.left_out.join(", ");
        let text = format!("migrations were not run because of {flag}: {gates}; remove the flag");
        plan.lines.insert(0, warning(text));
    }
    let Some(flag) = context.migrations.as_ref() else {
        return plan;
    };
    if !context.gate.kind.migrates() {
        return plan;
    }
    match &flag.says {
        FlagSays::Enabled => {}
        FlagSays::Disabled { value } => {
            let text = format!(
                "{}={value}: it will not run. Starting it leaves it out; it is open again once the flag is gone",
                flag.flag
            );
            plan.lines.insert(0, warning(text));
            plan.refuses = None;
        }
        FlagSays::Unclear { .. } => {
            let text = flag.words();
            plan.lines.insert(0, warning(text.clone()));
            plan.refuses = Some(text);
        }
    }
    plan
}

fn warning(text: String) -> PlanLine {
    PlanLine {
        tone: Tone::Warning,
        text,
    }
}

/// Why a gate that migrates may not run, if so.
pub(super) fn stops(context: &Context) -> Option<Outcome> {
    let flag = context.migrations.as_ref();
    let flag = flag.filter(|_| context.gate.kind.migrates())?;
    if flag.says == FlagSays::Enabled {
        return None;
    }
    Some(Outcome::of(
        Finding::errored("whether migrations may run is not clear")
            .because(flag.words())
            .because("nothing was started, and the database was not touched")
            .can(format!("mend {}: {FLAG_VALUES}", flag.flag))
            .can("then retry this gate"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(text: &str) -> FlagSays {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), text).unwrap();
        let by = DisabledBy::Line {
            path: "{file}".into(),
            name: "OFF".into(),
        };
        let vars = BTreeMap::from([("file".to_owned(), ".env".to_owned())]);
        look(&by, folder.path(), &vars, |_| None)
    }

    #[test]
    fn a_value_is_read_where_it_stands() {
        let value = |value: &str| FlagSays::Disabled {
            value: value.to_owned(),
        };
        assert_eq!(in_file("OFF=True\n"), value("True"));
        assert_eq!(in_file("OFF=false\n"), FlagSays::Enabled);
        assert_eq!(in_file("ON=true\n"), FlagSays::Enabled);
        let by = DisabledBy::default();
        let seen = look(&by, Path::new("/"), &BTreeMap::new(), |_| Some("1"));
        assert_eq!(seen, value("1"));
    }

    #[test]
    fn what_is_no_value_is_told_and_a_secret_is_not() {
        let told = |text: &str| match in_file(text) {
            FlagSays::Unclear { why } => why,
            other => panic!("{other:?}"),
        };
        assert!(told("OFF=ture").contains("`ture` is none of its values: true, 1"));
        let secret = told("OFF=postgres://a:hunter2@b/c");
        assert!(!secret.contains("hunter2"), "{secret}");
        let nowhere = DisabledBy::Line {
            path: "nothing/here".into(),
            name: "A".into(),
        };
        let seen = |base: &str| look(&nowhere, Path::new(base), &BTreeMap::new(), |_| None);
        assert_eq!(seen("/"), FlagSays::Enabled);
    }
}
