//! Proof of equality: the same random commands on two engines, at the waist.
//!
//! A program ([`generate`]) is run on one engine and what it answered is
//! recorded ([`run`]); the record is played to another engine, and each answer,
//! and each collection after a write, is compared ([`answer`]). So a record
//! may come from a real mongod, from a file made with one ([`tape`]), or from
//! another store of our own. What differs is made small ([`shrink`]) and kept
//! as a case ([`case`]).
//!
//! Development only: nothing of it is in the product.

pub mod answer;
pub mod case;
pub mod drive;
pub mod generate;
pub mod indexes;
pub mod mask;
pub mod order;
pub mod random;
pub mod run;
pub mod shrink;
pub mod tally;
pub mod tape;
