//! Everything that speaks to a PostgreSQL server, or starts one.
//!
//! From the ground up: [`conninfo`] says where to connect, [`connect`] gets there, [`session`]
//! holds the connection with settings that were read back, [`identity`] says which server it is,
//! and [`operator_lock`] keeps other operators out. [`programs`] finds the installed client and
//! server programs, [`cluster`] runs a private server.

pub mod cluster;
mod cluster_folder;
pub mod error;
mod postmaster;
pub mod programs;
mod server_user;
mod template;

pub use error::{ConnectError, ConnectFailure, DatabaseError, PostgresError};
