//! Copying every record of one store to another. It must never delete anything, nor replace what it was not told to, nor
//! count a record as copied that it has not read back. What a record means it does not know.
//!
//! It keeps no state: what is there already with the same content is done, so a run that was interrupted is simply
//! run again.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::{Expected, Store, StoreError};
use crate::model::{RecordId, RecordKind};

/// Ids asked for in one go. A server that has no pages of its own makes the whole list each time.
const PAGE: usize = 10_000;

/// Records under way at once: enough that a server's answer time does not matter, few enough to leave it to others.
const AT_ONCE: usize = 16;

/// Waits before a call that failed for now is made again; together longer than a cluster takes to find a new leader.
const RETRY_AFTER: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// What to do where there is a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Overwrite records that have another content at the target.
    pub replace: bool,
    /// Only look and count.
    pub dry_run: bool,
}

/// What has become of the records so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Records that the source names.
    pub total: usize,
    /// Were not at the target, and are now.
    pub copied: usize,
    /// Had another content at the target, and have that of the source now.
    pub replaced: usize,
    /// Were at the target already, with the same content.
    pub same: usize,
    /// Are named by the source, and not there: removed meanwhile, or before.
    pub gone: usize,
    /// Have another content at the target, and keep it.
    pub conflicts: Vec<RecordId>,
    /// Could not be read or written.
    pub failed: Vec<Error>,
    /// Are at the target and not at the source.
    pub only_there: Vec<RecordId>,
}

impl Tally {
    /// How many are settled, one way or the other.
    pub fn done(&self) -> usize {
        self.copied + self.replaced + self.same + self.gone + self.conflicts.len() + self.failed.len()
    }

    /// Whether each record of the source is at the target with the same content; of a dry run, whether it would be.
    pub fn is_complete(&self) -> bool {
        self.conflicts.is_empty() && self.failed.is_empty()
    }

    fn count(&mut self, id: RecordId, outcome: Result<Outcome, Error>) -> Result<(), Error> {
        match outcome {
            Ok(Outcome::Copied) => self.copied += 1,
            Ok(Outcome::Replaced) => self.replaced += 1,
            Ok(Outcome::Same) => self.same += 1,
            Ok(Outcome::Gone) => self.gone += 1,
            Ok(Outcome::Conflict) | Err(Error { source: StoreError::Conflict { .. }, .. }) => self.conflicts.push(id),
            Err(error) if error.is_of_one_record() => self.failed.push(error),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Which of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is copied from.
    Source,
    /// The one that is copied to.
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "the store to copy from",
            Self::Target => "the store to copy to",
        })
    }
}

/// A store failed.
#[derive(Debug, thiserror::Error)]
#[error("{side}: {source}")]
pub struct Error {
    /// Which one.
    pub side: Side,
    /// Why.
    pub source: StoreError,
}

impl Error {
    /// Whether running it again may succeed with nobody doing anything.
    pub fn is_transient(&self) -> bool {
        self.source.is_transient()
    }

    fn is_of_one_record(&self) -> bool {
        matches!(self.source, StoreError::Corrupt { .. } | StoreError::TooLarge { .. })
    }
}

fn on(side: Side) -> impl Fn(StoreError) -> Error {
    move |source| Error { side, source }
}

enum Outcome {
    Copied,
    Replaced,
    Same,
    Gone,
    Conflict,
}

/// Copies what is in `from` to `to`, and tells of each record that is settled. What fails for now is tried again a few
/// times. The future may be dropped at any time; another run goes on from there.
///
/// # Errors
/// If one of the stores fails as a whole. What is wrong with single records is in the [`Tally`].
pub async fn run(
    from: &dyn Store,
    to: &dyn Store,
    options: Options,
    mut progress: impl FnMut(&Tally),
) -> Result<Tally, Error> {
    let ids = ids_of(Side::Source, from).await?;
    let mut tally = Tally { total: ids.len(), ..Tally::default() };
    progress(&tally);
    let copies =
        ids.iter().map(|id| async move { (id, persistently(async || copy(from, to, id, options).await).await) });
    let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
    while let Some((id, outcome)) = copies.next().await {
        tally.count(id.clone(), outcome)?;
        progress(&tally);
    }
    let known: HashSet<&RecordId> = ids.iter().collect();
    let mut others = ids_of(Side::Target, to).await?;
    others.retain(|id| !known.contains(id));
    // Some stores name what was deleted, too.
    let looks = others.into_iter().map(|id| async move { (!matches!(to.read(&id).await, Ok(None))).then_some(id) });
    tally.only_there = stream::iter(looks).buffered(AT_ONCE).filter_map(std::future::ready).collect().await;
    Ok(tally)
}

