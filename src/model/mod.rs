//! Floor 0: the nouns that every other room speaks of. No I/O, no clock, no protocol, no store.
//!
//! - [`Attempt`]: what a client presents at login. [`Refusal`]: what a refused client may be told.
//! - [`Client`]: the record of one login name. [`Account`]: the record of one mailbox at a provider. [`Tenant`]: the
//!   record of one credential for all mailboxes of a domain. [`KeptToken`]: the record of a refresh token.
//! - [`Entrance`]: whom a listener lets in, and in which forms of a login. [`AddressPattern`]: which addresses a client may use.
//! - [`Hours`]: hours of the week in which a client may log in.
//! - [`Recognition`]: a device that is let in without a password, and what it is known by.
//! - [`Slots`]: the places that a credential can have in a record while it is rotated.
//! - [`UsageReport`]: the record in which a node tells who still uses another credential than the current one.
//! - [`Sighting`]: the record of one client as nodes have seen it.
//! - [`TicketKeys`]: the record of the keys under which nodes seal TLS tickets.
//! - [`Operator`]: the record of one who manages this system over HTTP.
//! - [`Profile`]: what Locum knows of a provider. [`presets`]: the providers it knows by name.
//! - [`Secret`]: bytes that must never be seen. [`Shielded`]: one that is kept for later. [`wipe_stack`]: what calls leave of them.

mod account;
mod attempt;
mod client;
mod entrance;
mod hours;
mod ids;
mod network;
mod operator;
mod pattern;
pub mod presets;
mod profile;
mod protocol;
mod recognition;
mod refusal;
pub mod secret;
mod seen;
mod shield;
mod slots;
mod stack;
mod tickets;
mod usage;

pub use account::{Account, CredentialKind, Identity, KeptToken, Material, Preference, StoredCredential, Tenant};
pub use attempt::Attempt;
pub use client::{Binding, Client, ClientSecret, Delegation, Policy, SecretSource, Verifier};
pub use entrance::{Enrolment, EnrolmentMode, Entrance, LoginForm, UnknownLogins};
pub use hours::Hours;
pub use ids::{RecordId, RecordKind, normalise};
pub use network::network;
pub use operator::{Operator, OperatorToken, Role};
pub use pattern::AddressPattern;
pub use profile::{AppPasswordFormat, Authority, Endpoint, Profile, ProviderDate, UpstreamTls, WARM_MAX};
pub use protocol::{Mechanism, Protocol};
pub use recognition::{DeviceCertificate, Fingerprint, Mark, Recognition};
pub use refusal::Refusal;
pub use secret::Secret;
pub use seen::{SeenKey, SeenNetwork, SeenUpstream, Sighting};
pub use shield::{Shield, Shielded};
pub use slots::{COMMAND_OP, HistoryEntry, Leftover, LeftoverReason, Next, NextState, Previous, Refused, Slot, Slots};
pub use stack::{wipe_stack, wipe_touched_stack, wiping};
pub use tickets::{KeptTicketKey, TicketKeys};
pub use usage::{Holder, UsageEntry, UsageLogin, UsagePlace, UsageReport};
