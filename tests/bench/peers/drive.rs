//! Clients that do the same again and again, and what that cost the subject. What goes wrong is counted, never passed over.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::runtime::Runtime;

use crate::load::clients::{Failure, bounded};
use crate::sheet::Sheet;
use crate::subject::Running;
use crate::upstream::{Counts, Upstream};

/// Clients at once.
pub(crate) const CLIENTS: usize = 64;

/// How long they go on. The kernel tells processor time by 10 ms, which is less than a hundredth of it.
pub(crate) const SLICE: Duration = Duration::from_millis(1500);

/// After the last client has left: what is still to be put away belongs to what it cost.
const SETTLE: Duration = Duration::from_millis(50);

/// What was done.
pub(crate) struct Driven {
    /// How often it was done, and how long that took in all.
    pub(crate) done: u64,
    pub(crate) took: Duration,
    /// Processor time of the subject.
    pub(crate) busy: Duration,
    /// What the upstream saw of it.
    pub(crate) counts: Counts,
    failures: BTreeMap<String, u64>,
}

impl Driven {
    /// Milliseconds of processor time for each.
    pub(crate) fn each_ms(&self) -> f64 {
        self.busy.as_secs_f64() * 1e3 / self.done as f64
    }

    /// Seconds of processor time for so many bytes, by the gigabyte.
    pub(crate) fn per_gigabyte(&self, bytes: u64) -> f64 {
        self.busy.as_secs_f64() / (bytes as f64 / 1e9)
    }

    /// That nobody failed, and that it was done once at the least.
    pub(crate) fn check(&self, sheet: &mut Sheet, running: &Running) {
        for (why, count) in &self.failures {
            sheet.complain(running.subject, format!("{count} times {why}"));
        }
        if self.done == 0 {
            sheet.complain(running.subject, "nothing was done");
        }
    }

    /// That each was a login, with the right password and no other.
    pub(crate) fn check_logins(&self, sheet: &mut Sheet, running: &Running) {
        self.check(sheet, running);
        sheet.expect(running.subject, "logins at the upstream", self.counts.logins, self.done);
        sheet.expect(running.subject, "wrong passwords at the upstream", self.counts.refused, 0);
    }
}

/// So many clients, each of which does it again and again for so long. `work` has the number of the client, and how often
/// that one has done it.
pub(crate) fn drive<F>(
    runtime: &Runtime,
    upstream: &mut Upstream,
    running: &Running,
    (clients, time): (usize, Duration),
    work: impl Fn(usize, usize) -> F,
) -> Driven
where
    F: Future<Output = Result<(), Failure>>,
{
    let (counts, busy, began) = (upstream.counts(), busy(running), Instant::now());
    let (done, failures) = (Cell::new(0), RefCell::new(BTreeMap::new()));
    let one = async |client: usize| {
        for turn in 0.. {
            match bounded(work(client, turn)).await {
                Ok(()) => done.set(done.get() + 1),
                Err(why) => *failures.borrow_mut().entry(why.to_string()).or_default() += 1,
            }
            if began.elapsed() >= time {
                return;
            }
        }
    };
    runtime.block_on(join_all((0..clients).map(one)));
    let took = began.elapsed();
    std::thread::sleep(SETTLE);
    let (counts, busy) = (upstream.counts() - counts, self::busy(running) - busy);
    Driven { done: done.get(), took, busy, counts, failures: failures.into_inner() }
}

/// What the subject has cost so far.
pub(crate) fn busy(running: &Running) -> Duration {
    running.tree().map(|tree| tree.busy()).unwrap_or_default()
}
