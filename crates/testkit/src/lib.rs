//! Support for tests: a real mongod to compare with, a registry of packages, what
//! rules know of a request.

pub mod given;
pub mod history;
pub mod mongod;
pub mod registry;
