//! What is said of an import: what would be done, or what was done, in numbers and by name. It must never say a secret.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;

use crate::cli::exit::{self, Failure};
use crate::cli::output;
use crate::rotation::batch::{Ended, Finished, Outcome, Plan};

/// Rows that are named; all are in the result file.
const NAMED_MAX: usize = 50;

/// What became of all rows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<Outcome, usize>,
    /// Failed, and will fail again.
    for_good: usize,
    /// The first that are not as wanted.
    bad: Vec<Finished>,
    /// The first whose password before is to be deleted at the provider.
    to_delete: Vec<Finished>,
    deletions: usize,
}

impl Tally {
    pub(super) fn count(&mut self, finished: Finished) {
        *self.counts.entry(finished.outcome).or_default() += 1;
        let is_done = finished.outcome.is_done();
        self.for_good += usize::from(!is_done && !finished.passes);
        let has_deletion = is_done && finished.ticket.before.is_some();
        self.deletions += usize::from(has_deletion);
        match () {
            () if has_deletion && self.to_delete.len() < NAMED_MAX => self.to_delete.push(finished),
            // Those that were not tried say nothing that the number does not say.
            () if !is_done && finished.outcome != Outcome::NotTried && self.bad.len() < NAMED_MAX => {
                self.bad.push(finished);
            }
            () => {}
        }
    }

    /// Rows that are done with.
    pub(super) fn done_with(&self) -> usize {
        self.counts.values().sum()
    }

    fn of(&self, outcome: Outcome) -> usize {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }

    fn done(&self) -> usize {
        self.counts.iter().filter(|(outcome, _)| outcome.is_done()).map(|(_, count)| count).sum()
    }

    /// Names those that are not as wanted.
    fn name_bad(&mut self) {
        self.bad.sort_by_key(|finished| finished.ticket.line);
        for Finished { ticket, outcome, cause, .. } in &self.bad {
            let account = if ticket.account.is_empty() { String::new() } else { format!("{}: ", ticket.account) };
            output::note(format!("line {}: {account}{}: {cause}", ticket.line, outcome.name()));
        }
        let named = self.bad.len() + self.of(Outcome::NotTried);
        let more = self.done_with() - self.done() - named;
        if more > 0 {
            output::note(format!("and {more} more"));
        }
    }

    fn counted(&self) -> String {
        let counts = self.counts.iter().map(|(outcome, count)| format!("{count} {}", outcome.name()));
        counts.collect::<Vec<_>>().join(", ")
    }

    /// Says what became of them.
    pub(super) fn tell(&mut self, ended: &Ended, results: &Path, grace: Duration) {
        self.name_bad();
        match ended {
            Ended::Through => {}
            Ended::Asked => output::note("stopped, as asked"),
            Ended::TooManyFailed { failed, tried } => output::note(format!(
                "stopped: {failed} of {tried} failed, more than --stop-at allows. Is it the right file? See the causes"
            )),
            Ended::Store(why) => output::note(format!("stopped, as the store failed: {why}")),
        }
        output::line(format!("{} rows: {}", self.done_with(), self.counted()));
        output::line(format!("each row: {}", results.display()));
        if self.deletions == 0 {
            return;
        }
        let until = output::minute(Timestamp::now() + grace);
        output::line(format!(
            "still at the provider: {}, as logins may use what was before until {until}. After that `locum rotate retire \
             --due`, delete them in the portal, and tick them off with `locum rotate deleted`:",
            self.deletions
        ));
        self.to_delete.sort_by_key(|finished| finished.ticket.line);
        for ticket in self.to_delete.iter().map(|finished| &finished.ticket) {
            if let Some(before) = &ticket.before {
                let label = if before.label.is_empty() { "no label" } else { &before.label };
                output::line(format!("  {}: {label} ({})", ticket.account, before.id));
            }
        }
        if self.deletions > self.to_delete.len() {
            let more = self.deletions - self.to_delete.len();
            output::line(format!("  and {more} more: columns `previous` and `previous-label` of the file"));
        }
    }

    /// An error unless all are as wanted.
    pub(super) fn conclude(&self) -> Result<()> {
        let (total, done) = (self.done_with(), self.done());
        if done == total {
            return Ok(());
        }
        let left = total - done;
        let (code, message) = match (self.for_good, done) {
            (0, _) => (exit::TEMPORARY, format!("{left} of {total} not rotated: run it again to go on")),
            (_, 0) => (exit::DATA, format!("none of {total} is rotated")),
            _ => (exit::PARTIAL, format!("{done} of {total} rotated, {left} not")),
        };
        Err(Failure::new(code, message).into())
    }
}

/// Says what would be done.
pub(super) fn foreseen(plan: &Plan) -> Result<()> {
    let mut tally = Tally::default();
    plan.settled().iter().cloned().for_each(|finished| tally.count(finished));
    tally.name_bad();
    let (total, rotate, go_on) = (plan.len(), plan.to_rotate(), plan.to_go_on());
    let upstreams: Vec<String> = plan.by_upstream().map(|(name, count)| format!("{count} at {name}")).collect();
    let mut said = format!("{total} rows: {rotate} would be rotated");
    if !upstreams.is_empty() {
        said = format!("{said} ({})", upstreams.join(", "));
    }
    if go_on > 0 {
        said = format!("{said}, {go_on} of them begun before");
    }
    let rest = tally.counted();
    output::line(if rest.is_empty() { said } else { format!("{said}; {rest}") });
    output::line("nothing was done");
    *tally.counts.entry(Outcome::Rotated).or_default() += rotate;
    tally.conclude()
}
