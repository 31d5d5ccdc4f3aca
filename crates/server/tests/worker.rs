//! The worker process of this crate's own tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    js::worker::main()
}
