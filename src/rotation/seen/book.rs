//! What all nodes put down of clients, read for an operator.

use std::time::Duration;

use jiff::Timestamp;

use crate::broker::{Directory, DirectoryError, Page};
use crate::model::{RecordId, Sighting};

/// Records read in one go.
const PAGE: usize = 1_000;

/// A client that comes once a week is no client of long ago.
const FORGOTTEN_AFTER_MIN: Duration = Duration::from_secs(24 * 60 * 60);

/// All sightings, in order.
#[derive(Debug, Clone, Default)]
pub struct Sightings {
    /// Those that could be read, without control characters in any name.
    pub seen: Vec<Sighting>,
    /// How many could not.
    pub unread: usize,
}

impl Sightings {
    /// Reads what all nodes put down.
    ///
    /// # Errors
    /// See [`DirectoryError`]; a Vault's policy may keep the list away.
    pub async fn read(directory: &Directory) -> Result<Self, DirectoryError> {
        let (mut seen, mut unread) = (Vec::new(), 0);
        let mut after: Option<RecordId> = None;
        loop {
            let page = Self::page(directory, after.as_ref(), PAGE).await?;
            unread += page.damaged.len();
            seen.extend(page.records.into_iter().map(|found| found.record));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        seen.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { seen, unread })
    }

    /// Up to `limit` of what all nodes put down, beginning behind `after`, without control characters in any name.
    ///
    /// # Errors
    /// As for [`Sightings::read`].
    pub async fn page(
        directory: &Directory,
        after: Option<&RecordId>,
        limit: usize,
    ) -> Result<Page<Sighting>, DirectoryError> {
        let mut page = directory.seen_page(after, limit).await?;
        for found in &mut page.records {
            clean(&mut found.record);
        }
        Ok(page)
    }

    /// Removes those that were last there before a time. How many were; one that is seen meanwhile stays.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn forget(directory: &Directory, before: Timestamp, now: Timestamp) -> Result<usize, DirectoryError> {
        let before = before.min(now - FORGOTTEN_AFTER_MIN);
        let (mut removed, mut after) = (0, None);
        loop {
            let page = directory.seen_page(after.as_ref(), PAGE).await?;
            for found in page.records.iter().filter(|found| found.record.last_seen < before) {
                match directory.remove_seen(&found.record.key.name(), found.version).await {
                    Ok(()) => removed += 1,
                    Err(DirectoryError::Changed { .. } | DirectoryError::Removed { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(removed);
            }
        }
    }
}

/// Whoever may write to the store by other means could put anything there, and it goes onto terminals; and a login name is what
/// somebody typed.
fn clean(seen: &mut Sighting) {
    let clean = |text: &mut String| text.retain(|c| !c.is_control());
    let key = &mut seen.key;
    [&mut key.login, &mut key.listener, &mut key.method].into_iter().for_each(clean);
    [&mut key.account, &mut key.tls, &mut key.secret].into_iter().flatten().for_each(clean);
    if let Some(upstream) = &mut seen.upstream {
        [&mut upstream.profile, &mut upstream.credential].into_iter().for_each(clean);
    }
    let refused = std::mem::take(&mut seen.refused);
    seen.refused = refused.into_iter().map(|(cause, count)| (cause.replace(char::is_control, ""), count)).collect();
}
