//! What a run is made of, as the state machine needs to know it.
//!
//! The first record of a journal holds a definition, so a journal can be folded and understood
//! without the runbook that it came from.

use serde::{Deserialize, Serialize};

use super::WindowDefinition;
use super::signature::{BreakGlass, SignatureRules, WaiverRule};

/// The phases, gates and roles of a run, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub title: String,
    /// SHA-256 of the runbook's bytes.
    pub runbook_digest: String,
    pub phases: Vec<PhaseDefinition>,
    pub roles: Vec<RoleDefinition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowDefinition>,
    /// The ways back. None of their gates moves before a person starts one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollbacks: Vec<RollbackDefinition>,
    /// What people are told, by the ids of the runbook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<MessageDefinition>,
    /// Whose keys sign; absent where nobody signs with a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<Box<SignatureRules>>,
    /// Who may waive a waivable gate when its own roles are not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<Box<BreakGlass>>,
}

/// A way back, as the state machine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackDefinition {
    pub id: String,
    pub title: String,
    pub scope: Scope,
    /// It may be started once this gate has been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// It may not be started any more once this gate lets the run through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// How long it takes, in seconds.
    #[serde(default)]
    pub expected_seconds: i64,
    /// What a person types to start it.
    pub typed_name: String,
    /// Whoever starts it says which of the applied files go back.
    #[serde(default)]
    pub chooses: bool,
    pub gates: Vec<GateDefinition>,
}

/// How much a way back undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything, at once.
    Immediate,
    /// Only what is chosen.
    Partial,
}

impl Scope {
    /// The word for it in the format and on every screen.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Immediate => "immediate",
            Scope::Partial => "partial",
        }
    }
}

/// A message of the runbook, as the state machine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageDefinition {
    pub id: String,
    /// The message promises another one after this many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update_seconds: Option<i64>,
}

/// An ordered part of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseDefinition {
    pub id: String,
    pub title: String,
    pub gates: Vec<GateDefinition>,
}

/// A gate as the state machine sees it: who moves it, and what may be done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateDefinition {
    pub id: String,
    pub title: String,
    /// The kind's name in the runbook, such as `migrate`.
    pub kind: String,
    pub nature: Nature,
    pub waivable: bool,
    /// Whose signatures waive it; where there are none, a person at the console does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<WaiverRule>,
    /// The name that a person types before the gate acts; set when it acts on production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed_name: Option<String>,
    /// How long its work lasts at least, in seconds, where the runbook says so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lasts_seconds: i64,
    /// Roles one of whose members approves what is done about its refusal; anybody when none is
    /// named. Absent where nothing is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Vec<String>>,
    /// It applies migrations: a flag may keep it from running.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub migrates: bool,
    /// It judges a plan that a person gives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pastes: bool,
    /// Earlier gates that are taken again when it fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde asks for.
fn is_zero(seconds: &i64) -> bool {
    *seconds == 0
}

/// Who moves a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Nature {
    /// It looks and changes nothing; it may be repeated at will.
    Looks,
    /// It changes the world; its plan is shown and hashed before.
    Acts,
    /// People confirm its items.
    Items(Vec<ItemDefinition>),
    /// People in roles sign it.
    SignOff {
        roles: Vec<String>,
        distinct: bool,
        /// They sign with their keys; otherwise by their names, at the console.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keys: bool,
    },
    /// A person sends the message of that id.
    Message(String),
}

/// An item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemDefinition {
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The name under which later gates know the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
}

/// What a checklist item asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    Number,
    Text,
}

/// A role and the people in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleDefinition {
    pub name: String,
    pub title: String,
    pub members: Vec<String>,
}

impl Definition {
    /// The way back of that id.
    pub fn rollback(&self, id: &str) -> Option<&RollbackDefinition> {
        self.rollbacks.iter().find(|rollback| rollback.id == id)
    }

    /// All gates in order, those of a way back once it has been started.
    pub fn gates(&self) -> impl Iterator<Item = &GateDefinition> {
        self.phases.iter().flat_map(|phase| phase.gates.iter())
    }

    /// The gate of that id.
    pub fn gate(&self, id: &str) -> Option<&GateDefinition> {
        self.gates().find(|gate| gate.id == id)
    }

    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<&RoleDefinition> {
        self.roles.iter().find(|role| role.name == name)
    }
}
