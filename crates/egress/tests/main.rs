//! Requests that leave the server: which addresses they go to, and what their
//! answers may take.

mod addresses;
mod exchanges;
mod secured;
mod server;
