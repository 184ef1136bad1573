//! Floor 3: rotation: one credential takes the place of another, and no client notices.
//!
//! - [`machine`]: the steps, pure. [`Rotation`]: takes them for real, each durable before its effect is relied on.
//! - [`batch`]: many of them, a bounded number at once at each provider; [`Turns`] see to that.
//! - [`schedule`]: what is due. [`Alerts`]: what somebody has to know. [`Keeper`]: what a node does by itself.
//! - [`HookOptions`]: a program of the site's own that makes, sets or deletes credentials.
//! - [`upkeep`]: what changes the places outside of a rotation, pure, too. [`Inventory`]: what exists at the provider.
//! - [`UsageWriter`], [`Reports`]: who still uses the one before, as nodes tell it.
//! - [`SeenWriter`], [`Sightings`]: which clients come in, and how, as nodes put it down.
//! - [`TicketKeeper`]: the keys of TLS tickets, which are rotated by nodes alone.
//! - [`impacts`]: what a provider's dates end of an account, pure.
//! - [`Subject`]: whose credential. [`Point`]: where a crash may happen, for those who try.
//!
//! **Invariant:** a secret that may be alive at the provider is in the record, or the record says under which name it is to
//! be deleted there. **Invariant:** no step takes a working credential out of reach of a login.

mod alerts;
pub mod batch;
mod by_hook;
mod dates;
mod hook;
mod inventory;
mod keeper;
pub mod machine;
mod options;
mod point;
mod runner;
pub mod schedule;
mod seen;
mod subject;
mod tickets;
mod token;
mod turns;
pub mod upkeep;
mod usage;
mod verify;

use std::time::Duration;

use crate::broker::{DirectoryError, Reason};
use crate::model::Protocol;

pub use alerts::{Alert, AlertKind, Alerts, Courier, Messenger, Undelivered};
pub use by_hook::Revoked;
pub use dates::{Impact, Instead, impacts, tenant_of};
#[cfg(debug_assertions)]
#[doc(hidden)]
pub use hook::fuzzing;
pub use hook::{Action, HookError, HookOptions};
pub use inventory::{Inventory, Room};
pub use keeper::Keeper;
pub use options::{KeeperOptions, MaxAges, Options, WebhookOptions};
pub use point::{Point, Unwatched, Witness};
pub use runner::{Given, Rotated, Rotation};
pub use seen::{SeenOptions, SeenWriter, Sightings};
pub use subject::{Record, Subject};
pub use tickets::TicketKeeper;
pub use turns::{Turn, Turns};
pub use usage::{LIVE_FOR, Reports, Retired, StillUsed, UsageOptions, UsageWriter, clear_old_reports, still_used};
pub use verify::Verification;

/// Why a rotation does not go on. `Display` is for the operator; what was done before stays done.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The record could not be read or written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The step is not possible now.
    #[error(transparent)]
    Step(#[from] machine::StepError),
    /// There is no such record.
    #[error("there is no {0}")]
    Missing(Subject),
    /// The account cannot be logged in to at all.
    #[error("{0}")]
    Reason(Reason),
    /// The provider takes the kind of credential by no protocol.
    #[error("{upstream} takes no {kind} by {protocols}: there is nothing that it could be verified by")]
    NothingToVerify {
        /// The upstream profile.
        upstream: String,
        /// The kind of credential.
        kind: &'static str,
        /// What was asked for.
        protocols: String,
    },
    /// The mailbox that was named is not entered by that domain's credential.
    #[error(
        "{mailbox} is not entered by the credential of {domain}: name an address of that domain without OAuth2 of its own"
    )]
    OtherMailbox {
        /// The address.
        mailbox: String,
        /// The domain.
        domain: String,
    },
    /// The provider refused the credential for its own sake, twice.
    #[error("the provider refuses it: {cause}")]
    Refused {
        /// Where and how, in words for the operator.
        cause: String,
    },
    /// The provider says nothing about the credential.
    #[error("it could not be verified: {cause}; it stays staged, and logins use the current one")]
    Unverified {
        /// Where and why, in words for the operator.
        cause: String,
        /// Whether it passes without anybody's doing.
        passes: bool,
    },
    /// Sessions are open that were logged in with it.
    #[error(
        "the one before is still in use: {}; wait until those sessions are over, or retire it now with `locum rotate \
         retire --now`",
        usage::listed(used)
    )]
    StillUsed {
        /// Through which nodes, and by whom.
        used: Vec<StillUsed>,
    },
    /// The hook did not do what it was asked for.
    #[error("{error}; {left}")]
    Hook {
        /// Why.
        error: HookError,
        /// What the record is like now, and what to do.
        left: &'static str,
    },
    /// A command said that it has set it, and the provider refuses it.
    #[error(
        "a command set it at the provider, which refuses it ({cause}); it stays next, and logins try it after the \
         current one: run this again to have it set again"
    )]
    SetInVain {
        /// Where and how, in words for the operator.
        cause: String,
    },
    /// The current one is refused, and there is none to go back to.
    #[error(
        "the provider refuses the current one ({cause}), and there is none before it that it takes: clients cannot log in; \
         give it another one"
    )]
    Broken {
        /// Where and how, in words for the operator.
        cause: String,
    },
    /// The new one was refused when it was already current.
    #[error("the provider refused it right after it became current ({cause}): rolled back")]
    RolledBack {
        /// Where and how, in words for the operator.
        cause: String,
    },
}

impl RotationError {
    /// Whether the same may succeed later with nobody doing anything but running it again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Directory(error) => error.is_transient(),
            Self::Step(machine::StepError::Applying { .. } | machine::StepError::Asked { .. })
            | Self::StillUsed { .. } => true,
            Self::Hook { error, .. } => error.is_transient(),
            Self::Unverified { passes, .. } => *passes,
            Self::Step(_)
            | Self::Missing(_)
            | Self::Reason(_)
            | Self::NothingToVerify { .. }
            | Self::OtherMailbox { .. }
            | Self::Refused { .. }
            | Self::SetInVain { .. }
            | Self::Broken { .. }
            | Self::RolledBack { .. } => false,
        }
    }
}

/// A list of protocols, for people.
fn listed(protocols: &[Protocol]) -> String {
    protocols.iter().map(Protocol::to_string).collect::<Vec<_>>().join(", ")
}

/// The waits between tries of what failed for a reason that passes: doubled each time.
fn backoff(tries: u32) -> Duration {
    const FIRST: Duration = Duration::from_secs(2);
    const LONGEST: Duration = Duration::from_secs(60);
    FIRST.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST)
}
