//! Support for tests: a real mongod to compare with, a registry of packages, a
//! server that catches mail, what rules know of a request.

pub mod given;
pub mod history;
pub mod mongod;
pub mod registry;
pub mod smtp;
