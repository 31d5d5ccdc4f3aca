//! The worker process of this crate's own tests; with the argument `rogue` or
//! `mangling`, one that was taken over.

mod mangling_worker;
mod rogue_worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("rogue") => rogue_worker::main(),
        Some("mangling") => mangling_worker::main(),
        _ => js::worker::main(),
    }
}
