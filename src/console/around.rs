//! What the console needs of the machine around it: a place for copies, the zone of its clock.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

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

/// The zone that times are shown in. Reading the one file is much quicker than the whole database,
/// which is only needed when `TZ` names a zone.
pub(super) fn local_zone() -> TimeZone {
    if std::env::var_os("TZ").is_none()
        && let Ok(bytes) = std::fs::read("/etc/localtime")
        && let Ok(zone) = TimeZone::tzif("Local", &bytes)
    {
        return zone;
    }
    TimeZone::system()
}
