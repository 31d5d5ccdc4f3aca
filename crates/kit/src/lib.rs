//! What every layer may use: problems, findings, Extended JSON, limits,
//! the clock and secrets that do not print.
//!
//! Pure: no I/O, no async and no global state. The one door to the system
//! clock is [`clock::SystemClock`]. Editing this crate rebuilds every other
//! one, so it stays small and dull.

pub mod clock;
mod code_frame;
pub mod ejson;
pub mod finding;
pub mod limit;
pub mod network;
pub mod problem;
pub mod secret;

pub use clock::{Clock, SystemClock};
pub use code_frame::code_frame;
pub use finding::{Finding, Severity};
pub use network::Network;
pub use problem::{Kind, Problem};
pub use secret::Secret;
