//! HashiCorp Vault and OpenBao, tried on real OpenBao servers. `tests/install` provides the program; where it is missing
//! the tests fail.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod cli;
mod guide;
mod impostor;
mod lab;
mod lost_answers;
#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, reason = "some of it is for mail servers and clients")]
mod openbao;
mod place;
mod policies;
#[path = "../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for the program with a store in a file")]
mod program;
#[expect(clippy::print_stdout, reason = "figures are for people")]
mod propagation;
mod scan;
mod seen;
#[path = "../support/stage.rs"]
#[expect(dead_code, reason = "some of it is for the benchmarks")]
mod stage;
mod standbys;
mod tickets;
mod traps;
mod usage;
