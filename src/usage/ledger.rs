//! The ledger that all sessions of a process write in. Its lock is held for no await, and for no longer than it takes to
//! count; at ten thousand credentials the sweep is the longest of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::group::{Group, Key};
use super::{Entered, FellBack, Used};
use crate::model::{CredentialKind, Holder, Slot, UsagePlace};

/// Credentials without open sessions that are remembered, in whatever versions. Those with sessions are bounded by the
/// bound of sessions.
const GROUPS_MAX: usize = 10_000;

/// Facts of a fall back that wait to be heard, one for each credential. Who is not heard comes again with the next login.
const FELL_BACK_MAX: usize = 1_000;

/// Knows who uses which version of a credential. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Core>);

#[derive(Debug, Default)]
struct Core {
    state: Mutex<State>,
    /// Told of a new fact in `fell_back`.
    more: Notify,
}

#[derive(Debug, Default)]
struct State {
    groups: HashMap<Key, Group>,
    fell_back: BTreeMap<Key, FellBack>,
}

/// That a session uses a credential, until it is dropped.
#[derive(Debug)]
#[must_use = "the session counts as over when this is dropped"]
pub struct Use {
    core: Arc<Core>,
    entered: Entered,
    is_counted: bool,
}

impl Ledger {
    /// A session is logged in upstream. It is open until what is returned is dropped.
    pub fn entered(&self, entered: Entered) -> Use {
        self.entered_at(entered, Timestamp::now())
    }

    fn entered_at(&self, entered: Entered, now: Timestamp) -> Use {
        let mut state = self.0.state();
        let (is_counted, fell_back) = state.group(&entered.holder, entered.kind).entered(&entered, now);
        if let Some(fell_back) = fell_back {
            let key = (entered.holder.clone(), entered.kind);
            if state.fell_back.len() < FELL_BACK_MAX || state.fell_back.contains_key(&key) {
                state.fell_back.insert(key, fell_back);
                self.0.more.notify_one();
            }
        }
        drop(state);
        Use { core: Arc::clone(&self.0), entered, is_counted }
    }

    /// The provider refused a version of a credential for its own sake.
    pub fn refused(&self, holder: &Holder, kind: CredentialKind, credential: &str, slot: Slot) {
        self.refused_at(holder, kind, credential, slot, Timestamp::now());
    }

    fn refused_at(&self, holder: &Holder, kind: CredentialKind, credential: &str, slot: Slot, now: Timestamp) {
        self.0.state().group(holder, kind).refused(credential, slot, now);
    }

    /// The provider took a version of a credential, though no client's session came of it.
    pub fn accepted(&self, holder: &Holder, kind: CredentialKind, credential: &str, slot: Slot) {
        self.0.state().group(holder, kind).accepted(credential, slot, Timestamp::now());
    }

    /// The credentials that have a version in the current place which the provider refused since it last took it.
    pub fn troubled(&self) -> Vec<(Holder, CredentialKind)> {
        let state = self.0.state();
        let troubled = state.groups.iter().filter(|(_, group)| group.is_troubled());
        troubled.map(|(key, _)| key.clone()).collect()
    }

    /// What is known of the versions of a credential, the latest first.
    pub fn used(&self, holder: &Holder, kind: CredentialKind) -> Vec<Used> {
        let state = self.0.state();
        state.groups.get(&(holder.clone(), kind)).map_or_else(Vec::new, |group| group.read(Timestamp::now()))
    }

    /// When a client last logged in with that credential, in whichever version.
    pub fn last_success(&self, holder: &Holder, kind: CredentialKind) -> Option<Timestamp> {
        self.0.state().groups.get(&(holder.clone(), kind))?.last_success()
    }

    /// Waits until [`Ledger::fell_back`] has something. One who waits is told.
    pub async fn changed(&self) {
        loop {
            let more = self.0.more.notified();
            if !self.0.state().fell_back.is_empty() {
                return;
            }
            more.await;
        }
    }

    /// Takes the facts that nobody has heard yet: for each credential the latest.
    pub fn fell_back(&self) -> Vec<FellBack> {
        std::mem::take(&mut self.0.state().fell_back).into_values().collect()
    }

    /// The credentials whose records are to be looked at, up to `limit`: those with something new first, then those with
    /// open sessions that were not looked at for so long, the longest ago first.
    pub fn due(&self, limit: usize, after: Duration, now: Timestamp) -> Vec<(Holder, CredentialKind)> {
        let state = self.0.state();
        let is_due = |group: &Group| {
            group.is_new || (group.is_told() && group.looked.is_none_or(|looked| looked + after <= now))
        };
        let mut due: Vec<_> = state.groups.iter().filter(|(_, group)| is_due(group)).collect();
        due.sort_by_key(|(_, group)| (!group.is_new, group.looked));
        due.into_iter().take(limit).map(|(key, _)| key.clone()).collect()
    }

    /// What the record of a credential says: the places of its versions, `None` for the current one. What cannot be read
    /// says nothing, and is looked at again in its turn.
    pub fn looked(
        &self,
        holder: &Holder,
        kind: CredentialKind,
        places: Option<&BTreeMap<String, Option<UsagePlace>>>,
        now: Timestamp,
    ) {
        if let Some(group) = self.0.state().groups.get_mut(&(holder.clone(), kind)) {
            group.place(places, now);
        }
    }

    /// The versions that were used, that are not the current ones, and that a record names or a session holds.
    pub fn to_tell(&self, now: Timestamp) -> Vec<(Holder, CredentialKind, Used)> {
        let state = self.0.state();
        let told = state.groups.iter().filter(|(_, group)| group.has_other()).flat_map(|((holder, kind), group)| {
            let used = group.read(now).into_iter().filter(Used::is_to_be_told);
            used.map(|used| (holder.clone(), *kind, used))
        });
        told.collect()
    }
}

impl Used {
    fn is_to_be_told(&self) -> bool {
        match self.place {
            Some(UsagePlace::Next | UsagePlace::Previous | UsagePlace::Left) => self.last_seen.is_some(),
            Some(UsagePlace::Gone) => self.live > 0,
            None => false,
        }
    }
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

impl State {
    fn group(&mut self, holder: &Holder, kind: CredentialKind) -> &mut Group {
        let key = (holder.clone(), kind);
        if !self.groups.contains_key(&key) && self.groups.len() >= GROUPS_MAX {
            self.sweep();
        }
        self.groups.entry(key).or_default()
    }

    /// Forgets the tenth of those without sessions that was longest without anything happening: so it is done seldom.
    fn sweep(&mut self) {
        let idle = self.groups.iter().filter(|(_, group)| group.live() == 0);
        let mut idle: Vec<_> = idle.map(|(key, group)| (group.last_moved(), key.clone())).collect();
        idle.sort_by_key(|(moved, _)| *moved);
        for (_, key) in idle.into_iter().take(GROUPS_MAX / 10) {
            self.groups.remove(&key);
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let Entered { holder, kind, .. } = &self.entered;
        if let Some(group) = self.core.state().groups.get_mut(&(holder.clone(), *kind)) {
            group.left(&self.entered, self.is_counted, Timestamp::now());
        }
    }
}

#[cfg(test)]
mod tests;
