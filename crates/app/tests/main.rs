//! Scenarios of the app core.

#![allow(
    clippy::duplicate_mod,
    reason = "the scenarios of data run on both engines"
)]

mod data;
mod deploy;
mod functions;
mod on_mongodb;
mod servers;
