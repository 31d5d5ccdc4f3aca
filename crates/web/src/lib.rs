//! What the HTTP surfaces share: operation tables, requests, answers, and the
//! one place where a problem gets its status.
//!
//! Not here: an app, a user, a decision.

mod answer;
mod arguments;
mod multipart;
mod operation;
mod problem;
mod request;
mod zipped;

pub use answer::Answer;
pub use arguments::{action_argument, arguments};
pub use multipart::{Part, parts};
pub use operation::{Found, Handler, Operation, Routes, Scope, routes};
pub use problem::{respond, status};
pub use request::{Request, bearer, decode, values};
pub use zipped::zip;
