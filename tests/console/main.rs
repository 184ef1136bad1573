//! The console in a browser: what an operator does there, and what nobody can. Pictures of its pages are made where
//! `LOCUM_PICTURES` names a folder.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "it is made for the tests of the broker, and a part of it does here")]
mod support;

#[path = "../support/child.rs"]
#[expect(dead_code, reason = "it is made for the tests with real programs, and a part of it does here")]
mod child;

mod browser;
mod life;
mod pictures;
mod refusals;
mod stage;
