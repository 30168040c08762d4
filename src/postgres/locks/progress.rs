//! How far a statement is, from the server's progress views. Pure.

use serde_json::Value;

use super::age;
use super::name;

/// How far a statement is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Such as `CREATE INDEX CONCURRENTLY`.
    pub command: String,
    /// Such as `building index: scanning table`.
    pub phase: String,
    pub done: u64,
    /// 0 where nobody knows.
    pub total: u64,
    pub unit: &'static str,
    /// What else there is to say.
    pub detail: String,
}

impl Phase {
    /// How much is done, from 0 to 1.
    pub fn share(&self) -> Option<f64> {
        (self.total > 0).then(|| self.done.min(self.total) as f64 / self.total as f64)
    }

    /// How much is done, in words.
    pub fn counted(&self) -> String {
        match (self.done, self.total) {
            (0, 0) => String::new(),
            (done, 0) => format!("{done} {}", self.unit),
            (done, total) => format!("{done} of {total} {}", self.unit),
        }
    }
}

/// The views that there are, with the server's version that brought them.
pub(super) const VIEWS: [(&str, u32); 5] = [
    ("vacuum", 90_600),
    ("create_index", 120_000),
    ("cluster", 120_000),
    ("analyze", 130_000),
    ("copy", 140_000),
];

/// Reads a row of a view.
pub(super) fn phase(view: &str, row: &Value) -> Option<Phase> {
    if !row.is_object() {
        return None;
    }
    Some(match view {
        "create_index" => create_index(row),
        "vacuum" => vacuum(row),
        "cluster" => cluster(row),
        "analyze" => analyze(row),
        "copy" => copy(row),
        _ => return None,
    })
}

fn number(row: &Value, column: &str) -> u64 {
    row.get(column).and_then(Value::as_u64).unwrap_or(0)
}

fn word(row: &Value, column: &str) -> String {
    let text = row.get(column).and_then(Value::as_str);
    name(text.unwrap_or_default())
}

/// The first of these pairs of columns that has a total.
fn counted(row: &Value, pairs: &[(&str, &str, &'static str)]) -> (u64, u64, &'static str) {
    let known = pairs.iter().find(|(_, total, _)| number(row, total) > 0);
    let Some((done, total, unit)) = known.or(pairs.first()) else {
        return (0, 0, "");
    };
    (number(row, done), number(row, total), unit)
}

fn create_index(row: &Value) -> Phase {
    let phase = word(row, "phase");
    let lockers = ("lockers_done", "lockers_total", "transactions waited for");
    let blocks = ("blocks_done", "blocks_total", "blocks");
    let tuples = ("tuples_done", "tuples_total", "rows");
    let (done, total, unit) = match phase.starts_with("waiting") {
        true => counted(row, &[lockers]),
        // Rows are what is left to do once the table was read.
        false if phase.contains("loading tuples") => counted(row, &[tuples, blocks]),
        false => counted(row, &[blocks, tuples]),
    };
    let mut detail = match number(row, "current_locker_pid") {
        0 => String::new(),
        pid => format!("waits for pid {pid}"),
    };
    let parts = number(row, "partitions_total");
    if parts > 0 {
        let done = number(row, "partitions_done");
        detail.push_str(&format!(" partition {done} of {parts}"));
    }
    Phase {
        command: word(row, "command"),
        phase,
        done,
        total,
        unit,
        detail: detail.trim().to_owned(),
    }
}

fn vacuum(row: &Value) -> Phase {
    let phase = word(row, "phase");
    let done = match phase.as_str() {
        "vacuuming heap" => "heap_blks_vacuumed",
        _ => "heap_blks_scanned",
    };
    let (done, total, unit) = counted(row, &[(done, "heap_blks_total", "blocks")]);
    let rounds = number(row, "index_vacuum_count");
    Phase {
        command: "VACUUM".to_owned(),
        phase,
        done,
        total,
        unit,
        detail: match rounds {
            0 => String::new(),
            n => format!("indexes cleaned {n} times"),
        },
    }
}

fn cluster(row: &Value) -> Phase {
    let scanned = ("heap_blks_scanned", "heap_blks_total", "blocks");
    let (done, total, unit) = counted(row, &[scanned]);
    Phase {
        command: word(row, "command"),
        phase: word(row, "phase"),
        done,
        total,
        unit,
        detail: match number(row, "heap_tuples_written") {
            0 => String::new(),
            n => format!("{n} rows written"),
        },
    }
}

fn analyze(row: &Value) -> Phase {
    let sample = ("sample_blks_scanned", "sample_blks_total", "blocks");
    let (done, total, unit) = counted(row, &[sample]);
    // It sleeps between two reads where the server is told to go easy; only newer ones say so.
    let delayed = row.get("delay_time").and_then(Value::as_f64);
    Phase {
        command: "ANALYZE".to_owned(),
        phase: word(row, "phase"),
        done,
        total,
        unit,
        detail: match delayed {
            Some(ms) if ms >= 1000.0 => format!("slept {}", age(ms as u64)),
            _ => String::new(),
        },
    }
}

fn copy(row: &Value) -> Phase {
    let (done, total, unit) = counted(row, &[("bytes_processed", "bytes_total", "bytes")]);
    Phase {
        command: word(row, "command"),
        phase: "copying".to_owned(),
        done,
        total,
        unit,
        detail: format!("{} rows", number(row, "tuples_processed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_index_is_counted_by_what_its_phase_moves() {
        let scan = json!({"command": "CREATE INDEX CONCURRENTLY", "lockers_total": 3,
            "phase": "building index: scanning table", "blocks_done": 40, "blocks_total": 160});
        let scan = phase("create_index", &scan).unwrap();
        assert_eq!(scan.counted(), "40 of 160 blocks");
        assert_eq!(scan.share(), Some(0.25));
        let wait = json!({"command": "CREATE INDEX CONCURRENTLY", "current_locker_pid": 71,
            "phase": "waiting for writers before build", "lockers_done": 1, "lockers_total": 2,
            "blocks_done": 40, "blocks_total": 160});
        let wait = phase("create_index", &wait).unwrap();
        assert_eq!(wait.counted(), "1 of 2 transactions waited for");
        assert_eq!(wait.detail, "waits for pid 71");
        let load = json!({"phase": "building index: loading tuples in tree", "tuples_done": 5,
            "tuples_total": 10, "blocks_done": 160, "blocks_total": 160});
        assert_eq!(
            phase("create_index", &load).unwrap().counted(),
            "5 of 10 rows"
        );
    }

    #[test]
    fn what_is_not_known_is_not_a_share() {
        let copied = json!({"command": "COPY FROM", "bytes_processed": 70, "bytes_total": 0,
            "tuples_processed": 7});
        let copied = phase("copy", &copied).unwrap();
        assert_eq!(
            (copied.share(), copied.counted().as_str()),
            (None, "70 bytes")
        );
        assert_eq!(phase("copy", &Value::Null), None);
        assert_eq!(phase("basebackup", &json!({})), None);
    }
}
