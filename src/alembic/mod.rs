//! Alembic: the history of a project as its files tell it, and the `alembic` program.
//!
//! Alembic owns the schema of such a project. What is shown and guarded here is read from the
//! revision files and from the database, without running the project's code; whatever changes a
//! database is done by the program itself. The version table is never written.

pub mod answer;
pub mod graph;
pub mod project;
pub mod revision;

pub use graph::{Distance, Graph};
pub use revision::Revision;
