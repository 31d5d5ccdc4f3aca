//! The native halves on their own: published vectors, and what hostile
//! functions pass. What Node answers is compared in the crate `js`.

mod crypto;
mod text;
