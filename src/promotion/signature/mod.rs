//! Signatures by the keys of people: what they sign, whose keys count, and why one does not.
//!
//! Everything that verifying needs stands in the journal: the lists of keys as they were when the
//! run was opened, every statement that was issued, and every signature that was taken. So a
//! journal can be verified alone, years later.

mod allowed_signers;
mod audit;
mod events;
mod key_statement;
mod pattern;
mod records;
mod reply;
mod revoked;
mod rules;
mod standing;
mod verify;

pub use allowed_signers::{AllowedSigner, AllowedSigners, LineProblem};
pub use audit::{Audited, audit};
pub use events::{
    InputRejected, SignatureAccepted, SignaturesVoided, StatementsIssued, WaiverSigned,
};
pub(super) use events::{signers, waived};
pub use key_statement::{Head, KeyStatement, Purpose, TargetSeen};
pub use records::{Issued, RefusedInput, Signed, SignedGate, Voided};
pub use reply::{LARGEST_REPLY, Reply, STATEMENT_BEGINS, envelope};
pub use revoked::Revoked;
pub use rules::{BreakGlass, PinnedList, SignatureRules, WaiverRule, Wanted};
pub use standing::{Standing, difference, evidence_digest, plan_digest};
pub use verify::{SignatureFault, verify};
