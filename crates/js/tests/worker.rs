//! The worker process of this crate's own tests; with the argument `rogue`, one
//! that was taken over.

mod rogue_worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("rogue") {
        return rogue_worker::main();
    }
    js::worker::main()
}
