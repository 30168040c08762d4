//! Reads what people are told: templates with fields, and where they may be posted.

use super::going_back::{Message, Shape, Webhook};
use super::names::{Names, check_template};
use super::problem::choices;
use super::reader::TableReader;

/// What a message may name besides variables and captures.
pub(super) const FIELDS: [&str; 16] = [
    "issue",
    "impact",
    "eta",
    "action",
    "title",
    "run.status",
    "run.progress",
    "gate",
    "gate.state",
    "operator",
    "rollback",
    "window.closes",
    "last_safe_rollback",
    "next_update",
    "recovery_point",
    "journal.head",
];

pub(super) fn read_messages(top: &mut TableReader<'_, '_>, names: &mut Names) -> Vec<Message> {
    let mut messages = Vec::new();
    // The fields are known inside messages only.
    let outside = names.captures.clone();
    names.captures.extend(names.all_captures.iter().cloned());
    names.captures.extend(FIELDS.map(str::to_owned));
    for (span, table) in top.tables("message", "message") {
        let mut reader = TableReader::new("a message", span, table, top.findings);
        let id = reader.need_string("id");
        names.claim(&id, "a message", reader.findings);
        if !id.value.is_empty() {
            reader.name = format!("message `{}`", id.value);
        }
        let subject = reader.need_string("subject");
        check_template(&subject, &reader, names);
        let body = reader.need_string("body");
        check_template(&body, &reader, names);
        let next_update = reader.span_of_time("next_update").map(|d| d.value);
        let label = format!("`webhook` of {}", reader.name);
        let webhook = reader.table("webhook", &label).map(read_webhook);
        reader.finish();
        messages.push(Message {
            id: id.value,
            subject: subject.value,
            body: body.value,
            next_update,
            webhook,
        });
    }
    names.captures = outside;
    messages
}

fn read_webhook(mut table: TableReader<'_, '_>) -> Webhook {
    let url = table.need_string("url");
    let variable = url
        .value
        .strip_prefix("env:")
        .unwrap_or_default()
        .to_owned();
    if variable.is_empty() && !url.value.is_empty() {
        table.findings.conceal(url.span.clone());
        table.findings.add(
            url.span.clone(),
            "the address of a webhook is a secret and does not stand in a runbook",
            "name the variable that holds it",
            Some("write url = \"env:SLACK_WEBHOOK_URL\"".into()),
        );
    }
    let shape = match table.string("shape") {
        None => Shape::Slack,
        Some(given) => match given.value.as_str() {
            "slack" => Shape::Slack,
            "teams" => Shape::Teams,
            other => {
                table.findings.add(
                    given.span,
                    format!("`{other}` is no shape of a webhook's message"),
                    "not known",
                    Some(choices(other, &["slack", "teams"])),
                );
                Shape::Slack
            }
        },
    };
    table.finish();
    Webhook { variable, shape }
}
