//! How the tools of the field name their migration files.

use std::cmp::Ordering;
use std::fmt;

/// A convention of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Any names, taken in byte order.
    Plain,
    /// `001_title.sql`
    Numbered,
    /// `20260101120000_title.sql`
    Timestamp,
    /// `V1.2__title.sql`, `U1.2__title.sql`, `R__title.sql`
    Flyway,
    /// `sqitch.plan` beside `deploy/`, `revert/` and `verify/`.
    Sqitch,
    /// `20260101_title.sql` with `-- migrate:up` and `-- migrate:down`.
    Dbmate,
    /// `1_title.up.sql` and `1_title.down.sql`
    GolangMigrate,
}

impl Style {
    /// As a runbook says it.
    pub const WORDS: [&'static str; 7] = [
        "plain",
        "numbered",
        "timestamp",
        "flyway",
        "sqitch",
        "dbmate",
        "golang-migrate",
    ];

    /// The word of a runbook for it.
    pub fn word(self) -> &'static str {
        match self {
            Style::Plain => "plain",
            Style::Numbered => "numbered",
            Style::Timestamp => "timestamp",
            Style::Flyway => "flyway",
            Style::Sqitch => "sqitch",
            Style::Dbmate => "dbmate",
            Style::GolangMigrate => "golang-migrate",
        }
    }

    pub(super) fn of(word: &str) -> Style {
        match word {
            "numbered" => Style::Numbered,
            "timestamp" => Style::Timestamp,
            "flyway" => Style::Flyway,
            "sqitch" => Style::Sqitch,
            "dbmate" => Style::Dbmate,
            "golang-migrate" => Style::GolangMigrate,
            _ => Style::Plain,
        }
    }

    /// The shape of a name, for people.
    pub fn shape(self) -> &'static str {
        match self {
            Style::Plain => "any name",
            Style::Numbered => "NUMBER_title.sql, such as 001_orders.sql",
            Style::Timestamp => "YYYYMMDDhhmmss_title.sql, such as 20260131120000_orders.sql",
            Style::Flyway => "V1__title.sql, U1__title.sql or R__title.sql",
            Style::Sqitch => "sqitch.plan, with deploy/ and revert/ beside it",
            Style::Dbmate => "DIGITS_title.sql with `-- migrate:up` in it",
            Style::GolangMigrate => "NUMBER_title.up.sql or NUMBER_title.down.sql",
        }
    }
}

/// Numbers in front of a name, in the order of their values: `2` before `10`, `1.2` before `1.10`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Vec<String>);

