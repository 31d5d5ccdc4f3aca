//! Apps: everything behind the surfaces.

pub mod data;
