//! Support for tests: a real mongod to compare with.

pub mod mongod;
