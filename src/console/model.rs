//! Everything that the screen is drawn from. Changed by `update` alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::screen::dialog::Dialog;
use super::screen::diff::DiffScreen;
use super::screen::files::FilesScreen;
use super::screen::git::{GitScreen, Watched};
use super::screen::input::Input;
use super::screen::journal::JournalScreen;
use super::screen::layout::Layout;
use super::screen::locks::LocksScreen;
use super::screen::log::LogScreen;
use super::screen::pager::Pager;
use super::screen::text::Doc;
use super::screen::{Row, Screen, Verb, banner, conn, left_out, recovery_point};
use crate::engine::Snapshot;
use crate::gate::{FeedView, Plan};
use crate::promotion::{
    Actor, Command, GateDefinition, GateRecord, Moment, Nature, Refusal, Run, decide,
};
use crate::runbook::{Environment, Target};

/// Which pane the arrows move in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    List,
    Detail,
}

/// How a short message is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Info,
    Good,
    Refusal,
}

/// A short message that stays until the next key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    pub tone: Tone,
    pub text: String,
}

/// A start that waits for its plan to be made and shown.
#[derive(Debug, Clone)]
pub struct Intent {
    pub gate: String,
    pub verb: Verb,
    /// The plan that is not the one being waited for.
    pub old: Option<Arc<Plan>>,
}

/// What the detail was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct DetailKey {
    pub(super) generation: u64,
    pub(super) gate: usize,
    pub(super) size: (u16, u16),
    pub(super) feed: u64,
    pub(super) second: i64,
}

/// The state of the console.
#[derive(Debug, Clone)]
pub struct Model {
    pub snapshot: Arc<Snapshot>,
    pub feed: FeedView,
    pub actor: Actor,
    /// The run's folder, for people.
    pub folder: String,
    pub size: (u16, u16),
    pub now: Timestamp,
    pub zone: TimeZone,
    pub screen: Screen,
    pub focus: Focus,
    pub rows: Vec<Row>,
    /// The selected gate's number.
    pub selected: usize,
    pub list: Pager,
    /// The checklist item under the cursor.
    pub item: usize,
    pub detail: Arc<Doc>,
    pub pager: Pager,
    /// How far lines of meaningful columns are scrolled sideways.
    pub sideways: usize,
    pub diff: DiffScreen,
    pub git: GitScreen,
    pub files: FilesScreen,
    pub locks: LocksScreen,
    pub log: LogScreen,
    pub journal: JournalScreen,
    /// The closing page.
    pub closing: Pager,
    pub dialog: Option<Dialog>,
    /// Keys do not count until the dialog that just opened has been seen.
    pub deaf: bool,
    /// The selection has just gone on by itself to a gate that nobody has seen yet.
    pub moved: bool,
    /// A command of a key that was not answered yet.
    pub waiting: bool,
    pub toast: Option<Toast>,
    pub intent: Option<Intent>,
    /// What is being searched for, while it is typed.
    pub search: Option<Input>,
    /// Leave as soon as nothing is at work.
    pub leaving: bool,
    pub engine_gone: bool,
    /// Something on the screen has changed.
    pub dirty: bool,
    /// Plans that were asked for and have not been seen yet.
    pub asked: BTreeSet<String>,
    /// The plan is what the pane is to show.
    pub show_plan: bool,
    /// Counts snapshots.
    pub(super) generation: u64,
    pub(super) detail_key: DetailKey,
}

impl Model {
    /// Begins with what is known at `now`.
    pub fn new(
        snapshot: Arc<Snapshot>,
        actor: Actor,
        folder: String,
        size: (u16, u16),
        now: Timestamp,
        zone: TimeZone,
    ) -> Model {
        let rows = Row::all(&snapshot.run);
        let mut model = Model {
            snapshot,
            feed: FeedView::default(),
            actor,
            folder,
            size,
            now,
            zone,
            screen: Screen::Run,
            focus: Focus::List,
            rows,
            selected: 0,
            list: Pager::default(),
            item: 0,
            detail: Arc::new(Doc::default()),
            pager: Pager::default(),
            sideways: 0,
            diff: DiffScreen::default(),
            git: GitScreen::default(),
            files: FilesScreen::default(),
            locks: LocksScreen::default(),
            log: LogScreen::default(),
            journal: JournalScreen::default(),
            closing: Pager::default(),
            dialog: None,
            deaf: false,
            moved: false,
            waiting: false,
            toast: None,
            intent: None,
            search: None,
            leaving: false,
            engine_gone: false,
            dirty: true,
            asked: BTreeSet::new(),
            show_plan: false,
            generation: 0,
            detail_key: DetailKey::default(),
        };
        if let Some(current) = model.current() {
            model.select(current);
        }
        if model.run().status.is_terminal() {
            model.screen = Screen::Closing;
        }
        model
    }

    /// Takes a new snapshot.
    pub fn take(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
        if self.rows.len() != self.run().gates.len() + self.run().definition.phases.len() {
            self.rows = Row::all(self.run());
        }
        self.generation += 1;
        self.dirty = true;
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.snapshot.run
    }

    /// The selected gate.
    pub fn gate(&self) -> Option<&GateRecord> {
        self.run().gates.get(self.selected)
    }

