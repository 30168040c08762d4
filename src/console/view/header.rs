//! The header: which database this is, which run, how far it is, how long the window lasts.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::Canvas;
use super::environment;
use super::theme::Theme;
use crate::console::model::Model;
use crate::console::screen::layout::Layout;
use crate::console::screen::text::{Ink, cells, clip, clip_start};
use crate::console::screen::times::{minute, watch};
use crate::console::screen::{Screen, banner, conn, elsewhere, left_out, recovery_point};
use crate::gate::TargetStatus;
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
    let mut next = 3;
    if let Some(point) = recovery_point(model) {
        let area = row(next);
        let room = usize::from(area.width.saturating_sub(2));
        canvas.put(
            area.x + 1,
            area.y,
            &clip(&point, room),
            room,
            theme.ink(Ink::Muted),
        );
        next += 1;
    }
    let banners = [left_out(model), banner(model)];
    for (banner, next) in banners.into_iter().flatten().zip(next..) {
        let area = row(next);
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
    let room = usize::from(area.right().saturating_sub(x));
    let (facts, who) = place_words(model, room);
    let facts_width = cells(&facts) + 1;
    canvas.put(x, area.y, &who, room, line);
    let at = area.right().saturating_sub(facts_width as u16);
    if at > x {
        canvas.put(at, area.y, &facts, facts_width, line);
    }
}

/// Who answers, in at most `room` cells. Of a long host its end is left, for a socket's folder
/// says more there than at its beginning.
fn who(model: &Model, room: usize) -> String {
    let Some(target) = model.header_target() else {
        return clip("this runbook names no database", room);
    };
    let name = clean_line(&target.name);
    let said = match model.snapshot.targets.get(&target.name) {
        Some(TargetStatus::Connected(identity)) => {
            let (user, host) = (clean_line(&identity.user), clean_line(&identity.host_shown));
            let before = format!("{user}@");
            let after = format!("/{}", clean_line(&identity.database));
            let around = cells(&before) + cells(&after);
            let named = format!("{name}: ");
            let all = around + cells(&named) + cells(&host);
            // The word beside it says the same as most targets' names.
            let named = if all <= room { named } else { String::new() };
            let host = clip_start(&host, room.saturating_sub(around + cells(&named)).max(6));
            format!("{named}{before}{host}{after}")
        }
        Some(TargetStatus::Connecting) => format!("{name}: connecting …"),
        Some(TargetStatus::Failed(reason)) => {
            format!("{name}: not reached: {}", clean_line(reason))
        }
        Some(TargetStatus::Held(holder)) => format!("{name}: held by {}", clean_line(holder)),
        _ if model.snapshot.control.watching.is_some() => format!("{name}: the holder's to reach"),
        Some(TargetStatus::NotAsked) | None => format!("{name}: not connected yet"),
    };
    clip(&said, room)
}

/// What stands on the right and, in the room that this leaves, who answers. Where there is little
/// room the code stays longest: it tells two servers apart that look the same.
fn place_words(model: &Model, room: usize) -> (String, String) {
    const ENOUGH: usize = 30;
    let mut facts = facts(model);
    let width = |facts: &[String]| facts.iter().map(|fact| cells(fact) + 3).sum::<usize>();
    while facts.len() > 1 && width(&facts) + ENOUGH > room {
        facts.remove(0);
    }
    let facts = facts.join(" · ");
    let left = room.saturating_sub(cells(&facts) + 2);
    (facts, who(model, left))
}

/// The server's version, what is special about it, and the code that tells it from every other.
fn facts(model: &Model) -> Vec<String> {
    let status = model
        .header_target()
        .and_then(|target| model.snapshot.targets.get(&target.name));
    let Some(TargetStatus::Connected(identity)) = status else {
        return Vec::new();
    };
    let version = clean_line(&identity.server_version);
    let version = version.split(' ').next().unwrap_or_default();
    let mut facts = vec![format!("PG {version}")];
    if identity.in_recovery {
        facts.push("STANDBY".to_owned());
    }
    if identity.tls {
        facts.push("TLS".to_owned());
    }
    facts.push(identity.fingerprint());
    facts
}

