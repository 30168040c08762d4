//! Words of a text that no parser knows: what they say of data that would be lost.
//!
//! It rather finds one too many than one too few. A word that alone says too little makes the text
//! unclear, which lets nothing pass.

use super::vocabulary::{
    BE, CALLS, DROPS, GONE, HARMLESS, HOLDERS, LOSES, NEGATIONS, PERMANENT, REMOVES, RESETS, ROWS,
};

/// What a place in a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Says {
    /// Something that holds data would be gone.
    Drops,
    /// Rows would be gone.
    Deletes,
    /// Everything would be made anew.
    Resets,
    /// It warns of a loss.
    Warns,
    /// Perhaps one of those, perhaps not.
    Perhaps,
    /// It says that there is none of it, which is not believed.
    Denies,
}

/// A word with its place in bytes.
struct Word<'a> {
    at: usize,
    end: usize,
    /// In lower case, without the marks around it.
    text: String,
    /// What stands between the word before and this one.
    gap: &'a str,
}

impl Word<'_> {
    fn is(&self, list: &[&str]) -> bool {
        list.contains(&self.text.as_str())
    }

    /// Tells whether a sentence ends before it.
    fn begins_anew(&self) -> bool {
        let ends = [". ", ".\n", ";", "! ", "!\n", "? ", "?\n", "\n\n", BARRIER];
        ends.iter().any(|end| self.gap.contains(end)) || self.gap.contains("\n \n")
    }

    /// Tells whether nothing but blanks and hyphens stands before it.
    fn follows_closely(&self) -> bool {
        self.gap.chars().all(|c| c.is_whitespace() || c == '-')
    }
}

/// Stands for what was read otherwise; no words meet across it.
pub(super) const BARRIER: &str = "\u{1}";

/// How far a verb reaches, in words.
const REACH: usize = 7;

/// Reads words, in the order of the text.
pub(super) fn scan(text: &str) -> Vec<(usize, Says)> {
    let words = words(text);
    let mut out = Vec::new();
    for at in 0..words.len() {
        if let Some(says) = say(&words, at, text) {
            out.push((words[at].at, says));
        }
    }
    out
}

/// Finds the words `DROP TABLE` and their like, beside each other, and nothing else.
pub(super) fn scan_code(text: &str) -> Vec<usize> {
    let words = words(text);
    let beside = |pair: &[Word<'_>]| {
        let named = ["table", "schema", "database", "column", "owned"];
        let meets = !pair[1].gap.contains(BARRIER);
        (pair[0].text == "drop" && pair[1].is(&named) && meets).then_some(pair[0].at)
    };
    words.windows(2).filter_map(beside).collect()
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut out: Vec<Word<'_>> = Vec::new();
    let mut begin: Option<usize> = None;
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (begin, in_word(c)) {
            (None, true) => begin = Some(at),
            (Some(from), false) => {
                let text_of = text[from..at].trim_matches('_').to_lowercase();
                let before = out.last().map_or(0, |word| word.end);
                begin = None;
                if !text_of.is_empty() {
                    out.push(Word {
                        at: from,
                        end: at,
                        text: text_of,
                        gap: &text[before..from],
                    });
                }
            }
            _ => {}
        }
    }
    out
}

fn say(words: &[Word<'_>], at: usize, text: &str) -> Option<Says> {
    let word = &words[at];
    if word.text.contains(['_']) || CALLS.contains(&word.text.as_str()) {
        let dense = word.text.replace('_', "");
        let begins = CALLS.iter().any(|call| dense.starts_with(call));
        return begins.then_some(Says::Drops);
    }
    drops(words, at)
        .or_else(|| deletes(words, at, text))
        .or_else(|| gone(words, at))
        .or_else(|| resets(words, at))
        .or_else(|| warns(words, at))
}

/// The words after one, as far as its sentence goes. The next one always counts, whatever stands
/// between.
fn after<'a, 'w>(words: &'a [Word<'w>], at: usize) -> impl Iterator<Item = &'a Word<'w>> {
    let next = words.iter().skip(at + 1).enumerate().take(REACH);
    next.take_while(|(n, word)| {
        let meets = !word.gap.contains(BARRIER);
        meets && (*n == 0 || !word.begins_anew())
    })
    .map(|(_, word)| word)
}

