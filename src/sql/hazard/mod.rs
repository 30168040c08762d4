//! What is dangerous in SQL: data that would be lost, locks that would stop others, tables that
//! would be written anew, and what reaches beyond the database.
//!
//! Everything here is read from the text. What a statement really locks and changes is seen when it
//! runs: [`Source::Rehearsal`] is for hazards that a rehearsal measures; it reports them in the
//! same type, so that one list is shown and one rule refuses.
//!
//! A hazard is allowed by the runbook and by nothing else: no comment in a file has any say.

mod data;
mod host;
mod linter;
mod locks;
mod rule;

use serde::{Deserialize, Serialize};
use squawk_syntax::SyntaxNode;

use super::Places;
use super::statements::{Parsed, Part, Runs, parts};
pub use rule::Rule;

/// How a hazard harms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HazardClass {
    /// Rows or values are gone afterwards.
    DataLoss,
    /// It reaches beyond the database: files, programs, the server's settings, superusers.
    HostLevel,
    /// Others have to wait for as long as it takes.
    Lock,
    /// A table is written anew, which takes as long as the table is large, under a lock.
    Rewrite,
    /// The text does not say what will happen.
    CannotTell,
}

impl HazardClass {
    pub const ALL: [HazardClass; 5] = [
        HazardClass::DataLoss,
        HazardClass::HostLevel,
        HazardClass::Lock,
        HazardClass::Rewrite,
        HazardClass::CannotTell,
    ];

    /// The word for it in runbooks and on every screen.
    pub fn word(self) -> &'static str {
        match self {
            HazardClass::DataLoss => "data-loss",
            HazardClass::HostLevel => "host-level",
            HazardClass::Lock => "lock",
            HazardClass::Rewrite => "rewrite",
            HazardClass::CannotTell => "cannot-tell",
        }
    }

    /// The class of that word.
    pub fn named(word: &str) -> Option<HazardClass> {
        HazardClass::ALL
            .into_iter()
            .find(|class| class.word() == word)
    }
}

/// What a hazard does, by the names that the field knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HazardKind {
    DeletesData,
    ReachesHost,
    AuthzUpdate,
    AcquiresAccessExclusiveLock,
    AcquiresShareLock,
    AcquiresShareRowExclusiveLock,
    RewritesTable,
    Correctness,
    HasUntrackableDependencies,
}

impl HazardKind {
    /// The name as it is written.
    pub fn word(self) -> &'static str {
        match self {
            HazardKind::DeletesData => "DELETES_DATA",
            HazardKind::ReachesHost => "REACHES_HOST",
            HazardKind::AuthzUpdate => "AUTHZ_UPDATE",
            HazardKind::AcquiresAccessExclusiveLock => "ACQUIRES_ACCESS_EXCLUSIVE_LOCK",
            HazardKind::AcquiresShareLock => "ACQUIRES_SHARE_LOCK",
            HazardKind::AcquiresShareRowExclusiveLock => "ACQUIRES_SHARE_ROW_EXCLUSIVE_LOCK",
            HazardKind::RewritesTable => "REWRITES_TABLE",
            HazardKind::Correctness => "CORRECTNESS",
            HazardKind::HasUntrackableDependencies => "HAS_UNTRACKABLE_DEPENDENCIES",
        }
    }
}

/// How a hazard is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Read from the statement's text.
    Text,
    /// Seen by its effect when the statement ran in a rehearsal.
    Rehearsal,
}

/// One danger at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hazard {
    pub class: HazardClass,
    pub kind: HazardKind,
    /// The rule's own code, by which a runbook allows it.
    pub code: String,
    pub message: String,
    /// What to do instead.
    pub instead: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The statement of the file, on one line.
    pub statement: String,
    /// The relation that it is about, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    /// The function in whose body it stands; it happens when somebody calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_called: Option<String>,
    pub source: Source,
}

impl Hazard {
    /// Tells whether it harms in a way that may be refused: what cannot be told, and what waits in
    /// a function that the file does not call, is only shown.
    pub fn is_refusable(&self) -> bool {
        self.class != HazardClass::CannotTell && self.when_called.is_none()
    }
}

