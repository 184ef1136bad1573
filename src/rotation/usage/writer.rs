//! A node tells who uses, through it, a credential that is not the current one any more. It must never hold up a session,
//! nor read more records than a Vault bears: a round looks at a few, those that matter most first.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::UsageOptions;
use crate::broker::{Directory, DirectoryError};
use crate::model::{CredentialKind, Holder, Slot, Slots, UsageEntry, UsagePlace, UsageReport};
use crate::store::{StoreError, Version};
use crate::usage::{Ledger, Used};

/// Records looked at in one round: with 4,000 mailboxes in use each is looked at once an hour, and a Vault is asked once a
/// second.
const LOOKS_MAX: usize = 32;

/// What the entries of a record may have in bytes, of the 512 KiB that a value may have.
const BYTES_MAX: usize = 400 << 10;

/// A node that may not write asks again so often: somebody may have given it the right.
const DENIED_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Time for the last word at the end of the process, which waits for it.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(3);

/// Tells what a ledger knows, in one record.
#[derive(Debug)]
pub struct UsageWriter {
    directory: Directory,
    ledger: Ledger,
    options: UsageOptions,
    node: String,
    host: String,
    started: Timestamp,
    told: Option<Told>,
    trouble: Option<Trouble>,
}

/// What the record holds.
#[derive(Debug)]
struct Told {
    version: Version,
    entries: Vec<UsageEntry>,
    at: Timestamp,
}

/// Why nothing can be told.
#[derive(Debug)]
enum Trouble {
    /// It passes.
    Away,
    /// Somebody has to see to it. When it was tried last.
    Denied(Timestamp),
}

impl UsageWriter {
    /// Tells what that ledger knows. `node` is another one in each process; `host` is where it runs.
    pub fn new(directory: Directory, ledger: Ledger, node: String, host: &str, options: UsageOptions) -> Self {
        let (host, started) = (host.to_owned(), Timestamp::now());
        Self { directory, ledger, options, node, host, started, told: None, trouble: None }
    }

    /// Looks and tells until `stop`, then says that it is over.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            if stop.run_until_cancelled(sleep(self.options.interval)).await.is_none() {
                break;
            }
            // One that is broken off may have written: the next one finds that out.
            if stop.run_until_cancelled(self.round(Timestamp::now())).await.is_none() {
                break;
            }
        }
        let _ = timeout(LAST_WORD_TIMEOUT, self.last_word(Timestamp::now())).await;
    }

    /// One look at what matters most, and what there is to tell of it.
    async fn round(&mut self, now: Timestamp) {
        if matches!(self.trouble, Some(Trouble::Denied(at)) if now < at + DENIED_PAUSE) {
            return;
        }
        let done = match self.look(now).await {
            Ok(()) => self.tell(now).await,
            Err(error) => Err(error),
        };
        self.note(done, now);
    }

    /// Where the versions are in their records.
    async fn look(&self, now: Timestamp) -> Result<(), DirectoryError> {
        for (holder, kind) in self.ledger.due(LOOKS_MAX, self.options.look_again, now) {
            let places = match self.slots(&holder, kind).await {
                Ok(slots) => Some(places(&slots.unwrap_or_default())),
                // It is told elsewhere; all others can be looked at.
                Err(DirectoryError::Malformed { .. } | DirectoryError::Store(StoreError::Corrupt { .. })) => None,
                Err(error) => return Err(error),
            };
            self.ledger.looked(&holder, kind, places.as_ref(), now);
        }
        Ok(())
    }

    async fn slots(&self, holder: &Holder, kind: CredentialKind) -> Result<Option<Slots>, DirectoryError> {
        Ok(match holder {
            Holder::Account(name) => {
                self.directory.account(name).await?.and_then(|mut found| found.record.credentials.remove(&kind))
            }
            Holder::Tenant(domain) => self.directory.tenant(domain).await?.map(|found| found.record.oauth2),
        })
    }

    /// Writes, if there is something new to tell, or it is time to say that it is true still.
    async fn tell(&mut self, now: Timestamp) -> Result<(), DirectoryError> {
        let (entries, omitted) = fitting(self.entries(now));
        let is_due = match &self.told {
            None => !entries.is_empty(),
            Some(told) => {
                let is_live = entries.iter().any(|entry| entry.live > 0);
                !are_alike(&told.entries, &entries) || (is_live && told.at + self.options.heartbeat <= now)
            }
        };
        if is_due { self.write(entries, omitted, false, now).await } else { Ok(()) }
    }

    /// What was told stays, for those who ask who was there last; but nobody is there now.
    async fn last_word(&mut self, now: Timestamp) {
        if self.told.is_none() || self.trouble.is_some() {
            return;
        }
        let (mut entries, omitted) = fitting(self.entries(now));
        for entry in &mut entries {
            entry.live = 0;
            entry.logins.iter_mut().for_each(|login| login.live = 0);
        }
        let done = self.write(entries, omitted, true, now).await;
        self.note(done, now);
    }

    fn entries(&self, now: Timestamp) -> Vec<UsageEntry> {
        let told = self.ledger.to_tell(now).into_iter();
        told.filter_map(|(holder, kind, used)| entry(holder, kind, used)).collect()
    }

    async fn write(
        &mut self,
        entries: Vec<UsageEntry>,
        omitted: u32,
        ended: bool,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let (node, host, started) = (self.node.clone(), self.host.clone(), self.started);
        let report = UsageReport { node, host, started, written: now, ended, entries, omitted };
        let version = match self.directory.put_usage(&report, self.told.as_ref().map(|told| told.version)).await {
            // An operator removed it, or a write of which we know nothing was ours. Nobody else writes it.
            Err(DirectoryError::Changed { .. } | DirectoryError::Removed { .. }) => {
                let found = self.directory.usage(&self.node).await?;
                self.directory.put_usage(&report, found.map(|found| found.version)).await?
            }
            written => written?,
        };
        self.told = Some(Told { version, entries: report.entries, at: now });
        Ok(())
    }

    /// Says when trouble begins and when it is over, and nothing in between.
    fn note(&mut self, done: Result<(), DirectoryError>, now: Timestamp) {
        let before = self.trouble.take();
        self.trouble = match done {
            Ok(()) => {
                if before.is_some() {
                    tracing::info!("who uses which credential can be told again");
                }
                None
            }
            Err(DirectoryError::Store(error @ StoreError::Config(_))) => {
                if !matches!(before, Some(Trouble::Denied(_))) {
                    tracing::warn!(
                        %error,
                        "who still uses a previous credential cannot be told (`locum report rotation`): a node needs to \
                         create, read and update usage/+, as config/deploy/vault/locum-node.hcl has it; clients are served"
                    );
                }
                Some(Trouble::Denied(now))
            }
            Err(error) => {
                if before.is_none() {
                    tracing::warn!(%error, "who still uses a previous credential cannot be told for now; clients are served");
                }
                Some(Trouble::Away)
            }
        };
    }
}

