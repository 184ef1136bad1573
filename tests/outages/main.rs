//! Locum with its records in a Vault, through what can befall one: seen by clients at its sockets, which log in all the
//! time, and by whoever looks at `/readyz` and `/metrics`. The servers are real OpenBao servers; where `tests/install` did
//! not provide them the tests fail. Figures are printed (`cargo test --test outages -- --nocapture`).
//!
//! - `house`: a Vault set up as docs/vault.md does it, and nodes that log in to it with the shipped policies.
//! - `traffic`: clients that log in without end. `looks`: what a node says of itself. `scene`: what each fault is put to.

#![expect(clippy::print_stdout, reason = "figures are for whoever looks on with --nocapture")]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod bounds;
mod edits;
mod enrolment;
mod house;
mod looks;
mod one_server;
#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for the tests of the store alone")]
mod openbao;
mod revocation;
mod scene;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is made for the tests of the broker, and a part of it does here")]
mod support;
mod three_servers;
mod traffic;
