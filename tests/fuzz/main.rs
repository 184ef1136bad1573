//! Each place where bytes of others are read, with the inputs of `tests/fuzz/corpus` and with mutations of them: a few
//! seconds in each run of the tests, the same inputs each time. `.ci/nightly` goes on from there for hours.
//!
//! - [`targets`]: what is called, and what it asserts.
//! - [`corpus`]: the inputs that are kept. [`mutator`]: what becomes of them.
//! - An input that ends in a panic is written to `target/fuzz-found/<target>-<hash>`: mend the fault, and keep the input in
//!   the corpus of its target (docs/fuzzing.md).

mod corpus;
mod mutator;
mod replay;
mod targets;