impl Version {
    /// Reads digits with dots or underscores between them; `None` for anything else.
    pub fn read(text: &str) -> Option<Version> {
        let parts: Vec<&str> = text.split(['.', '_']).collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !parts.iter().all(digits) {
            return None;
        }
        let short = |part: &str| {
            let short = part.trim_start_matches('0');
            if short.is_empty() { "0" } else { short }.to_owned()
        };
        let mut parts: Vec<String> = parts.into_iter().map(short).collect();
        // 1 and 1.0 are one version.
        while parts.len() > 1 && parts.last().is_some_and(|part| part == "0") {
            parts.pop();
        }
        Some(Version(parts))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |part: &String| (part.len(), part.clone());
        self.0.iter().map(number).cmp(other.0.iter().map(number))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// What a file of a convention is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Up(Version),
    /// Undoes the file of the same version.
    Down(Version),
    /// Applied again whenever it has changed, behind all others.
    Repeatable,
    /// Up and down in one file.
    Both(Version),
}

/// Reads a file's own name, without folders.
///
/// # Errors
/// `None` is a name that the convention does not have.
pub fn part(style: Style, name: &str) -> Option<Part> {
    let stem = name.strip_suffix(".sql")?;
    let stem_down = stem.strip_suffix(".down");
    let numbered = |stem: &str| {
        let end = stem.find('_')?;
        let title = &stem[end + 1..];
        (!title.is_empty()).then(|| Version::read(&stem[..end]))?
    };
    match style {
        Style::Plain | Style::Sqitch => None,
        Style::Timestamp if digits(stem) != 14 => None,
        Style::Numbered | Style::Timestamp => match stem_down {
            Some(stem) => numbered(stem).map(Part::Down),
            None => numbered(stem).map(Part::Up),
        },
        Style::Dbmate => numbered(stem).map(Part::Both),
        Style::GolangMigrate => match (stem.strip_suffix(".up"), stem_down) {
            (Some(stem), _) => numbered(stem).map(Part::Up),
            (None, Some(stem)) => numbered(stem).map(Part::Down),
            _ => None,
        },
        Style::Flyway => {
            let (front, title) = stem.split_once("__")?;
            if title.is_empty() {
                return None;
            }
            match front.split_at_checked(1)? {
                ("R", "") => Some(Part::Repeatable),
                ("V", version) => Version::read(version).map(Part::Up),
                ("U", version) => Version::read(version).map(Part::Down),
                _ => None,
            }
        }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// What a file and the one that undoes it have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    Version(Version),
    /// A change of a `sqitch.plan`.
    Change(String),
    /// Nothing undoes it.
    Repeatable,
    /// Its own name, where the style gives names no meaning.
    Name(String),
}

impl Mark {
    /// Reads the mark of a file from its path; `None` for a name that the style does not have.
    pub fn of(style: Style, path: &str) -> Option<Mark> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match style {
            Style::Plain => Some(Mark::Name(name.to_owned())),
            Style::Sqitch => {
                let stem = path.strip_suffix(".sql")?;
                let folder = |folder: &str| {
                    let behind = stem.rsplit_once(&format!("/{folder}/")).map(|(_, c)| c);
                    behind.or_else(|| stem.strip_prefix(&format!("{folder}/")))
                };
                let change = folder("deploy").or_else(|| folder("revert"))?;
                Some(Mark::Change(change.to_owned()))
            }
            _ => Some(match part(style, name)? {
                Part::Up(version) | Part::Down(version) | Part::Both(version) => {
                    Mark::Version(version)
                }
                Part::Repeatable => Mark::Repeatable,
            }),
        }
    }

    pub fn version(&self) -> Option<&Version> {
        match self {
            Mark::Version(version) => Some(version),
            _ => None,
        }
    }

    /// Tells whether another tool means this file by what it has written down, or a person does.
    pub fn is(&self, said: &str) -> bool {
        match self {
            Mark::Version(version) => Version::read(said).as_ref() == Some(version),
            Mark::Change(change) => change == said,
            Mark::Repeatable => false,
            Mark::Name(name) => {
                let front = name.split(['_', '-', '.']).next().unwrap_or(name);
                let same = Version::read(front).is_some_and(|v| Some(v) == Version::read(said));
                same || front == said || name == said || name.strip_suffix(".sql") == Some(said)
            }
        }
    }
}

/// Tables in which the tools of the field keep what they have applied.
pub const LEDGERS: [&str; 4] = [
    "schema_migrations",
    "flyway_schema_history",
    "_sqlx_migrations",
    "alembic_version",
];

/// Which half of a file that has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Up,
    Down,
}

/// Keeps one half of a file with `-- migrate:up` and `-- migrate:down`. The lines of the other one
/// become empty, so that every line keeps its number.
///
/// # Errors
/// `None` where the file has no such half.
pub fn half(text: &str, wanted: Half) -> Option<String> {
    let mut now = None;
    let mut found = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mark = line.trim_start().strip_prefix("--").map(str::trim_start);
        let mark = mark.and_then(|rest| rest.strip_prefix("migrate:"));
        let word = mark.and_then(|rest| rest.split_whitespace().next());
        match word {
            Some("up") => now = Some(Half::Up),
            Some("down") => now = Some(Half::Down),
            _ => {}
        }
        found |= now == Some(wanted);
        if now == Some(wanted) {
            kept.push_str(line);
        } else if line.ends_with('\n') {
            kept.push('\n');
        }
    }
    found.then_some(kept)
}

