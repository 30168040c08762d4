//! The terminal itself: taken over once, given back whatever happens.

use std::cell::Cell;
use std::io::{BufWriter, Stdout, Write, stdout};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::ThreadId;

use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use super::ConsoleOptions;
use super::view::theme::{Palette, Theme, ThemeName};

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The thread that draws; a panic there ends the console, one elsewhere does not.
static DRAWING: Mutex<Option<ThreadId>> = Mutex::new(None);
static HOOK: Once = Once::new();

type Backend = CrosstermBackend<Line>;

/// What is written to the terminal. It never fails: whoever draws asks whether the terminal is
/// lost, and whoever cleans up cannot stumble over a terminal that is gone.
struct Line {
    out: BufWriter<Stdout>,
    lost: Rc<Cell<bool>>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !self.lost.get() && self.out.write_all(bytes).is_err() {
            self.lost.set(true);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if !self.lost.get() && self.out.flush().is_err() {
            self.lost.set(true);
        }
        Ok(())
    }
}

/// The terminal while it is ours. Dropping it gives it back.
pub(super) struct Screen {
    terminal: Terminal<Backend>,
    mouse: bool,
    lost: Rc<Cell<bool>>,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn enter(mouse: bool) -> std::io::Result<Screen> {
        HOOK.call_once(install_hook);
        take(mouse)?;
        let lost = Rc::new(Cell::new(false));
        match new_terminal(&lost) {
            Ok(terminal) => Ok(Screen {
                terminal,
                mouse,
                lost,
            }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Takes the terminal over again after somebody else had it, and forgets what was drawn.
    pub(super) fn enter_again(&mut self) -> std::io::Result<()> {
        take(self.mouse)?;
        execute!(stdout(), Clear(ClearType::All))?;
        self.terminal = new_terminal(&self.lost)?;
        Ok(())
    }

    /// The size in cells.
    pub(super) fn size(&self) -> std::io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Hands a text to the terminal's clipboard, where the terminal takes one (OSC 52); over SSH
    /// that is the clipboard of the machine in front of the person.
    pub(super) fn copy(&mut self, text: &str) {
        let copied = execute!(
            self.terminal.backend_mut(),
            crossterm::clipboard::CopyToClipboard::to_clipboard_from(text)
        );
        if let Err(error) = copied {
            tracing::warn!(%error, "the terminal's clipboard was not reached");
        }
    }

    /// Draws one frame, in one write, so that a slow line shows no half of it. `seen` gets what the
    /// frame shows.
    pub(super) fn draw(
        &mut self,
        paint: impl FnOnce(&mut Buffer) -> Option<Position>,
        seen: impl FnOnce(&Buffer),
    ) -> std::io::Result<()> {
        let here = std::thread::current().id();
        *DRAWING.lock().unwrap_or_else(PoisonError::into_inner) = Some(here);
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let drawn = self.terminal.draw(|frame| {
            if let Some(cursor) = paint(frame.buffer_mut()) {
                frame.set_cursor_position(cursor);
            }
        })?;
        seen(drawn.buffer);
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        if self.lost.get() {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn new_terminal(lost: &Rc<Cell<bool>>) -> std::io::Result<Terminal<Backend>> {
    let line = Line {
        out: BufWriter::with_capacity(32 * 1024, stdout()),
        lost: Rc::clone(lost),
    };
    Terminal::new(CrosstermBackend::new(line))
}

fn take(mouse: bool) -> std::io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let here = std::thread::current().id();
    *DRAWING.lock().unwrap_or_else(PoisonError::into_inner) = Some(here);
    let taken = enable_raw_mode()
        .and_then(|()| execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste))
        .and_then(|()| {
            if mouse {
                execute!(stdout(), EnableMouseCapture)
            } else {
                Ok(())
            }
        });
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Leaves the terminal as it was found. Errors are of no use here: it may be gone.
fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = stdout();
    let _ = execute!(
        out,
        // A frame that was cut short must not hold back what follows.
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    let _ = out.flush();
    let _ = disable_raw_mode();
    *DRAWING.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// A panic of the thread that draws gives the terminal back before it is reported. One of another
/// thread goes to the log: its message would tear the screen, and whoever started that thread
/// reports how it ended.
fn install_hook() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let drawing = *DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        let elsewhere = drawing.is_some_and(|thread| thread != std::thread::current().id());
        if TAKEN.load(Ordering::SeqCst) && elsewhere {
            tracing::error!(panic = %info, "a thread panicked");
            return;
        }
        give_back();
        previous(info);
    }));
}

/// Chooses colours for this terminal.
pub(super) fn theme(options: ConsoleOptions) -> Theme {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let term = variable("TERM");
    let palette = if options.no_color || !variable("NO_COLOR").is_empty() || term == "dumb" {
        Palette::None
    } else if term.contains("256color") || !variable("COLORTERM").is_empty() {
        Palette::Many
    } else {
        Palette::Sixteen
    };
    let name = options
        .theme
        .unwrap_or_else(|| ground(&variable("COLORFGBG")));
    Theme { name, palette }
}

/// What some terminals say of their own colours: `foreground;background`.
fn ground(colorfgbg: &str) -> ThemeName {
    let last = colorfgbg.rsplit(';').next().unwrap_or_default();
    match last.parse::<u8>() {
        Ok(7 | 9..=15) => ThemeName::Light,
        _ => ThemeName::Dark,
    }
}

/// Tells whether the terminal has hung up; some process trees never get the signal for it.
pub(super) fn is_gone() -> bool {
    matches!(
        rustix::termios::tcgetpgrp(std::io::stdin()),
        Err(rustix::io::Errno::IO)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ground_is_light_only_when_it_is_said() {
        assert_eq!(ground(""), ThemeName::Dark);
        assert_eq!(ground("15;0"), ThemeName::Dark);
        assert_eq!(ground("0;15"), ThemeName::Light);
        assert_eq!(ground("0;default;15"), ThemeName::Light);
        assert_eq!(ground("12;8"), ThemeName::Dark);
    }
}