    /// The definition of the selected gate.
    pub fn definition(&self) -> Option<&GateDefinition> {
        self.run().definition_of(&self.gate()?.id)
    }

    /// The number of the gate that the run stands at.
    pub fn current(&self) -> Option<usize> {
        let id = &self.run().current()?.id;
        self.run().gates.iter().position(|gate| gate.id == *id)
    }

    /// The target of a gate.
    pub fn target_of(&self, gate: &str) -> Option<&Target> {
        let runbook = &self.snapshot.runbook;
        runbook.targets.get(runbook.gate(gate)?.kind.target()?)
    }

    /// The target that the header names: the selected gate's where that gate is on the screen;
    /// elsewhere that of the work in flight, or the most dangerous one.
    pub fn header_target(&self) -> Option<&Target> {
        let seen = self.screen == Screen::Run && !Layout::is_too_small(self.size);
        let gate = if seen {
            self.gate()
        } else {
            self.run().at_work()
        };
        gate.and_then(|gate| self.target_of(&gate.id)).or_else(|| {
            let rank = |target: &&Target| {
                Environment::ALL
                    .iter()
                    .position(|environment| *environment == target.environment)
            };
            self.snapshot.runbook.targets.values().min_by_key(rank)
        })
    }

    /// Why a command would be refused now, in the words of the only place that decides.
    pub fn refusal(&self, command: &Command) -> Option<Refusal> {
        let at = Moment {
            now: self.now,
            actor: self.actor.clone(),
        };
        decide(Some(self.run()), command, &at).err()
    }

    /// Says something until the next key.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        self.toast = Some(Toast { tone, text });
        self.dirty = true;
    }

    /// Selects a gate; its detail begins at the top.
    pub fn select(&mut self, gate: usize) {
        let last = self.run().gates.len().saturating_sub(1);
        self.selected = gate.min(last);
        self.pager.top();
        self.sideways = 0;
        self.item = 0;
        self.rest_on_open_item();
        if let Some(row) = self.row_of(self.selected) {
            // What comes next is seen as well.
            self.list.show(row + 3);
            self.list.show(row.saturating_sub(1));
        }
    }

    /// Moves the item cursor to an item that is open, if there is one.
    pub fn rest_on_open_item(&mut self) {
        let Some(gate) = self.gate() else { return };
        let open = |from: usize| (from..gate.items.len()).find(|at| gate.items[*at].is_none());
        if let Some(item) = open(self.item).or_else(|| open(0)) {
            self.item = item;
        }
    }

    /// The row that shows a gate.
    pub fn row_of(&self, gate: usize) -> Option<usize> {
        self.rows.iter().position(|row| *row == Row::Gate(gate))
    }

    /// Tells whether keys must wait a moment longer than until the question is drawn: where one key
    /// alone would answer it. A name that is typed letter by letter is no accident.
    pub fn dwells(&self) -> bool {
        let named = match &self.dialog {
            Some(Dialog::Start(sheet)) => sheet.subject.name.is_some(),
            Some(Dialog::Signal(sheet)) => sheet.is_typed(),
            _ => false,
        };
        self.dialog.is_some() && !named
    }

    /// Tells whether what is on the screen is too new to be answered.
    pub fn guarded(&self) -> bool {
        self.deaf || self.moved
    }

    /// Tells whether something that ends by itself is going on.
    pub fn at_work(&self) -> bool {
        self.run().at_work().is_some() || self.snapshot.retrying.is_some()
    }

    /// Tells whether the screen shows something that the clock moves.
    pub fn clock_matters(&self) -> bool {
        let window = self.run().definition.window.is_some() && !self.run().status.is_terminal();
        window
            || conn::clock_matters(self)
            || self.at_work()
            || self.run().reminder.is_some()
            || self.snapshot.reconciling.is_some()
    }

    /// Tells whether the selected gate has items to move among.
    pub fn has_items(&self) -> bool {
        self.definition()
            .is_some_and(|gate| matches!(gate.nature, Nature::Items(_)))
    }

    /// The places of this screen; `None` when it is too small.
    pub fn layout(&self) -> Option<Layout> {
        let more = u16::from(banner(self).is_some()) + u16::from(recovery_point(self).is_some());
        let more = more + u16::from(left_out(self).is_some());
        Layout::of(self.size, more)
    }

    /// Tells whether the screen shows what workers say.
    pub fn shows_feed(&self) -> bool {
        match self.screen {
            Screen::Log => true,
            // What a gate asks is said on both.
            Screen::Run
            | Screen::Diff
            | Screen::Files
            | Screen::Git
            | Screen::Locks
            | Screen::Journal => self.run().at_work().is_some(),
            Screen::Closing => false,
        }
    }

    /// The repository that is to be watched now.
    pub fn watched(&self) -> Option<&Watched> {
        let shown = self.screen == Screen::Git;
        self.git.watched.as_ref().filter(|_| shown)
    }

    /// How many lines of output are of use on this screen.
    pub fn feed_limit(&self) -> usize {
        match self.screen {
            Screen::Log => 2_000,
            _ => usize::from(self.size.1) * 2,
        }
    }
}
