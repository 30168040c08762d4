//! The engine's side of the control schema: it says how far the journal is, hears what others hand
//! in, and stops when the conn is somebody else's.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::actor::Engine;
use super::control_view::ConnAsk;
use super::handle::CommandError;
use super::work::Report;
use crate::control::Address;
use crate::control::fence::{Fence, Says};
use crate::control::mirror::{Holding, Mirror, News, Order, State, Status};
use crate::postgres::control_rows::HandedIn;
use crate::promotion::{Actor, Command, Via};
use crate::system::host_name;
use crate::untrusted::clean_line;

/// What comes from the mirror; for ever nothing where there is none.
pub(super) struct Heard(Option<mpsc::Receiver<News>>);

impl Heard {
    pub(super) async fn next(&mut self) -> News {
        if let Some(news) = &mut self.0 {
            match news.recv().await {
                Some(news) => return news,
                None => self.0 = None,
            }
        }
        std::future::pending().await
    }
}

/// Who acts at which machine, as others see it.
pub fn who(name: &str) -> String {
    who_at(name, &host_name())
}

/// Who acts at that machine. Whoever took a conn over is named with the machine already.
pub(super) fn who_at(name: &str, host: &str) -> String {
    let name = clean_line(name);
    let [plain, other] = [format!("@{host}"), format!(" ({host})")];
    if name.ends_with(&plain) || name.ends_with(&other) {
        name
    } else if name.contains('@') {
        name + &other
    } else {
        name + &plain
    }
}

/// The machine and the folder that hold a run. A copy of the folder is another place.
pub fn place(folder: &std::path::Path) -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    format!("{} {} {}", host_name(), machine.trim(), folder.display())
}

impl Engine {
    /// Begins the copy of the journal, where the runbook names a control schema. The journal is
    /// durable by now.
    pub(super) fn begin_control(&mut self, on: &Handle) -> Heard {
        let Some(control) = &self.runbook.control else {
            return Heard(None);
        };
        if self.view.journal_error.is_some() {
            return Heard(None);
        }
        let address = match Address::of(control, self.targets.surroundings()) {
            Ok(address) => address,
            Err(reason) => {
                let text = format!("the control schema is not used: {reason}");
                self.view.notices.push(text);
                return Heard(None);
            }
        };
        let holding = Holding {
            run: self.run.id.clone(),
            title: self.run.definition.title.chars().take(200).collect(),
            holder: who(&self.operator.name),
            place: place(self.store.folder()),
            folder: self.store.folder().to_owned(),
            taken: self.taken,
        };
        let (mirror, heard) = Mirror::begin(address.clone(), holding, self.store.last().0, on);
        self.view.control.mirror = Some(mirror.status.borrow().clone());
        self.guard_effects(Fence::new(
            address,
            self.run.id.clone(),
            mirror.status.clone(),
        ));
        self.mirror = Some(mirror);
        Heard(Some(heard))
    }

    /// Lets every effect ask first whether the conn is still here.
    fn guard_effects(&self, fence: Fence) {
        let (fence, feed) = (Arc::new(fence), self.feed.clone());
        let reports = self.reports.clone();
        self.targets.guard(Arc::new(move || {
            let (fence, feed, reports) = (Arc::clone(&fence), feed.clone(), reports.clone());
            async move {
                match fence.ask().await {
                    Says::Ours => Ok(()),
                    Says::Nothing(reason) => {
                        let lock = "the lock on the target alone keeps others out";
                        feed.say(format!(
                            "the control schema says nothing ({reason}): {lock}"
                        ));
                        Ok(())
                    }
                    Says::Over(reason) => {
                        let _ = reports.send(Report::ConnOver(reason.clone())).await;
                        Err(reason)
                    }
                }
            }
            .boxed()
        }));
    }

    /// Says how far the journal is durable.
    pub(super) fn advance_mirror(&self) {
        if let Some(mirror) = &self.mirror {
            mirror.advance(self.store.last().0);
        }
    }

