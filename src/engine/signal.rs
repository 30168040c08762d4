//! The ways by which people reach work in flight: choices, and what they ask of a session in its way,
//! whose outcome goes into the journal.

use tokio::sync::mpsc;

use super::actor::Engine;
use crate::gate::{Choices, Context, Signals};
use crate::promotion::{BlockerEnd, BlockerRecord, Command, Refusal};

/// A place in the watcher's queue.
pub(super) type Place = mpsc::OwnedPermit<BlockerRecord>;

impl Engine {
    /// The session must be one that the watcher sees in the way at this moment, and the watcher
    /// must be able to hear of it: a request that is recorded cannot fail to arrive.
    pub(super) fn check_signal(
        &self,
        command: &Command,
    ) -> Result<Option<(Place, BlockerRecord)>, Refusal> {
        let Command::SignalBlocker { gate, blocker, .. } = command else {
            return Ok(None);
        };
        let refusal = || Refusal::NotInTheWay {
            gate: gate.clone(),
            pid: blocker.pid,
        };
        let at_work = self.run.at_work().is_some_and(|work| work.id == *gate);
        let scene = self.feed.lock_scene().filter(|_| at_work);
        let scene = scene.ok_or_else(refusal)?;
        let look = scene.look.as_ref().ok_or_else(refusal)?;
        look.blocker(blocker.pid, &blocker.backend_start)
            .filter(|found| found.who.may_signal)
            .ok_or_else(refusal)?;
        let place = self.signals.clone();
        let place = place.and_then(|sender| sender.try_reserve_owned().ok());
        Ok(Some((place.ok_or_else(refusal)?, blocker.clone())))
    }

    /// Makes the ways by which people reach the work that is about to begin; gives what comes back.
    pub(super) fn connect(&mut self, context: &mut Context) -> mpsc::Receiver<BlockerEnd> {
        let (chosen, choices) = Choices::channel();
        context.choices = choices;
        self.chosen = Some(chosen);
        let (signals, taken, signaled) = Signals::channel();
        context.signals = taken;
        self.signals = Some(signals);
        signaled
    }

    /// Nobody reaches work that has ended.
    pub(super) fn disconnect(&mut self) {
        self.chosen = None;
        self.signals = None;
    }

    /// Records what became of it.
    pub(super) fn signaled(&mut self, gate: String, attempt: u32, ended: BlockerEnd) {
        self.own_command(&Command::RecordSignal {
            gate,
            attempt,
            ended,
        });
    }
}
