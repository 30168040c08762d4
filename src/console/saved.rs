//! Copies of what a screen showed, in the run's folder.

use std::path::Path;

use jiff::Timestamp;

use crate::system::durable;

/// Writes a text into the run's folder; returns where.
pub(super) fn save(folder: &Path, name: &str, text: &str) -> Result<String, String> {
    let copies = folder.join("copies");
    let stamp = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let path = copies.join(format!("{name}-{stamp}.txt"));
    let failed = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
    durable::make_private_folder(&copies).map_err(failed)?;
    durable::write_whole(&path, text.as_bytes()).map_err(failed)?;
    Ok(path.display().to_string())
}
