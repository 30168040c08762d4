//! The program's own log, for finding defects in it: off unless a file is named for it.

use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::system::durable::open_private;

/// Names the file.
const FILE: &str = "STAGEGATE_LOG_FILE";
/// Says what is logged, such as `stagegate=debug`; everything of level info by default.
const FILTER: &str = "STAGEGATE_LOG";

/// Begins to log where the environment asks for it. The terminal belongs to the console.
pub(super) fn begin() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let Ok(file) = open_private(path.as_ref()) else {
        return;
    };
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init();
}
