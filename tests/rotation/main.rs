//! Rotation: the steps in every order, and the whole of it with crashes, crowds and several operators.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]
#![expect(clippy::print_stdout, reason = "figures are for whoever looks on with --nocapture")]

mod import;
mod model;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for other tests")]
mod support;