/// Tells whether a rule has that code.
pub fn is_code(code: &str) -> bool {
    rules().iter().any(|rule| rule.code == code)
}

/// Every rule, in the order in which they are listed to people.
pub fn rules() -> &'static [Rule] {
    rule::ALL
}

/// A hazard that was seen by its effect, of the rule that has that code.
pub fn seen(code: &str, place: (usize, usize), statement: &str, relation: &str) -> Option<Hazard> {
    let rule = rules().iter().find(|rule| rule.code == code)?;
    Some(Hazard {
        class: rule.class,
        kind: rule.kind,
        code: rule.code.to_owned(),
        message: rule.message.to_owned(),
        instead: rule.instead.to_owned(),
        line: place.0,
        column: place.1,
        statement: statement.to_owned(),
        relation: Some(relation.to_owned()),
        when_called: None,
        source: Source::Rehearsal,
    })
}

/// A hazard before its place is known.
pub(super) struct Found {
    rule: Rule,
    node: SyntaxNode,
    relation: Option<String>,
}

impl Found {
    fn new(rule: Rule, node: &SyntaxNode, relation: Option<String>) -> Found {
        Found {
            rule,
            node: node.clone(),
            relation,
        }
    }
}

/// Finds the hazards of a SQL file, in the order of the file.
pub fn hazards(text: &str) -> Vec<Hazard> {
    let text = super::normalise(text);
    let places = Places::new(&text);
    let parts = parts(&text);
    let called = Called::read(&parts);
    // What a file makes is empty and nobody else has it: nobody waits for it, nothing in it is lost.
    let mut made = Made::default();
    let mut out = Vec::new();
    for part in &parts {
        match part {
            Part::Statement(parsed) => statement(&places, parsed, &called, &mut made, &mut out),
            Part::Meta(span) => out.extend(meta(&places, span.start, &text[span.clone()])),
            Part::Unterminated(at) => {
                out.push(placed(&places, *at, &rule::UNREADABLE, String::new(), None));
            }
        }
    }
    out.sort_by_key(|hazard| (hazard.line, hazard.column, hazard.class));
    out
}

fn statement(
    places: &Places<'_>,
    parsed: &Parsed,
    called: &Called,
    made: &mut Made,
    out: &mut Vec<Hazard>,
) {
    let mut found = Vec::new();
    for stmt in parsed.stmts() {
        data::look(&stmt, &mut found);
        host::look(&stmt, &mut found);
        locks::look(&stmt, &mut found);
    }
    linter::look(parsed, &mut found);
    // What holds a lock for long says more than that the statement takes one at all.
    let waits = |f: &Found| matches!(f.rule.class, HazardClass::Lock | HazardClass::Rewrite);
    if found
        .iter()
        .any(|f| waits(f) && f.rule != rule::ALTER_TABLE)
    {
        found.retain(|f| f.rule != rule::ALTER_TABLE);
    }
    found.retain(|f| !made.excuses(f));
    let waits = match &parsed.runs {
        Runs::WhenCalled(name) if !called.holds(name) => Some(name.clone()),
        _ => None,
    };
    let said = super::one_line(
        places
            .text
            .get(parsed.outer.clone())
            .unwrap_or(&parsed.text),
    );
    let mut add = |at: usize, rule: &Rule, relation: Option<String>| {
        let mut hazard = placed(places, at, rule, said.clone(), relation);
        hazard.when_called = waits.clone();
        out.push(hazard);
    };
    for f in found {
        add(parsed.place(&f.node), &f.rule, f.relation);
    }
    for at in &parsed.dynamic {
        add(*at, &rule::DYNAMIC, None);
    }
    if parsed.opaque {
        add(parsed.at, &rule::OPAQUE, None);
    }
    if !parsed.parse.errors().is_empty() {
        add(parsed.at, &rule::UNREADABLE, None);
        if let Some(rule) = data::by_words(&parsed.text) {
            add(parsed.at, &rule, None);
        }
    }
    // In a block it may not run at all, and its INTO fills a variable.
    if parsed.is_top() {
        parsed.stmts().iter().for_each(|stmt| made.note(stmt));
    }
}