/// The runbook on the left; the run and who has the conn on the right.
fn titles(canvas: &mut Canvas<'_>, area: Rect, model: &Model, theme: &Theme) {
    let run = model.run();
    let width = usize::from(area.width);
    let title = clean_line(&run.definition.title);
    let watching = model.snapshot.control.watching.is_some();
    let (right, style) = match elsewhere(model).filter(|_| model.screen == Screen::Run && !watching)
    {
        Some(work) => (work, theme.ink(Ink::Accent)),
        None => {
            let text = conn_words(model, (cells(&title), width));
            (text, theme.ink(Ink::Muted))
        }
    };
    let right = clip(&right, width / 2 + 6);
    let at = area.right().saturating_sub(cells(&right) as u16 + 1);
    let room = usize::from(at.saturating_sub(area.x + 2));
    let title = clip(&title, room);
    canvas.put(area.x + 1, area.y, &title, room, theme.ink(Ink::Strong));
    canvas.put(at, area.y, &right, width, style);
}

/// The run and who has its conn, as much as there is room for: what says how old it is, or that
/// the copy lacks something, matters more than which run it is.
fn conn_words(model: &Model, (title, width): (usize, usize)) -> String {
    let run = model.run();
    let (id, conn) = (clean_line(&run.id), clean_line(&run.operator));
    let said = conn::line(model);
    let who = match &said {
        Some(line) if model.snapshot.control.watching.is_some() => line.clone(),
        Some(line) => format!("conn {conn} · {line}"),
        None => format!("conn {conn}"),
    };
    let room = width / 2 + 6;
    let full = format!("run {id} · {who}");
    if cells(&full) + title + 4 <= width && (said.is_none() || cells(&full) <= room) {
        return full;
    }
    // The end of an id tells runs apart; all of it is said on leaving.
    let tail = id.rsplit('-').next().unwrap_or(&id);
    let short = format!("run …{tail} · {who}");
    match said {
        None => short,
        Some(_) if cells(&short) <= room => short,
        Some(_) if cells(&who) <= room => who,
        Some(line) => line,
    }
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
    let x = canvas.put(x, y, &promised(model), width, theme.ink(Ink::Warning));
    let room = usize::from(area.right().saturating_sub(x + 3));
    let Some((long, short, late, closed)) = countdown(model) else {
        return;
    };
    let text = if cells(&long) <= room {
        long
    } else if cells(&short) <= room {
        short
    } else {
        // The half that matters more: how long going back is still safe.
        let half = short.rsplit(" · ").next().unwrap_or(&short);
        clip(half, room)
    };
    let at = area.right().saturating_sub(cells(&text) as u16 + 1);
    canvas.put(at, y, &text, room, theme.countdown(late, closed));
}

/// How long it is until the next message was promised.
fn promised(model: &Model) -> String {
    let Some(reminder) = &model.run().reminder else {
        return String::new();
    };
    let left = reminder.due.duration_since(model.now);
    if left.is_negative() || left.is_zero() {
        return " · update is due".to_owned();
    }
    format!(" · update in {}", watch(left))
}

/// The window in words, long and short, whether going back is soon unsafe, and whether it closed.
fn countdown(model: &Model) -> Option<(String, String, bool, bool)> {
    let run = model.run();
    if run.status.is_terminal() {
        return None;
    }
    let window = run.definition.window.as_ref()?;
    if let Some(opens) = window.opens.filter(|opens| model.now < *opens) {
        let left = watch(opens.duration_since(model.now));
        let at = minute(opens, &model.zone);
        let text = format!("window opens {at}, in {left}");
        return Some((text.clone(), text, false, false));
    }
    let count = window.countdown(run.opened, model.now)?;
    if count.remaining.is_negative() {
        let text = format!("WINDOW CLOSED {} ago", watch(count.remaining));
        return Some((text.clone(), text, true, true));
    }
    let left = watch(count.remaining);
    let safe = minute(count.last_safe_rollback, &model.zone);
    if count.until_last_safe_rollback.is_negative() {
        let long = format!("window {left} left · TOO LATE TO ROLL BACK since {safe}");
        let short = format!("{left} left · ROLLBACK TOO LATE");
        return Some((long, short, true, false));
    }
    let soon = count.until_last_safe_rollback.as_secs() < 15 * 60;
    let until = watch(count.until_last_safe_rollback);
    let long = format!("window {left} left · safe to roll back until {safe}, for {until}");
    let short = format!("window {left} · safe rollback {until}");
    Some((long, short, soon, false))
}
