//! Many rotations: what a file of new app passwords comes to. First every record is looked at ([`Batch::plan`], which
//! writes nothing and logs in nowhere), then rows are rotated, so many at once at each provider ([`Batch::run`]).
//!
//! There is no journal: where a row stands is in its record, and the same file once more goes on from there. It must never
//! put a secret into what it tells.

mod drive;
mod plan;

use jiff::Timestamp;

use super::machine::StepError;
use super::{Rotated, Rotation, RotationError};
use crate::broker::DirectoryError;
use crate::model::{Protocol, Secret};

pub use drive::{Ended, FINISH_WITHIN, Stops};
pub use plan::{Plan, Prospect, foresee};

/// Rotations that are under way at once, those included that wait for a second look: each holds a secret and a staged
/// record, and if a whole file is wrong, so many accounts learn it before the first is given up.
const UNDER_WAY_MAX: usize = 512;

/// Rows that must have been tried before a share of failures says anything.
const TRIED_MIN: usize = 20;

/// A new app password for an account.
#[derive(Debug)]
pub struct Row {
    /// The line of the file that it begins on: it names the row.
    pub line: u64,
    /// The account's name.
    pub account: String,
    /// The password, as it was pasted.
    pub secret: Secret,
    /// The name that it bears in the provider's portal.
    pub label: String,
    /// The upstream that the account is taken to be at.
    pub upstream: Option<String>,
}

/// How a batch is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rotations that log in at once at each provider.
    pub at_once: usize,
    /// Percent of the rows tried that may fail before no new ones are begun; 0: all may.
    pub stop_at: u8,
    /// What is logged in by; none: by all that take app passwords.
    pub protocols: Vec<Protocol>,
}

/// Rotates the rows of a file.
#[derive(Debug)]
pub struct Batch {
    rotation: Rotation,
    options: Options,
}

impl Batch {
    /// Rotates in the name of that rotation.
    pub fn new(rotation: Rotation, options: Options) -> Self {
        Self { rotation, options }
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The new password is current.
    Rotated,
    /// It was before.
    Already,
    /// The provider refuses it; it is given up, and logins use the one before.
    Refused,
    /// The provider refused it when it was current; logins use the one before again.
    RolledBack,
    /// The provider refused it when it was current, and there is none that logins could use.
    Broken,
    /// The provider gives no verdict; it stays staged, and logins use the one before.
    Unverified,
    /// Somebody else rotates the account, or changed it meanwhile.
    Conflict,
    /// The one before the current one is within its grace, and would be lost.
    Overlap,
    /// The provider has as many as it allows.
    Limit,
    /// There is no such account.
    Missing,
    /// The row does not fit the account, or the account cannot be logged in to.
    Unusable,
    /// The store failed.
    Store,
    /// Stopped while it was under way.
    Interrupted,
    /// Stopped before.
    NotTried,
}

impl Outcome {
    /// All of them, best first.
    pub const ALL: [Self; 14] = [
        Self::Rotated,
        Self::Already,
        Self::Refused,
        Self::RolledBack,
        Self::Broken,
        Self::Unverified,
        Self::Conflict,
        Self::Overlap,
        Self::Limit,
        Self::Missing,
        Self::Unusable,
        Self::Store,
        Self::Interrupted,
        Self::NotTried,
    ];

    /// The name used in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Already => "already",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
            Self::Broken => "broken",
            Self::Unverified => "unverified",
            Self::Conflict => "conflict",
            Self::Overlap => "overlap",
            Self::Limit => "limit",
            Self::Missing => "missing",
            Self::Unusable => "unusable",
            Self::Store => "store",
            Self::Interrupted => "interrupted",
            Self::NotTried => "not-tried",
        }
    }

    /// Whether the new password is current.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Rotated | Self::Already)
    }

    /// Whether the provider did not take it.
    fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::RolledBack | Self::Broken | Self::Unverified)
    }
}

/// A row that is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub ticket: Ticket,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, and what to do about it; empty where there is nothing to say.
    pub cause: String,
    /// Whether the same may end otherwise with nobody doing anything but running it again.
    pub passes: bool,
    /// When.
    pub at: Timestamp,
}

/// What is known of a row, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The line of the file.
    pub line: u64,
    /// The account.
    pub account: String,
    /// The name that the new password bears in the provider's portal.
    pub label: String,
    /// The id of the new password; `None` where it has none, as the row came to nothing.
    pub credential: Option<String>,
    /// The password before it: to be deleted at the provider when its grace is over.
    pub before: Option<Before>,
}

/// A password that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Its id.
    pub id: String,
    /// The name that it bears in the provider's portal.
    pub label: String,
}

impl Ticket {
    fn of(row: &Row) -> Self {
        let (account, label) = (row.account.clone(), row.label.clone());
        Self { line: row.line, account, label, credential: None, before: None }
    }

    fn finished(self, outcome: Outcome, cause: impl Into<String>, passes: bool) -> Finished {
        Finished { ticket: self, outcome, cause: cause.into(), passes, at: Timestamp::now() }
    }

    /// What a whole rotation of it came to.
    fn rotated(mut self, rotated: Result<Rotated, RotationError>) -> Finished {
        match rotated {
            Ok(Rotated { id, was_done, notes }) => {
                self.credential = Some(id);
                let outcome = if was_done { Outcome::Already } else { Outcome::Rotated };
                self.finished(outcome, notes.join("; "), false)
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(self, error: &RotationError) -> Finished {
        let outcome = match error {
            RotationError::Directory(DirectoryError::Changed { .. } | DirectoryError::Removed { .. }) => {
                Outcome::Conflict
            }
            RotationError::Directory(_) => Outcome::Store,
            RotationError::Step(StepError::Overlap { .. }) => Outcome::Overlap,
            RotationError::Step(StepError::Full { .. }) => Outcome::Limit,
            RotationError::Step(StepError::Failed { .. }) | RotationError::Refused { .. } => Outcome::Refused,
            RotationError::Broken { .. } => Outcome::Broken,
            RotationError::Step(_) | RotationError::StillUsed { .. } => Outcome::Conflict,
            RotationError::Missing(_) => Outcome::Missing,
            RotationError::Reason(_)
            | RotationError::NothingToVerify { .. }
            | RotationError::OtherMailbox { .. }
            // No row is a hook's.
            | RotationError::Hook { .. }
            | RotationError::SetInVain { .. } => Outcome::Unusable,
            RotationError::Unverified { .. } => Outcome::Unverified,
            RotationError::RolledBack { .. } => Outcome::RolledBack,
        };
        let passes = error.is_transient() || outcome == Outcome::Overlap;
        self.finished(outcome, error.to_string(), passes)
    }
}
