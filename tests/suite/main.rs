//! The one integration binary. Each module tests one part of the product from outside.

mod cluster;
mod connecting;
mod connecting_tls;
mod demo_world;
mod identity;
mod journal;
mod operator_lock;
mod runbooks;
mod server;
mod state_machine;
mod tidy;
