//! Scenarios of the app core.

mod data;
mod functions;
