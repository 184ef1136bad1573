//! Which clients come in here, and how: what sessions tell of each, and what of it is not put down yet. In memory and bounded;
//! its lock is held for no await. It must never hold a secret, nor count a stranger: only who has proven itself is seen.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use metrics::{counter, describe_counter};

use crate::model::{SecretSource, SeenKey, SeenUpstream, Sighting};

/// Clients that are remembered. Ten thousand mailboxes have some more; a kilobyte each is twenty megabytes at most.
const CLIENTS_MAX: usize = 20_000;

/// Clients that were forgotten before they were put down, for there were too many.
const FORGOTTEN: &str = "locum_seen_forgotten_total";

/// What a login tells of a client.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Which one it is.
    pub key: SeenKey,
    /// How the client secret came into its record.
    pub source: Option<SecretSource>,
    /// Whether it acts for others.
    pub delegated: bool,
    /// Where it came from.
    pub peer: IpAddr,
    /// The front ends that spoke for it.
    pub via: Vec<IpAddr>,
}

/// The clients that were seen. Clones are one.
#[derive(Debug, Clone)]
pub struct Visitors(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    clients: HashMap<SeenKey, Entry>,
    clients_max: usize,
}

/// One client.
#[derive(Debug)]
struct Entry {
    /// What is not put down yet.
    seen: Sighting,
    /// Whether there is anything of that.
    is_changed: bool,
    /// Its open sessions.
    open: u32,
    /// When it was last put down; `None` if never by this process.
    put_down: Option<Timestamp>,
}

/// That a client's session is open, until it is dropped.
#[derive(Debug)]
#[must_use = "the session counts as over when this is dropped"]
pub struct Stay {
    visitors: Visitors,
    key: SeenKey,
}

/// What went through a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes from the client.
    pub bytes_up: u64,
    /// Bytes to the client.
    pub bytes_down: u64,
    /// Messages that were submitted, where somebody counted them.
    pub messages: Option<u64>,
}

/// How often clients are put down.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// One that is known, and has changed, after so long.
    pub again: Duration,
    /// One that is merely there still, after so long.
    pub standing: Duration,
}

impl Default for Visitors {
    fn default() -> Self {
        describe_counter!(FORGOTTEN, "Clients that were forgotten before they were put down: there were too many");
        Self::of(CLIENTS_MAX)
    }
}

impl Visitors {
    fn of(clients_max: usize) -> Self {
        Self(Arc::new(Mutex::new(State { clients: HashMap::new(), clients_max })))
    }

    /// A client is logged in, upstream too. It is there until what is returned is dropped.
    pub fn entered(&self, visit: Visit, upstream: SeenUpstream) -> Stay {
        self.entered_at(visit, upstream, Timestamp::now())
    }

    fn entered_at(&self, visit: Visit, upstream: SeenUpstream, now: Timestamp) -> Stay {
        let key = visit.key.clone();
        let mut state = self.state();
        let entry = state.entry(visit, now);
        entry.seen.logins = entry.seen.logins.saturating_add(1);
        entry.seen.upstream = Some(upstream);
        entry.open = entry.open.saturating_add(1);
        drop(state);
        Stay { visitors: self.clone(), key }
    }

    /// A client that has proven itself was refused, for that cause.
    pub fn refused(&self, visit: Visit, cause: &str) {
        let now = Timestamp::now();
        self.state().entry(visit, now).seen.add_refusals(cause, 1);
    }

    /// What is to be put down, up to `limit`: those that never were first, then those that have waited for longest. Another
    /// one each time that it is put down; what is not stays due.
    pub fn due(&self, limit: usize, pace: Pace, now: Timestamp) -> Vec<(Sighting, bool)> {
        let mut state = self.state();
        let is_due = |entry: &Entry| match entry.put_down {
            None => true,
            Some(last) if entry.is_changed => last + pace.again <= now,
            Some(last) => entry.open > 0 && last + pace.standing <= now,
        };
        let due = state.clients.iter().filter(|(_, entry)| is_due(entry));
        let mut due: Vec<_> = due.map(|(key, entry)| (entry.put_down, key.clone())).collect();
        due.sort_by_key(|(put_down, _)| *put_down);
        let told = due.into_iter().take(limit).filter_map(|(_, key)| {
            let entry = state.clients.get_mut(&key)?;
            if entry.open > 0 {
                entry.seen.last_seen = now;
            }
            Some((entry.seen.clone(), entry.put_down.is_none()))
        });
        told.collect()
    }

    /// All that is not put down, at the end of the process.
    pub fn rest(&self, now: Timestamp) -> Vec<(Sighting, bool)> {
        let pace = Pace { again: Duration::ZERO, standing: Duration::ZERO };
        self.due(usize::MAX, pace, now)
    }

    /// That was put down, and counts no more here.
    pub fn put_down(&self, told: &Sighting, now: Timestamp) {
        let mut state = self.state();
        let Some(entry) = state.clients.get_mut(&told.key) else { return };
        entry.is_changed = entry.seen != *told;
        entry.seen = entry.seen.beyond(told);
        entry.put_down = Some(now);
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.state().clients.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

impl State {
    fn entry(&mut self, visit: Visit, now: Timestamp) -> &mut Entry {
        let Visit { key, source, delegated, peer, via } = visit;
        if !self.clients.contains_key(&key) && self.clients.len() >= self.clients_max {
            self.sweep();
        }
        let entry = self.clients.entry(key.clone()).or_insert_with(|| Entry {
            seen: Sighting::new(key, now),
            is_changed: false,
            open: 0,
            put_down: None,
        });
        entry.is_changed = true;
        entry.seen.last_seen = now;
        entry.seen.source = source;
        entry.seen.delegated = delegated;
        entry.seen.via = via;
        entry.seen.came_from(peer, now);
        entry
    }

    /// Forgets a tenth: those that are put down first, and of these the ones that were not there for longest.
    fn sweep(&mut self) {
        let order = |entry: &Entry| (entry.is_changed, entry.open > 0, entry.seen.last_seen);
        let mut known: Vec<_> = self.clients.iter().map(|(key, entry)| (order(entry), key.clone())).collect();
        known.sort_by_key(|(order, _)| *order);
        let count = (self.clients_max / 10).max(1);
        let lost = known.iter().take(count).filter(|((is_changed, ..), _)| *is_changed).count();
        counter!(FORGOTTEN).increment(lost as u64);
        for (_, key) in known.into_iter().take(count) {
            self.clients.remove(&key);
        }
    }
}

impl Stay {
    /// What went through it, told once at its end.
    pub fn moved(&self, moved: Moved) {
        let mut state = self.visitors.state();
        let Some(entry) = state.clients.get_mut(&self.key) else { return };
        let Moved { bytes_up, bytes_down, messages } = moved;
        entry.is_changed = true;
        entry.seen.bytes_up = entry.seen.bytes_up.saturating_add(bytes_up);
        entry.seen.bytes_down = entry.seen.bytes_down.saturating_add(bytes_down);
        if let Some(messages) = messages {
            entry.seen.messages = Some(entry.seen.messages.unwrap_or(0).saturating_add(messages));
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut state = self.visitors.state();
        let Some(entry) = state.clients.get_mut(&self.key) else { return };
        entry.open = entry.open.saturating_sub(1);
        entry.is_changed = true;
        entry.seen.last_seen = Timestamp::now();
    }
}

#[cfg(test)]
mod tests;