    /// Gives the copy a bounded moment to be whole, and says so when it is not.
    pub(super) async fn end_control(&mut self) {
        let Some(mirror) = self.mirror.take() else {
            return;
        };
        let status = mirror.end().await;
        let lacks = self.store.last().0.saturating_sub(status.mirrored);
        if lacks > 0 && !matches!(status.state, State::Off(_) | State::Over(_)) {
            let text = format!(
                "the copy in the control schema lacks the last {lacks} records; resuming the run \
                 brings them there"
            );
            self.view.notices.push(text);
        }
        self.view.control.mirror = Some(status);
        self.publish();
    }

    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Status(status) => self.stands(status),
            News::Notice(text) => self.view.notices.push(text),
            News::HandedIn(handed) => self.handed_in(&handed),
            News::Granted { to, .. } => {
                let to = clean_line(&to);
                self.view.control.handed_over = Some(to);
                self.let_targets_go();
            }
        }
    }

    fn stands(&mut self, status: Status) {
        match &status.state {
            State::Off(reason) => {
                let text = format!("the run goes on without other terminals: {reason}");
                if !self.view.notices.contains(&text) {
                    self.view.notices.push(text);
                }
            }
            State::Over(reason) => self.conn_over(reason.clone()),
            State::Connecting | State::Live | State::Lost(_) => {}
        }
        self.view.control.mirror = Some(status);
    }

    /// The conn is somebody else's: what is at work is canceled, and nothing more is done here.
    pub(super) fn conn_over(&mut self, reason: String) {
        if self.view.control.read_only.is_some() {
            return;
        }
        self.view.control.read_only = Some(reason);
        self.view.control.asks = None;
        self.view.retrying = None;
        self.cancel.cancel();
    }

    fn let_targets_go(&self) {
        let names: Vec<String> = self.runbook.targets.keys().cloned().collect();
        let targets = self.targets.clone();
        self.tasks.spawn(async move {
            for name in names {
                targets.let_go(&name).await;
            }
        });
    }

    /// Nothing is done where the conn is not; what is at work may be canceled, and how it ended is
    /// still recorded.
    pub(super) fn may_be_done_here(
        &self,
        command: &Command,
        actor: &Actor,
    ) -> Result<(), CommandError> {
        let Some(reason) = &self.view.control.read_only else {
            return Ok(());
        };
        let begins = matches!(command, Command::Start { .. } | Command::Retry { .. });
        let reports = actor.via == Via::Engine && !begins;
        if reports || matches!(command, Command::Cancel { .. }) {
            return Ok(());
        }
        Err(CommandError::ReadOnly(reason.clone()))
    }

    /// The conn goes only to whoever asked for it, while the copy is whole and nothing is at work.
    pub(super) fn check_hand_over(
        &self,
        command: &Command,
    ) -> Result<Option<ConnAsk>, CommandError> {
        let Command::HandOver {
            to,
            epoch: Some(epoch),
        } = command
        else {
            return Ok(None);
        };
        let ask = self.view.control.asks.as_ref().filter(|ask| ask.who == *to);
        let ask = ask.ok_or_else(|| CommandError::Conn(format!("{to} does not ask for it")))?;
        let status = self.mirror.as_ref().map(|mirror| mirror.status.borrow());
        let live = status.as_ref().is_some_and(|status| {
            let next = status.epoch.and_then(|now| u64::try_from(now + 1).ok());
            status.state == State::Live && next == Some(*epoch)
        });
        if !live {
            let reason = "the control schema is not reached, and whoever takes the conn needs the \
                          records that are missing there";
            return Err(CommandError::Conn(reason.to_owned()));
        }
        if let Some(gate) = &self.view.reconciling {
            return Err(CommandError::Conn(format!(
                "gate `{gate}` is being asked about; a moment later it can be"
            )));
        }
        Ok(Some(ask.clone()))
    }

    /// The hand-over is recorded: now the epoch follows.
    pub(super) fn hand_over(&mut self, ask: &ConnAsk) {
        self.view.control.asks = None;
        let reason = format!("the conn was handed over to {}", ask.who);
        self.conn_over(reason);
        self.order(Order::Grant {
            id: ask.id,
            to: ask.who.clone(),
            seq: self.store.last().0,
        });
    }

    /// Says no to whoever asks for the conn, and notes it.
    pub(super) fn refuse_conn(&mut self, id: i64, actor: &Actor) {
        let Some(ask) = self.view.control.asks.take_if(|ask| ask.id == id) else {
            return;
        };
        let words = format!("refused by {}", who(&actor.name));
        self.order(Order::Answer { id, words });
        let text = format!("{} asked for the conn; refused", ask.who);
        let noted = self.command(&Command::Note { gate: None, text }, actor);
        if let Err(error) = noted {
            self.view.notices.push(error.to_string());
        }
    }

    fn order(&mut self, order: Order) {
        let sent = self.mirror.as_ref().map(|m| m.orders.try_send(order));
        if !matches!(sent, Some(Ok(()))) {
            let text = "the control schema could not be told; it is told when the run is resumed";
            self.view.notices.push(text.to_owned());
        }
    }

    fn handed_in(&mut self, handed: &HandedIn) {
        let who = clean_line(&handed.sender);
        let words = match handed.kind.as_str() {
            _ if self.view.control.read_only.is_some() => {
                "the conn is not here any more".to_owned()
            }
            "ask_conn" => match &self.view.control.asks {
                Some(other) => format!("refused: {} asks for it already", other.who),
                None if self.operator.via != Via::Console => {
                    "refused: the run goes on without a console, and nobody can hand it over"
                        .to_owned()
                }
                None => {
                    self.view.control.asks = Some(ConnAsk {
                        id: handed.id,
                        who,
                        sent_by: clean_line(&handed.sent_by),
                    });
                    return;
                }
            },
            "hand_in" => self.take_statement(&who, &handed.payload),
            _ => "this version does not know what that is".to_owned(),
        };
        self.order(Order::Answer {
            id: handed.id,
            words,
        });
    }

    /// What a watching console hands in as text, such as a signed statement. Answers in words.
    fn take_statement(&mut self, who: &str, text: &str) -> String {
        let actor = Actor {
            name: self.operator.name.clone(),
            via: Via::Engine,
        };
        let from = format!("from {who}, who watches");
        match self.hand_in(text.as_bytes(), &from, &actor) {
            Ok(words) => words,
            Err(error) => format!("refused: {error}"),
        }
    }
}
