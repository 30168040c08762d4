//! Fields of a sheet that is filled in, one below the other.

use crate::console::screen::text::{Doc, Ink, span};

/// The field `by` places further on, or the last one that way.
pub(super) fn step<F: Copy + PartialEq>(fields: &[F], at: F, by: isize) -> F {
    let place = fields.iter().position(|field| *field == at).unwrap_or(0);
    let next = place
        .saturating_add_signed(by)
        .min(fields.len().saturating_sub(1));
    fields.get(next).copied().unwrap_or(at)
}

/// The choice `by` places further on, around.
pub(super) fn turn(at: usize, count: usize, by: isize) -> usize {
    (at as isize + by).rem_euclid(count.max(1) as isize) as usize
}

/// What stands before a field.
pub(super) fn mark(here: bool) -> &'static str {
    if here { "›" } else { " " }
}

/// Adds a field whose value is chosen; arrows stand around it where there is a choice.
pub(super) fn choice(doc: &mut Doc, lead: &str, value: &str, ink: Ink, arrows: bool) {
    let value = match arrows {
        true => format!("‹ {value} ›"),
        false => format!("  {value}"),
    };
    doc.hanging(&[span(Ink::Muted, lead)], ink, &value);
}

/// Adds the field that ends the sheet.
pub(super) fn button(doc: &mut Doc, word: &str, here: bool) {
    let ink = if here { Ink::Accent } else { Ink::Muted };
    doc.blank();
    doc.fixed(vec![span(ink, format!("{} [ {word} ]", mark(here)))]);
}
