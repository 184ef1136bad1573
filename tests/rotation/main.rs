//! Rotation: the steps in every order, and the whole of it with crashes, crowds and several operators.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod model;