async fn copy(from: &dyn Store, to: &dyn Store, id: &RecordId, options: Options) -> Result<Outcome, Error> {
    let Some(source) = from.read_latest(id).await.map_err(on(Side::Source))? else { return Ok(Outcome::Gone) };
    let found = to.read_latest(id).await.map_err(on(Side::Target))?;
    let (expected, outcome) = match &found {
        // Also on another try, if the one before was written and its answer lost.
        Some(found) if found.value == source.value => return Ok(Outcome::Same),
        Some(_) if !options.replace => return Ok(Outcome::Conflict),
        Some(found) => (Expected::Version(found.version), Outcome::Replaced),
        None => (Expected::Absent, Outcome::Copied),
    };
    if options.dry_run {
        return Ok(outcome);
    }
    let written = to.write(id, &source.value, expected).await.map_err(on(Side::Target))?;
    match to.read_latest(id).await.map_err(on(Side::Target))? {
        Some(back) if back.value == source.value => Ok(outcome),
        Some(back) if back.version == written => {
            Err(on(Side::Target)(StoreError::Corrupt { id: id.clone(), version: written }))
        }
        // Somebody works on the target at the same time: what they wrote is not ours to replace.
        _ => Ok(Outcome::Conflict),
    }
}

async fn ids_of(side: Side, store: &dyn Store) -> Result<Vec<RecordId>, Error> {
    let mut ids: Vec<RecordId> = Vec::new();
    for kind in RecordKind::MOVED {
        let mut after: Option<RecordId> = None;
        loop {
            let page = async || store.list(kind, after.as_ref(), PAGE).await.map_err(on(side));
            let page = persistently(page).await?;
            let is_last = page.len() < PAGE;
            after = page.last().cloned();
            ids.extend(page);
            if is_last {
                break;
            }
        }
    }
    Ok(ids)
}

