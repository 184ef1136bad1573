//! The look-alike provider, seen from outside: real clients and raw lines against it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod authority;
mod clients;
mod exchange;
mod gmail;
mod google;
mod http;
mod imap;
mod pop3;
#[path = "../support/rsa.rs"]
mod rsa;
mod submission;
mod support;
mod tokens;
