//! What the mirror does with one connection, from entering to losing it.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::address::bounded;
use super::mirror::{Link, News, Order, State};
use super::{Address, Trouble};
use crate::postgres::control::CHANNEL;
use crate::postgres::control_inbox;
use crate::postgres::control_rows::{self, NOT_FOLLOWING, RunRow};
use crate::postgres::session::Session;
use crate::untrusted::clean_line;

/// How often the holder says that it is alive.
const BEAT: Duration = Duration::from_secs(1);
/// How many records are sent at a time.
const BATCH: usize = 256;

/// How a connection was left.
pub(super) enum Left {
    /// The engine has ended and everything is there.
    Finished,
    ForGood(State),
    Lost {
        reason: String,
        was_live: bool,
    },
}

/// Why serving stops; the first is tried again.
enum Stop {
    Trouble(Trouble),
    ForGood(State),
}

impl<E: Into<Trouble>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Trouble(error.into())
    }
}

type Served<T> = Result<T, Stop>;

impl Link {
    pub(super) async fn serve(&mut self) -> Left {
        let mut was_live = false;
        let served = match open(&self.address, &self.holding.run).await {
            Ok(session) => self.serve_on(&session, &mut was_live).await,
            Err(trouble) => Err(Stop::Trouble(trouble)),
        };
        match served {
            Ok(()) => Left::Finished,
            Err(Stop::ForGood(state)) => Left::ForGood(state),
            Err(Stop::Trouble(trouble)) if !trouble.may_pass() => {
                Left::ForGood(State::Off(trouble.to_string()))
            }
            Err(Stop::Trouble(trouble)) => Left::Lost {
                reason: trouble.to_string(),
                was_live,
            },
        }
    }

    async fn serve_on(&mut self, session: &Session, was_live: &mut bool) -> Served<()> {
        self.enter(session).await?;
        let listen = format!("LISTEN {CHANNEL}");
        bounded("listening", session.rows(&listen)).await?;
        self.push(session).await?;
        *was_live = true;
        self.say(State::Live);
        self.inbox(session).await?;
        if let Some((id, to, seq)) = self.granting.clone() {
            self.grant(session, id, &to, seq).await?;
        }
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let finish = self.finish.clone();
        loop {
            tokio::select! {
                biased;
                () = finish.cancelled() => return self.push(session).await,
                () = session.closed() => return Err(lost(session)),
                Some(order) = self.ordered.recv() => self.carry_out(session, order).await?,
                changed = self.heads.changed() => {
                    if changed.is_err() {
                        return self.push(session).await;
                    }
                    self.push(session).await?;
                }
                () = session.notified() => self.inbox(session).await?,
                _ = beat.tick() => {
                    self.beat(session).await?;
                    self.inbox(session).await?;
                }
            }
        }
    }

    /// Finds out whether the conn is here, and under which epoch.
    async fn enter(&mut self, session: &Session) -> Served<()> {
        let of = self.holding.clone();
        loop {
            let row = bounded("reading the run", control_rows::run(session, &of.run)).await?;
            let Some(row) = row else {
                let who = (of.holder.as_str(), of.place.as_str());
                let added = control_rows::add_run(session, &of.run, &of.title, who);
                if bounded("adding the run", added).await? {
                    self.entered(1, 0);
                    return Ok(());
                }
                continue;
            };
            self.same_history(&row)?;
            let mine = self.epoch().or(of.taken);
            match mine {
                Some(epoch) if epoch == row.epoch => {
                    self.entered(epoch, row.seq);
                    return Ok(());
                }
                Some(epoch) => return Err(self.passed_on(epoch, &row)),
                None if row.place != of.place => return Err(elsewhere(&row)),
                None => {}
            }
            let who = (of.holder.as_str(), of.place.as_str());
            let taken = control_rows::take(session, &of.run, row.epoch, who, false);
            if bounded("taking the conn", taken).await? {
                self.entered(row.epoch + 1, row.seq);
                return Ok(());
            }
        }
    }

