//! Which paths of a repository may be written: inside it, no link on the way, no part of `.git`.

use std::path::{Component, Path, PathBuf};

/// Makes a path of the repository absolute, or says why it may not be written.
pub(super) fn inside(top: &Path, path: &str) -> Result<PathBuf, String> {
    let relative = Path::new(path);
    if path.is_empty() || relative.is_absolute() {
        return Err(format!("`{path}` is no path inside the repository"));
    }
    let mut full = top.to_owned();
    let mut parts = relative.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err(format!("`{path}` leads out of the repository"));
        };
        if name.eq_ignore_ascii_case(".git") {
            return Err(format!("`{path}` is a part of git's own files"));
        }
        full.push(name);
        let Ok(found) = std::fs::symlink_metadata(&full) else {
            continue;
        };
        if found.is_symlink() {
            return Err(format!(
                "`{path}` goes through a symbolic link, which could lead out of the repository"
            ));
        }
        let last = parts.peek().is_none();
        if last && !found.is_file() {
            return Err(format!("`{path}` is no plain file"));
        }
        if !last && !found.is_dir() {
            return Err(format!("`{path}` would lie below a file"));
        }
        // Another repository below this one has its own branch and its own owner.
        if !last && full.join(".git").exists() {
            return Err(format!(
                "`{path}` lies in another repository inside this one"
            ));
        }
    }
    Ok(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_inside_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        std::fs::create_dir_all(top.join("a/b/.git")).unwrap();
        std::fs::write(top.join("a/file"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", top.join("link")).unwrap();
        std::os::unix::fs::symlink("a/file", top.join("soft")).unwrap();
        assert_eq!(inside(top, "a/new/x").unwrap(), top.join("a/new/x"));
        assert!(inside(top, "./a/file").is_err());
        for (path, why) in [
            ("", "no path"),
            ("/etc/passwd", "no path"),
            ("../x", "leads out"),
            ("a/../../x", "leads out"),
            (".git/config", "git's own"),
            ("a/.GIT/hooks/x", "git's own"),
            ("link/passwd", "symbolic link"),
            ("soft", "symbolic link"),
            ("a", "no plain file"),
            ("a/file/x", "below a file"),
            ("a/b/x", "another repository"),
        ] {
            let said = inside(top, path).unwrap_err();
            assert!(said.contains(why), "{path}: {said}");
        }
    }
}
