//! Reads a clone: from which target into which, behind which backup, and what is hidden.

use std::collections::BTreeMap;

use crate::runbook::cloning::{CloneDatabase, Mask, Previous};
use crate::runbook::findings::At;
use crate::runbook::going_back::Sessions;
use crate::runbook::names::{Names, check_template, need_gate_of, need_target};
use crate::runbook::problem::choices;
use crate::runbook::reader::TableReader;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &Names) -> CloneDatabase {
    let target = need_target(&mut table, names);
    let from = read_from(&mut table, names, &target);
    let backup = need_gate_of(&mut table, "backup", "backup", names);
    let safety = table.need_string("safety");
    check_template(&safety, &table, names);
    if names.going_back {
        table.findings.add(
            table.span.clone(),
            format!("{} is in a way back", table.name),
            "a way back leads where the run came from, and a clone leads elsewhere",
            Some("make it a gate of a phase, in a runbook of its own".into()),
        );
    }
    let sessions = match table.one_of("sessions", &["refuse", "end"]) {
        "end" => Sessions::End,
        _ => Sessions::Refuse,
    };
    let previous = match table.one_of("previous", &["keep", "drop"]) {
        "drop" => Previous::Drop,
        _ => Previous::Keep,
    };
    let maintenance = table.string("maintenance_database");
    let may_drop = table.strings("may_drop", "may_drop = [\"scratch\"]");
    let may_call = table.strings("may_call", "may_call = [\"app.notify(text)\"]");
    let large_objects = table
        .has("large_objects")
        .then(|| table.one_of("large_objects", &["copy", "leave"]) == "copy");
    let personal = table.strings("personal", "personal = [\"*email*\"]");
    check_patterns(personal.as_deref().unwrap_or_default(), &table);
    let rows = table.flag("rows", true);
    let users = table.string("users");
    if let Some(users) = &users
        && users.value.split('.').count() != 2
    {
        let message = format!("`{}` is no schema.table", users.value);
        let help = Some("write users = \"auth.users\"".into());
        table
            .findings
            .add(users.span.clone(), message, "one dot is needed", help);
    }
    let jobs = table.whole("jobs", 1..=64).map_or(2, |n| n.value as u32);
    let label = format!("`mask` of {}", table.name);
    let mask = table.table("mask", &label).map(|table| read_mask(&table));
    table.finish();
    let plain = |list: Option<Vec<_>>| -> Vec<String> {
        let list: Vec<At<String>> = list.unwrap_or_default();
        list.into_iter().map(|one| one.value).collect()
    };
    CloneDatabase {
        from,
        target,
        backup,
        safety: safety.value,
        jobs,
        sessions,
        maintenance: maintenance.map_or_else(|| "postgres".to_owned(), |name| name.value),
        may_drop: plain(may_drop),
        may_call: plain(may_call),
        large_objects,
        rows,
        previous,
        users: users.map(|users| users.value),
        mask: mask.unwrap_or_default(),
        personal: plain(personal),
    }
}

fn check_patterns(patterns: &[At<String>], table: &TableReader<'_, '_>) {
    for pattern in patterns {
        if let Err(error) = glob::Pattern::new(&pattern.value) {
            let message = format!("`{}` is no pattern of names", pattern.value);
            let help = Some("write `*` for any characters".into());
            table
                .findings
                .add(pattern.span.clone(), message, error.msg, help);
        }
    }
}

fn read_from(table: &mut TableReader<'_, '_>, names: &Names, target: &str) -> String {
    let from = table.need_string("from");
    if from.value.is_empty() {
        return String::new();
    }
    if !names.targets.contains(&from.value) {
        let valid: Vec<&str> = names.targets.iter().map(String::as_str).collect();
        table.findings.add(
            from.span.clone(),
            format!("there is no target `{}`", from.value),
            "not a target of this runbook",
            Some(choices(&from.value, &valid)),
        );
    } else if from.value == target {
        table.findings.add(
            from.span.clone(),
            format!("{} copies `{target}` onto itself", table.name),
            "another target is needed",
            None,
        );
    }
    if names.production.contains(target) {
        table.findings.add(
            table.place("target"),
            format!(
                "{} would replace `{target}`, which is production",
                table.name
            ),
            "production is never the destination of a clone",
            Some("name a target of another environment".into()),
        );
    }
    from.value
}

fn read_mask(table: &TableReader<'_, '_>) -> BTreeMap<String, Mask> {
    let mut rules = BTreeMap::new();
    for (column, value) in table.entries() {
        if column.value.split('.').count() < 3 {
            table.findings.add(
                column.span.clone(),
                format!("`{}` is no schema.table.column", column.value),
                "two dots are needed",
                Some("write \"auth.users.email\" = \"email\", the name in quotes".into()),
            );
            continue;
        }
        let sql = value
            .get_ref()
            .as_table()
            .filter(|fields| fields.len() == 1)
            .and_then(|fields| fields.get("sql")?.get_ref().as_str());
        let given = value.get_ref().as_str();
        let rule = match (given, sql) {
            (Some(word), _) => Mask::of_word(word),
            (None, Some(sql)) if !sql.trim().is_empty() => Some(Mask::Sql(sql.to_owned())),
            (None, _) => None,
        };
        let Some(rule) = rule else {
            let shown = given.unwrap_or("this");
            table.findings.add(
                value.span(),
                format!("`{shown}` is no rule for a column"),
                "not known",
                Some(format!(
                    "{}; or {{ sql = \"an expression\" }}",
                    choices(shown, &Mask::WORDS)
                )),
            );
            continue;
        };
        rules.insert(column.value, rule);
    }
    rules
}