    fn entered(&self, epoch: i64, mirrored: u64) {
        self.said.send_modify(|status| {
            status.epoch = Some(epoch);
            status.mirrored = mirrored;
        });
    }

    /// What is there must be what the journal here begins with.
    fn same_history(&mut self, row: &RunRow) -> Served<()> {
        if row.seq == 0 {
            return Ok(());
        }
        let here = self.tail.hash(row.seq).map_err(unreadable)?;
        let reason = match here {
            Some(hash) if hash == row.hash => return Ok(()),
            None => format!(
                "the control schema holds record {} of this run, and the journal here ends before it",
                row.seq
            ),
            Some(_) => format!(
                "record {} of the journal here is not the one that the control schema holds",
                row.seq
            ),
        };
        Err(Stop::ForGood(State::Over(reason)))
    }

    /// What is there is older than what was there: nobody has taken the conn, the database was put
    /// back. The run goes on without it.
    fn put_back(&self) -> Stop {
        let what =
            "the control schema was put back to an earlier time; resume the run to be followed";
        Stop::ForGood(State::Off(what.to_owned()))
    }

    /// The epoch is another's: as it was ordered here, or because somebody took it.
    fn passed_on(&mut self, mine: i64, row: &RunRow) -> Stop {
        if row.epoch < mine {
            return self.put_back();
        }
        let holder = clean_line(&row.holder);
        if let Some((_, to, _)) = self.granting.take() {
            self.granted(&to, mine + 1);
            return Stop::ForGood(State::Over(handed_over(&to)));
        }
        Stop::ForGood(State::Over(format!(
            "{holder} has taken the conn; the epoch is {} and was {mine} here",
            row.epoch
        )))
    }

    /// Sends what is not there yet: documents first, for records name them.
    async fn push(&mut self, session: &Session) -> Served<()> {
        let Some(epoch) = self.epoch() else {
            return Ok(());
        };
        let run = self.holding.run.clone();
        loop {
            let head = *self.heads.borrow_and_update();
            let news = self.documents.news(&self.holding.folder);
            let left = head.saturating_sub(self.mirrored());
            let most = usize::try_from(left).unwrap_or(BATCH).min(BATCH);
            let lines = match news.is_empty() && most > 0 {
                true => self.tail.after(self.mirrored(), most).map_err(unreadable)?,
                false => Vec::new(),
            };
            for name in self.documents.too_large.drain(..) {
                let text = format!("{name} is too large for the control schema; it stays here");
                let _ = self.news.try_send(News::Notice(text));
            }
            if news.is_empty() && lines.is_empty() {
                return Ok(());
            }
            let (found, documents): (Vec<_>, Vec<_>) = news.into_iter().unzip();
            let sent = control_rows::append(session, &run, epoch, &documents, &lines);
            let sent = bounded("copying the journal", sent).await;
            if let Err(Trouble::Postgres(error)) = &sent
                && error.sqlstate() == Some(NOT_FOLLOWING)
            {
                return Err(self.not_following(session, epoch).await);
            }
            sent?;
            self.documents.sent(found.into_iter());
            if let Some(last) = lines.last() {
                self.said.send_modify(|status| status.mirrored = last.seq);
            }
        }
    }

    /// The server would not take the records: says why.
    async fn not_following(&mut self, session: &Session, epoch: i64) -> Stop {
        let row = control_rows::run(session, &self.holding.run);
        match bounded("reading the run", row).await {
            Ok(Some(row)) if row.epoch != epoch => self.passed_on(epoch, &row),
            Ok(Some(row)) => match self.same_history(&row) {
                Err(stop) => stop,
                // Somebody wrote our own records for us: they are there.
                Ok(()) => {
                    self.entered(epoch, row.seq);
                    Stop::Trouble(interrupted())
                }
            },
            Ok(None) => Stop::Trouble(interrupted()),
            Err(trouble) => Stop::Trouble(trouble),
        }
    }

