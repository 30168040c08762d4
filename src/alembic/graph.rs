//! The history of a project as a graph, and where a database stands in it.

use std::collections::{BTreeMap, BTreeSet};

use super::revision::Revision;

/// All revisions of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    revisions: BTreeMap<String, Revision>,
    /// What is wrong with the history itself.
    problems: Vec<String>,
}

/// Where one place in the history is, seen from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distance {
    Same,
    /// The revisions that are not there yet, in the order in which they are applied.
    Behind(Vec<String>),
    /// The revisions that are there and that the other lacks, the oldest first.
    Ahead(Vec<String>),
    /// Each has revisions that the other lacks.
    Diverged {
        here: Vec<String>,
        there: Vec<String>,
    },
    /// Revisions that no file has.
    Unknown(Vec<String>),
}

impl Graph {
    /// Joins revisions into a history.
    pub fn of(read: Vec<Revision>) -> Graph {
        let mut graph = Graph::default();
        for revision in read {
            if let Some(first) = graph.revisions.get(&revision.id) {
                graph.problems.push(format!(
                    "revision {} is that of two files: {} and {}",
                    revision.id, first.file, revision.file
                ));
                continue;
            }
            graph.revisions.insert(revision.id.clone(), revision);
        }
        let lacking = graph.revisions.values().flat_map(|revision| {
            let named = revision.down.iter().chain(&revision.depends_on);
            let missing = named.filter(|id| graph.find(id).is_none());
            missing.map(|id| {
                format!(
                    "{} comes after {id}, and no file has that revision",
                    revision.file
                )
            })
        });
        let lacking: Vec<String> = lacking.collect();
        graph.problems.extend(lacking);
        if let Some(round) = graph.round() {
            graph
                .problems
                .push(format!("the history leads from {round} back to {round}"));
        }
        graph
    }

    /// What is wrong with the history.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The revision of an id, or of a label.
    pub fn find(&self, id: &str) -> Option<&Revision> {
        self.revisions.get(id).or_else(|| {
            let mut all = self.revisions.values();
            all.find(|revision| revision.labels.iter().any(|label| label == id))
        })
    }

    pub fn revisions(&self) -> impl Iterator<Item = &Revision> {
        self.revisions.values()
    }

    pub fn is_empty(&self) -> bool {
        self.revisions.is_empty()
    }

    /// The revisions that nothing comes after.
    pub fn heads(&self) -> Vec<&str> {
        let followed: BTreeSet<&str> = self
            .revisions
            .values()
            .flat_map(|revision| self.before(revision, false))
            .collect();
        let heads = self.revisions.keys().map(String::as_str);
        heads.filter(|id| !followed.contains(id)).collect()
    }

    /// The revisions that nothing comes before.
    pub fn bases(&self) -> Vec<&str> {
        let bases = self.revisions.values().filter(|r| r.down.is_empty());
        bases.map(|revision| revision.id.as_str()).collect()
    }

    /// The ids right before a revision.
    fn before<'a>(&'a self, revision: &'a Revision, depends: bool) -> Vec<&'a str> {
        let more = revision.depends_on.iter().filter(move |_| depends);
        let named = revision.down.iter().chain(more);
        named
            .filter_map(|id| self.find(id))
            .map(|found| found.id.as_str())
            .collect()
    }

