//! The way that a gate is going to take through the history, and what refuses it before anything
//! is run.

use super::judge;
use super::offline::Offline;
use super::seen::{AlembicSeen, DatabaseSeen, StepSeen};
use super::sight::Sight;
use crate::alembic::Distance;
use crate::digest::digest;
use crate::expectation::Finding;
use crate::gate::Outcome;
use crate::runbook::AlembicAction;

/// What a gate is going to do.
pub(super) struct Way {
    pub(super) seen: AlembicSeen,
    /// Where it goes; nothing is the beginning.
    pub(super) goal: Option<String>,
    /// The revisions on the way, in the order in which they are applied or taken back.
    pub(super) steps: Vec<String>,
    pub(super) offline: Offline,
    pub(super) refusal: Option<Finding>,
    /// What may be chosen to be taken back, where somebody chooses, the last applied first.
    pub(super) choices: Vec<StepSeen>,
    /// Nobody has chosen yet.
    pub(super) unchosen: bool,
    pub(super) digest: String,
}

impl Way {
    /// The target is where it should be already.
    pub(super) fn is_there(&self) -> bool {
        if self.unchosen {
            return false;
        }
        match &self.goal {
            Some(goal) => self
                .seen
                .here()
                .is_some_and(|here| here.versions == [goal.clone()]),
            None => self.steps.is_empty(),
        }
    }

    /// What Alembic calls the goal.
    pub(super) fn goal_word(&self) -> &str {
        self.goal.as_deref().unwrap_or("base")
    }
}

