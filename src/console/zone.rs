//! The zone that times are shown in.

use jiff::tz::TimeZone;

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
