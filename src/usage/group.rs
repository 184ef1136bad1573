//! What is known of the versions of one credential: all of one kind in one record. Pure: time is an argument.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Entered, FellBack, Used};
use crate::model::{CredentialKind, Holder, Slot, UsageLogin, UsagePlace};

/// Login names that are told of one version. A mailbox has a handful of devices; of a whole domain's credential, these are
/// those who used it last.
pub(super) const LOGINS_MAX: usize = 20;

/// Versions without open sessions that are remembered: the places of a record, and some that were there.
pub(super) const VERSIONS_MAX: usize = 8;

/// Which credential, whatever its version.
pub(super) type Key = (Holder, CredentialKind);

/// The versions of one credential.
#[derive(Debug, Default)]
pub(super) struct Group {
    versions: Vec<Version>,
    /// Whether a version, or the place of one, is new since the record was looked at.
    pub(super) is_new: bool,
    /// When the record was looked at.
    pub(super) looked: Option<Timestamp>,
}

#[derive(Debug)]
struct Version {
    id: String,
    slot: Slot,
    place: Option<UsagePlace>,
    live: u32,
    last_seen: Option<Timestamp>,
    last_success: Option<Timestamp>,
    refusals: u32,
    last_refusal: Option<Timestamp>,
    logins: Vec<UsageLogin>,
    more: bool,
}

impl Group {
    /// A session is logged in. Whether its login name is counted by itself, and what is to be told of.
    pub(super) fn entered(&mut self, entered: &Entered, now: Timestamp) -> (bool, Option<FellBack>) {
        let version = self.version(&entered.credential, entered.slot);
        version.live += 1;
        version.last_seen = Some(now);
        version.last_success = Some(now);
        version.refusals = 0;
        let is_counted = version.enter_login(&entered.login, now);
        let fell_back = self.fell_back(entered);
        self.forget_old();
        (is_counted, fell_back)
    }

    /// That session is over.
    pub(super) fn left(&mut self, entered: &Entered, is_counted: bool, now: Timestamp) {
        let Some(version) = self.versions.iter_mut().find(|it| it.id == entered.credential) else { return };
        version.live = version.live.saturating_sub(1);
        version.last_seen = Some(now);
        let login = version.logins.iter_mut().find(|it| is_counted && it.login == entered.login);
        if let Some(login) = login {
            login.live = login.live.saturating_sub(1);
            login.last_seen = now;
        }
        self.forget_old();
    }

    /// The provider refused that version for its own sake.
    pub(super) fn refused(&mut self, credential: &str, slot: Slot, now: Timestamp) {
        let version = self.version(credential, slot);
        version.refusals = version.refusals.saturating_add(1);
        version.last_refusal = Some(now);
        self.forget_old();
    }

    /// The provider took that version, and no session came of it.
    pub(super) fn accepted(&mut self, credential: &str, slot: Slot, now: Timestamp) {
        let version = self.version(credential, slot);
        version.refusals = 0;
        version.last_success = Some(now);
        self.forget_old();
    }

    /// Whether what was current when it was last tried is refused.
    pub(super) fn is_troubled(&self) -> bool {
        self.versions.iter().any(|it| it.slot == Slot::Current && it.place.is_none() && it.refusals > 0)
    }

    /// What the record says: where each version is, `None` for the current one.
    pub(super) fn place(&mut self, places: Option<&BTreeMap<String, Option<UsagePlace>>>, now: Timestamp) {
        if let Some(places) = places {
            for version in &mut self.versions {
                version.place = places.get(&version.id).copied().unwrap_or(Some(UsagePlace::Gone));
            }
        }
        self.is_new = false;
        self.looked = Some(now);
    }

    /// Whether any version is in use, or another than the current one was.
    pub(super) fn is_told(&self) -> bool {
        self.live() > 0 || self.has_other()
    }

    /// Whether a version was not the current one when the record was looked at.
    pub(super) fn has_other(&self) -> bool {
        self.versions.iter().any(|version| version.place.is_some())
    }

    /// Sessions that are open.
    pub(super) fn live(&self) -> u32 {
        self.versions.iter().map(|version| version.live).sum()
    }

