//! The statements that write a ledger row and its ticket.

use super::ledger::literal;

/// What a new row says.
#[derive(Debug, Clone, Copy)]
pub struct NewRow<'a> {
    pub nonce: &'a str,
    pub collection: &'a str,
    pub file: &'a str,
    /// The applied file that this one undoes; its row says so from then on.
    pub undoes: Option<&'a str>,
    /// It was applied before in another form; that row says so from then on.
    pub replaces: bool,
    pub checksum: &'a str,
    pub raw_sha256: &'a str,
    pub statements: usize,
    pub run: &'a str,
    /// The journal's last record when the file was started: a witness of the journal's length.
    pub journal_seq: u64,
    pub journal_head: &'a str,
}

/// How a statement that writes a row begins.
const COLUMNS: &str = "INSERT INTO stagegate.ledger (nonce, state, collection, file, checksum, \
                       raw_sha256, statements, run, journal_seq, journal_head, ticket)";

/// Spares the server to plan the statement of [`NewRow::insert`] for each file.
pub(super) const PREPARE_ROW: &str = "\
    PREPARE stagegate_row (text, text, text, text, text, integer, text, bigint, text) AS \
    INSERT INTO stagegate.ledger (nonce, state, collection, file, checksum, raw_sha256, statements, \
    run, journal_seq, journal_head, ticket) \
    VALUES ($1, 'applied', $2, $3, $4, $5, $6, $7, $8, $9, $1)";

/// The same for the ticket.
pub(super) const PREPARE_TICKET: &str =
    "PREPARE stagegate_ticket (text) AS INSERT INTO stagegate.ticket VALUES ($1)";

impl NewRow<'_> {
    /// The statement that writes the row, with every value quoted. The row of a file that undoes
    /// another one is only written where that one is still applied.
    pub fn insert(&self) -> String {
        let Some(up) = self.undoes else {
            let Some(before) = self.makes_way() else {
                return self.insert_as("applied");
            };
            // The rows are counted, so that the old one has made way before the new one is written.
            return format!(
                "WITH earlier AS ({before} RETURNING 1), counted AS (SELECT pg_catalog.count(*) FROM earlier) \
                 {COLUMNS} SELECT {} FROM counted",
                self.values("applied")
            );
        };
        format!(
            "WITH undone AS ({} RETURNING 1) {COLUMNS} SELECT {} FROM undone",
            reverts(up),
            self.values("undo")
        )
    }

    /// As [`NewRow::insert`], in a session that has [`PREPARE_ROW`].
    pub(super) fn insert_prepared(&self) -> String {
        if self.makes_way().is_some() {
            return self.insert();
        }
        format!(
            "EXECUTE stagegate_row ({}, {}, {}, {}, {}, {}, {}, {}, {})",
            literal(self.nonce),
            literal(self.collection),
            literal(self.file),
            literal(self.checksum),
            literal(self.raw_sha256),
            self.statements,
            literal(self.run),
            self.journal_seq,
            literal(self.journal_head),
        )
    }

    /// The statement by which the row of before makes way for this one, where one does.
    pub(super) fn makes_way(&self) -> Option<String> {
        match (self.undoes, self.replaces) {
            (Some(file), _) => Some(reverts(file)),
            (None, true) => Some(reverts(self.file)),
            (None, false) => None,
        }
    }

    fn insert_as(&self, state: &str) -> String {
        format!("{COLUMNS} VALUES ({})", self.values(state))
    }

    fn values(&self, state: &str) -> String {
        format!(
            "{}, '{state}', {}, {}, {}, {}, {}, {}, {}, {}, {}",
            literal(self.nonce),
            literal(self.collection),
            literal(self.file),
            literal(self.checksum),
            literal(self.raw_sha256),
            self.statements,
            literal(self.run),
            self.journal_seq,
            literal(self.journal_head),
            literal(self.nonce),
        )
    }

    /// The statement that takes the key, so that the attempt can never commit.
    pub(super) fn fence(&self) -> String {
        self.with_ticket("void")
    }

    /// The statement that says, before a statement that no transaction can hold, that it is begun.
    pub(super) fn intent(&self) -> String {
        format!(
            "WITH ticket AS (INSERT INTO stagegate.ticket VALUES ({}) ON CONFLICT DO NOTHING) \
             {} ON CONFLICT (nonce) DO UPDATE SET state = 'intent' \
             WHERE ledger.state IN ('intent', 'void')",
            literal(self.nonce),
            self.insert_as("intent")
        )
    }

    /// The state of the row when such a statement is done.
    pub(super) fn done_state(&self) -> &'static str {
        if self.undoes.is_some() {
            "undo"
        } else {
            "applied"
        }
    }

    /// A row and its ticket in one statement, for what needs no transaction of its own.
    pub(super) fn with_ticket(&self, state: &str) -> String {
        format!(
            "WITH ticket AS (INSERT INTO stagegate.ticket VALUES ({}) ON CONFLICT DO NOTHING) \
             {} ON CONFLICT DO NOTHING",
            literal(self.nonce),
            self.insert_as(state)
        )
    }
}

fn reverts(file: &str) -> String {
    format!(
        "UPDATE stagegate.ledger SET state = 'reverted' \
         WHERE file = {} AND state IN ('applied', 'baseline')",
        literal(file)
    )
}

/// The statement that lets a file's transaction be committed; `prepared` where the session has
/// [`PREPARE_TICKET`].
pub(super) fn ticket_sql(nonce: &str, prepared: bool) -> String {
    let nonce = literal(nonce);
    match prepared {
        true => format!("EXECUTE stagegate_ticket ({nonce})"),
        false => format!("INSERT INTO stagegate.ticket VALUES ({nonce})"),
    }
}
