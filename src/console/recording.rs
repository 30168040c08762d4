//! A recording of what the console showed, as an asciicast (version 3) that stock players play.
//!
//! Frames are recorded, not keys, so nothing that was only typed is in it. Secrets are masked in
//! the frame before it is turned into text for the file.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;

use crate::promotion::{Event, Record};
use crate::system::durable::open_private;

/// What stands where a part of a secret was.
const MASK: &str = "•";
/// How many characters of a secret in a row are masked: a pane may cut or wrap the rest away.
const PIECE: usize = 6;

/// Records frames into a file.
pub(super) struct Recorder {
    out: BufWriter<File>,
    last: Instant,
    shown: Option<Buffer>,
    pieces: Vec<Vec<String>>,
    /// The last record that had a marker made of it.
    marked: u64,
}

impl Recorder {
    /// Begins a recording of `size` cells; `secrets` are masked in it. Gates that were started by the
    /// record `marked` and before get no marker.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub(super) fn begin(
        path: &Path,
        title: &str,
        (size, marked): ((u16, u16), u64),
        secrets: &[String],
    ) -> io::Result<Recorder> {
        if path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut out = BufWriter::new(open_private(path)?);
        let header = serde_json::json!({
            "version": 3,
            "term": { "cols": size.0, "rows": size.1, "type": "xterm-256color" },
            "timestamp": jiff::Timestamp::now().as_second(),
            "title": title,
        });
        writeln!(out, "{header}")?;
        Ok(Recorder {
            out,
            last: Instant::now(),
            shown: None,
            pieces: secrets.iter().map(|secret| pieces(secret)).collect(),
            marked,
        })
    }

    /// Records what a frame shows, as far as it differs from the one before.
    ///
    /// # Errors
    /// When the file cannot be written any more.
    pub(super) fn frame(&mut self, buffer: &Buffer) -> io::Result<()> {
        let mut masked = buffer.clone();
        mask(&mut masked, &self.pieces);
        let mut drawn = Vec::new();
        let mut terminal = CrosstermBackend::new(&mut drawn);
        let before = match self.shown.take().filter(|shown| shown.area == masked.area) {
            Some(before) => before,
            None => {
                let (columns, rows) = (masked.area.width, masked.area.height);
                self.event("r", &format!("{columns}x{rows}"))?;
                terminal.hide_cursor()?;
                terminal.clear()?;
                Buffer::empty(masked.area)
            }
        };
        let changed = before.diff(&masked);
        if !changed.is_empty() {
            terminal.draw(changed.into_iter())?;
        }
        let drawn = String::from_utf8_lossy(&drawn).into_owned();
        self.shown = Some(masked);
        if !drawn.is_empty() {
            self.event("o", &drawn)?;
        }
        self.out.flush()
    }

    /// Sets a marker for every gate that was started since.
    ///
    /// # Errors
    /// When the file cannot be written any more.
    pub(super) fn mark(&mut self, records: &[std::sync::Arc<Record>]) -> io::Result<()> {
        let seen = records.partition_point(|record| record.seq <= self.marked);
        for record in &records[seen..] {
            self.marked = record.seq;
            if let Event::GateStarted { gate, attempt, .. } = &record.event {
                let again = match attempt {
                    1 => String::new(),
                    attempt => format!(", attempt {attempt}"),
                };
                self.event("m", &format!("{gate}{again}"))?;
            }
        }
        Ok(())
    }

    fn event(&mut self, code: &str, data: &str) -> io::Result<()> {
        let now = Instant::now();
        let since = now.duration_since(self.last).as_micros() as f64 / 1e6;
        self.last = now;
        writeln!(self.out, "{}", serde_json::json!([since, code, data]))
    }
}

/// Records a frame, and ends the recording when it cannot be written any more.
pub(super) fn record(
    recorder: &mut Option<Recorder>,
    buffer: &Buffer,
    records: &[std::sync::Arc<Record>],
) {
    let Some(open) = recorder else { return };
    if let Err(error) = open.mark(records).and_then(|()| open.frame(buffer)) {
        tracing::warn!(%error, "the recording ends here");
        *recorder = None;
    }
}

/// Every part of a secret that is long enough to give it away.
fn pieces(secret: &str) -> Vec<String> {
    let characters: Vec<char> = secret.chars().collect();
    if characters.len() <= PIECE {
        return vec![secret.to_owned()];
    }
    characters
        .windows(PIECE)
        .map(|piece| piece.iter().collect())
        .collect()
}

/// Masks in every row what is a part of a secret.
fn mask(buffer: &mut Buffer, secrets: &[Vec<String>]) {
    if secrets.is_empty() {
        return;
    }
    let area = buffer.area;
    for y in area.top()..area.bottom() {
        // Where each cell's text begins in the row's.
        let mut row = String::new();
        let mut begins = Vec::with_capacity(usize::from(area.width));
        for x in area.left()..area.right() {
            begins.push(row.len());
            row.push_str(buffer[(x, y)].symbol());
        }
        for piece in secrets.iter().flatten().filter(|piece| !piece.is_empty()) {
            let places: Vec<usize> = overlapping(&row, piece);
            for place in places {
                for (x, begin) in begins.iter().enumerate() {
                    if (place..place + piece.len()).contains(begin) {
                        let x = area.left() + u16::try_from(x).unwrap_or(u16::MAX);
                        buffer[(x, y)].set_symbol(MASK);
                    }
                }
            }
        }
    }
}

/// Where a text occurs in another, those that overlap included.
fn overlapping(row: &str, piece: &str) -> Vec<usize> {
    row.char_indices()
        .map(|(at, _)| at)
        .filter(|at| row[*at..].starts_with(piece))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(buffer: &Buffer) -> String {
        let cells = buffer.content.iter().map(ratatui::buffer::Cell::symbol);
        cells.collect()
    }

    #[test]
    fn a_secret_and_its_larger_parts_are_masked_before_they_are_written() {
        let mut buffer = Buffer::with_lines([
            "pw=correct-horse!",
            "orrect-hor|x     ",
            "corre | plain    ",
        ]);
        mask(&mut buffer, &[pieces("correct-horse")]);
        let text = shown(&buffer);
        assert!(text.starts_with("pw=•••••••••••••!"), "{text}");
        assert!(text.contains("••••••••••|x"), "{text}");
        assert!(text.contains("corre | plain"), "{text}");
    }

    #[test]
    fn a_recording_has_a_header_a_size_frames_and_markers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.cast");
        let secrets = ["s3cret".to_owned()];
        let mut recorder = Recorder::begin(&path, "Run", ((12, 1), 0), &secrets).unwrap();
        recorder
            .frame(&Buffer::with_lines(["is s3cret 1 "]))
            .unwrap();
        recorder
            .frame(&Buffer::with_lines(["is s3cret 2 "]))
            .unwrap();
        recorder
            .frame(&Buffer::with_lines(["is s3cret 2 "]))
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["version"], 3);
        assert_eq!(lines[0]["term"]["cols"], 12);
        assert_eq!(lines[1][1], "r");
        assert_eq!(lines[1][2], "12x1");
        assert_eq!(
            lines.len(),
            4,
            "a frame that is the same is not written:\n{text}"
        );
        assert!(!text.contains("s3cret"), "{text}");
        assert!(Recorder::begin(&path, "Run", ((12, 1), 0), &[]).is_err());
    }
}
