//! Rotation: its steps in every order; and by the real program, on both stores, with a node that serves clients all the time:
//! it is ended at every point, and nothing is lost.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(clippy::print_stdout, reason = "figures are for whoever looks on with --nocapture")]

mod crash;
mod hook;
mod hung;
mod import;
mod limit;
mod model;
#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for the store alone")]
mod openbao;
#[path = "../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for other commands")]
mod program;
mod scene;
#[path = "../support/stage.rs"]
#[expect(dead_code, reason = "some of it is for the benchmarks")]
mod stage;
#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "a part of it is for other tests")]
mod support;
