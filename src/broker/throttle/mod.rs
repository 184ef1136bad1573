//! Bears with failed logins up to a point. Counts failures only, by source and login together, by source alone, and of IPv6 by
//! site; never by login alone, or a stranger could lock a principal out. Who fails too often is held back, and each time for
//! longer. It must never hold back a device for a password that it repeats, nor one that has proven itself from there for
//! what others do behind the same address. Decision 32 says why.

mod count;
mod repeats;
mod shared;
mod subject;
mod table;

use std::collections::HashMap;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use lru::LruCache;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::Options;
use crate::model::Secret;
use count::Bounds;
use repeats::{Known, Repeats};
use subject::{Digester, Key, Subjects};
use table::Table;

pub use shared::{Shared, SharedError, SharedStatus};

/// Pairs, sources and sites held at most, twice: those that fail, and those that were held back. An entry takes about 130 bytes, so
/// a flood costs some 40 MB at the most, and takes an hour and more than a million failures to do so.
const PAIRS_MAX: usize = 60_000;
const SOURCES_MAX: usize = 60_000;
const SITES_MAX: usize = 20_000;

/// Pairs that have proven themselves, of about 100 bytes each. With more the one that did so longest ago is forgotten.
const PROVEN_MAX: usize = 20_000;

/// Sources from which somebody was let in, of about 100 bytes each, in the same way.
const HOMES_MAX: usize = 20_000;

/// How long such a pair is let past what others do at its source, and such a source is no stranger's: from one working day to
/// the next.
const PROVEN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an attempt waits for others of its subject, when these could use up what is borne: as long as for a slow hash.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Counts failed logins.
#[derive(Debug)]
pub(super) struct Throttle {
    options: ArcSwap<Options>,
    digester: Digester,
    memory: Mutex<Memory>,
    /// An attempt has come to its end.
    settled: Notify,
    shared: OnceLock<Arc<Shared>>,
}

#[derive(Debug)]
struct Memory {
    pairs: Table,
    sources: Table,
    sites: Table,
    repeats: Repeats,
    /// Pairs that were let in, and when they were last.
    proven: LruCache<Key, Instant, RandomState>,
    /// Sources from which somebody was let in, and when that was last.
    homes: LruCache<Key, Instant, RandomState>,
    /// Attempts of a subject that are being looked at; as many as there are sessions, at the most.
    under_way: HashMap<Key, u32>,
}

/// What becomes of an attempt.
#[derive(Debug)]
pub(super) enum Admission<'t> {
    /// It is looked at.
    Look(Look<'t>),
    /// It is the same wrong password as a moment ago: it is answered as that was, without a look.
    Repeat {
        /// Whether this is the first in a window: only that is worth a line.
        first: bool,
    },
    /// It is not looked at. Only the first is worth a line: a stranger must not fill the disk.
    HoldBack {
        /// Whether this is the first.
        first: bool,
    },
}

/// An attempt that is being looked at. What becomes of it is told by [`Look::failed`] or [`Look::succeeded`]; without, nothing
/// is counted.
#[derive(Debug)]
pub(super) struct Look<'t> {
    throttle: &'t Throttle,
    subjects: Subjects,
    proof: Option<Key>,
    /// A repeat counts no more.
    is_repeat: bool,
    /// Whether it counts among those under way, as all do but repeats, until nothing hangs on it any more.
    has_place: AtomicBool,
    /// Whether nodes have counted something against the pair.
    has_failed_elsewhere: bool,
}

/// What is found at first sight.
enum Sight {
    Look {
        is_repeat: bool,
    },
    Repeat {
        first: bool,
    },
    HoldBack {
        first: bool,
    },
    /// Those under way may use up what is left.
    Wait,
}

/// The bounds of each kind of subject.
struct AllBounds {
    pair: Bounds,
    source: Bounds,
    site: Bounds,
}

impl Throttle {
    pub(super) fn new(options: Options) -> Self {
        let memory = Memory {
            pairs: Table::new(PAIRS_MAX),
            sources: Table::new(SOURCES_MAX),
            sites: Table::new(SITES_MAX),
            repeats: Repeats::new(),
            proven: LruCache::unbounded_with_hasher(RandomState::new()),
            homes: LruCache::unbounded_with_hasher(RandomState::new()),
            under_way: HashMap::new(),
        };
        Self {
            options: ArcSwap::from_pointee(options),
            digester: Digester::by_lot(),
            memory: Mutex::new(memory),
            settled: Notify::new(),
            shared: OnceLock::new(),
        }
    }

