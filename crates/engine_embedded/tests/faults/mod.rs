//! Power loss, failing calls and full disks: nothing acknowledged is lost,
//! nothing is there in part, indexes and change log agree with the documents.

mod bit_flips;
pub(crate) mod disk;
mod full_disk;
mod full_file_system;
mod io_errors;
pub(crate) mod model;
mod power_loss;

use std::sync::Arc;

use engine::{CommandError, SharedEngine};
use engine_embedded::{Embedded, Options};
use kit::SystemClock;

use disk::TestDisk;

/// A cache so small that the disk is read.
const CACHE_BYTES: usize = 64 << 10;

pub(crate) fn open(disk: &TestDisk) -> Result<SharedEngine, CommandError> {
    open_with(disk, options())
}

fn open_with(disk: &TestDisk, options: Options) -> Result<SharedEngine, CommandError> {
    let engine = Embedded::open_on(disk.clone(), Arc::new(SystemClock), options)?;
    Ok(Arc::new(engine))
}

fn options() -> Options {
    Options {
        cache_bytes: CACHE_BYTES,
        ..Options::default()
    }
}
