//! Reads the list of keys that do not count any more.

use std::collections::BTreeSet;

use ssh_key::{HashAlg, PublicKey};

use super::LineProblem;

/// How a binary revocation list of OpenSSH begins.
const KRL_MAGIC: &str = "SSHKRL\n\0";

/// Fingerprints of keys that do not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked(BTreeSet<String>);

impl Revoked {
    /// Reads a list of public keys, one a line, as `ssh-keygen -Y verify -r` takes it.
    pub fn read(text: &str) -> (Revoked, Vec<LineProblem>) {
        let (mut list, mut problems) = (Revoked::default(), Vec::new());
        if text.starts_with(KRL_MAGIC) {
            let what = "it is a binary revocation list (KRL), which this version does not read; \
                        write the public keys instead, one a line";
            let what = what.to_owned();
            return (list, vec![LineProblem { line: 0, what }]);
        }
        for (index, content) in text.lines().enumerate() {
            let content = content.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match PublicKey::from_openssh(content) {
                Ok(key) => {
                    list.0.insert(key.fingerprint(HashAlg::Sha256).to_string());
                }
                Err(error) => problems.push(LineProblem {
                    line: index + 1,
                    what: format!("it is no public key: {error}"),
                }),
            }
        }
        (list, problems)
    }

    /// Tells whether the key of this fingerprint is revoked.
    pub fn holds(&self, fingerprint: &str) -> bool {
        self.0.contains(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_binary_lists_refused() {
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        let (list, problems) = Revoked::read(&format!("# lost\n{key} ana\n"));
        assert!(problems.is_empty());
        let key = PublicKey::from_openssh(key).unwrap();
        assert!(list.holds(&key.fingerprint(HashAlg::Sha256).to_string()));
        let (_, problems) = Revoked::read("SSHKRL\n\0...");
        assert!(problems[0].what.contains("KRL"));
        let (_, problems) = Revoked::read("serial: 4\n");
        assert_eq!(problems[0].line, 1);
    }
}
