//! The line that stays as long as a flag keeps migrations from running, and as long as gates are
//! left out because of it.

use super::banner::{Banner, Loudness};
use crate::console::model::Model;
use crate::promotion::{FlagSays, GateRecord, Run};
use crate::untrusted::clean_line;

/// What there is to say of migrations that are not run.
pub fn left_out(model: &Model) -> Option<Banner> {
    let run = model.run();
    let made = |loudness, word, text: String| {
        let text = clean_line(&text);
        Some(Banner {
            loudness,
            word,
            text,
        })
    };
    let out = named(run.left_out());
    let flag = run.migrations.as_ref();
    if let Some(flag) = flag.filter(|_| !run.status.is_terminal()) {
        match &flag.says {
            FlagSays::Disabled { value } => {
                let what = match out.is_empty() {
                    true => "gates that migrate are left out".to_owned(),
                    false => format!("left out: {out}"),
                };
                let text = format!("{}={value}; {what}; remove it", flag.flag);
                return made(Loudness::Caution, "MIGRATIONS OFF", text);
            }
            FlagSays::Unclear { .. } => {
                return made(Loudness::Alarm, "FLAG UNCLEAR", flag.words());
            }
            FlagSays::Enabled => {}
        }
    }
    if !out.is_empty() {
        let text = format!("left out: {out}");
        return made(Loudness::Caution, "NOT MIGRATED", text);
    }
    let count = run.reopened().count();
    if count == 0 || run.status.is_terminal() {
        return None;
    }
    let were = match count {
        1 => "1 gate was left out and is open again".to_owned(),
        n => format!("{n} gates were left out and are open again"),
    };
    let text = format!("{were}: {}", named(run.reopened()));
    made(Loudness::Caution, "MIGRATIONS OPEN", text)
}

fn named<'a>(gates: impl Iterator<Item = &'a GateRecord>) -> String {
    let names: Vec<&str> = gates.map(|gate| gate.id.as_str()).collect();
    names.join(", ")
}

/// What whoever signs must know: which gates were left out.
pub fn reminder(run: &Run) -> Option<String> {
    let flag = run.left_out().find_map(|gate| gate.left_out.as_ref())?;
    let text = format!(
        "Migrations were not run because of {}={}: {}. Remove the flag to open them again.",
        flag.flag,
        flag.value,
        named(run.left_out())
    );
    Some(clean_line(&text))
}
