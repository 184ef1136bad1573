//! HashiCorp Vault and OpenBao, tried on real OpenBao servers. `tests/install` provides the program; where it is missing
//! the tests fail.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod guide;
mod impostor;
mod lab;
mod lost_answers;
#[path = "../support/openbao/mod.rs"]
mod openbao;
mod place;
mod policies;
#[expect(clippy::print_stdout, reason = "figures are for people")]
mod propagation;
mod standbys;
mod traps;
