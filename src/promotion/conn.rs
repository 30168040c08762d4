//! The conn goes from one person to another, in words.

use super::Event;

/// The events of the conn in words; nothing for any other.
pub(super) fn words(event: &Event) -> String {
    match event {
        Event::ConnHandedOver { to, epoch } => handed_over(to, *epoch),
        Event::ConnTaken {
            from,
            epoch,
            unanswered,
        } => taken(from, *epoch, *unanswered),
        _ => String::new(),
    }
}

fn handed_over(to: &str, epoch: Option<u64>) -> String {
    match epoch {
        Some(epoch) => format!("conn handed over to {to}, epoch {epoch}"),
        None => format!("conn handed over to {to}"),
    }
}

fn taken(from: &str, epoch: u64, unanswered: bool) -> String {
    let how = match unanswered {
        true => "taken over from",
        false => "taken from",
    };
    let gone = if unanswered { ", who was gone" } else { "" };
    format!("conn {how} {from}{gone}; epoch {epoch}")
}