fn meta(places: &Places<'_>, at: usize, command: &str) -> Option<Hazard> {
    let word = command.split_whitespace().next().unwrap_or_default();
    let rule = match word {
        "\\restrict" | "\\unrestrict" => return None,
        "\\!" | "\\o" | "\\g" | "\\copy" | "\\w" => &rule::PSQL_HOST,
        _ => &rule::PSQL,
    };
    Some(placed(places, at, rule, super::one_line(command), None))
}

fn placed(
    places: &Places<'_>,
    at: usize,
    rule: &Rule,
    statement: String,
    relation: Option<String>,
) -> Hazard {
    let (line, column) = places.of(at);
    Hazard {
        class: rule.class,
        kind: rule.kind,
        code: rule.code.to_owned(),
        message: rule.message.to_owned(),
        instead: rule.instead.to_owned(),
        line,
        column,
        statement,
        relation,
        when_called: None,
        source: Source::Text,
    }
}

/// The names that are called in a file outside of the statements that make functions.
struct Called(Vec<String>);

impl Called {
    fn read(parts: &[Part]) -> Called {
        use squawk_syntax::ast::{AstNode as _, Stmt};
        let mut names = Vec::new();
        for part in parts {
            let Part::Statement(parsed) = part else {
                continue;
            };
            if parsed.runs != Runs::Now {
                continue;
            }
            for stmt in parsed.stmts() {
                let calls = matches!(
                    stmt,
                    Stmt::Select(_)
                        | Stmt::SelectInto(_)
                        | Stmt::CompoundSelect(_)
                        | Stmt::Call(_)
                        | Stmt::Do(_)
                        | Stmt::Insert(_)
                        | Stmt::Update(_)
                        | Stmt::Delete(_)
                        | Stmt::Merge(_)
                        | Stmt::Execute(_)
                        | Stmt::CreateTableAs(_)
                        | Stmt::CreateMaterializedView(_)
                        | Stmt::Values(_)
                );
                if calls {
                    let text = stmt.syntax().text().to_string();
                    let names_in = super::possible_relations(&text);
                    names.extend(
                        names_in.iter().filter_map(|name| {
                            Some(super::relations::fold(name.rsplit('.').next()?))
                        }),
                    );
                    // A block's body is one string to the tokenizer.
                    if matches!(stmt, Stmt::Do(_)) {
                        let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                        names.extend(words.filter(|w| !w.is_empty()).map(str::to_lowercase));
                    }
                }
            }
        }
        Called(names)
    }

    fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|called| called == name)
    }
}

/// The relations that the file itself has made so far.
#[derive(Default)]
struct Made(Vec<String>);

impl Made {
    fn note(&mut self, stmt: &squawk_syntax::ast::Stmt) {
        use squawk_syntax::ast::{AstNode as _, Stmt};
        let anew = match stmt {
            // One that may have been there before proves nothing.
            Stmt::CreateTable(s) => s.if_not_exists().is_none(),
            Stmt::CreateTableAs(s) => s.if_not_exists().is_none(),
            Stmt::CreateMaterializedView(s) => s.if_not_exists().is_none(),
            Stmt::SelectInto(_) => true,
            _ => false,
        };
        for (relation, verb, _) in super::relations::written(stmt.syntax()) {
            if verb.starts_with("DROP ") {
                self.0.retain(|made| *made != relation);
            } else if anew
                && matches!(
                    verb,
                    "CREATE TABLE" | "SELECT INTO" | "CREATE MATERIALIZED VIEW"
                )
            {
                self.0.push(relation);
            }
        }
    }

    fn excuses(&self, found: &Found) -> bool {
        let known = |relation: &String| self.0.contains(relation);
        !matches!(
            found.rule.class,
            HazardClass::HostLevel | HazardClass::CannotTell
        ) && found.relation.as_ref().is_some_and(known)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_bodies;
