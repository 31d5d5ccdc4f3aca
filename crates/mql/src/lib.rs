//! mql
