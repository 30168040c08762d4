//! Programs that outlived whoever started them, found by a variable that they were given.

use std::path::Path;
use std::time::{Duration, Instant};

/// How long they may take to end by themselves.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// The processes of this machine whose environment holds that variable with that value. Empty where
/// the system does not say: then only what they reach can tell of them.
pub fn given(name: &str, value: &str) -> Vec<u32> {
    let wanted = format!("{name}={value}");
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own && has(&Path::new("/proc").join(pid.to_string()), &wanted))
        .collect()
}

fn has(process: &Path, wanted: &str) -> bool {
    let Ok(environment) = std::fs::read(process.join("environ")) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == wanted.as_bytes())
}

/// Waits until none of them is left; gives those that are after all patience.
pub async fn wait_until_gone(name: &str, value: &str) -> Vec<u32> {
    let started = Instant::now();
    loop {
        let left = given(name, value);
        if left.is_empty() || started.elapsed() > PATIENCE {
            return left;
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_is_found_by_what_it_was_given() {
        let value = format!("children {}", std::process::id());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env("STAGEGATE_TEST_MARK", &value)
            .spawn()
            .unwrap();
        // A moment after its start the system shows no environment yet.
        let found = loop {
            let found = given("STAGEGATE_TEST_MARK", &value);
            if !found.is_empty() {
                break found;
            }
            std::thread::yield_now();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, [child.id()]);
        assert!(given("STAGEGATE_TEST_MARK", &value).is_empty());
    }
}
