//! Sample worlds for `stagegate demo` and for the tests.
//!
//! A world is a company with two databases on a private server, a repository with its migrations,
//! and a runbook that lies in it. [`DemoWorld::build`] makes one in about a second. A [`Fault`] is
//! one thing that is wrong with it, together with the gate that must refuse because of it and with
//! what puts it right.
//!
//! Nothing here is simulated: the server, the rows, the roles and the repository are real, and
//! production is reached as a role that is no superuser.

mod databases;
mod error;
mod fault;
mod repository;
mod source;
mod traffic;
mod world;

pub use error::DemoError;
pub use fault::{Fault, faults};
pub use source::{World, worlds};
pub use world::DemoWorld;
