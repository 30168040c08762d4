//! What the runbook asks of signatures, as the first record of a run holds it.

use serde::{Deserialize, Serialize};

use super::{AllowedSigners, LineProblem, Purpose, Revoked};
use crate::promotion::{Definition, Nature};

/// A list of keys as it was when the run was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedList {
    /// Its path, as the runbook names it.
    pub path: String,
    pub sha256: String,
    pub text: String,
}

/// Whose keys sign, and under which names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureRules {
    /// The end of every namespace.
    pub domain: String,
    /// How long a statement may be signed.
    pub expires_seconds: i64,
    pub allowed_signers: PinnedList,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PinnedList>,
}

/// Who may let a run go past a gate that did not pass, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiverRule {
    pub roles: Vec<String>,
    /// How many of these roles must agree.
    pub signatures: usize,
    /// How long the reason is at least, in characters.
    pub reason: usize,
    pub expires_seconds: i64,
}

/// Who may waive a waivable gate when its own roles are not there.
pub type BreakGlass = WaiverRule;

/// A role that is asked to sign, and in which namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub role: String,
    pub namespace: String,
    pub members: Vec<String>,
}

impl SignatureRules {
    /// Everything that is wrong with the lists for this run, with the path of the list it is in.
    pub fn problems(&self, definition: &Definition) -> Vec<(String, LineProblem)> {
        let list = &self.allowed_signers;
        let (mut signers, mut problems) = AllowedSigners::read(&list.text);
        let (revoked, revoked_problems) = match &self.revoked {
            Some(list) => Revoked::read(&list.text),
            None => Default::default(),
        };
        signers
            .0
            .retain(|signer| !revoked.holds(&signer.fingerprint()));
        if problems.is_empty() {
            problems.extend(signers.lacking(&self.wanted(definition)));
        }
        let mut all: Vec<(String, LineProblem)> = Vec::new();
        all.extend(
            problems
                .into_iter()
                .map(|problem| (list.path.clone(), problem)),
        );
        let path = self.revoked.as_ref().map(|list| list.path.clone());
        let path = path.unwrap_or_default();
        all.extend(
            revoked_problems
                .into_iter()
                .map(|problem| (path.clone(), problem)),
        );
        all
    }

    /// The lists, read. Their problems kept the run from being opened.
    pub fn lists(&self) -> (AllowedSigners, Revoked) {
        let revoked = self.revoked.as_ref();
        let revoked = revoked.map(|list| Revoked::read(&list.text).0);
        let (signers, _) = AllowedSigners::read(&self.allowed_signers.text);
        (signers, revoked.unwrap_or_default())
    }

    /// Every role that some gate asks to sign.
    pub fn wanted(&self, definition: &Definition) -> Vec<Wanted> {
        let backs = definition.rollbacks.iter().flat_map(|back| &back.gates);
        let mut asked: Vec<(String, Purpose)> = Vec::new();
        for gate in definition.gates().chain(backs) {
            if let Nature::SignOff {
                roles, keys: true, ..
            } = &gate.nature
            {
                asked.extend(roles.iter().map(|role| (role.clone(), Purpose::Signoff)));
            }
            let waiver = gate.waiver.iter().flat_map(|rule| &rule.roles);
            asked.extend(waiver.map(|role| (role.clone(), Purpose::Waiver)));
        }
        let glass = definition.break_glass.iter().flat_map(|rule| &rule.roles);
        asked.extend(glass.map(|role| (role.clone(), Purpose::BreakGlass)));
        asked.sort();
        asked.dedup();
        let wanted = asked.into_iter().map(|(role, purpose)| Wanted {
            namespace: purpose.namespace(&role, &self.domain),
            members: definition
                .role(&role)
                .map(|r| r.members.clone())
                .unwrap_or_default(),
            role,
        });
        wanted.collect()
    }
}
