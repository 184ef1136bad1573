//! What is known under each key, within a bound. A refresh token that is not stored yet, and a flight under way, are never
//! forgotten.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::{Grant, TokenFailure};
use super::Wanted;
use super::ends::Told;
use super::life::{AccessToken, Age};
use super::trouble::Trouble;
use crate::credential::CredentialVersion;
use crate::model::Secret;

/// Below so many nothing is looked through for what has ended.
const SWEEP_MIN: usize = 1024;

/// Dead refresh tokens that are remembered under one key.
const DEAD_MAX: usize = 4;

/// What a token is kept under: who asks for it, whom, for what. A credential of an application has one for all its
/// mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    version: CredentialVersion,
    /// An account that is moved to another upstream must not bring along a token for the one before.
    place: String,
    subject: Option<String>,
}

impl Key {
    pub(super) fn of(wanted: &Wanted) -> Self {
        let authority = &wanted.authority;
        let (scopes, subject) = match wanted.credential.grant {
            Grant::ClientCredentials => (&authority.application_scopes, None),
            Grant::RefreshToken => (&authority.delegated_scopes, None),
            Grant::ServiceAccount => (&authority.application_scopes, Some(wanted.subject.clone())),
        };
        let place = format!("{} {}", authority.token_url, scopes.join(" "));
        Self { version: wanted.version.clone(), place, subject }
    }
}

/// What is known under one key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) token: Option<AccessToken>,
    /// The request that is under way.
    pub(super) flight: Option<watch::Receiver<Option<Result<AccessToken, TokenFailure>>>>,
    pub(super) trouble: Option<Trouble>,
    /// The last of them last.
    dead: Vec<Dead>,
    pub(super) unsaved: Option<Unsaved>,
    /// Whether it is being stored apart from any flight.
    is_saving: bool,
    pub(super) told: Told,
    used: Instant,
}

/// A refresh token that must not be sent again, and what the authority said of it.
#[derive(Debug)]
struct Dead {
    token: Secret,
    failure: TokenFailure,
}

/// A refresh token that was got and is not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unsaved {
    pub(super) credential: String,
    pub(super) old: Secret,
    pub(super) new: Secret,
}

impl Entry {
    fn new(used: Instant) -> Self {
        Self {
            token: None,
            flight: None,
            trouble: None,
            dead: Vec::new(),
            unsaved: None,
            is_saving: false,
            told: Told::default(),
            used,
        }
    }

    /// The last failure, while it is too early to ask again.
    pub(super) fn standing(&self, now: Instant) -> Option<TokenFailure> {
        self.trouble.as_ref().and_then(|trouble| trouble.standing(now)).cloned()
    }

    /// What the authority said of that refresh token, if it is dead.
    pub(super) fn dead(&self, token: &Secret) -> Option<&TokenFailure> {
        self.dead.iter().find(|dead| dead.token == *token).map(|dead| &dead.failure)
    }

    pub(super) fn bury(&mut self, token: &Secret, failure: &TokenFailure) {
        if self.dead.len() == DEAD_MAX {
            self.dead.remove(0);
        }
        self.dead.push(Dead { token: token.clone(), failure: failure.clone() });
    }

    /// Whether there is something to store that nobody stores yet; whoever asks does from now on.
    pub(super) fn begin_saving(&mut self) -> bool {
        let begins = self.unsaved.is_some() && !self.is_saving;
        self.is_saving |= begins;
        begins
    }

    /// Whether there is still something to store; if not, whoever asks has done so.
    pub(super) fn goes_on_saving(&mut self) -> bool {
        self.is_saving = self.unsaved.is_some();
        self.is_saving
    }

    fn is_bound(&self) -> bool {
        self.flight.is_some() || self.unsaved.is_some()
    }

    fn is_over(&self, now: Instant) -> bool {
        !self.is_bound()
            && self.dead.is_empty()
            && self.token.as_ref().is_none_or(|token| token.age(now) == Age::Over)
            && self.trouble.as_ref().is_none_or(|trouble| trouble.is_forgotten(now))
    }
}

/// All entries.
#[derive(Debug)]
pub(super) struct Shelf {
    entries: HashMap<Key, Entry>,
    max: usize,
    sweep_at: usize,
}

impl Shelf {
    pub(super) fn new(max: usize) -> Self {
        Self { entries: HashMap::new(), max, sweep_at: SWEEP_MIN.min(max) }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// The entry, a new one if there is none; `None` if there is no room for it.
    pub(super) fn entry(&mut self, key: &Key, now: Instant) -> Option<&mut Entry> {
        if !self.entries.contains_key(key) {
            if self.entries.len() >= self.sweep_at {
                self.sweep(now);
            }
            if self.entries.len() >= self.max {
                return None;
            }
        }
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry::new(now));
        entry.used = now;
        Some(entry)
    }

    /// How many tokens live, and the least that one of them has left.
    pub(super) fn living(&self, now: Instant) -> (usize, Option<Duration>) {
        let tokens = self.entries.values().filter_map(|entry| entry.token.as_ref());
        let left: Vec<_> = tokens.filter(|token| token.age(now) != Age::Over).map(AccessToken::left).collect();
        (left.len(), left.into_iter().min())
    }

    /// The keys under which a refresh token waits to be stored; nobody stores it yet.
    pub(super) fn begin_saving_all(&mut self) -> Vec<Key> {
        let entries = self.entries.iter_mut().filter_map(|(key, entry)| {
            entry.is_saving = entry.unsaved.is_some();
            entry.is_saving.then(|| key.clone())
        });
        entries.collect()
    }

    /// Forgets what has ended, and, if that is not enough, an eighth of the rest: what was unused for longest.
    fn sweep(&mut self, now: Instant) {
        self.entries.retain(|_, entry| !entry.is_over(now));
        if self.entries.len() >= self.max {
            let free = self.entries.values().filter(|entry| !entry.is_bound());
            let mut used: Vec<Instant> = free.map(|entry| entry.used).collect();
            let mut surplus = (self.max / 8).max(1);
            if let Some(last) = used.len().checked_sub(1) {
                let (_, limit, _) = used.select_nth_unstable((surplus - 1).min(last));
                let limit = *limit;
                self.entries.retain(|_, entry| {
                    let stays = entry.is_bound() || entry.used > limit || surplus == 0;
                    surplus -= usize::from(!stays);
                    stays
                });
            }
        }
        self.sweep_at = (self.entries.len() * 2).max(SWEEP_MIN).min(self.max);
    }
}

#[cfg(test)]
impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
