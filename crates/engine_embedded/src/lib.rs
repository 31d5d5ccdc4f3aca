//! engine_embedded
