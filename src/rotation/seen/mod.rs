//! Which clients come in, across nodes: each adds what it saw to records that all share ([`SeenWriter`]), and whoever may list
//! those reads them ([`Sightings`]).
//!
//! **Invariant:** no session waits for this, or ends for it. Counts are for people: what was written when the answer was lost
//! may count twice.

mod book;
mod writer;

use std::time::Duration;

pub use book::Sightings;
pub use writer::SeenWriter;

/// How often a node puts down what it saw. No key in the file changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenOptions {
    /// Between two rounds: a new client is told of within a minute, unless very many come at once.
    pub interval: Duration,
    /// One that is known and has changed is put down again after so long.
    pub again: Duration,
    /// One that is merely there still, after so long.
    pub standing: Duration,
}

impl Default for SeenOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(20),
            again: Duration::from_secs(60 * 60),
            standing: Duration::from_secs(12 * 60 * 60),
        }
    }
}
