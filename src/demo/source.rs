//! What worlds are made from: the files under `assets/demo`, embedded.

use include_dir::{Dir, include_dir};

use super::DemoError;

static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/demo");

/// A sample world that can be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    pub name: &'static str,
    pub summary: &'static str,
    /// The name under which the runbook lies in the world's repository.
    pub runbook_name: &'static str,
    /// The runbook's text.
    pub runbook: &'static str,
    /// What the runbook's variables are here, where the world is another than a company's.
    pub vars: &'static [(&'static str, &'static str)],
}

static WORLDS: [World; 1] = [World {
    name: "housekeeping",
    summary: "Two schemas, 19 migrations, views and row level security go to production",
    runbook_name: "database-housekeeping.toml",
    runbook: include_str!("../../runbooks/database-housekeeping.toml"),
    vars: &[
        ("service", "ops/bin/servicectl"),
        // Its waiting takes seconds.
        ("look_every", "250ms"),
        ("baseline_for", "1s"),
        ("soak_10", "2s"),
        ("soak_50", "3s"),
        ("success_for", "1s"),
    ],
}];

/// Returns the worlds that can be built; the first is the default.
pub fn worlds() -> &'static [World] {
    &WORLDS
}

/// A file of a world: where it belongs, and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFile {
    /// Relative to the folder that was asked for, with `/` between its parts.
    pub(super) path: String,
    pub(super) contents: &'static [u8],
}

impl World {
    pub(super) fn named(name: &str) -> Result<&'static World, DemoError> {
        WORLDS
            .iter()
            .find(|world| world.name == name)
            .ok_or_else(|| DemoError::UnknownWorld {
                name: name.to_owned(),
                known: WORLDS.map(|world| world.name).join(", "),
            })
    }

    /// Returns a text that the world cannot do without.
    pub(super) fn text(&self, path: &str) -> Result<&'static str, DemoError> {
        self.text_if_any(path)
            .ok_or_else(|| DemoError::NotEmbedded(format!("{}/{path}", self.name)))
    }

    /// Returns a text that the world may or may not have.
    pub(super) fn text_if_any(&self, path: &str) -> Option<&'static str> {
        ASSETS
            .get_file(format!("{}/{path}", self.name))
            .and_then(include_dir::File::contents_utf8)
    }

    /// Returns every file below a folder in the byte order of their paths; none when the folder
    /// is not there.
    pub(super) fn files(&self, folder: &str) -> Vec<SourceFile> {
        let top = format!("{}/{folder}", self.name);
        let mut files = Vec::new();
        if let Some(dir) = ASSETS.get_dir(&top) {
            collect(dir, &format!("{top}/"), &mut files);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

fn collect(dir: &Dir<'static>, prefix: &str, files: &mut Vec<SourceFile>) {
    for file in dir.files() {
        let path = file.path().to_string_lossy();
        files.push(SourceFile {
            path: path.strip_prefix(prefix).unwrap_or(&path).to_owned(),
            contents: file.contents(),
        });
    }
    for inner in dir.dirs() {
        collect(inner, prefix, files);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_are_embedded_too() {
        let paths: Vec<String> = WORLDS[0]
            .files("repo")
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert!(paths.contains(&".github/workflows/ci.yml".to_owned()));
        assert!(paths.contains(&".gitignore".to_owned()));
        assert!(paths.is_sorted());
    }

    #[test]
    fn every_migration_has_a_way_down() {
        let world = &WORLDS[0];
        let names = |folder: &str| -> Vec<String> {
            let files = world.files(&format!("repo/db/migrations/{folder}"));
            files.into_iter().map(|file| file.path).collect()
        };
        let mut up = names("eng");
        up.extend(names("vh"));
        up.sort();
        assert_eq!(up, names("DOWN"));
        assert_eq!(up.len(), 19);
    }

    #[test]
    fn an_unknown_world_is_refused_with_those_there_are() {
        let error = World::named("nowhere").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no sample world 'nowhere'; there is: housekeeping"
        );
    }
}
