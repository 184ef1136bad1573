//! The places in a rotation where something has just been done and the next thing has not. A process may end at any of
//! them; tests end one at each.

use std::fmt;

/// A place between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// Before anything is written.
    Begun,
    /// It is put down that a command will be asked for a credential.
    Asked,
    /// The command has answered; what it said is in memory alone.
    Answered,
    /// The credential is in the next place.
    Staged,
    /// The right to set it at the provider is taken.
    Applying,
    /// It is set at the provider; the record does not say so yet.
    Set,
    /// The record says so.
    Applied,
    /// The provider refused it; the record does not say so yet.
    SeenRefused,
    /// The record says that it was refused.
    Refused,
    /// A login succeeded; the record does not say so yet.
    SeenAccepted,
    /// The record says that it is verified.
    Verified,
    /// It is current.
    Promoted,
    /// It was refused as the current one; the record does not say so yet.
    SeenBroken,
    /// The one before is current again.
    RolledBack,
    /// The failed one is given up.
    Discarded,
    /// A command has deleted the one before at the provider; the record does not say so yet.
    Revoked,
    /// The one before is in use no more.
    Retired,
    /// What was deleted at the provider is ticked off.
    Deleted,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Begun,
        Self::Asked,
        Self::Answered,
        Self::Staged,
        Self::Applying,
        Self::Set,
        Self::Applied,
        Self::SeenRefused,
        Self::Refused,
        Self::SeenAccepted,
        Self::Verified,
        Self::Promoted,
        Self::SeenBroken,
        Self::RolledBack,
        Self::Discarded,
        Self::Revoked,
        Self::Retired,
        Self::Deleted,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Staged => "staged",
            Self::Applying => "applying",
            Self::Set => "set",
            Self::Applied => "applied",
            Self::SeenRefused => "seen-refused",
            Self::Refused => "refused",
            Self::SeenAccepted => "seen-accepted",
            Self::Verified => "verified",
            Self::Promoted => "promoted",
            Self::SeenBroken => "seen-broken",
            Self::RolledBack => "rolled-back",
            Self::Discarded => "discarded",
            Self::Revoked => "revoked",
            Self::Retired => "retired",
            Self::Deleted => "deleted",
        }
    }
}

/// Is told of each point that is passed. It may end the process, and do nothing else.
pub trait Witness: Send + Sync + fmt::Debug {
    /// That point is passed.
    fn passed(&self, point: Point);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Witness for Unwatched {
    fn passed(&self, _: Point) {}
}
