//! The dialogues of all protocols, both sides, from outside: what they do with the words of real clients and providers
//! (`tests/transcripts`), with any bytes however they are cut, and with each other. No socket is opened here.
//!
//! - [`script`] reads a transcript; its header says how one is written.
//! - [`wire`] drives one side as the sessions do, with a choice of how the peer's bytes arrive.
//! - [`transcripts`], [`properties`], [`pairs`], [`tokens`] and [`traces`] are the tests.

mod pairs;
mod properties;
mod script;
mod tokens;
mod traces;
mod transcripts;
mod wire;
