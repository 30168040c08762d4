//! Everything that speaks to a PostgreSQL server, or starts one.
//!
//! From the ground up: [`conninfo`] says where to connect, `connect` gets there, [`session`]
//! holds the connection with settings that were read back, [`identity`] says which server it is,
//! and [`operator_lock`] keeps other operators out. [`programs`] finds the installed client and
//! server programs, [`cluster`] runs a private server.

pub mod apply;
pub mod apply_alone;
mod apply_flight;
mod apply_guard;
pub mod ask;
mod cancel;
pub mod catalog;
pub mod clone_outward;
pub mod clone_rows;
pub mod clone_schema;
pub mod cluster;
mod cluster_error;
mod cluster_folder;
mod commit;
mod connect;
mod connection_string;
pub mod conninfo;
mod conninfo_resolve;
mod conninfo_sources;
pub mod content;
pub mod dump;
mod dump_files;
mod dump_work;
pub mod enrolment;
pub mod environment;
pub mod error;
pub mod foreign_ledger;
pub mod fresh_database;
pub mod identity;
mod json_aside;
pub mod json_dump;
mod json_load;
pub mod json_manifest;
pub mod json_restore;
pub mod json_row;
mod json_snapshot;
pub mod json_target;
mod json_write;
mod keywords;
pub mod ledger;
pub mod lock_watch;
pub mod locks;
pub mod mask;
pub mod operator_lock;
pub mod passfile;
mod postmaster;
pub mod programs;
pub mod psql;
mod refusal;
pub mod restore;
pub mod rewritten;
pub mod schema_dump;
pub mod schema_version;
pub mod scratch;
mod scratch_check;
mod scratch_load;
mod scratch_manner;
mod scratch_rights;
mod server_user;
mod service_file;
pub mod session;
mod settings;
pub mod settle;
pub mod shared_snapshot;
pub mod swap;
mod system_identifier;
pub mod tables;
mod tables_order;
mod template;
mod tls;
pub mod trace;
mod wire;
pub mod witness;

pub use cancel::Canceller;
pub use conninfo::{Conninfo, ConninfoError};
pub use environment::Environment;
pub use error::{ConnectError, ConnectFailure, DatabaseError, PostgresError};
pub use identity::Identity;
pub use operator_lock::{Holder, OperatorLock, OperatorLockError};
pub use session::{ServerVersion, Session, SessionSettings};