fn drops(words: &[Word<'_>], at: usize) -> Option<Says> {
    let word = &words[at];
    if !word.is(&DROPS) {
        return None;
    }
    for next in after(words, at) {
        if next.is(&HOLDERS) || next.is(&ROWS) {
            return Some(Says::Drops);
        }
        if next.is(&HARMLESS) {
            return None;
        }
        if next.is(&DROPS) {
            break;
        }
    }
    // `dropped` alone is told by what it is said of.
    Some(gone(words, at).unwrap_or(Says::Perhaps))
}

fn deletes(words: &[Word<'_>], at: usize, text: &str) -> Option<Says> {
    let word = &words[at];
    if word.is(&["truncate", "truncates", "truncating"]) {
        return Some(Says::Deletes);
    }
    if word.text == "truncated" {
        // A plan that was cut is not the whole plan.
        return Some(gone(words, at).unwrap_or(Says::Perhaps));
    }
    if !word.is(&REMOVES) {
        return None;
    }
    let next = words.get(at + 1);
    if word.text == "delete" && next.is_some_and(|next| next.text == "from") {
        let rest = &text[word.at..];
        let ends = [";", "\n\n", BARRIER];
        let end = ends.iter().filter_map(|end| rest.find(end)).min();
        let statement = rest[..end.unwrap_or(rest.len())].to_lowercase();
        let limited = statement.split(|c: char| !c.is_alphanumeric());
        let limited = limited.into_iter().any(|part| part == "where");
        return Some(if limited {
            Says::Perhaps
        } else {
            Says::Deletes
        });
    }
    if at > 0 && word.text.starts_with("delet") && words[at - 1].is(&["mass", "bulk"]) {
        return Some(Says::Deletes);
    }
    for next in after(words, at) {
        if next.is(&HOLDERS) {
            return Some(Says::Drops);
        }
        if next.is(&ROWS) {
            return Some(Says::Deletes);
        }
        if next.is(&HARMLESS) {
            return None;
        }
    }
    gone(words, at)
}

/// Something that holds data is said to be gone: `table x will be removed`.
fn gone(words: &[Word<'_>], at: usize) -> Option<Says> {
    if !words[at].is(&GONE) {
        return None;
    }
    let from = at.saturating_sub(10);
    let mut be = false;
    for n in (from..at).rev() {
        if words[n + 1].begins_anew() {
            return None;
        }
        be |= words[n].is(&BE);
        let holds = words[n].is(&HOLDERS) || words[n].is(&ROWS);
        let close = n + 1 == at;
        if holds && (be || close) {
            return Some(denied(words, n).unwrap_or(Says::Drops));
        }
    }
    None
}

fn resets(words: &[Word<'_>], at: usize) -> Option<Says> {
    let word = &words[at];
    if !word.is(&RESETS) {
        return None;
    }
    let before = at.checked_sub(1).map(|before| &words[before]);
    if word.text == "reset" && before.is_some_and(|w| w.is(&["force", "migrate", "db", "schema"])) {
        return Some(Says::Resets);
    }
    let whole = [
        "schema",
        "schemas",
        "database",
        "databases",
        "db",
        "table",
        "tables",
        "data",
    ];
    for next in after(words, at) {
        if next.is(&whole) {
            return Some(denied(words, at).unwrap_or(Says::Resets));
        }
        if next.is(&HARMLESS) {
            return None;
        }
    }
    let near = at.saturating_sub(4)..at;
    let near = near.rev().take_while(|n| !words[n + 1].begins_anew());
    let said = near.into_iter().any(|n| words[n].is(&whole));
    said.then(|| denied(words, at).unwrap_or(Says::Resets))
}

fn warns(words: &[Word<'_>], at: usize) -> Option<Says> {
    let word = &words[at];
    if word.is(&PERMANENT) {
        return Some(denied(words, at).unwrap_or(Says::Warns));
    }
    if word.text == "undone" || word.text == "undo" {
        let from = at.saturating_sub(4);
        let not = words[from..at]
            .iter()
            .any(|w| w.is(&["cannot", "not", "t", "no"]));
        return not.then_some(Says::Warns);
    }
    if !word.is(&LOSES) {
        return None;
    }
    let about = |word: &Word<'_>| word.is(&ROWS) || word.is(&HOLDERS);
    if after(words, at).any(about) {
        return Some(denied(words, at).unwrap_or(Says::Warns));
    }
    let from = at.saturating_sub(REACH);
    for n in (from..at).rev() {
        if words[n + 1].begins_anew() && n + 1 != at {
            return None;
        }
        if about(&words[n]) {
            return Some(denied(words, n).unwrap_or(Says::Warns));
        }
    }
    None
}

/// `no data loss`: said to be none. Only a word right before says so.
fn denied(words: &[Word<'_>], at: usize) -> Option<Says> {
    let before = &words[at.checked_sub(1)?];
    let close = words[at].follows_closely() && !words[at].gap.contains('\n');
    (before.is(&NEGATIONS) && close).then_some(Says::Denies)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<Says> {
        let mut said: Vec<Says> = scan(text).into_iter().map(|(_, says)| says).collect();
        said.sort();
        said.dedup();
        said
    }

    fn refused(text: &str) -> bool {
        said(text).iter().any(|says| *says < Says::Perhaps)
    }

    #[test]
    fn losses_are_found_in_words() {
        for text in [
            "DROP TABLE users",
            "drop\ntable users",
            "**DROP** `TABLE`",
            "You're about to delete users table with 5 items",
            "You are about to drop the `users` table, which is not empty (3 rows).",
            "op.drop_table('users')",
            "migrationBuilder.DropTable(name: \"x\")",
            "Detected removed column 'users.name'",
            "- Remove field name from person",
            "Delete model Person",
            "The following tables will be dropped: a, b",
            "Table users will be removed.",
            "this will truncate orders",
            "TRUNCATE orders",
            "delete from users",
            "A mass delete of old sessions",
            "you will lose data",
            "Data loss!",
            "data-loss is possible",
            "all data in it will be lost",
            "reset the schema",
            "The database schema will be reset",
            "prisma migrate reset",
            "db push --force-reset",
            "This action is irreversible",
            "this cannot be undone",
            "Potentially destructive changes",
            "Recreate the database?",
            "There is no way to avoid data loss",
            "Continue (yes/no)? data loss",
            "Drop index i and drop table t",
        ] {
            assert!(refused(text), "{text}: {:?}", said(text));
        }
    }

    #[test]
    fn what_says_too_little_is_unclear() {
        for text in [
            "x was dropped",
            "output truncated",
            "drop it",
            "delete from t where a",
        ] {
            assert_eq!(said(text), [Says::Perhaps], "{text}");
        }
    }

    #[test]
    fn harmless_words_are_no_loss() {
        for text in [
            "drop the index on table users",
            "DROP CONSTRAINT c",
            "remove the default of column a",
            "add column deleted_at",
            "backdrop table",
            "create table users",
            "a table is created; nothing else",
        ] {
            assert_eq!(said(text), [], "{text}");
        }
        for text in [
            "no data loss",
            "No tables will be dropped",
            "non-destructive change",
        ] {
            assert_eq!(said(text), [Says::Denies], "{text}");
        }
    }

    #[test]
    fn code_is_searched_for_what_stands_side_by_side() {
        assert_eq!(scan_code("x; drop\n table t").len(), 1);
        assert_eq!(scan_code("alter table t drop constraint c").len(), 0);
        assert_eq!(scan_code("drop \u{1} table").len(), 0);
    }
}
