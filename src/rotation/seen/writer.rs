//! A node puts down which clients it saw. It must never hold up a session, nor write more than a Vault bears: a round writes
//! so many and no more.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::SeenOptions;
use crate::broker::{Directory, DirectoryError};
use crate::model::Sighting;
use crate::store::StoreError;
use crate::usage::{Pace, Visitors};

/// Records written in one round: ten thousand clients that come at once are put down in half an hour, and a Vault is asked ten
/// times a second meanwhile.
const WRITES_MAX: usize = 100;

/// Tries to write one record, each after somebody else was faster; then it is for the next round.
const TRIES_MAX: usize = 4;

/// A node that may not write asks again so often: somebody may have given it the right.
const DENIED_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Time for the last word at the end of the process, which waits for it.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(3);

/// Records that are written at once by then.
const LAST_WRITES_AT_ONCE: usize = 16;

/// Puts down what sessions tell.
#[derive(Debug)]
pub struct SeenWriter {
    directory: Directory,
    visitors: Visitors,
    options: SeenOptions,
    trouble: Option<Trouble>,
}

/// Why nothing can be put down.
#[derive(Debug)]
enum Trouble {
    /// It passes.
    Away,
    /// Somebody has to see to it. When it was tried last.
    Denied(Timestamp),
}

impl SeenWriter {
    /// Puts down what is told to `visitors`.
    pub fn new(directory: Directory, visitors: Visitors, options: SeenOptions) -> Self {
        Self { directory, visitors, options, trouble: None }
    }

    /// Does so until `stop`, then once more.
    pub async fn run(mut self, stop: CancellationToken) {
        // Nodes that start together do not write together.
        let part = RandomState::new().hash_one(0) % 1000;
        let mut pause = self.options.interval.mul_f64(part as f64 / 1000.0);
        loop {
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
            pause = self.options.interval;
            // One that is broken off may have written what it counts as not put down.
            if stop.run_until_cancelled(self.round(Timestamp::now())).await.is_none() {
                break;
            }
        }
        let _ = timeout(LAST_WORD_TIMEOUT, self.last_word(Timestamp::now())).await;
    }

    /// Puts down what is due.
    pub(super) async fn round(&mut self, now: Timestamp) {
        if matches!(self.trouble, Some(Trouble::Denied(at)) if now < at + DENIED_PAUSE) {
            return;
        }
        let pace = Pace { again: self.options.again, standing: self.options.standing };
        let due = self.visitors.due(WRITES_MAX, pace, now);
        if due.is_empty() {
            return;
        }
        for (seen, is_new) in due {
            match self.put_down(&seen, is_new).await {
                Ok(()) => self.visitors.put_down(&seen, now),
                // It is told of by whoever reads them all; the others can be written.
                Err(DirectoryError::Malformed { .. } | DirectoryError::Store(StoreError::Corrupt { .. })) => {
                    self.visitors.put_down(&seen, now);
                }
                Err(DirectoryError::Changed { .. } | DirectoryError::Removed { .. }) => {}
                Err(error) => return self.note(Err(error), now),
            }
        }
        self.note(Ok(()), now);
    }

    /// All that is left, as far as there is time. What is new to the store comes first.
    async fn last_word(&self, now: Timestamp) {
        if matches!(self.trouble, Some(Trouble::Denied(_))) {
            return;
        }
        let writes = self.visitors.rest(now).into_iter().map(|(seen, is_new)| async move {
            if self.put_down(&seen, is_new).await.is_ok() {
                self.visitors.put_down(&seen, now);
            }
        });
        stream::iter(writes).buffer_unordered(LAST_WRITES_AT_ONCE).collect::<()>().await;
    }

    /// Adds to what the record says. Who never wrote it takes it for new at first: most are, and a node without the right to
    /// write is told so by a write, which no client waits for.
    async fn put_down(&self, seen: &Sighting, is_new: bool) -> Result<(), DirectoryError> {
        let name = seen.key.name();
        let mut conflict = None;
        for number in 0..TRIES_MAX {
            let found = if is_new && number == 0 { None } else { self.directory.seen(&name).await? };
            let (sum, version) = match found {
                Some(found) => {
                    let mut sum = found.record;
                    sum.add(seen);
                    (sum, Some(found.version))
                }
                None => (seen.clone(), None),
            };
            match self.directory.put_seen(&sum, version).await {
                Ok(_) => return Ok(()),
                Err(
                    error @ (DirectoryError::Changed { .. }
                    | DirectoryError::Removed { .. }
                    | DirectoryError::Store(StoreError::Conflict { .. })),
                ) => conflict = Some(error),
                Err(error) => return Err(error),
            }
        }
        conflict.map_or(Ok(()), Err)
    }

    /// Says when trouble begins and when it is over, and nothing in between.
    fn note(&mut self, done: Result<(), DirectoryError>, now: Timestamp) {
        let before = self.trouble.take();
        self.trouble = match done {
            Ok(()) => {
                if before.is_some() {
                    tracing::info!("which clients come in can be put down again");
                }
                None
            }
            Err(DirectoryError::Store(error @ StoreError::Config(_))) => {
                if !matches!(before, Some(Trouble::Denied(_))) {
                    tracing::warn!(
                        %error,
                        "which clients come in cannot be put down (`locum report usage`): a node needs to create, read and \
                         update seen/+, as config/deploy/vault/locum-node.hcl has it; clients are served"
                    );
                }
                Some(Trouble::Denied(now))
            }
            Err(error) => {
                if before.is_none() {
                    tracing::warn!(%error, "which clients come in cannot be put down for now; clients are served");
                }
                Some(Trouble::Away)
            }
        };
    }
}

#[cfg(test)]
mod tests;
