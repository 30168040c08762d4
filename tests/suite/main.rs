//! The one integration binary. Each module tests one part of the product from outside.

mod cluster;
mod demo_world;
