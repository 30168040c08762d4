//! Named points at which a test lets the program die, as a power cut would.
//!
//! Only builds with debug assertions know them; in a release they cost nothing and do nothing.

/// Ends this process with SIGKILL when `STAGEGATE_DIE_AT` names this point.
///
/// The variable holds `name` or `name:N` for the N-th time that the point is passed.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("STAGEGATE_DIE_AT").ok()?;
        Some(match text.rsplit_once(':') {
            Some((name, count)) => (name.to_owned(), count.parse().unwrap_or(1)),
            None => (text, 1),
        })
    });
    let Some((wanted, count)) = wanted else {
        return;
    };
    if wanted == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *count {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Does nothing: a release has no fault points.
#[cfg(not(debug_assertions))]
#[inline]
pub fn point(_name: &str) {}
