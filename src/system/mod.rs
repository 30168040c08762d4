//! Processes, durable files, fault points, and who and where we are.

pub mod children;
pub mod clock;
pub mod durable;
pub mod fault;
pub mod process;
pub mod ssh_keygen;
mod threads;
pub mod webhook;

pub use threads::in_threads;

/// The login name of the person who runs this program.
pub fn user_name() -> String {
    // The password database says who we are; USER is only what the environment claims.
    let uid = rustix::process::getuid().as_raw();
    let named = std::fs::read_to_string("/etc/passwd")
        .ok()
        .and_then(|passwd| {
            passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                (fields.nth(1)?.parse::<u32>().ok()? == uid).then(|| name.to_owned())
            })
        });
    named
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or_else(|| format!("uid-{uid}"))
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}