/// Tries again what may succeed then: a store that is away comes back, and a writer who was met has gone by.
async fn persistently<T>(attempt: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    for wait in RETRY_AFTER {
        match attempt().await {
            Err(Error { source: StoreError::Unavailable(_) | StoreError::Conflict { .. }, .. }) => sleep(wait).await,
            done => return done,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::super::{Record, Version, memory::Memory};
    use super::*;
    use crate::model::Secret;

    /// A store that fails the given number of calls for now, then works; and may change what it is given.
    #[derive(Debug, Default)]
    struct Flaky {
        store: Memory,
        failures: AtomicUsize,
        garbles: bool,
    }

    impl Flaky {
        fn fail(&self) -> Result<(), StoreError> {
            let failing = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if failing.is_ok() { Err(StoreError::Unavailable("away".into())) } else { Ok(()) }
        }
    }

    #[async_trait]
    impl Store for Flaky {
        async fn read(&self, id: &RecordId) -> Result<Option<Record>, StoreError> {
            self.fail()?;
            self.store.read(id).await
        }

        async fn write(&self, id: &RecordId, value: &Secret, expected: Expected) -> Result<Version, StoreError> {
            let value = if self.garbles { Secret::new("garbled") } else { value.clone() };
            let written = self.store.write(id, &value, expected).await?;
            self.fail().map(|()| written) // the answer is lost, not the write
        }

        async fn delete(&self, id: &RecordId, expected: Version) -> Result<(), StoreError> {
            self.store.delete(id, expected).await
        }

        async fn list(
            &self,
            kind: RecordKind,
            after: Option<&RecordId>,
            limit: usize,
        ) -> Result<Vec<RecordId>, StoreError> {
            self.fail()?;
            self.store.list(kind, after, limit).await
        }
    }

    fn id(number: usize) -> RecordId {
        RecordId::new(RecordKind::MOVED[number % RecordKind::MOVED.len()], &number.to_string())
    }

    async fn store_of(records: impl IntoIterator<Item = usize>) -> Memory {
        let store = Memory::new();
        for number in records {
            store.write(&id(number), &Secret::new(number.to_string()), Expected::Absent).await.unwrap();
        }
        store
    }

    async fn migrate(from: &dyn Store, to: &dyn Store, options: Options) -> Tally {
        run(from, to, options, |_| ()).await.unwrap()
    }

    async fn value(store: &dyn Store, number: usize) -> Option<Secret> {
        store.read(&id(number)).await.unwrap().map(|record| record.value)
    }

    const REPLACE: Options = Options { replace: true, dry_run: false };
    const DRY: Options = Options { replace: false, dry_run: true };

    #[tokio::test]
    async fn what_nodes_tell_of_themselves_stays_behind() {
        let (from, to) = (store_of(0..4).await, Memory::new());
        let told = RecordId::new(RecordKind::Usage, "n1");
        from.write(&told, &Secret::new("told"), Expected::Absent).await.unwrap();
        let tally = run(&from, &to, Options::default(), |_| ()).await.unwrap();
        assert_eq!((tally.copied, tally.total), (4, 4));
        assert_eq!(to.read(&told).await, Ok(None));
    }

    #[tokio::test]
    async fn all_kinds_are_copied_and_a_second_run_finds_them() {
        let (from, to) = (store_of(0..50).await, Memory::new());
        let mut told = Vec::new();
        let tally = run(&from, &to, Options::default(), |tally| told.push(tally.done())).await.unwrap();
        assert_eq!((tally.copied, tally.total, tally.is_complete()), (50, 50, true));
        assert_eq!(told, (0..=50).collect::<Vec<_>>());
        for number in 0..50 {
            assert_eq!(value(&to, number).await, Some(Secret::new(number.to_string())));
        }
        let again = migrate(&from, &to, Options::default()).await;
        assert_eq!((again.copied, again.same, again.is_complete()), (0, 50, true));
    }

    #[tokio::test]
    async fn a_dry_run_writes_nothing() {
        let (from, to) = (store_of(0..5).await, store_of(0..2).await);
        let tally = migrate(&from, &to, DRY).await;
        assert_eq!((tally.copied, tally.same), (3, 2));
        assert_eq!(ids_of(Side::Target, &to).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn another_content_is_kept_unless_told_otherwise() {
        let (from, to) = (store_of(0..5).await, Memory::new());
        to.write(&id(3), &Secret::new("theirs"), Expected::Absent).await.unwrap();
        let tally = migrate(&from, &to, Options::default()).await;
        assert_eq!((tally.copied, &tally.conflicts[..], tally.is_complete()), (4, &[id(3)][..], false));
        assert_eq!(value(&to, 3).await, Some(Secret::new("theirs")));
        let tally = migrate(&from, &to, REPLACE).await;
        assert_eq!((tally.replaced, tally.same, tally.is_complete()), (1, 4, true));
        assert_eq!(value(&to, 3).await, Some(Secret::new("3")));
    }

    #[tokio::test]
    async fn what_only_the_target_has_is_named_and_kept() {
        let (from, to) = (store_of(0..2).await, store_of(1..4).await);
        let tally = migrate(&from, &to, REPLACE).await;
        assert_eq!((tally.only_there.len(), tally.is_complete()), (2, true));
        assert!(value(&to, 3).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_away_for_a_while_is_waited_for() {
        let from = Flaky { store: store_of(0..20).await, failures: 3.into(), ..Flaky::default() };
        let to = Flaky { failures: 3.into(), ..Flaky::default() };
        let tally = migrate(&from, &to, Options::default()).await;
        assert!(tally.is_complete() && tally.copied + tally.same == 20, "{tally:?}");
        let lost = tally.same; // written, and only the answer lost
        assert!(lost <= 3, "{tally:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_stays_away_is_named_and_left() {
        let to = Flaky { failures: usize::MAX.into(), ..Flaky::default() };
        let error = run(&store_of(0..20).await, &to, Options::default(), |_| ()).await.unwrap_err();
        assert!(error.is_transient() && error.side == Side::Target);
        assert_eq!(error.to_string(), "the store to copy to: the store is unavailable for now: away");
    }

    #[tokio::test]
    async fn what_reads_back_otherwise_is_not_counted_as_copied() {
        let to = Flaky { garbles: true, ..Flaky::default() };
        let tally = migrate(&store_of(0..3).await, &to, Options::default()).await;
        assert_eq!((tally.copied, tally.failed.len(), tally.is_complete()), (0, 3, false));
    }
}