/// Where each version is that a record names; `None` for the current one.
pub(in crate::rotation) fn places(slots: &Slots) -> BTreeMap<String, Option<UsagePlace>> {
    let left = slots.leftovers.iter().map(|left| (left.id.clone(), Some(UsagePlace::Left)));
    let placed = Slot::ALL.into_iter().filter_map(|slot| {
        let place = match slot {
            Slot::Current => None,
            Slot::Next => Some(UsagePlace::Next),
            Slot::Previous => Some(UsagePlace::Previous),
        };
        Some((slots.in_slot(slot)?.id.clone(), place))
    });
    left.chain(placed).collect()
}

fn entry(holder: Holder, kind: CredentialKind, used: Used) -> Option<UsageEntry> {
    let Used { credential, place, live, last_seen, logins, more, .. } = used;
    Some(UsageEntry { holder, kind, credential, place: place?, live, last_seen: last_seen?, logins, more })
}

/// As many as find room, and how many do not: those with sessions first, then those that were there last.
fn fitting(mut entries: Vec<UsageEntry>) -> (Vec<UsageEntry>, u32) {
    entries.sort_by(|a, b| {
        let by_name = || a.holder.cmp(&b.holder).then_with(|| a.credential.cmp(&b.credential));
        let by_life = (b.live > 0).cmp(&(a.live > 0));
        // Those with sessions are all there now.
        by_life.then_with(|| if a.live > 0 { by_name() } else { b.last_seen.cmp(&a.last_seen).then_with(by_name) })
    });
    let mut bytes = 0;
    let fit = entries.iter().take_while(|entry| {
        bytes += serde_json::to_vec(entry).map_or(BYTES_MAX, |text| text.len() + 1);
        bytes <= BYTES_MAX
    });
    let fit = fit.count();
    let omitted = u32::try_from(entries.len() - fit).unwrap_or(u32::MAX);
    entries.truncate(fit);
    (entries, omitted)
}

/// Whether they say the same, but for the time of what is there now.
fn are_alike(told: &[UsageEntry], now: &[UsageEntry]) -> bool {
    let timeless = |entry: &UsageEntry| {
        let mut entry = entry.clone();
        if entry.live > 0 {
            entry.last_seen = Timestamp::UNIX_EPOCH;
        }
        entry
            .logins
            .iter_mut()
            .filter(|login| login.live > 0)
            .for_each(|login| login.last_seen = Timestamp::UNIX_EPOCH);
        entry.logins.sort_by(|a, b| a.login.cmp(&b.login));
        entry
    };
    told.len() == now.len() && told.iter().zip(now).all(|(told, now)| timeless(told) == timeless(now))
}

#[cfg(test)]
mod tests;
