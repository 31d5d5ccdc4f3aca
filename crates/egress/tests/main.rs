//! What leaves the server: which addresses requests go to and what their answers
//! may take; mail.

mod addresses;
mod exchanges;
mod mail;
mod pieces;
mod secured;
mod server;
