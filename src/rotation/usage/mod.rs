//! Who still uses a credential that is not the current one, across nodes. Each node tells by a record of its own
//! ([`UsageWriter`]); whoever may list those knows it of all ([`Reports`]).
//!
//! **Invariant:** no session waits for this, or ends for it. What is told may be a minute old, and a node that may not write
//! tells nothing: it is a help to an operator, and the grace is what clients rely on.

mod reports;
mod writer;

use std::time::Duration;

use jiff::Timestamp;

use super::machine::Done;
use super::{Rotation, RotationError, Subject};
use crate::broker::DirectoryError;
use crate::store::StoreError;

pub use reports::{LIVE_FOR, Reports, StillUsed, clear_old_reports, still_used};
pub use writer::UsageWriter;
pub(in crate::rotation) use writer::places;

/// How often a node looks and tells. No key in the file changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageOptions {
    /// Between two rounds.
    pub interval: Duration,
    /// The record of a credential that is in use is looked at again after so long: somebody may have rotated it while all
    /// its sessions stayed open.
    pub look_again: Duration,
    /// What is told is told again after so long, so that it is known to be true still. Well under [`LIVE_FOR`].
    pub heartbeat: Duration,
}

impl Default for UsageOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            look_again: Duration::from_secs(2 * 60),
            heartbeat: Duration::from_secs(5 * 60),
        }
    }
}

/// What a retirement came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Whether there was anything to do.
    pub done: Done,
    /// What the operator should know: who uses it all the same, or that this could not be found out.
    pub note: Option<String>,
}

impl Rotation {
    /// Whether the previous credential is in use still. `anyway`: it goes all the same, and whose sessions it was is a note.
    /// Where the list of what nodes tell is kept away, its grace alone decides.
    pub(super) async fn note_use(
        &self,
        subject: &Subject,
        id: &str,
        anyway: bool,
    ) -> Result<Option<String>, RotationError> {
        let (slots, now) = (self.slots(subject).await?, Timestamp::now());
        // One that the provider has replaced is of use to nobody who logs in, however long sessions last.
        let previous = slots.previous.filter(|it| it.credential.id == id);
        let previous = previous.filter(|it| it.usable && (anyway || it.retire_at <= now));
        let Some(previous) = previous else { return Ok(None) };
        let reports = match Reports::read(&self.directory).await {
            Ok(reports) => reports,
            Err(DirectoryError::Store(error @ StoreError::Config(_))) => {
                return Ok(Some(format!("whether it is in use still could not be found out: {error}")));
            }
            Err(error) => return Err(error.into()),
        };
        let mut used = reports.still_used(&subject.holder(), subject.kind(), &previous.credential.id, now);
        used.retain(|used| used.live > 0);
        match (used.is_empty(), anyway) {
            (false, false) => Err(RotationError::StillUsed { used }),
            (false, true) => Ok(Some(format!("it is in use still, and these sessions stay open: {}", listed(&used)))),
            (true, _) => Ok(None),
        }
    }
}

/// For people.
pub(super) fn listed(used: &[StillUsed]) -> String {
    used.iter().map(StillUsed::described).collect::<Vec<_>>().join("; ")
}
