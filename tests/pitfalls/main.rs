//! What went wrong in others that stand where Locum stands, tried on Locum: one or more tests for each of the 28 pitfalls
//! in `docs/security.md`, named after its number there. A guard sees to it that no number is without one.
//!
//! Each is tried on the whole broker between real sockets, unless its file says otherwise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[path = "../broker/answers.rs"]
mod answers;
mod bounds;
mod credentials;
mod guessing;
mod hands;
mod identity;
#[path = "../vault/impostor.rs"]
#[expect(dead_code, reason = "a part of it is for what a Vault writes")]
mod impostor;
mod leakage;
mod mail;
mod network;
mod proof;
mod records;
mod sasl;
mod starttls;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for other tests of the whole broker")]
mod support;
mod upstreams;
