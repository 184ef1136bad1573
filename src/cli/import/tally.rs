//! What is said of an import: what would be done, or what was done, in numbers and by name. It must never say a secret.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::{NAMED_MAX, Row};
use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::management::import::Outcome;

/// What became of all rows.
#[derive(Debug)]
pub(super) struct Tally {
    what: &'static str,
    counts: BTreeMap<&'static str, usize>,
    done: usize,
    /// Not as wanted, and not by running it again.
    for_good: usize,
    /// The first that are not as wanted.
    bad: Vec<Row>,
}

impl Tally {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, counts: BTreeMap::new(), done: 0, for_good: 0, bad: Vec::new() }
    }

    pub(super) fn count(&mut self, row: Row) {
        *self.counts.entry(row.outcome.name()).or_default() += 1;
        match &row.outcome {
            Outcome::Added { .. } | Outcome::Same => self.done += 1,
            Outcome::NotTried => {}
            Outcome::Refused(_) | Outcome::Failed { .. } => {
                self.for_good += usize::from(!matches!(row.outcome, Outcome::Failed { passes: true, .. }));
                if self.bad.len() < NAMED_MAX {
                    self.bad.push(row);
                }
            }
        }
    }

    /// Rows that are done with.
    pub(super) fn done_with(&self) -> usize {
        self.counts.values().sum()
    }

    /// Says what would become of them.
    pub(super) fn foreseen(mut self) -> Result<()> {
        self.name_bad();
        let counted = self.counted().replace(" added", " would be added");
        output::line(format!("{} {}: {counted}; nothing was done", self.done_with(), self.what));
        self.conclude()
    }

    /// Says what became of them.
    pub(super) fn tell(&mut self, results: &Path) {
        self.name_bad();
        output::line(format!("{} {}: {}", self.done_with(), self.what, self.counted()));
        output::line(format!("each row: {}", results.display()));
    }

    /// An error unless all are as wanted.
    pub(super) fn conclude(&self) -> Result<()> {
        let (total, done) = (self.done_with(), self.done);
        if done == total {
            return Ok(());
        }
        let left = total - done;
        let (code, message) = match (self.for_good, done) {
            (0, _) => (exit::TEMPORARY, format!("{left} of {total} are not in: run it again to go on")),
            (_, 0) => (exit::DATA, format!("none of {total} can be used: see what is said above")),
            _ => (exit::PARTIAL, format!("{done} of {total} can be used, {left} not: see what is said above")),
        };
        Err(Failure::new(code, message).into())
    }

    fn counted(&self) -> String {
        let counts = self.counts.iter().map(|(name, count)| format!("{count} {name}"));
        counts.collect::<Vec<_>>().join(", ")
    }

    fn name_bad(&mut self) {
        self.bad.sort_by_key(|row| row.line);
        for row in &self.bad {
            output::note(format!("line {}: {}: {}", row.line, row.name, row.outcome.cause()));
        }
        let named = self.bad.len() + self.counts.get(Outcome::NotTried.name()).copied().unwrap_or_default();
        let more = (self.done_with() - self.done).saturating_sub(named);
        if more > 0 {
            output::note(format!("and {more} more"));
        }
    }
}
