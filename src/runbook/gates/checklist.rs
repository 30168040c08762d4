//! Reads a checklist: items as texts, or as tables that ask for a value.

use toml::de::DeValue;

use crate::runbook::findings::At;
use crate::runbook::model::{Checklist, InputKind, Item};
use crate::runbook::names::{BUILT_IN, Names, check_template};
use crate::runbook::problem::choices;
use crate::runbook::reader::{TableReader, kind_of};
use crate::runbook::template::is_name;

pub(super) fn read(mut table: TableReader<'_, '_>, names: &mut Names) -> Checklist {
    let mut items = Vec::new();
    match table.any("items") {
        None => table.missing("items", "write items = [\"…\"]"),
        Some(found) => match found.get_ref().as_array() {
            Some(array) if !array.is_empty() => {
                for item in array.iter() {
                    items.extend(read_item(item, &table, names));
                }
            }
            _ => table.findings.add(
                found.span(),
                format!(
                    "`items` of {} must be a list with at least one item",
                    table.name
                ),
                "people need something to confirm",
                Some("write items = [\"…\"]".into()),
            ),
        },
    }
    table.finish();
    Checklist { items }
}

fn read_item(
    item: &toml::Spanned<DeValue<'_>>,
    table: &TableReader<'_, '_>,
    names: &mut Names,
) -> Option<Item> {
    if let Some(text) = item.get_ref().as_str() {
        let text = At {
            value: text.to_owned(),
            span: item.span(),
        };
        table.no_blanks("items", std::slice::from_ref(&text));
        check_template(&text, table, names);
        return Some(Item {
            text: text.value,
            input: None,
            unit: None,
            capture: None,
        });
    }
    let Some(fields) = item.get_ref().as_table() else {
        table.findings.add(
            item.span(),
            "an item is a text or a table with `text`",
            format!("this is {}", kind_of(item.get_ref())),
            None,
        );
        return None;
    };
    let mut reader = TableReader::new("an item", item.span(), fields, table.findings);
    let text = reader.need_string("text");
    check_template(&text, &reader, names);
    let input = reader
        .string("input")
        .and_then(|given| match given.value.as_str() {
            "number" => Some(InputKind::Number),
            "text" => Some(InputKind::Text),
            other => {
                let help = choices(other, &["number", "text"]);
                reader.findings.add(
                    given.span,
                    format!("`{other}` is no input"),
                    "not known",
                    Some(help),
                );
                None
            }
        });
    let unit = reader.string("unit").map(|u| u.value);
    let capture = reader.string("capture");
    if let Some(capture) = &capture {
        check_capture(capture, input, &reader, names);
    }
    reader.finish();
    Some(Item {
        text: text.value,
        input,
        unit,
        capture: capture.map(|c| c.value),
    })
}

fn check_capture(
    capture: &At<String>,
    input: Option<InputKind>,
    reader: &TableReader<'_, '_>,
    names: &mut Names,
) {
    if input.is_none() && !reader.has("input") {
        reader.missing(
            "input",
            "a capture holds what people enter: write input = \"number\" or input = \"text\"",
        );
    }
    let label = if !is_name(&capture.value) {
        "a name is a letter, then letters, digits, `_`, `.` or `-`"
    } else if BUILT_IN.contains(&capture.value.as_str()) {
        "stagegate fills this name in itself"
    } else if names.vars.contains(&capture.value) {
        "a variable has this name"
    } else if !names.captures.insert(capture.value.clone()) {
        "another item captures under this name"
    } else {
        return;
    };
    let message = format!("`{}` cannot name a capture", capture.value);
    reader
        .findings
        .add(capture.span.clone(), message, label, None);
}
