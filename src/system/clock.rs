//! A clock for spans of time: nobody can set it, and it goes on while the machine sleeps.

use std::time::Duration;

/// The time since the machine was started, sleep included.
pub fn since_start() -> Duration {
    let now = rustix::time::clock_gettime(CLOCK);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

#[cfg(target_os = "linux")]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;

/// Elsewhere the clock stands still in sleep, so a sleep is not seen; it does not count either.
#[cfg(not(target_os = "linux"))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let (first, second) = (since_start(), since_start());
        assert!(first <= second && first > Duration::ZERO);
    }
}
