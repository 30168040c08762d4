//! What the compiler cannot check: floors, lengths, words, and the map of the house.

// A test that cannot go on says where it stands; it has nobody to hand an error to.

mod broken;
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use self::source::{NamedPath, functions, masked, paths};

const LONGEST_FILE: usize = 400;
const LONGEST_FUNCTION: usize = 70;

/// The imports between neighbours: both start programs and write files; the words of the format
/// for a schema are the schema's own.
const NEIGHBOURS: [(&str, &str); 4] = [
    ("postgres", "system"),
    ("alembic", "system"),
    ("git", "system"),
    ("runbook", "schema"),
];
/// Rooms that are handed plain values and know no runbook, no gate, no run.
const KNOW_NO_RUN: [&str; 4] = ["postgres", "system", "git", "alembic"];
const OF_A_RUN: [&str; 3] = ["runbook", "gate", "promotion"];

/// What a pure floor may not name: the world outside and its clock.
const IMPURE: [&[&str]; 11] = [
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "env"],
    &["std", "thread"],
    &["Instant"],
    &["SystemTime"],
    &["tokio"],
    &["rustix"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
];

/// The floor of every room, as the map in `src/lib.rs` gives it.
type Floors = BTreeMap<String, u32>;

/// Reads the map: rows such as `| 1 | [`runbook`] | … |`.
fn floors(map: &str) -> Floors {
    let mut floors = Floors::new();
    for row in map.lines().filter_map(|line| line.strip_prefix("//! |")) {
        let mut cells = row.split('|').map(str::trim);
        let (Some(Ok(floor)), Some(rooms)) = (cells.next().map(str::parse), cells.next()) else {
            continue;
        };
        for room in rooms.split(',') {
            let name = room.trim().trim_matches(['[', ']', '`']);
            floors.insert(name.to_owned(), floor);
        }
    }
    floors
}

/// Checks one file. Gives what is wrong with it, each with its line.
fn check(path: &str, text: &str, floors: &Floors) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//! ") {
        wrong.push((
            1,
            "does not open with `//!`, saying what it owns".to_owned(),
        ));
    }
    let code = masked(text, false);
    let tests_from = code
        .lines()
        .position(|line| line.trim() == "#[cfg(test)]")
        .unwrap_or(usize::MAX);
    check_words(path, text, &code, &mut wrong);
    for function in functions(&code) {
        if function.lines > LONGEST_FUNCTION {
            let (name, lines) = (&function.name, function.lines);
            let message = format!("`{name}` has {lines} lines, of {LONGEST_FUNCTION} at most");
            wrong.push((function.line, message));
        }
    }
    let paths = paths(&code);
    for named in &paths {
        if path.starts_with("tests/") || named.line > tests_from {
            check_sleep(named, &mut wrong);
        }
    }
    if path.starts_with("src/") {
        let length = text.lines().count().min(tests_from);
        if length > LONGEST_FILE {
            let message =
                format!("has {length} lines, of {LONGEST_FILE} at most without its tests");
            wrong.push((1, message));
        }
        for named in &paths {
            check_floor(path, named, floors, &mut wrong);
            if named.line <= tests_from {
                check_purity(path, named, floors, &mut wrong);
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
        .into_iter()
        .map(|(line, what)| format!("{path}:{line}: {what}"))
        .collect()
}

type Wrong = Vec<(usize, String)>;

fn check_words(path: &str, text: &str, code: &str, wrong: &mut Wrong) {
    // Assembled, so that this file does not hold them itself.
    let markers =
        ["TO", "FIX"].map(|start| format!("{start}{}", if start == "TO" { "DO" } else { "ME" }));
    for (index, line) in masked(text, true).lines().enumerate() {
        if let Some(marker) = markers.iter().find(|marker| line.contains(*marker)) {
            wrong.push((index + 1, format!("holds a leftover marker: {marker}")));
        }
    }
    let forbidden = [
        ("todo!", "is not finished"),
        ("unimplemented!", "is not finished"),
        ("#[ignore", "ignores a test"),
        ("should_panic", "expects a panic: assert on a value instead"),
    ];
    let vague = ["utils", "helpers", "types"];
    for (index, line) in code.lines().enumerate() {
        for (word, what) in forbidden {
            if line.contains(word) {
                wrong.push((index + 1, what.to_owned()));
            }
        }
        let declared = line.trim().trim_start_matches("pub ").strip_prefix("mod ");
        let name = declared.map(|name| name.trim_end_matches([';', '{', ' ']));
        if let Some(name) = name.filter(|name| vague.contains(name)) {
            wrong.push((index + 1, format!("a module named `{name}` owns nothing")));
        }
    }
    for part in path
        .trim_end_matches(".rs")
        .split('/')
        .filter(|part| vague.contains(part))
    {
        wrong.push((1, format!("a module named `{part}` owns nothing")));
    }
}

fn check_sleep(named: &NamedPath, wrong: &mut Wrong) {
    if named.holds(&["thread", "sleep"]) || named.holds(&["time", "sleep"]) {
        let message = "a test waits for a condition, never for time to pass";
        wrong.push((named.line, message.to_owned()));
    }
}

/// The modules that a file's code stands in, from the root: `src/gate/mod.rs` is `[gate]`.
fn module_of(path: &str) -> Vec<&str> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    inside.split('/').filter(|part| *part != "mod").collect()
}

/// The room of this crate that a path leads to, by `crate::` or by climbing to the root.
fn room<'a>(path: &str, named: &'a NamedPath) -> Option<&'a str> {
    let climbed = named
        .segments
        .iter()
        .take_while(|part| *part == "super")
        .count();
    let first = named.segments.first()?;
    let behind = if first == "crate" {
        1
    } else if climbed >= module_of(path).len() {
        // An inline module is one deeper, and cannot be told apart from climbing too far.
        climbed
    } else {
        return None;
    };
    named.segments.get(behind).map(String::as_str)
}