    /// Bears with so much from now on. What was counted counts.
    pub(super) fn change(&self, options: Options) {
        self.options.store(Arc::new(options));
    }

    /// Counts together with other nodes from now on.
    pub(super) fn share(&self, shared: Arc<Shared>) {
        let _ = self.shared.set(shared); // it is said once, when a process is built
    }

    /// Where it counts together with other nodes.
    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.get()
    }

    /// Whether an attempt is looked at. Waits, in bounds, where attempts under way could use up what is borne: a crowd of guesses at
    /// once is no way round it, and a crowd of devices with right passwords is through in a moment.
    pub(super) async fn admit(&self, peer: IpAddr, login: &[u8], proof: Option<&Secret>) -> Admission<'_> {
        let subjects = self.digester.subjects(peer, login);
        let proof = proof.map(|proof| self.digester.proof(&subjects.pair, proof));
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        let is_repeat = loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            match self.look_at(&subjects, proof.as_ref(), now()) {
                Sight::Look { is_repeat } => break is_repeat,
                Sight::Repeat { first } => return Admission::Repeat { first },
                Sight::HoldBack { first } => return Admission::HoldBack { first },
                Sight::Wait => {
                    if timeout_at(deadline, settled).await.is_err() {
                        return Admission::HoldBack { first: false };
                    }
                }
            }
        };
        let has_place = AtomicBool::new(!is_repeat);
        let mut look = Look { throttle: self, subjects, proof, is_repeat, has_place, has_failed_elsewhere: false };
        let Some(shared) = self.shared.get() else { return Admission::Look(look) };
        let Some(held) = shared.held(peer, login).await else { return Admission::Look(look) };
        look.has_failed_elsewhere = held.has_failed;
        match self.hold_as_found(&subjects, &held, now()) {
            Some(first) => Admission::HoldBack { first },
            None => Admission::Look(look),
        }
    }

    /// Notes a failure that nobody waited for here: somebody else judged the password.
    pub(super) async fn failed(&self, peer: IpAddr, login: &[u8], proof: &Secret) {
        let subjects = self.digester.subjects(peer, login);
        let proof = Some(self.digester.proof(&subjects.pair, proof));
        if self.count(&subjects, proof, now())
            && let Some(shared) = self.shared.get()
        {
            shared.failed(peer, login, &self.options.load()).await;
        }
    }

    /// How many sources, sites, and logins from one are held back now.
    pub(super) fn held_back(&self) -> usize {
        let (memory, now) = (self.memory(), now());
        memory.pairs.held_back(now) + memory.sources.held_back(now) + memory.sites.held_back(now)
    }

    fn look_at(&self, subjects: &Subjects, proof: Option<&Key>, now: Instant) -> Sight {
        let bounds = self.bounds();
        let memory = &mut *self.memory();
        if memory.pairs.is_held(&subjects.pair, now) {
            return Sight::HoldBack { first: memory.pairs.say(&subjects.pair) };
        }
        let is_proven = memory.is_proven(&subjects.pair, now);
        if !is_proven {
            if memory.sources.is_held(&subjects.source, now) {
                return Sight::HoldBack { first: memory.sources.say(&subjects.source) };
            }
            if let Some(site) = subjects.site.filter(|site| memory.sites.is_held(site, now)) {
                return Sight::HoldBack { first: memory.sites.say(&site) };
            }
        }
        let known = |proof| memory.repeats.known(&subjects.pair, proof, bounds.pair.max, bounds.pair.window, now);
        match proof.map_or(Known::No, known) {
            Known::Look => return Sight::Look { is_repeat: true },
            Known::Wrong { first } => return Sight::Repeat { first },
            Known::No => {}
        }
        let is_full = |table: &Table, key: &Key, bounds: &Bounds| {
            let under_way = memory.under_way.get(key).copied().unwrap_or_default();
            under_way > 0 && table.failures(key, bounds, now).saturating_add(under_way) >= bounds.max
        };
        let others_may_fill = || {
            is_full(&memory.sources, &subjects.source, &bounds.source)
                || subjects.site.is_some_and(|site| is_full(&memory.sites, &site, &bounds.site))
        };
        if is_full(&memory.pairs, &subjects.pair, &bounds.pair) || (!is_proven && others_may_fill()) {
            return Sight::Wait;
        }
        for key in subjects.iter() {
            *memory.under_way.entry(key).or_default() += 1;
        }
        Sight::Look { is_repeat: false }
    }

    /// Holds back what other nodes hold back; whether that is to be said, if it is about this attempt.
    fn hold_as_found(&self, subjects: &Subjects, held: &shared::Held, now: Instant) -> Option<bool> {
        let bounds = self.bounds();
        let memory = &mut *self.memory();
        let mut first = None;
        let is_proven = memory.is_proven(&subjects.pair, now);
        let found = [
            (&mut memory.pairs, Some(subjects.pair), held.pair, &bounds.pair, true),
            (&mut memory.sources, Some(subjects.source), held.source, &bounds.source, !is_proven),
            (&mut memory.sites, subjects.site, held.site, &bounds.site, !is_proven),
        ];
        for (table, key, rest, bounds, concerns) in found {
            if let (Some(key), Some(rest)) = (key, rest) {
                table.hold_for(key, rest, bounds, now);
                if concerns && first.is_none() {
                    first = Some(table.say(&key));
                }
            }
        }
        first
    }

    /// Counts a failure, unless that very password has failed before. Whether it did.
    fn count(&self, subjects: &Subjects, proof: Option<Key>, now: Instant) -> bool {
        let bounds = self.bounds();
        let memory = &mut *self.memory();
        if let Some(proof) = proof {
            let known = memory.repeats.known(&subjects.pair, &proof, u32::MAX, bounds.pair.window, now);
            if known != Known::No {
                return false;
            }
            memory.repeats.wrong(subjects.pair, proof, now);
        }
        memory.pairs.failed(subjects.pair, &bounds.pair, now);
        memory.sources.failed(subjects.source, &bounds.source, now);
        if let Some(site) = subjects.site {
            memory.sites.failed(site, &bounds.site, now);
        }
        true
    }

    fn bounds(&self) -> AllBounds {
        let options = self.options.load();
        let of = |max| Bounds { max, window: options.failure_window, hold_max: options.hold_back_max };
        AllBounds {
            pair: of(options.failures_per_login_max),
            source: of(options.failures_per_address_max),
            site: of(options.failures_per_site_max),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no holder of this lock panics")
    }
}

