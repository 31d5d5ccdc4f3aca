//! Scenarios of the app core.
