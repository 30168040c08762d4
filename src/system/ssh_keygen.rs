//! Signs through the stock `ssh-keygen`, so that agents, security keys and passphrases just work.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Signs bytes in a namespace; gives the armoured signature. The program talks to the person on the
/// terminal itself: for a passphrase, a PIN or a touch.
///
/// # Errors
/// When the program is missing, or did not sign.
pub fn sign(key: &Path, namespace: &str, bytes: &[u8]) -> io::Result<String> {
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", namespace, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends early says why by itself.
        let _ = stdin.write_all(bytes);
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let words = format!("ssh-keygen did not sign with {}", key.display());
        return Err(io::Error::other(words));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