impl Memory {
    fn is_proven(&self, pair: &Key, now: Instant) -> bool {
        is_recent(&self.proven, pair, now)
    }
}

impl Look<'_> {
    /// It is no wrong password, whatever else becomes of it: others need not wait for it any more.
    pub(super) fn release(&self) {
        if !self.has_place.swap(false, Ordering::Relaxed) {
            return;
        }
        let under_way = &mut self.throttle.memory().under_way;
        for key in self.subjects.iter() {
            if let Some(count) = under_way.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    under_way.remove(&key);
                }
            }
        }
        self.throttle.settled.notify_waiters();
    }

    /// Whether anybody was let in from there of late. What has to wait waits in front of those of whom that is not true.
    pub(super) fn is_of_known_source(&self) -> bool {
        is_recent(&self.throttle.memory().homes, &self.subjects.source, now())
    }

    /// It was wrong. `peer` and `login` are what it was admitted by.
    pub(super) async fn failed(self, peer: IpAddr, login: &[u8]) {
        let throttle = self.throttle;
        let is_new = !self.is_repeat && throttle.count(&self.subjects, self.proof, now());
        drop(self);
        if is_new && let Some(shared) = throttle.shared.get() {
            shared.failed(peer, login, &throttle.options.load()).await;
        }
    }

    /// It was right: what the pair did wrong before is forgotten. What its source did is not, for others may be behind it.
    pub(super) async fn succeeded(self, peer: IpAddr, login: &[u8]) {
        let throttle = self.throttle;
        {
            let memory = &mut *throttle.memory();
            memory.pairs.forget(&self.subjects.pair);
            if let Some(proof) = &self.proof {
                memory.repeats.right(&self.subjects.pair, proof);
            }
            note(&mut memory.proven, PROVEN_MAX, self.subjects.pair);
            note(&mut memory.homes, HOMES_MAX, self.subjects.source);
        }
        let has_failed = self.has_failed_elsewhere;
        drop(self);
        if has_failed && let Some(shared) = throttle.shared.get() {
            shared.succeeded(peer, login).await;
        }
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

fn is_recent(noted: &LruCache<Key, Instant, RandomState>, key: &Key, now: Instant) -> bool {
    noted.peek(key).is_some_and(|since| now.saturating_duration_since(*since) < PROVEN_FOR)
}

/// Notes it as of now; where there is no room, the one that was noted longest ago goes.
fn note(noted: &mut LruCache<Key, Instant, RandomState>, entries_max: usize, key: Key) {
    if noted.len() >= entries_max && !noted.contains(&key) {
        noted.pop_lru();
    }
    noted.put(key, now());
}

/// The time, which tests may hold.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
