//! What a gate knows before it does anything: the project, the databases, and where they stand.

use std::path::PathBuf;

use super::seen::{AlembicSeen, DatabaseSeen, StepSeen};
use crate::alembic::project::{Place, Project};
use crate::alembic::{Distance, Graph};
use crate::gate::query::unreachable;
use crate::gate::{Context, Outcome, TargetError};
use crate::postgres::alembic_version;
use crate::postgres::session::SessionSettings;
use crate::runbook::{AlembicGate, AlembicProject};
use crate::untrusted::clean_line;

/// A gate, its project as the runbook describes it and as it is on disk.
pub(super) struct Sight<'a> {
    pub(super) gate: &'a AlembicGate,
    pub(super) context: &'a Context,
    pub(super) described: &'a AlembicProject,
    pub(super) project: Project,
}

impl<'a> Sight<'a> {
    /// Reads the project; nothing of it is run.
    pub(super) fn of(gate: &'a AlembicGate, context: &'a Context) -> Option<Sight<'a>> {
        let described = context.runbook.projects.get(&gate.project)?;
        let project = Project::read(&place(described, context));
        Some(Sight {
            gate,
            context,
            described,
            project,
        })
    }

    pub(super) fn graph(&self) -> &Graph {
        &self.project.graph
    }

    /// Looks at a database.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub(super) async fn look(&self, target: &str) -> Result<DatabaseSeen, TargetError> {
        let settings = SessionSettings {
            read_only: true,
            ..SessionSettings::default()
        };
        let targets = &self.context.targets;
        let opened = targets.open(target, &self.context.gate.id, settings);
        let (session, identity) = opened.await?;
        let tracked = alembic_version::read(&session, &self.described.version_table).await?;
        session.close().await;
        let heads: Vec<String> = self.heads();
        // What is not tracked is nowhere in the history, and so not behind.
        let tracks = tracked.relation.is_some();
        let (mut behind, unknown) = match self.graph().distance(&tracked.versions, &heads) {
            Distance::Unknown(unknown) => (Vec::new(), unknown),
            Distance::Behind(steps) | Distance::Diverged { there: steps, .. } => {
                (steps, Vec::new())
            }
            Distance::Same | Distance::Ahead(_) => (Vec::new(), Vec::new()),
        };
        behind.retain(|_| tracks);
        let environment = targets.environment(target);
        Ok(DatabaseSeen {
            target: target.to_owned(),
            environment: environment.map_or("", |e| e.word()).to_owned(),
            server: identity.describe(),
            database: clean_line(&tracked.database),
            user: clean_line(&tracked.user),
            search_path: clean_line(&tracked.search_path),
            tables: tracked.tables.iter().map(|t| clean_line(t)).collect(),
            relation: tracked.relation,
            versions: tracked.versions,
            behind,
            unknown,
        })
    }

    /// Looks at the target, and at what it is compared with.
    ///
    /// # Errors
    /// How the gate ends because one of them cannot be asked.
    pub(super) async fn look_at_all(&self) -> Result<AlembicSeen, Outcome> {
        let mut seen = AlembicSeen {
            project: self.described.name.clone(),
            action: self.gate.action.word().to_owned(),
            heads: self.heads(),
            troubles: self.project.troubles.clone(),
            ..AlembicSeen::default()
        };
        let others = self.gate.reference.iter();
        for target in std::iter::once(&self.gate.target).chain(others) {
            match self.look(target).await {
                Ok(found) => seen.databases.push(found),
                Err(error) => return Err(unreachable(target, &error)),
            }
        }
        Ok(seen)
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.graph()
            .heads()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    /// Describes revisions.
    pub(super) fn steps(&self, ids: &[String]) -> Vec<StepSeen> {
        let found = ids.iter().filter_map(|id| self.graph().find(id));
        found
            .map(|revision| StepSeen {
                revision: revision.id.clone(),
                message: revision.message.clone(),
                file: revision.file.clone(),
            })
            .collect()
    }
}

fn place(described: &AlembicProject, context: &Context) -> Place {
    let active = context.targets.variable("VIRTUAL_ENV").map(PathBuf::from);
    Place {
        folder: context.path(&described.folder),
        config: PathBuf::from(context.fill(&described.config)),
        python: described.python.as_ref().map(|p| context.fill(p).into()),
        versions: described
            .versions
            .iter()
            .map(|folder| PathBuf::from(context.fill(folder)))
            .collect(),
        active,
    }
}
