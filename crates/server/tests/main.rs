//! The server over HTTP: an app in a string, a plain client, and everything
//! that a client may send.

mod accounts;
mod archives;
mod atlas;
mod bad_input;
mod connections;
mod doors;
mod forged;
mod functions;
mod guesses;
mod hosting;
mod http;
mod imports;
mod issuer;
mod lifecycle;
mod logins_by_function;
mod logins_by_token;
mod mail;
mod meters;
mod provider;
mod redirects;
mod sessions;
mod social;
mod streams;
mod swapped;
mod tokens;
mod userpass;
mod world;
