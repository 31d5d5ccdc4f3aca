//! Support for tests: a real mongod to compare with, a registry of packages.

pub mod history;
pub mod mongod;
pub mod registry;
