//! Floor 2: usage: which version of a credential clients use here, who they are and how they come in, and which ones a provider
//! refuses. It is in memory alone and reads no record; it must never hold a secret, nor make a session wait.
//!
//! - [`Ledger`]: told of every login upstream. [`Use`]: held by a session for as long as it lasts.
//! - [`Used`], [`FellBack`]: what is read from it.
//! - [`Visitors`]: told of every client. [`Stay`]: held by a session likewise.

mod group;
mod ledger;
mod seen;

use jiff::Timestamp;

use crate::model::{CredentialKind, Holder, Protocol, Slot, UsageLogin, UsagePlace};

pub use ledger::{Ledger, Use};
pub use seen::{Moved, Pace, Stay, Visit, Visitors};

/// A login upstream that succeeded.
#[derive(Debug, Clone)]
pub struct Entered {
    /// Whose credential it was.
    pub holder: Holder,
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id.
    pub credential: String,
    /// The place that it had in its record.
    pub slot: Slot,
    /// The id of the current one, where this one was used in its place because that is refused: by the provider, or by the
    /// authority that was to issue a token.
    pub passed_over: Option<String>,
    /// The client's login name.
    pub login: String,
    /// What is spoken.
    pub protocol: Protocol,
}

/// What is known here of one version of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Its id.
    pub credential: String,
    /// The place that it had when it was last used.
    pub slot: Slot,
    /// Where it is in the record, if that was looked at since and it is not the current one.
    pub place: Option<UsagePlace>,
    /// Sessions that are open.
    pub live: u32,
    /// When a session was last open; now, if one is.
    pub last_seen: Option<Timestamp>,
    /// The last login that succeeded.
    pub last_success: Option<Timestamp>,
    /// Definite refusals since then.
    pub refusals: u32,
    /// The last one.
    pub last_refusal: Option<Timestamp>,
    /// Who uses it, the latest first.
    pub logins: Vec<UsageLogin>,
    /// Whether there are or were more than these.
    pub more: bool,
}

/// A client was let in with another credential than the current one, which the provider had refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FellBack {
    /// Whose they are.
    pub holder: Holder,
    /// Their kind.
    pub kind: CredentialKind,
    /// The id of the current one.
    pub refused: String,
    /// Its definite refusals by the provider since it last succeeded here; none if an authority refused it.
    pub refusals: u32,
    /// The id of the one that was accepted.
    pub used: String,
    /// The place that it has.
    pub slot: Slot,
}
