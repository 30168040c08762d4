//! The header: which database this is, which run, how far it is, how long the window lasts.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::Canvas;
use super::environment;
use super::theme::Theme;
use crate::console::model::Model;
use crate::console::screen::layout::Layout;
use crate::console::screen::text::{Ink, cells, clip};
use crate::console::screen::times::{minute, watch};
use crate::console::screen::{Screen, banner, elsewhere};
use crate::gate::TargetStatus;
use crate::postgres::identity::Identity;
use crate::runbook::Environment;
use crate::untrusted::clean_line;

pub(super) fn draw(canvas: &mut Canvas<'_>, layout: &Layout, model: &Model, theme: &Theme) {
    let row = |number: u16| Rect {
        y: layout.header.y + number,
        height: 1,
        ..layout.header
    };
    place(canvas, row(0), model, theme);
    titles(canvas, row(1), model, theme);
    progress(canvas, row(2), model, theme);
    if let Some(banner) = banner(model) {
        let area = row(3);
        let style = theme.banner(banner.loudness);
        canvas.paint(area, style);
        let text = format!(" {}  {}", banner.word, clean_line(&banner.text));
        let width = usize::from(area.width);
        canvas.put(area.x, area.y, &clip(&text, width), width, style);
    }
}

/// The environment, who answers, and the code that tells this server from every other.
fn place(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let (word, block, environment) = environment(model, theme);
    let line = environment.map_or_else(Style::new, |e| theme.environment_line(e));
    if environment == Some(Environment::Production) {
        canvas.paint(area, line);
    }
    let width = usize::from(area.width);
    // Production has a shape of its own, for eyes and terminals without colours.
    let word = match environment {
        Some(Environment::Production) => format!(" ▲ {word} ▲ "),
        _ => format!(" {word} "),
    };
    let x = canvas.put(area.x, area.y, &word, width, block) + 1;
    let (who, facts) = server(model);
    let room = usize::from(area.right().saturating_sub(x));
    let facts_width = cells(&facts) + 1;
    let who = clip(&who, room.saturating_sub(facts_width + 1));
    canvas.put(x, area.y, &who, room, line);
    let at = area.right().saturating_sub(facts_width as u16);
    if at > x {
        canvas.put(at, area.y, &facts, facts_width, line);
    }
}

/// Who answers, and the facts that stand on the right.
fn server(model: &Model) -> (String, String) {
    let Some(target) = model.header_target() else {
        return ("this runbook names no database".to_owned(), String::new());
    };
    let name = clean_line(&target.name);
    match model.snapshot.targets.get(&target.name) {
        Some(TargetStatus::Connected(identity)) => (who(&name, identity), facts(identity)),
        Some(TargetStatus::Connecting) => (format!("{name}: connecting …"), String::new()),
        Some(TargetStatus::Failed(reason)) => (
            format!("{name}: not reached: {}", clean_line(reason)),
            String::new(),
        ),
        Some(TargetStatus::Held(holder)) => (
            format!("{name}: held by {}", clean_line(holder)),
            String::new(),
        ),
        Some(TargetStatus::NotAsked) | None => {
            (format!("{name}: not connected yet"), String::new())
        }
    }
}

fn who(name: &str, identity: &Identity) -> String {
    clean_line(&format!(
        "{name}: {}@{}/{}",
        identity.user, identity.host_shown, identity.database
    ))
}

fn facts(identity: &Identity) -> String {
    let mut facts = vec![format!("PG {}", clean_line(&identity.server_version))];
    if identity.in_recovery {
        facts.push("STANDBY".to_owned());
    }
    if identity.tls {
        facts.push("TLS".to_owned());
    }
    facts.push(identity.fingerprint());
    facts.join(" · ")
}

/// The runbook on the left; the run and who has the conn on the right.
fn titles(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let run = model.run();
    let width = usize::from(area.width);
    let (right, style) = match elsewhere(model).filter(|_| model.screen == Screen::Run) {
        Some(work) => (work, theme.ink(Ink::Accent)),
        None => {
            let text = format!(
                "run {} · conn {}",
                clean_line(&run.id),
                clean_line(&run.operator)
            );
            (text, theme.ink(Ink::Muted))
        }
    };
    let right = clip(&right, width / 2 + 6);
    let at = area.right().saturating_sub(cells(&right) as u16 + 1);
    let room = usize::from(at.saturating_sub(area.x + 2));
    let title = clip(&clean_line(&run.definition.title), room);
    canvas.put(area.x + 1, area.y, &title, room, theme.ink(Ink::Strong));
    canvas.put(at, area.y, &right, width, style);
}

fn progress(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    const BAR: usize = 16;
    let (done, all) = model.run().progress();
    let full = (done * BAR).checked_div(all).unwrap_or(0);
    let y = area.y;
    let width = usize::from(area.width);
    let x = canvas.put(
        area.x + 1,
        y,
        &"━".repeat(full),
        width,
        theme.ink(Ink::Good),
    );
    let x = canvas.put(x, y, &"━".repeat(BAR - full), width, theme.rule());
    let words = format!(" {done} of {all} gates");
    let x = canvas.put(x, y, &words, width, theme.ink(Ink::Plain));
    let Some((text, late, closed)) = countdown(model) else {
        return;
    };
    let room = usize::from(area.right().saturating_sub(x + 3));
    let text = clip(&text, room);
    let at = area.right().saturating_sub(cells(&text) as u16 + 1);
    canvas.put(at, y, &text, room, theme.countdown(late, closed));
}

/// The window in words, whether going back is no longer safe, and whether it has closed.
fn countdown(model: &Model) -> Option<(String, bool, bool)> {
    let run = model.run();
    if run.status.is_terminal() {
        return None;
    }
    let window = run.definition.window.as_ref()?;
    if let Some(opens) = window.opens.filter(|opens| model.now < *opens) {
        let left = watch(opens.duration_since(model.now));
        let at = minute(opens, &model.zone);
        return Some((format!("window opens {at}, in {left}"), false, false));
    }
    let count = window.countdown(run.opened, model.now)?;
    if count.remaining.is_negative() {
        let since = watch(count.remaining);
        return Some((format!("WINDOW CLOSED {since} ago"), true, true));
    }
    let left = watch(count.remaining);
    let safe = minute(count.last_safe_rollback, &model.zone);
    if count.until_last_safe_rollback.is_negative() {
        let text = format!("window {left} left · TOO LATE TO ROLL BACK (since {safe})");
        return Some((text, true, false));
    }
    let soon = count.until_last_safe_rollback.as_secs() < 15 * 60;
    let until = watch(count.until_last_safe_rollback);
    let text = format!("window {left} left · roll back by {safe}, in {until}");
    Some((text, soon, false))
}
