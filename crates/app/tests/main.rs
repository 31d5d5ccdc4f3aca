//! Scenarios of the app core.

mod data;
mod deploy;
mod functions;
mod servers;
