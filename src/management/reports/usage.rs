//! Every client that nodes have seen: how it comes in, and what is used for it upstream.

use jiff::Timestamp;
use serde::Deserialize;

use crate::broker::DirectoryError;
use crate::management::{Damaged, Desk, Fault, ManagementError, Page, Paging};
use crate::model::{RecordKind, Sighting, normalise};
use crate::rotation::Sightings;
use crate::store::StoreError;

/// Records that are looked at for one part of a list: who asks waits, and goes on with the next paging.
const LOOKED_AT_MAX: usize = 2_000;

/// Whom it is about. What is not named bounds nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UsageFilter {
    /// Clients that were there since.
    pub since: Option<Timestamp>,
    /// This login name.
    pub client: Option<String>,
    /// This account.
    pub account: Option<String>,
    /// Clients without TLS of today.
    pub weak_tls: bool,
}

impl UsageFilter {
    /// Whether that is one of them.
    pub fn includes(&self, seen: &Sighting) -> bool {
        let is = |asked: &Option<String>, own: Option<&str>| {
            asked.as_deref().is_none_or(|asked| own.map(normalise).as_deref() == Some(&normalise(asked)))
        };
        self.since.is_none_or(|since| since <= seen.last_seen)
            && is(&self.client, Some(&seen.key.login))
            && is(&self.account, seen.key.account.as_deref())
            && (!self.weak_tls || seen.has_weak_tls())
    }
}

/// Paging of those that were seen.
///
/// # Errors
/// If the part begins nowhere, or the records may not be read.
pub async fn usage(desk: &Desk, filter: &UsageFilter, paging: &Paging) -> Result<Page<Sighting>, ManagementError> {
    let mut after = paging.record(RecordKind::Seen)?;
    let (mut items, mut damaged, mut looked_at) = (Vec::new(), Vec::new(), 0);
    loop {
        // Never more than there is room for, or the place to go on would be lost.
        let wanted = paging.limit.saturating_sub(items.len());
        let page = Sightings::page(&desk.directory, after.as_ref(), wanted).await.map_err(explained)?;
        looked_at += wanted;
        damaged.extend(Damaged::all(page.damaged));
        let seen = page.records.into_iter().map(|found| found.record);
        items.extend(seen.filter(|seen| filter.includes(seen)));
        after = page.next;
        if after.is_none() || items.len() >= paging.limit || looked_at >= LOOKED_AT_MAX.max(paging.limit) {
            items.sort_by(|a, b| a.key.cmp(&b.key));
            return Ok(Page { items, damaged, next: after.map(|id| id.hash().to_owned()) });
        }
    }
}

/// All that were seen, in order. It reads everything.
///
/// # Errors
/// If the records may not be read.
pub async fn all_usage(desk: &Desk, filter: &UsageFilter) -> Result<Sightings, ManagementError> {
    let mut sightings = Sightings::read(&desk.directory).await.map_err(explained)?;
    sightings.seen.retain(|seen| filter.includes(seen));
    Ok(sightings)
}

/// Forgets the clients that were last there before that time. How many were.
///
/// # Errors
/// If the records may not be read or removed.
pub async fn forget(desk: &Desk, before: Timestamp) -> Result<usize, ManagementError> {
    Sightings::forget(&desk.directory, before, Timestamp::now()).await.map_err(explained)
}

/// What all nodes put down, and why it is not known where a policy keeps it away.
pub(super) async fn read_if_allowed(desk: &Desk) -> Result<(Sightings, Option<String>), ManagementError> {
    match Sightings::read(&desk.directory).await {
        Ok(sightings) => Ok((sightings, None)),
        Err(DirectoryError::Store(error @ StoreError::Config(_))) => {
            Ok((Sightings::default(), Some(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Where the list is kept away, with what would give it.
fn explained(error: DirectoryError) -> ManagementError {
    match error {
        DirectoryError::Store(StoreError::Config(why)) => {
            let message =
                format!("which clients come in may not be read: {why} (config/deploy/vault/locum-operator.hcl)");
            ManagementError::new(Fault::Denied, message)
        }
        error => error.into(),
    }
}