    async fn beat(&mut self, session: &Session) -> Served<()> {
        let Some(epoch) = self.epoch() else {
            return Ok(());
        };
        let run = self.holding.run.clone();
        let alive = control_rows::beat(session, &run, epoch);
        if bounded("saying that the holder is alive", alive).await? {
            return Ok(());
        }
        match bounded("reading the run", control_rows::run(session, &run)).await? {
            Some(row) => Err(self.passed_on(epoch, &row)),
            None => Err(self.put_back()),
        }
    }

    /// Brings what was handed in, each once.
    async fn inbox(&mut self, session: &Session) -> Served<()> {
        let asked = control_inbox::unanswered(session, &self.holding.run);
        for handed in bounded("reading the inbox", asked).await? {
            let id = handed.id;
            if !self.delivered.contains(&id) && self.news.try_send(News::HandedIn(handed)).is_ok() {
                self.delivered.insert(id);
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, session: &Session, order: Order) -> Served<()> {
        match order {
            Order::Answer { id, words } => {
                let answered = control_inbox::answer(session, id, &words);
                let answered = bounded("answering", answered).await;
                if answered.is_err() {
                    // It comes again with the next connection, and is answered anew.
                    self.delivered.remove(&id);
                }
                Ok(answered?)
            }
            Order::Grant { id, to, seq } => {
                self.granting = Some((id, to.clone(), seq));
                self.grant(session, id, &to, seq).await
            }
        }
    }

    /// Gives the conn away: in one transaction, after every record is there.
    async fn grant(&mut self, session: &Session, id: i64, to: &str, seq: u64) -> Served<()> {
        self.push(session).await?;
        let Some(epoch) = self.epoch().filter(|_| self.mirrored() >= seq) else {
            return Ok(());
        };
        let run = self.holding.run.clone();
        let words = format!("granted {}", epoch + 1);
        let granted = async {
            session.client.batch_execute("BEGIN READ WRITE").await?;
            let taken = control_rows::take(session, &run, epoch, (to, "handed over"), false);
            let taken = taken.await?;
            if taken {
                control_inbox::answer(session, id, &words).await?;
            }
            session.client.batch_execute("COMMIT").await?;
            Ok::<_, crate::postgres::PostgresError>(taken)
        };
        if !bounded("handing the conn over", granted).await? {
            let row = bounded("reading the run", control_rows::run(session, &run)).await?;
            self.granting = None;
            return match row {
                Some(row) => Err(self.passed_on(epoch, &row)),
                None => Ok(()),
            };
        }
        self.granting = None;
        self.granted(to, epoch + 1);
        Err(Stop::ForGood(State::Over(handed_over(to))))
    }

    fn granted(&self, to: &str, epoch: i64) {
        let to = to.to_owned();
        let _ = self.news.try_send(News::Granted { to, epoch });
    }
}

async fn open(address: &Address, run: &str) -> Result<Session, Trouble> {
    address.open(&format!("{run} mirror")).await
}

fn handed_over(to: &str) -> String {
    format!("the conn was handed over to {}", clean_line(to))
}

fn elsewhere(row: &RunRow) -> Stop {
    let (holder, ago) = (clean_line(&row.holder), row.unseen.as_secs());
    Stop::ForGood(State::Over(format!(
        "{holder} has the conn elsewhere and was seen {ago} s ago; run --watch follows that run and \
         asks for the conn"
    )))
}

fn lost(session: &Session) -> Stop {
    match session.loss() {
        Some(error) => Stop::Trouble(Trouble::Postgres(error)),
        None => Stop::Trouble(interrupted()),
    }
}

fn interrupted() -> Trouble {
    Trouble::Postgres(crate::postgres::PostgresError::ConnectionLost {
        reason: "the connection to the control schema has ended".to_owned(),
    })
}

#[allow(clippy::needless_pass_by_value)] // It is mapped over.
fn unreadable(error: std::io::Error) -> Stop {
    Stop::Trouble(Trouble::Postgres(
        crate::postgres::PostgresError::Protocol {
            reason: format!("the journal here cannot be read: {error}"),
        },
    ))
}
