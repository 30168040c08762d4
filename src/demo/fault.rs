//! What can be wrong with a sample world, which gate must notice, and what puts it right.
//!
//! A fault's change lies under `assets/demo/WORLD/faults/NAME/break`: SQL for `production` and
//! `staging`, `held.sql` for a transaction that somebody leaves open, and files laid over the
//! repository. What mends it lies under `mend`; files are mended with the world's own.

use super::source::World;
use super::{DemoError, source::SourceFile};

/// One thing that is wrong with a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub name: &'static str,
    pub summary: &'static str,
    /// The id of the gate that must refuse.
    pub gate: &'static str,
}

static HOUSEKEEPING: [Fault; 15] = [
    Fault {
        name: "audit-errors",
        summary: "The log of the staging run records errors that were repaired by hand",
        gate: "staging-log-clean",
    },
    Fault {
        name: "missing-role",
        summary: "The role analyst_ro does not exist, so its test tests nothing",
        gate: "staging-analyst-cannot-read",
    },
    Fault {
        name: "role-not-granted",
        summary: "SET ROLE is refused with the SQLSTATE that the test waits for",
        gate: "staging-analyst-cannot-read",
    },
    Fault {
        name: "backup-forbidden",
        summary: "pg_dump may not read one table",
        gate: "logical-backup",
    },
    Fault {
        name: "archiver-failing",
        summary: "The archive is full, so there is no way back to this point in time",
        gate: "point-in-time",
    },
    Fault {
        name: "destructive-migration",
        summary: "A migration drops a table of which nobody asked whether it is empty",
        gate: "hazards",
    },
    Fault {
        name: "locked-table",
        summary: "A dashboard holds eng.services in a transaction that it left open",
        gate: "eng-migrations",
    },
    Fault {
        name: "rls-off",
        summary: "A copy of a table, made by hand, has no row level security",
        gate: "eng-rls-active",
    },
    Fault {
        name: "failing-migration",
        summary: "Production has companies twice, so a unique index cannot be built",
        gate: "vh-migrations",
    },
    Fault {
        name: "cross-boundary-grant",
        summary: "A role of the venture hub may write a table of engineering",
        gate: "no-cross-boundary-writes",
    },
    Fault {
        name: "boundary-violation",
        summary: "The ingest of the venture hub writes a table of engineering",
        gate: "boundary-in-code",
    },
    Fault {
        name: "view-broken",
        summary: "A hotfix on production makes views fail when they are read",
        gate: "views-answer",
    },
    Fault {
        name: "analyst-grant",
        summary: "Default privileges let analysts read every new table",
        gate: "analyst-cannot-read",
    },
    Fault {
        name: "ramp-breach",
        summary: "The ingest logs errors as soon as half of the sources take the new path",
        gate: "ingest-ramp",
    },
    Fault {
        name: "p95-regression",
        summary: "Requests are slower over the migrated tables than before",
        gate: "latency",
    },
];

/// Returns a world's faults in the order in which a run would meet them; none of an unknown world.
pub fn faults(world: &str) -> &'static [Fault] {
    match world {
        "housekeeping" => &HOUSEKEEPING,
        _ => &[],
    }
}

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Break,
    Mend,
}

impl Fault {
    pub(super) fn named(world: &World, name: &str) -> Result<&'static Fault, DemoError> {
        let known = faults(world.name);
        known
            .iter()
            .find(|fault| fault.name == name)
            .ok_or_else(|| DemoError::UnknownFault {
                world: world.name,
                name: name.to_owned(),
                known: known
                    .iter()
                    .map(|fault| fault.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// Returns the scripts of a direction with the databases they are for, in order. A role can
    /// only go when the last database has let go of it, and must be back before the first one
    /// wants it: the statements on roles stand with production.
    pub(super) fn scripts(
        self,
        world: &World,
        direction: Direction,
    ) -> Vec<(&'static str, &'static str)> {
        let (folder, order) = match direction {
            Direction::Break => ("break", ["staging", "production"]),
            Direction::Mend => ("mend", ["production", "staging"]),
        };
        order
            .into_iter()
            .filter_map(|database| {
                let path = format!("faults/{}/{folder}/{database}.sql", self.name);
                world.text_if_any(&path).map(|sql| (database, sql))
            })
            .collect()
    }

    /// Returns the statements of the transaction that somebody leaves open.
    pub(super) fn held(self, world: &World) -> Option<&'static str> {
        world.text_if_any(&format!("faults/{}/break/held.sql", self.name))
    }

    /// Returns the files that the fault lays over the repository.
    pub(super) fn files(self, world: &World) -> Vec<SourceFile> {
        world.files(&format!("faults/{}/break/repo", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::worlds;

    #[test]
    fn every_fault_changes_something_and_can_be_mended() {
        for world in worlds() {
            for fault in faults(world.name) {
                let broken = fault.scripts(world, Direction::Break);
                let mended = fault.scripts(world, Direction::Mend);
                let files = fault.files(world);
                let held = fault.held(world).is_some();
                assert!(held || !files.is_empty() || !broken.is_empty(), "{fault:?}");
                assert_eq!(broken.len(), mended.len(), "{fault:?}");
                for file in files {
                    let original = world.text(&format!("repo/{}", file.path)).unwrap();
                    assert_ne!(original.as_bytes(), file.contents, "{fault:?}");
                }
            }
        }
    }

    #[test]
    fn every_fault_names_a_gate_of_the_runbook() {
        for world in worlds() {
            for fault in faults(world.name) {
                let line = format!("\nid    = \"{}\"\n", fault.gate);
                assert!(world.runbook.contains(&line), "{fault:?}");
            }
        }
    }

    #[test]
    fn an_unknown_fault_is_refused_with_those_there_are() {
        let error = Fault::named(&worlds()[0], "gremlins").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("has no fault 'gremlins'; it has: audit-errors, "));
    }
}
