//! A run for those who were not there: as Markdown, HTML, JSON and JUnit, as a bundle that stands
//! without this program, and the verification of either.
//!
//! [`Facts`] is the run as data, made from nothing but its records, its runbook and its evidence;
//! every format is a view of it. Rows that a query gave are left out of it unless the runbook says
//! `report_rows = true` for the gate: a report travels further than a journal.

mod attempts;
mod bundle;
mod bundle_signatures;
mod chart;
mod facts;
mod gather;
mod html;
mod junit;
mod line;
mod markdown;
mod unpack;
mod verify;
mod verify_chain;
mod verify_database;
mod verify_documents;
mod withheld;

pub use bundle::{BundleError, write as write_bundle};
pub use facts::Facts;
pub use gather::gather;
pub use html::html;
pub use junit::junit;
pub use line::{Line, Piece, Tone};
pub use markdown::markdown;
pub use unpack::unpack;
pub use verify::{Checked, Found, Verification, verify};
pub use verify_database::ask_databases;
pub use withheld::withhold;
