//! The look-alike provider, seen from outside: real clients and raw lines against it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod clients;
mod exchange;
mod gmail;
mod imap;
mod pop3;
mod submission;
mod support;
