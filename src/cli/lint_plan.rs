//! `lint --plan`: a plan that somebody else made, such as the text of a publish page.

use super::given;
use super::lint::Linted;
use crate::sql::elsewhere;
use crate::untrusted::clean_line;

/// Reads a plan from a file, or from standard input.
///
/// # Errors
/// Why it cannot be judged.
pub(super) fn read(file: &str) -> Result<Linted, String> {
    let named = match file {
        "-" => "standard input",
        file => file,
    };
    let bytes = given::text_of(file).map_err(|why| format!("{named}: {why}"))?;
    let text = elsewhere::readable(&bytes).map_err(|why| format!("{named}: {why}"))?;
    let mut found = elsewhere::read(text);
    Ok(Linted {
        file: named.to_owned(),
        hazards: std::mem::take(&mut found.hazards),
        plan: Some(found),
    })
}

/// Tells whether it is a plan that says too little to be judged.
pub(super) fn is_unclear(linted: &Linted) -> bool {
    linted.plan.as_ref().is_some_and(|plan| {
        !plan.unclear.is_empty() || (plan.statements == 0 && plan.nothing_to_do.is_none())
    })
}

/// What there is to say of a plan besides its hazards.
pub(super) fn as_text(linted: &Linted) -> String {
    let Some(plan) = &linted.plan else {
        return String::new();
    };
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&clean_line(&text));
        out.push('\n');
    };
    for unclear in &plan.unclear {
        line(format!(
            "{}:{}: unclear: {}: {}",
            linted.file, unclear.line, unclear.why, unclear.text
        ));
    }
    match &plan.nothing_to_do {
        Some(said) => line(format!("{}:{}: {}", linted.file, said.line, said.text)),
        None if plan.statements == 0 => line(format!(
            "{}: nothing in it is recognised as SQL, which proves nothing",
            linted.file
        )),
        None => line(format!("{}: {} statements", linted.file, plan.statements)),
    }
    out
}
