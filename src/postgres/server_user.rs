//! The user that a private server runs as when this program is root, which PostgreSQL refuses.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::cluster::ClusterError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerUser {
    name: String,
    uid: u32,
    gid: u32,
}

impl ServerUser {
    /// Returns the user to drop to, or `None` when there is no need.
    pub(super) fn needed() -> Result<Option<Self>, ClusterError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Self::in_passwd(&passwd, name))
            .map(Some)
            .ok_or(ClusterError::NoServerUser)
    }

    fn in_passwd(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            if fields.next() != Some(name) {
                return None;
            }
            Some(Self {
                name: name.to_owned(),
                uid: fields.nth(1)?.parse().ok().filter(|&uid| uid != 0)?,
                gid: fields.next()?.parse().ok()?,
            })
        })
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// Gives a file or folder to this user.
    pub(super) fn own(&self, path: &Path) -> std::io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Has the command run as this user.
    pub(super) fn become_in(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Refuses a folder that this user could not reach, naming the parent that is in the way.
    pub(super) fn check_way_to(&self, folder: &Path) -> Result<(), ClusterError> {
        for parent in folder.ancestors() {
            let metadata = fs::metadata(parent).map_err(ClusterError::file("look at", parent))?;
            let needed = if metadata.uid() == self.uid {
                0o100
            } else if metadata.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            if metadata.mode() & needed == 0 {
                return Err(ClusterError::FolderClosed {
                    folder: parent.to_owned(),
                    user: self.name.clone(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_read_from_the_password_file_and_root_is_never_chosen() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:a,b:/var:/bin/sh\n";
        assert_eq!(
            ServerUser::in_passwd(passwd, "postgres"),
            Some(ServerUser {
                name: "postgres".into(),
                uid: 101,
                gid: 104
            })
        );
        assert_eq!(ServerUser::in_passwd(passwd, "nobody"), None);
        assert_eq!(ServerUser::in_passwd(passwd, "root"), None);
    }
}