    /// Everything that is applied where these revisions are.
    fn applied<'a>(&'a self, at: &[String]) -> BTreeSet<&'a str> {
        let mut all = BTreeSet::new();
        let mut left: Vec<&str> = at
            .iter()
            .filter_map(|id| self.find(id))
            .map(|revision| revision.id.as_str())
            .collect();
        while let Some(id) = left.pop() {
            if all.insert(id)
                && let Some(revision) = self.revisions.get(id)
            {
                left.extend(self.before(revision, true));
            }
        }
        all
    }

    /// Puts revisions into the order in which they are applied.
    fn in_order(&self, mut wanted: BTreeSet<&str>) -> Vec<String> {
        let mut ordered = Vec::new();
        while !wanted.is_empty() {
            let next = wanted.iter().copied().find(|id| {
                let revision = self.revisions.get(*id);
                revision.is_none_or(|r| self.before(r, true).iter().all(|b| !wanted.contains(b)))
            });
            // A history that leads in a circle has no order.
            let Some(next) = next.or_else(|| wanted.first().copied()) else {
                break;
            };
            wanted.remove(next);
            ordered.push(next.to_owned());
        }
        ordered
    }

    /// Where `here` is, seen from `there`. Both are what a version table or the heads say; nothing
    /// is the beginning of the history.
    pub fn distance(&self, here: &[String], there: &[String]) -> Distance {
        let unknown = here
            .iter()
            .chain(there)
            .filter(|id| self.find(id).is_none());
        let unknown: BTreeSet<&String> = unknown.collect();
        if !unknown.is_empty() {
            return Distance::Unknown(unknown.into_iter().cloned().collect());
        }
        let (ours, theirs) = (self.applied(here), self.applied(there));
        let lacking: BTreeSet<&str> = theirs.difference(&ours).copied().collect();
        let more: BTreeSet<&str> = ours.difference(&theirs).copied().collect();
        match (lacking.is_empty(), more.is_empty()) {
            (true, true) => Distance::Same,
            (false, true) => Distance::Behind(self.in_order(lacking)),
            (true, false) => Distance::Ahead(self.in_order(more)),
            (false, false) => Distance::Diverged {
                here: self.in_order(more),
                there: self.in_order(lacking),
            },
        }
    }

    /// The revision that `name` means for a database that is at `at`: an id or the only one that
    /// begins so, a label, `head`, `base`, or steps such as `-1` and `+2`.
    ///
    /// Gives nothing for the beginning.
    ///
    /// # Errors
    /// Why it means none, with what would do.
    pub fn resolve(&self, name: &str, at: &[String]) -> Result<Option<String>, String> {
        let steps = name.starts_with(['-', '+']).then(|| name.parse::<i32>());
        match (name, steps) {
            ("base", _) => return Ok(None),
            ("head", _) => {
                return match self.heads().as_slice() {
                    [] => Err("the history has no revision".to_owned()),
                    [only] => Ok(Some((*only).to_owned())),
                    several => Err(format!(
                        "the history has {} heads: {}; join them with `alembic merge`, or name one",
                        several.len(),
                        several.join(", ")
                    )),
                };
            }
            (_, Some(Ok(steps))) => return self.steps(steps, at),
            (_, Some(Err(_))) => return Err(format!("`{name}` is no number of steps")),
            _ => {}
        }
        if let Some(found) = self.find(name) {
            return Ok(Some(found.id.clone()));
        }
        let begins = self.revisions.keys().filter(|id| id.starts_with(name));
        let begins: Vec<&String> = begins.collect();
        match begins.as_slice() {
            [only] if name.len() >= 4 => Ok(Some((*only).clone())),
            [] | [_] => Err(format!("no file has revision `{name}`")),
            several => {
                let ids: Vec<&str> = several.iter().map(|id| id.as_str()).collect();
                Err(format!("`{name}` may be {}", ids.join(" or ")))
            }
        }
    }

    fn steps(&self, steps: i32, at: &[String]) -> Result<Option<String>, String> {
        let [current] = at else {
            return Err(match at {
                [] if steps > 0 => {
                    "a database without a version has no steps to go from it; name the revision"
                        .to_owned()
                }
                [] => "the database is at the beginning; there is nothing before it".to_owned(),
                _ => "the database is on several branches; name the revision".to_owned(),
            });
        };
        let mut id = self
            .find(current)
            .ok_or_else(|| format!("no file has revision `{current}`"))?
            .id
            .clone();
        for _ in 0..steps.unsigned_abs() {
            let next: Vec<String> = match steps > 0 {
                true => {
                    let after = self.revisions.values();
                    let after = after.filter(|r| self.before(r, false).contains(&id.as_str()));
                    after.map(|revision| revision.id.clone()).collect()
                }
                false => {
                    let revision = self.revisions.get(&id);
                    let before = revision.map(|r| self.before(r, false)).unwrap_or_default();
                    before.into_iter().map(str::to_owned).collect()
                }
            };
            match next.as_slice() {
                [only] => id.clone_from(only),
                [] if steps < 0 => return Ok(None),
                [] => return Err(format!("nothing comes after {id}")),
                several => {
                    return Err(format!(
                        "beside {id} the history branches: {}; name the revision",
                        several.join(", ")
                    ));
                }
            }
        }
        Ok(Some(id))
    }

    /// A revision that comes before itself.
    fn round(&self) -> Option<&str> {
        self.revisions.values().find_map(|revision| {
            let before: Vec<String> = self
                .before(revision, true)
                .into_iter()
                .map(str::to_owned)
                .collect();
            let all = self.applied(&before);
            all.contains(revision.id.as_str())
                .then_some(revision.id.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(id: &str, down: &[&str]) -> Revision {
        Revision {
            id: id.to_owned(),
            down: down.iter().map(|d| (*d).to_owned()).collect(),
            depends_on: Vec::new(),
            labels: Vec::new(),
            message: String::new(),
            file: format!("{id}.py"),
            empty: false,
            reversible: true,
        }
    }

    fn line() -> Graph {
        Graph::of(vec![
            revision("aaaa", &[]),
            revision("cccc", &["bbbb"]),
            revision("bbbb", &["aaaa"]),
        ])
    }

    fn at(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn four_distances_and_an_unknown_one_are_told_apart() {
        let mut revisions: Vec<Revision> = line().revisions().cloned().collect();
        revisions.push(revision("dddd", &["aaaa"]));
        let graph = Graph::of(revisions);
        let distance = |here: &[&str], there: &[&str]| graph.distance(&at(here), &at(there));
        assert_eq!(distance(&["cccc"], &["cccc"]), Distance::Same);
        assert_eq!(distance(&[], &[]), Distance::Same);
        assert_eq!(
            distance(&["aaaa"], &["cccc"]),
            Distance::Behind(at(&["bbbb", "cccc"]))
        );
        assert_eq!(
            distance(&["cccc"], &[]),
            Distance::Ahead(at(&["aaaa", "bbbb", "cccc"]))
        );
        assert_eq!(
            distance(&["cccc"], &["dddd"]),
            Distance::Diverged {
                here: at(&["bbbb", "cccc"]),
                there: at(&["dddd"])
            }
        );
        assert_eq!(
            distance(&["eeee"], &["aaaa"]),
            Distance::Unknown(at(&["eeee"]))
        );
        assert_eq!(graph.heads(), ["cccc", "dddd"]);
        assert!(graph.resolve("head", &[]).unwrap_err().contains("2 heads"));
    }

    #[test]
    fn names_and_steps_lead_to_revisions() {
        let graph = line();
        let resolve = |name: &str, from: &[&str]| graph.resolve(name, &at(from));
        assert_eq!(resolve("head", &[]).unwrap(), Some("cccc".to_owned()));
        assert_eq!(resolve("base", &[]).unwrap(), None);
        assert_eq!(resolve("-1", &["cccc"]).unwrap(), Some("bbbb".to_owned()));
        assert_eq!(resolve("-3", &["cccc"]).unwrap(), None);
        assert_eq!(resolve("+2", &["aaaa"]).unwrap(), Some("cccc".to_owned()));
        assert_eq!(resolve("bbbb", &[]).unwrap(), Some("bbbb".to_owned()));
        resolve("-1", &[]).unwrap_err();
        resolve("+1", &["cccc"]).unwrap_err();
        resolve("-x", &["cccc"]).unwrap_err();
        resolve("zzzz", &[]).unwrap_err();
    }

    #[test]
    fn branches_meet_and_depend() {
        let mut last = revision("eeee", &["cccc", "dddd"]);
        last.depends_on = vec!["side".to_owned()];
        let mut side = revision("ffff", &[]);
        side.labels = vec!["side".to_owned()];
        let mut revisions: Vec<Revision> = line().revisions().cloned().collect();
        revisions.extend([revision("dddd", &["aaaa"]), last, side]);
        let graph = Graph::of(revisions);
        assert!(graph.problems().is_empty(), "{:?}", graph.problems());
        // A revision that another one needs is a head still, as Alembic says.
        assert_eq!(graph.heads(), ["eeee", "ffff"]);
        let Distance::Behind(steps) = graph.distance(&at(&["cccc"]), &at(&["eeee"])) else {
            panic!("not behind");
        };
        assert_eq!(steps, at(&["dddd", "ffff", "eeee"]));
    }

    #[test]
    fn a_broken_history_is_said_to_be_broken() {
        let lost = Graph::of(vec![revision("bbbb", &["aaaa"])]);
        assert!(lost.problems()[0].contains("no file has that revision"));
        let circle = Graph::of(vec![
            revision("aaaa", &["bbbb"]),
            revision("bbbb", &["aaaa"]),
        ]);
        assert!(circle.problems()[0].contains("leads from"));
        let twice = Graph::of(vec![revision("aaaa", &[]), revision("aaaa", &[])]);
        assert!(twice.problems()[0].contains("two files"));
    }
}
