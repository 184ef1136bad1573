//! The real program, as a process: what an operator types and reads, what a supervisor sees, how much memory it takes,
//! and that no secret is to be found anywhere around it.
//!
//! The upstream is the look-alike provider, or a fake of a few lines, in the process of the test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod bad_input;
mod canary;
mod cli;
mod client_limits;
mod debug_formats;
mod delegations;
mod drain;
mod due;
mod enrolment;
mod flood;
mod handover;
mod hardening;
mod heap;
mod import;
mod lifecycle;
mod memory;
mod names;
mod nodes;
mod oauth;
mod overview;
mod prefer;
mod probe;
mod reload;
mod report;
mod resumption;
mod rotate;
mod rotate_oauth2;
#[path = "../support/rsa.rs"]
#[expect(dead_code, reason = "its own certificates are for authorities")]
mod rsa;
mod seen;
mod serve;
mod soak;
mod store;
mod support;
mod webhook;
