//! Gives a copied cluster a system identifier of its own.
//!
//! `initdb` draws one, and a copy of its work would carry the same: two private servers could
//! then not be told from each other. The number is at the front of the control file, which ends
//! in a checksum, and in the first page of each log segment.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a log segment's first page repeats the identifier: behind magic, flags, timeline, page
/// address and the length of a continued record.
const IDENTIFIER_IN_SEGMENT: u64 = 24;
/// A log segment's name: timeline and number in hexadecimal.
const SEGMENT_NAME_LENGTH: usize = 24;
/// The control file's checksum stands somewhere behind its contents, whose length depends on the
/// version; the file system writes the file in one piece because it is shorter than a sector.
const CHECKSUM_AT: std::ops::Range<usize> = 64..508;

/// Draws a new identifier for a cluster that was shut down in good order. `false`, with nothing
/// changed, when its files are not in the known form.
pub(super) fn renew(data: &Path) -> io::Result<bool> {
    let control_file = data.join("global/pg_control");
    let mut control = fs::read(&control_file)?;
    let Some(old) = control.first_chunk::<8>().copied() else {
        return Ok(false);
    };
    let Some(checksum_at) = find_checksum(&control) else {
        return Ok(false);
    };
    let segments = segments(data)?;
    for segment in &segments {
        if read_identifier(segment)? != old {
            return Ok(false);
        }
    }
    let new = draw().to_ne_bytes();
    for segment in &segments {
        let mut file = File::options().write(true).open(segment)?;
        file.seek(SeekFrom::Start(IDENTIFIER_IN_SEGMENT))?;
        file.write_all(&new)?;
    }
    if let Some(front) = control.first_chunk_mut::<8>() {
        *front = new;
    }
    let (contents, rest) = control.split_at_mut(checksum_at);
    if let Some(checksum) = rest.first_chunk_mut::<4>() {
        *checksum = crc32c(contents).to_ne_bytes();
    }
    // In place: the file keeps its owner and mode.
    File::options()
        .write(true)
        .open(&control_file)?
        .write_all(&control)?;
    Ok(true)
}

/// Finds where the control file's checksum is: where the sum of all that is before it stands.
fn find_checksum(control: &[u8]) -> Option<usize> {
    CHECKSUM_AT.step_by(4).find(|&at| {
        let (Some(contents), Some(stored)) = (control.get(..at), control.get(at..at + 4)) else {
            return false;
        };
        crc32c(contents).to_ne_bytes() == stored
    })
}

fn segments(data: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(data.join("pg_wal"))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.len() == SEGMENT_NAME_LENGTH && name.iter().all(u8::is_ascii_hexdigit) {
            segments.push(entry.path());
        }
    }
    Ok(segments)
}

fn read_identifier(segment: &Path) -> io::Result<[u8; 8]> {
    let mut file = File::open(segment)?;
    file.seek(SeekFrom::Start(IDENTIFIER_IN_SEGMENT))?;
    let mut identifier = [0; 8];
    file.read_exact(&mut identifier)?;
    Ok(identifier)
}

/// Draws a number as `initdb` does: the seconds, the microseconds, and a little of the process.
fn draw() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (now.as_secs() << 32)
        | (u64::from(now.subsec_micros()) << 12)
        | u64::from(std::process::id() & 0xfff)
}

/// The checksum of the Castagnoli polynomial, bit by bit: the input is a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (0u32.wrapping_sub(crc & 1)));
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_the_standards_example() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn files_of_another_form_are_left_alone() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir(data.path().join("global")).unwrap();
        fs::create_dir(data.path().join("pg_wal")).unwrap();
        let control = data.path().join("global/pg_control");
        fs::write(&control, [7; 8192]).unwrap();
        assert!(!renew(data.path()).unwrap());
        assert_eq!(fs::read(&control).unwrap(), [7; 8192]);
    }

    #[test]
    fn a_checksum_is_found_behind_contents_of_any_length() {
        let mut control: Vec<u8> = (0..=255).chain(0..=40).cycle().take(296).collect();
        control.extend(crc32c(&control).to_ne_bytes());
        control.resize(8192, 0);
        assert_eq!(find_checksum(&control), Some(296));
    }
}