    /// When anything last happened.
    pub(super) fn last_moved(&self) -> Option<Timestamp> {
        self.versions.iter().filter_map(Version::last_moved).max()
    }

    /// The last login that succeeded, with whichever version.
    pub(super) fn last_success(&self) -> Option<Timestamp> {
        self.versions.iter().filter_map(|version| version.last_success).max()
    }

    /// All versions, the latest first.
    pub(super) fn read(&self, now: Timestamp) -> Vec<Used> {
        let mut versions: Vec<&Version> = self.versions.iter().collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.last_moved()));
        versions.into_iter().map(|version| version.read(now)).collect()
    }

    fn version(&mut self, id: &str, slot: Slot) -> &mut Version {
        let index = self.versions.iter().position(|version| version.id == id).unwrap_or_else(|| {
            self.is_new = true;
            self.versions.push(Version::new(id, slot));
            self.versions.len() - 1
        });
        let version = &mut self.versions[index];
        // Whoever uses it as the current one has read the record later than whoever last looked at that.
        let is_back = slot == Slot::Current && version.place.is_some();
        if version.slot != slot || is_back {
            version.slot = slot;
            version.place = version.place.filter(|_| !is_back);
            self.is_new = true;
        }
        version
    }

    /// That the current version was passed over.
    fn fell_back(&self, entered: &Entered) -> Option<FellBack> {
        let refused = entered.passed_over.as_ref()?;
        let known = self.versions.iter().find(|version| version.id == *refused);
        Some(FellBack {
            holder: entered.holder.clone(),
            kind: entered.kind,
            refused: refused.clone(),
            refusals: known.map_or(0, |version| version.refusals),
            used: entered.credential.clone(),
            slot: entered.slot,
        })
    }

    /// Drops what was longest without anything happening, where there are too many without a session.
    fn forget_old(&mut self) {
        while self.versions.iter().filter(|version| version.live == 0).count() > VERSIONS_MAX {
            let idle = self.versions.iter().enumerate().filter(|(_, version)| version.live == 0);
            let Some((oldest, _)) = idle.min_by_key(|(_, version)| version.last_moved()) else { return };
            self.versions.remove(oldest);
        }
    }
}

impl Version {
    fn new(id: &str, slot: Slot) -> Self {
        Self {
            id: id.to_owned(),
            slot,
            place: None,
            live: 0,
            last_seen: None,
            last_success: None,
            refusals: 0,
            last_refusal: None,
            logins: Vec::new(),
            more: false,
        }
    }

    /// Counts a session of that login name, if there is room for the name. Those without sessions make room.
    fn enter_login(&mut self, name: &str, now: Timestamp) -> bool {
        if let Some(login) = self.logins.iter_mut().find(|it| it.login == name) {
            login.live += 1;
            login.last_seen = now;
            return true;
        }
        if self.logins.len() == LOGINS_MAX {
            self.more = true;
            let idle = self.logins.iter().enumerate().filter(|(_, it)| it.live == 0);
            let Some((oldest, _)) = idle.min_by_key(|(_, it)| it.last_seen) else { return false };
            self.logins.remove(oldest);
        }
        self.logins.push(UsageLogin { login: name.to_owned(), live: 1, last_seen: now });
        true
    }

    fn last_moved(&self) -> Option<Timestamp> {
        self.last_seen.max(self.last_refusal)
    }

    fn read(&self, now: Timestamp) -> Used {
        let seen = |live: u32, last: Timestamp| if live > 0 { now.max(last) } else { last };
        let mut logins = self.logins.clone();
        for login in &mut logins {
            login.last_seen = seen(login.live, login.last_seen);
        }
        logins.sort_by(|a, b| b.last_seen.cmp(&a.last_seen).then_with(|| a.login.cmp(&b.login)));
        Used {
            credential: self.id.clone(),
            slot: self.slot,
            place: self.place,
            live: self.live,
            last_seen: self.last_seen.map(|last| seen(self.live, last)),
            last_success: self.last_success,
            refusals: self.refusals,
            last_refusal: self.last_refusal,
            logins,
            more: self.more,
        }
    }
}
