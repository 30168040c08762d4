//! Everything that the screen of a review without a run is drawn from, and what keys make of it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton};
use crossterm::event::{MouseEvent, MouseEventKind};
use jiff::Timestamp;
use ratatui::layout::Position;

use crate::console::keymap::{self, Action};
use crate::console::model::{Toast, Tone};
use crate::console::screen::files::{FilesNews, FilesScreen, NOT_READ, Said};
use crate::console::screen::input::Input;
use crate::console::screen::layout::Layout;
use crate::console::screen::pager::Pager;
use crate::console::screen::{Screen, review};
use crate::git::changes::ChangesRequest;
use crate::promotion::{Review, Reviews};

/// Lines that one turn of the wheel moves.
const WHEEL: isize = 3;

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// Keep a mark for a file of the repository, or take it back.
    Keep {
        path: String,
        review: Review,
        withdrawn: bool,
    },
    /// Hand a text to the terminal's clipboard.
    Copy(String),
    Leave,
}

/// The state of the screen.
#[derive(Debug, Clone)]
pub struct Alone {
    pub files: FilesScreen,
    pub size: (u16, u16),
    /// Who reviews.
    pub reviewer: String,
    pub search: Option<Input>,
    pub toast: Option<Toast>,
    pub help: Option<Pager>,
    /// Something on the screen has changed.
    pub dirty: bool,
}

impl Alone {
    /// Begins with a range.
    pub fn new(request: ChangesRequest, reviewer: String, size: (u16, u16)) -> Alone {
        let mut files = FilesScreen::default();
        files.open(request, None);
        Alone {
            files,
            size,
            reviewer,
            search: None,
            toast: None,
            help: None,
            dirty: true,
        }
    }

    /// The places of this screen; `None` when it is too small.
    pub fn layout(&self) -> Option<Layout> {
        Layout::below(self.size, 1)
    }

    /// Brings what depends on the size up to date; called before a frame.
    pub fn settle(&mut self) {
        let Some(layout) = self.layout() else { return };
        self.files.fit(&layout);
        if let Some(pager) = &mut self.help {
            let lines = keymap::review_help(usize::from(layout.body.width))
                .lines
                .len();
            pager.fit(lines, usize::from(layout.body.height));
        }
    }

    /// Takes what was read.
    pub fn hear(&mut self, news: FilesNews) {
        self.dirty |= self.files.hear(news);
    }

    /// Takes the marks that are kept.
    pub fn know(&mut self, reviews: Result<Reviews, String>) {
        self.dirty = true;
        match reviews {
            Ok(reviews) => self.files.know(&reviews),
            Err(reason) => self.say(Some((Tone::Refusal, reason))),
        }
    }

    /// Says something until the next key.
    pub fn say(&mut self, said: Said) {
        if let Some((tone, text)) = said {
            self.toast = Some(Toast { tone, text });
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent, now: Timestamp) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.dirty = true;
        let interrupt =
            key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        let Some(layout) = self.layout() else {
            let leaves = interrupt || key.code == KeyCode::Char('q');
            return leaves.then_some(Wish::Leave);
        };
        self.toast = None;
        if self.search.is_some() && !interrupt {
            self.in_search(key);
            return None;
        }
        let action = keymap::action(key, Screen::Files)?;
        if let Some(pager) = &mut self.help {
            match action {
                Action::Up => pager.by(-1),
                Action::Down => pager.by(1),
                Action::PageUp => pager.page(-1),
                Action::PageDown => pager.page(1),
                Action::Top => pager.top(),
                Action::Bottom => pager.bottom(),
                _ => self.help = None,
            }
            return None;
        }
        match action {
            Action::Leave => return Some(Wish::Leave),
            Action::Help => self.help = Some(Pager::default()),
            Action::Search => self.search = Some(Input::default()),
            Action::Back => self.files.focus = crate::console::model::Focus::List,
            Action::Review => return self.mark(now),
            Action::Copy => {
                let text = "handed to the terminal's clipboard, where it takes one";
                self.say(Some((Tone::Info, text.to_owned())));
                return Some(Wish::Copy(review::told(&self.files)));
            }
            Action::Run
            | Action::Diff
            | Action::Git
            | Action::Log
            | Action::Journal
            | Action::RollBack
            | Action::Tell
            | Action::Suspend => {
                let text = "there is no run here: stagegate run opens one; ? shows the keys";
                self.say(Some((Tone::Info, text.to_owned())));
            }
            action => {
                let said = self.files.act(action, &layout);
                self.say(said);
            }
        }
        None
    }

    fn in_search(&mut self, key: KeyEvent) {
        let Some(input) = &mut self.search else {
            return;
        };
        match key.code {
            KeyCode::Esc => self.search = None,
            KeyCode::Backspace if input.is_empty() => self.search = None,
            KeyCode::Enter => {
                let text = input.text();
                self.search = None;
                if !text.is_empty() {
                    let said = self.files.search(text);
                    self.say(said);
                }
            }
            _ => {
                input.key(key);
            }
        }
    }

    fn mark(&mut self, at: Timestamp) -> Option<Wish> {
        let Some((_, file)) = self.files.to_review() else {
            self.say(Some((Tone::Refusal, NOT_READ.to_owned())));
            return None;
        };
        let [old, new] = file.content().map(|id| id.map(str::to_owned));
        let path = file.path.clone();
        let withdrawn = self.files.standing().is_some_and(|of| of.is_reviewed());
        let by = self.reviewer.clone();
        let review = Review { old, new, by, at };
        Some(Wish::Keep {
            path,
            review,
            withdrawn,
        })
    }

    /// Takes what was pasted.
    pub fn paste(&mut self, text: &str) {
        self.dirty = true;
        if let Some(input) = &mut self.search {
            input.paste(text);
        }
    }

    /// Takes what the mouse did.
    pub fn mouse(&mut self, mouse: MouseEvent) {
        let Some(layout) = self.layout().filter(|_| self.help.is_none()) else {
            return;
        };
        let at = Position::new(mouse.column, mouse.row);
        let turn = match mouse.kind {
            MouseEventKind::ScrollDown => WHEEL,
            MouseEventKind::ScrollUp => -WHEEL,
            MouseEventKind::Down(MouseButton::Left) => {
                self.dirty = true;
                self.toast = None;
                self.files.click_at(&layout, at);
                return;
            }
            _ => return,
        };
        self.dirty = true;
        match self
            .files
            .areas(&layout)
            .list
            .filter(|list| list.contains(at))
        {
            Some(_) => self.files.by(turn),
            None => self.files.pager.by(turn),
        }
    }
}