impl Sight<'_> {
    /// Works the way out: where the target is, where it goes, and which SQL that is.
    ///
    /// # Errors
    /// How the gate ends because the target cannot be asked.
    pub(super) async fn way(&self) -> Result<Way, Outcome> {
        let mut seen = self.look_at_all().await?;
        seen.version = self.version().await;
        let mut way = Way {
            seen,
            goal: None,
            steps: Vec::new(),
            offline: Offline::default(),
            refusal: None,
            choices: Vec::new(),
            unchosen: false,
            digest: String::new(),
        };
        way.refusal = self.lead(&mut way).await.err();
        way.seen.goal = Some(way.goal_word().to_owned());
        way.seen.steps = self.steps(&way.steps);
        let versions = way
            .seen
            .here()
            .map_or_else(Vec::new, |here| here.versions.clone());
        let parts = [
            super::inputs_of(self),
            way.goal_word().to_owned(),
            versions.join(","),
            way.offline.text(),
            way.offline.unsaid.clone().unwrap_or_default(),
            way.refusal
                .as_ref()
                .map_or(String::new(), |f| f.summary.clone()),
        ];
        way.digest = digest(parts.join("\0").as_bytes());
        Ok(way)
    }

    async fn lead(&self, way: &mut Way) -> Result<(), Finding> {
        if let Some(finding) = judge::history(&way.seen) {
            return Err(finding);
        }
        let Some(here) = way.seen.here().cloned() else {
            return Err(Finding::errored("the target was not looked at"));
        };
        if !here.unknown.is_empty() {
            return Err(judge::unknown(&here));
        }
        self.program()?;
        if here.relation.is_none() && self.gate.action != AlembicAction::Stamp {
            return Err(judge::untracked(&here));
        }
        match self.gate.action {
            AlembicAction::Stamp => self.stamp_way(way, &here).await?,
            AlembicAction::Downgrade => self.way_back(way, &here).await?,
            _ => self.way_up(way, &here).await?,
        }
        way.seen.lint = Some(self.linted(&way.offline));
        Ok(())
    }

    async fn stamp_way(&self, way: &mut Way, here: &DatabaseSeen) -> Result<(), Finding> {
        let wanted = self.stamp_goal()?;
        way.goal = Some(wanted.clone());
        let at = &here.versions;
        if here.relation.is_some() && !at.is_empty() && *at != [wanted.clone()] {
            return Err(judge::unexpected(here, &wanted));
        }
        // What an upgrade would do from there on.
        let later = self
            .graph()
            .distance(std::slice::from_ref(&wanted), &way.seen.heads);
        if let (Distance::Behind(_), [head]) = (&later, way.seen.heads.as_slice()) {
            way.offline = self.offline("upgrade", &wanted, head).await?;
        }
        Ok(())
    }

    async fn way_back(&self, way: &mut Way, here: &DatabaseSeen) -> Result<(), Finding> {
        let at = &here.versions;
        let name = match self.gate.chooses {
            true => match self.chosen(way, at)? {
                Some(name) => name,
                None => return Ok(()),
            },
            false => self.back_to(),
        };
        way.goal = self.graph().resolve(&name, at).map_err(no_goal)?;
        let goal: Vec<String> = way.goal.iter().cloned().collect();
        way.steps = match self.graph().distance(at, &goal) {
            Distance::Same => Vec::new(),
            Distance::Ahead(mut steps) => {
                steps.reverse();
                steps
            }
            _ => return Err(no_goal(format!("{name} is not before {}", here.at()))),
        };
        if let ([from], false) = (at.as_slice(), way.steps.is_empty()) {
            let to = way.goal_word().to_owned();
            way.offline = self.offline("downgrade", from, &to).await?;
        }
        Ok(())
    }

    async fn way_up(&self, way: &mut Way, here: &DatabaseSeen) -> Result<(), Finding> {
        let at = &here.versions;
        let name = self.gate.revision.as_deref().unwrap_or("head");
        let name = self.context.fill(name);
        way.goal = self.graph().resolve(&name, at).map_err(no_goal)?;
        let goal: Vec<String> = way.goal.iter().cloned().collect();
        way.steps = match self.graph().distance(at, &goal) {
            Distance::Same => Vec::new(),
            Distance::Behind(steps) => steps,
            other => {
                let mut there = here.clone();
                there.target = format!("revision {}", goal.join(", "));
                let finding = judge::distance(here, &there, &other);
                return Err(finding.unwrap_or_else(|| no_goal("no way leads there".into())));
            }
        };
        let from = at.first().map_or("base", String::as_str);
        if at.len() <= 1 && !way.steps.is_empty() {
            let to = way.goal_word().to_owned();
            way.offline = self.offline("upgrade", from, &to).await?;
        } else if at.len() > 1 {
            way.offline.unsaid = Some("it is on several branches at once".to_owned());
        }
        Ok(())
    }

    /// What a stamp says: the revision that is named, or the only one that nothing comes before.
    fn stamp_goal(&self) -> Result<String, Finding> {
        if let Some(name) = &self.gate.revision {
            let name = self.context.fill(name);
            let found = self.graph().resolve(&name, &[]).map_err(no_goal)?;
            return found.ok_or_else(|| no_goal("a stamp at the beginning says nothing".into()));
        }
        match self.graph().bases().as_slice() {
            [only] => Ok((*only).to_owned()),
            several => Err(no_goal(format!(
                "{} revisions have none before them: {}; name the baseline",
                several.len(),
                several.join(", ")
            ))),
        }
    }

    /// Where a downgrade leads: what the runbook says, or one step.
    fn back_to(&self) -> String {
        self.context
            .fill(self.gate.revision.as_deref().unwrap_or("-1"))
    }

    /// Where what was chosen leads: right before the oldest of it. Alembic takes back one after the
    /// other, so nothing between may be left out. None while nobody has chosen.
    fn chosen(&self, way: &mut Way, at: &[String]) -> Result<Option<String>, Finding> {
        let Distance::Ahead(mut applied) = self.graph().distance(at, &[]) else {
            return Ok(Some("base".to_owned()));
        };
        applied.reverse();
        way.choices = self.steps(&applied);
        let ids = self.context.chosen_files.iter();
        let ids: Vec<&str> = ids.filter_map(|chosen| chosen.split(' ').next()).collect();
        way.unchosen = ids.is_empty();
        if way.unchosen {
            return Ok(None);
        }
        let wanted = applied.iter().take(ids.len());
        if let Some(lacking) = wanted.clone().find(|id| !ids.contains(&id.as_str())) {
            return Err(no_goal(format!(
                "{lacking} was applied after what was chosen, and has to go back with it"
            )));
        }
        let mut wanted = wanted;
        let oldest = wanted.next_back().and_then(|id| self.graph().find(id));
        Ok(Some(
            match oldest.map(|revision| revision.down.as_slice()) {
                Some([before]) => before.clone(),
                Some([]) => "base".to_owned(),
                _ => return Err(no_goal("two branches meet there; name the revision".into())),
            },
        ))
    }
}

fn no_goal(reason: String) -> Finding {
    Finding::failed("the revision it should go to is not known")
        .because(reason)
        .because("nothing was run")
        .can("mend `revision` in the runbook, or the history; then retry this gate")
}