fn check_floor(path: &str, named: &NamedPath, floors: &Floors, wrong: &mut Wrong) {
    let here = module_of(path)[0];
    let Some(there) = room(path, named).filter(|there| *there != here) else {
        return;
    };
    let (Some(own), Some(other)) = (floors.get(here), floors.get(there)) else {
        return;
    };
    if own < other {
        let message =
            format!("`{here}` (floor {own}) imports from above: `{there}` (floor {other})");
        wrong.push((named.line, message));
    } else if own == other && !NEIGHBOURS.contains(&(here, there)) {
        let message =
            format!("`{here}` and `{there}` are on one floor ({own}): neither imports the other");
        wrong.push((named.line, message));
    } else if KNOW_NO_RUN.contains(&here) && OF_A_RUN.contains(&there) {
        wrong.push((
            named.line,
            format!("`{here}` knows no `{there}`: hand it plain values"),
        ));
    }
}

fn check_purity(path: &str, named: &NamedPath, floors: &Floors, wrong: &mut Wrong) {
    let pure = floors
        .get(module_of(path)[0])
        .is_some_and(|floor| *floor <= 1);
    let Some(impure) = IMPURE
        .iter()
        .find(|impure| named.holds(impure))
        .filter(|_| pure)
    else {
        return;
    };
    let message = format!(
        "a pure floor names `{}`: hand the value in",
        impure.join("::")
    );
    wrong.push((named.line, message));
}

/// Compares the map with the house: every room is on the map, and everything on it is there.
fn check_map(map: &str, files: &[String]) -> Vec<String> {
    let floors = floors(map);
    let rooms: Vec<&str> = files
        .iter()
        .filter(|path| path.starts_with("src/"))
        .map(|path| module_of(path)[0])
        .filter(|room| !matches!(*room, "lib" | "main"))
        .collect();
    let built = rooms
        .iter()
        .filter(|room| !floors.contains_key(**room))
        .map(|room| format!("src/lib.rs:1: the map lacks the room `{room}`"));
    let drawn = floors
        .keys()
        .filter(|room| !rooms.contains(&room.as_str()))
        .map(|room| format!("src/lib.rs:1: the map shows `{room}`, which is not there"));
    let mut wrong: Vec<String> = built.chain(drawn).collect();
    wrong.sort();
    wrong.dedup();
    wrong
}

fn rust_files(folder: &Path, found: &mut Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root.join(&path).is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found.sort();
}

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let mut files = Vec::new();
    rust_files(Path::new("src"), &mut files);
    rust_files(Path::new("tests"), &mut files);
    let map = read("src/lib.rs");
    let floors = floors(&map);
    assert_eq!(floors.get("promotion"), Some(&1), "the map cannot be read");
    let mut wrong = check_map(&map, &files);
    for path in &files {
        wrong.extend(check(path, &read(path), &floors));
    }
    assert!(
        wrong.is_empty(),
        "{} things:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
