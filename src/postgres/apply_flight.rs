//! Statements on their way: sent ahead in a window, answered in the order in which they were sent.

use std::collections::VecDeque;
use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryStream};

use super::PostgresError;
use super::apply::FileToApply;
use super::apply_guard::{self, Check};
use super::session::Session;
use crate::sql::{Class, Script};

/// How many statements are on their way before the first is answered.
const WINDOW: usize = 32;

/// A file's statements on their way.
pub(super) struct Flight<'a> {
    session: &'a Session,
    file: &'a FileToApply<'a>,
    streams: VecDeque<SimpleQueryStream>,
    /// The next statement to send.
    next: usize,
    window: usize,
    /// The check that is sent behind the last statement.
    pub(super) check: Option<Check<'a>>,
}

impl<'a> Flight<'a> {
    pub(super) fn new(session: &'a Session, file: &'a FileToApply<'a>) -> Flight<'a> {
        Flight {
            session,
            file,
            streams: VecDeque::new(),
            next: 0,
            // What is traced is asked for between two statements.
            window: if file.traced { 1 } else { WINDOW },
            check: None,
        }
    }

    /// Sends ahead what may be sent while statement `index` is waited for. COPY needs the wire for
    /// itself, so nothing is sent past one.
    pub(super) async fn fill(&mut self, index: usize) -> Result<(), PostgresError> {
        let script = self.file.script;
        while self.next < script.statements.len()
            && self.next < index + self.window
            && script.statements[self.next].class != Class::CopyFromStdin
        {
            self.streams
                .push_back(send(self.session, script.statement(self.next)).await?);
            self.next += 1;
        }
        let all = self.next == script.statements.len();
        if all && self.check.is_none() && (!self.file.traced || index == script.statements.len()) {
            self.check = Some(apply_guard::ask(self.session, self.file).await?);
        }
        Ok(())
    }

    /// Waits for statement `index`; returns its rows.
    pub(super) async fn land(&mut self, index: usize) -> Result<u64, PostgresError> {
        match self.streams.pop_front() {
            Some(stream) => finish(stream).await,
            None => {
                self.next = index + 1;
                copy_in(self.session, self.file.script, index).await
            }
        }
    }
}

impl Flight<'_> {
    /// Waits for what was sent, up to the first that failed; sends no more.
    pub(super) async fn rest(&mut self) -> Result<(), PostgresError> {
        while let Some(stream) = self.streams.pop_front() {
            finish(stream).await?;
        }
        Ok(())
    }
}

/// Sends a statement without waiting for its answer.
pub(super) async fn send(session: &Session, sql: &str) -> Result<SimpleQueryStream, PostgresError> {
    Ok(session.client.simple_query_raw(sql).await?)
}

/// Reads an answer to its end; the rows of all its statements are counted and dropped.
pub(super) async fn finish(stream: SimpleQueryStream) -> Result<u64, PostgresError> {
    let mut stream = pin!(stream);
    let mut rows = 0;
    while let Some(message) = stream.next().await {
        if let SimpleQueryMessage::CommandComplete(count) = message? {
            rows += count;
        }
    }
    Ok(rows)
}

async fn copy_in(session: &Session, script: &Script, index: usize) -> Result<u64, PostgresError> {
    let sink = session.client.copy_in(script.statement(index)).await?;
    let mut sink = pin!(sink);
    let data = script.copy_data(index).unwrap_or_default();
    for chunk in data.as_bytes().chunks(64 * 1024) {
        sink.send(Bytes::copy_from_slice(chunk)).await?;
    }
    Ok(sink.finish().await?)
}
