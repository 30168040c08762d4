//! `verify-backup`: a backup is read in full, and is what its manifest says or is not.

use std::path::Path;

use serde_json::json;

use super::arguments::Format;
use super::backup_arguments::VerifyBackupArguments;
use super::interruptible::{self, Ticker, bytes};
use super::{Exit, say};
use crate::postgres::content;
use crate::postgres::dump::{self, DumpError};
use crate::postgres::json_manifest::MANIFEST;
use crate::postgres::json_restore;
use crate::untrusted::clean_line;

/// What was found good.
struct Good {
    layout: &'static str,
    taken_at: String,
    server: String,
    tables: u64,
    rows: u64,
    bytes: u64,
    lacks: Vec<String>,
}

pub(super) fn run(arguments: &VerifyBackupArguments) -> Exit {
    let path = &arguments.backup;
    let found = match json_folder(path) {
        Some(folder) => json(folder),
        None => archive(path),
    };
    match found {
        Ok(good) => {
            say::data(&report(arguments.format, path, &good));
            Exit::Well
        }
        Err((_, Exit::Interrupted)) => Exit::Interrupted,
        Err((what, exit)) => {
            say::Trouble {
                what,
                untouched: "the backup was only read",
                next: "use another backup; this one cannot be relied on".to_owned(),
                evidence: clean_line(&path.display().to_string()),
            }
            .say();
            exit
        }
    }
}

/// The folder of a JSON backup, which may be named by its manifest; none of what pg_dump wrote.
pub(super) fn json_folder(path: &Path) -> Option<&Path> {
    if path.file_name().is_some_and(|name| name == MANIFEST) {
        let above = path.parent()?;
        return Some(match above == Path::new("") {
            true => Path::new("."),
            false => above,
        });
    }
    let archive = path.join("toc.dat").exists() || path.extension().is_some_and(|e| e == "dir");
    (path.is_dir() && !archive).then_some(path)
}

fn json(path: &Path) -> Result<Good, (String, Exit)> {
    let ticker = Ticker::new();
    let manifest = json_restore::verify(path, |what| ticker.tell(what))
        .map_err(|error| (clean_line(&error.to_string()), Exit::Error))?;
    Ok(Good {
        layout: "json",
        taken_at: manifest.taken_at.clone(),
        server: manifest.server.clone(),
        tables: manifest.tables.len() as u64,
        rows: manifest.rows(),
        bytes: manifest.bytes(),
        lacks: manifest.left_out.clone(),
    })
}

fn archive(path: &Path) -> Result<Good, (String, Exit)> {
    let bad = |what: String| (what, Exit::Error);
    let manifest =
        dump::manifest_beside(path).map_err(|error| bad(format!("there is no backup: {error}")))?;
    let ticker = Ticker::new();
    ticker.tell("computing hashes");
    dump::check_files(&manifest)
        .map_err(|what| bad(format!("the backup is not what its manifest says: {what}")))?;
    ticker.tell("reading it in full");
    let read = interruptible::run(|cancel| {
        let manifest = &manifest;
        async move { dump::read_back(manifest, &cancel).await }
    });
    let (entries, contents) = read
        .map_err(|exit| (String::new(), exit))?
        .map_err(|error| {
            let exit = match error {
                DumpError::Canceled => Exit::Interrupted,
                _ => Exit::Error,
            };
            (error.to_string(), exit)
        })?;
    let mut differences = content::differences(&manifest.contents, &contents);
    if entries != manifest.entries {
        differences.push(format!("it has {entries} entries, of {}", manifest.entries));
    }
    if !differences.is_empty() {
        let what = differences.join("; ");
        return Err(bad(format!(
            "the backup is not what its manifest says: {what}"
        )));
    }
    Ok(Good {
        layout: match manifest.layout {
            dump::Layout::Custom => "custom",
            dump::Layout::Directory => "directory",
        },
        taken_at: manifest.taken_at.clone(),
        server: manifest.server.clone(),
        tables: manifest.tables,
        rows: contents.values().map(|table| table.rows).sum(),
        bytes: manifest.bytes,
        lacks: Vec::new(),
    })
}

fn report(format: Format, path: &Path, good: &Good) -> String {
    if format == Format::Json {
        let report = json!({
            "format": 1, "path": path, "good": true, "layout": good.layout,
            "taken_at": good.taken_at, "server": good.server, "tables": good.tables,
            "rows": good.rows, "bytes": good.bytes, "left_out": good.lacks,
        });
        return format!("{report}\n");
    }
    let mut text = format!(
        "good     {}, {}\nof       {}\nmoment   {}\nholds    {} tables, {} rows, {}; every file was \
         read and is what the manifest says\n",
        clean_line(&path.display().to_string()),
        good.layout,
        clean_line(&good.server),
        clean_line(&good.taken_at),
        good.tables,
        good.rows,
        bytes(good.bytes),
    );
    for lack in &good.lacks {
        text.push_str(&format!("not in   {}\n", clean_line(lack)));
    }
    text
}
