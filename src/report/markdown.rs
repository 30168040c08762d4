//! The run as Markdown, for a pull request or a wiki page.

use std::fmt::Write as _;

use super::facts::{Facts, GateFacts, SaidFacts};
use super::html::{duration, second};
use crate::untrusted::{clean, clean_line};

/// Writes the run as Markdown.
pub fn markdown(facts: &Facts) -> String {
    let run = &facts.run;
    let mut out = format!("# {}\n\n", text(&run.title));
    let because = run
        .because
        .as_deref()
        .map_or(String::new(), |reason| format!(": {}", text(reason)));
    let rows = [
        ("Run", run.id.clone()),
        ("Ended as", format!("**{}**{because}", run.status)),
        ("Gates", format!("{} of {}", run.through, run.gates)),
        ("Opened", second(run.opened)),
        (
            "Last record",
            format!("{} at {}", run.seq, second(run.updated)),
        ),
        ("Journal's head", format!("`{}`", run.head)),
        (
            "Runbook",
            format!("{}, SHA-256 `{}`", text(&run.runbook), run.runbook_sha256),
        ),
        ("Operators", text(&run.operators.join(", "))),
        ("stagegate", text(&run.versions.join(", "))),
    ];
    out.push_str("| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(out, "| {name} | {value} |");
    }
    for target in &facts.targets {
        let servers = match target.servers.is_empty() {
            true => "not asked".to_owned(),
            false => text(&target.servers.join("; ")),
        };
        let name = text(&target.name);
        let _ = writeln!(out, "| {name} ({}) | {servers} |", target.environment);
    }
    for missing in &facts.missing {
        let _ = writeln!(out, "\n> **Missing**: {}", text(missing));
    }
    signatures(&mut out, facts);
    gates(&mut out, facts);
    for phase in &facts.phases {
        let _ = writeln!(out, "\n## {}", text(&phase.title));
        for gate in &phase.gates {
            one_gate(&mut out, gate);
        }
    }
    said(&mut out, "Waivers", &facts.waivers);
    said(&mut out, "Decisions", &facts.decisions);
    said(&mut out, "Messages", &facts.messages);
    said(&mut out, "Notes", &facts.notes);
    out
}

fn signatures(out: &mut String, facts: &Facts) {
    if facts.signatures.is_empty() {
        return;
    }
    out.push_str(
        "\n## Sign-off\n\n| role | person | decision | when | key | note |\n|---|---|---|---|---|---|\n",
    );
    for signature in &facts.signatures {
        let role = match signature.title.is_empty() {
            true => &signature.role,
            false => &signature.title,
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            text(role),
            text(signature.person.as_deref().unwrap_or("")),
            signature.decision,
            signature.time.map_or(String::new(), second),
            text(signature.key.as_deref().unwrap_or("")),
            text(&signature.note)
        );
    }
}

fn gates(out: &mut String, facts: &Facts) {
    out.push_str("\n## Gates\n\n| gate | kind | state | expected | took | attempts |\n|---|---|---|--:|--:|--:|\n");
    for phase in &facts.phases {
        for gate in &phase.gates {
            let expected = gate.planned.as_ref();
            let expected = expected.map_or(String::new(), |plan| duration(plan.ms));
            let _ = writeln!(
                out,
                "| {} | {} | {} | {expected} | {} | {} |",
                text(&gate.title),
                gate.kind,
                gate.state,
                gate.took_ms.map_or(String::new(), duration),
                gate.attempts.len()
            );
        }
    }
}

fn one_gate(out: &mut String, gate: &GateFacts) {
    let _ = writeln!(out, "\n### {} — {}\n", text(&gate.title), gate.state);
    let _ = writeln!(out, "`{}`, {}", gate.id, gate.kind);
    for attempt in &gate.attempts {
        let came_to = attempt.came_to.as_deref().unwrap_or("running");
        let summary = attempt.finding.as_ref().map_or(String::new(), |finding| {
            format!(": {}", text(&finding.summary))
        });
        let took = attempt
            .took_ms
            .map_or(String::new(), |ms| format!(", {}", duration(ms)));
        let _ = writeln!(
            out,
            "- attempt {} by {} at {}{took}: **{came_to}**{summary}",
            attempt.number,
            text(&attempt.by),
            second(attempt.started)
        );
        for cause in attempt.finding.iter().flat_map(|found| &found.caused_by) {
            let _ = writeln!(out, "  - caused by: {}", text(cause));
        }
    }
    let shown: Vec<String> = gate.lines.iter().map(super::line::Line::plain).collect();
    block(out, &shown.join("\n"));
}

/// A block whose columns carry meaning.
fn block(out: &mut String, content: &str) {
    let content = clean(content.trim_end());
    if content.is_empty() {
        return;
    }
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(out, "\n{fence}text");
    for line in content.lines() {
        // A build server takes lines that begin like this for commands.
        let line = match line.trim_start() {
            begins if begins.starts_with("::") || begins.starts_with("##") => format!("· {line}"),
            _ => line.to_owned(),
        };
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let _ = writeln!(out, "{fence}");
}

fn said(out: &mut String, title: &str, said: &[SaidFacts]) {
    if said.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n## {title}\n");
    for one in said {
        let gate = one
            .gate
            .as_deref()
            .map_or(String::new(), |gate| format!(" (`{gate}`)"));
        let (by, words) = (text(&one.by), text(&one.words));
        let at = second(one.time);
        let _ = writeln!(out, "- {at} {by}{gate}: {words}");
    }
}

/// Text of others on one line, in which nothing is Markdown or HTML.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_neither_markdown_nor_html_nor_a_command() {
        assert_eq!(
            text("a|b <b> *x* [l](u)"),
            "a\\|b &lt;b> \\*x\\* \\[l\\](u)"
        );
        let mut out = String::new();
        block(&mut out, "::set-output name=x::y\n```\n\u{1b}[31m");
        assert!(out.contains("\n· ::set-output"), "{out}");
        assert!(out.starts_with("\n````text\n"), "{out}");
        assert!(!out.contains('\u{1b}'), "{out}");
    }
}