/// The changes of a `sqitch.plan`, in its order.
pub fn sqitch_changes(plan: &str) -> Vec<String> {
    plan.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['%', '#', '@']))
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| name.trim_start_matches('+').to_owned())
        .filter(|name| !name.starts_with('-') && !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::read(text).unwrap()
    }

    #[test]
    fn names_are_read_as_their_tools_read_them() {
        for (style, name, wanted) in [
            (Style::Numbered, "001_a.sql", Some(Part::Up(version("1")))),
            (Style::Numbered, "a_001.sql", None),
            (
                Style::Timestamp,
                "20260101120000_a.sql",
                Some(Part::Up(version("20260101120000"))),
            ),
            (
                Style::Numbered,
                "2_a.down.sql",
                Some(Part::Down(version("2"))),
            ),
            (Style::Timestamp, "2026_a.sql", None),
            (Style::Flyway, "V1__a.sql", Some(Part::Up(version("1")))),
            (Style::Flyway, "V1_2__a.sql", Some(Part::Up(version("1.2")))),
            (
                Style::Flyway,
                "U1.2__a.sql",
                Some(Part::Down(version("1.2"))),
            ),
            (Style::Flyway, "R__view.sql", Some(Part::Repeatable)),
            (Style::Flyway, "V1_a.sql", None),
            (Style::Flyway, "v1__a.sql", None),
            (
                Style::Dbmate,
                "20260101_a.sql",
                Some(Part::Both(version("20260101"))),
            ),
            (
                Style::GolangMigrate,
                "1_a.up.sql",
                Some(Part::Up(version("1"))),
            ),
            (
                Style::GolangMigrate,
                "000001_a.down.sql",
                Some(Part::Down(version("1"))),
            ),
            (Style::GolangMigrate, "1_a.sql", None),
        ] {
            assert_eq!(part(style, name), wanted, "{name}");
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let mut versions: Vec<Version> = ["10", "2", "1.10", "1.2", "1", "20260101120000"]
            .map(version)
            .into();
        versions.sort();
        let shown: Vec<String> = versions.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["1", "1.2", "1.10", "2", "10", "20260101120000"]);
        assert_eq!(version("1.0"), version("1"));
        assert_eq!(version("007"), version("7"));
    }

    #[test]
    fn a_file_and_its_way_back_have_one_mark() {
        for (style, up, down) in [
            (Style::Plain, "up/1.sql", "down/1.sql"),
            (Style::Numbered, "up/001_a.sql", "down/1_b.sql"),
            (Style::Flyway, "db/V1.0__a.sql", "db/U1__b.sql"),
            (Style::GolangMigrate, "1_a.up.sql", "1_a.down.sql"),
            (
                Style::Sqitch,
                "db/deploy/app/users.sql",
                "db/revert/app/users.sql",
            ),
            (Style::Sqitch, "deploy/users.sql", "revert/users.sql"),
        ] {
            let mark = Mark::of(style, up).unwrap();
            assert_eq!(Some(&mark), Mark::of(style, down).as_ref(), "{up}");
        }
        let named = Mark::of(Style::Plain, "db/ae10_users.sql").unwrap();
        assert!(named.is("ae10") && named.is("ae10_users") && !named.is("ae1"));
        assert!(Mark::of(Style::Plain, "007_x.sql").unwrap().is("7"));
        for word in Style::WORDS {
            assert_eq!(Style::of(word).word(), word);
        }
    }

    #[test]
    fn a_half_keeps_its_line_numbers() {
        let text = "-- migrate:up\nCREATE TABLE t ();\n\n--migrate:down transaction:false\nDROP TABLE t;\n";
        let up = half(text, Half::Up).unwrap();
        let down = half(text, Half::Down).unwrap();
        assert!(up.contains("CREATE") && !up.contains("DROP"));
        assert_eq!(down.lines().nth(4), Some("DROP TABLE t;"));
        assert_eq!(half("CREATE TABLE t ();", Half::Up), None);
    }

    #[test]
    fn a_plan_gives_its_changes_in_order() {
        let plan = "%syntax-version=1.0.0\n%project=x\n\nroles 2026-01-01T00:00:00Z a <a@b> # one\n\
                    tables [roles] 2026-01-02T00:00:00Z a <a@b> # two\n@v1 2026-01-03T00:00:00Z a <a@b>\n";
        assert_eq!(sqitch_changes(plan), ["roles", "tables"]);
    }
}
