//! How things stand in one look: what works, what breaks next, and what to do. All records are read for it, which takes
//! seconds where there are many, so it is made in the background and says as of when it is ([`Overview`]).

mod book;
mod totals;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::reports::{Day, Enrolled, WeakTls};
use crate::model::{CredentialKind, Protocol};

pub use book::{Look, Overview};

/// Things to see to that are named; of more there are numbers. Who has so many begins somewhere.
pub const ATTENTION_MAX: usize = 200;

/// How things stand.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = OverviewRecords)]
pub struct Snapshot {
    /// When all of it had been read.
    pub as_of: Timestamp,
    /// For how long it was read, in milliseconds.
    pub took_ms: u64,
    /// Accounts, and domains with a credential of their own.
    pub accounts: AccountTotals,
    /// Clients and their secrets.
    pub clients: ClientTotals,
    /// Credentials that are being replaced.
    pub rotations: RotationTotals,
    /// What exists at providers, by upstream profile.
    pub inventory: BTreeMap<String, ProviderTotals>,
    /// The days on which providers take less than before, the earliest first.
    pub dates: Vec<DateTotals>,
    /// What somebody has to see to, the most urgent first: up to 200 of them.
    pub attention: Vec<Attention>,
    /// How many there are of each kind, by `why`.
    pub attention_counts: BTreeMap<&'static str, usize>,
    /// Why it is not known which clients were seen, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_unknown: Option<String>,
    /// Records that cannot be read, and are in none of these numbers.
    pub unreadable: usize,
    /// The days with all their accounts, for reports.
    #[serde(skip)]
    pub days: Vec<Day>,
    /// Secrets that Locum did not make, for reports.
    #[serde(skip)]
    pub enrolled: Vec<Enrolled>,
    /// Clients without TLS of today, for reports.
    #[serde(skip)]
    pub weak_tls: Vec<WeakTls>,
}

/// Accounts in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountTotals {
    /// All of them.
    pub total: usize,
    /// Domains with a credential of their own.
    pub domains: usize,
    /// By upstream profile.
    pub by_upstream: BTreeMap<String, usize>,
    /// Accounts without a credential of their own or of their domain.
    pub without_credential: usize,
    /// Accounts that no client is bound to by name.
    pub without_client: usize,
}

/// Clients in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClientTotals {
    /// All of them.
    pub total: usize,
    /// Their secrets.
    pub secrets: usize,
    /// Clients that have no secret.
    pub without_secret: usize,
    /// Clients whose end has passed.
    pub ended: usize,
    /// Secrets that Locum did not make.
    pub enrolled: usize,
    /// Clients that were seen within 30 days.
    pub seen_lately: usize,
    /// Ways in which clients come without TLS of today.
    pub weak_tls: usize,
}

/// Rotations in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct RotationTotals {
    /// With a credential that is to become current.
    pub under_way: usize,
    /// Of these, refused by the provider.
    pub failed: usize,
    /// Of these, begun more than a day ago and not ended.
    pub stuck: usize,
    /// Where the one before may still be used.
    pub overlap: usize,
    /// Where the grace of the one before is over.
    pub to_retire: usize,
}

/// What exists at one provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderTotals {
    /// App passwords that exist there, as far as is known.
    pub app_passwords: usize,
    /// How many the provider allows for one user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_passwords_max: Option<u32>,
    /// Accounts with hardly any room for another.
    pub nearly_full: usize,
    /// Accounts with none.
    pub full: usize,
    /// What is to be deleted there.
    pub to_delete: usize,
}

/// What a provider's day ends, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ProviderDayTotals)]
pub struct DateTotals {
    /// The upstream profile.
    pub upstream: String,
    /// The first day; nothing where no day is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
    /// Whether it is over.
    pub passed: bool,
    /// By which protocols.
    pub protocols: Vec<Protocol>,
    /// The kind of credential that ends; nothing for a notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<CredentialKind>,
    /// What changes, for people.
    pub what: String,
    /// Accounts that are entered with what ends.
    pub accounts: usize,
    /// Of these, those whose clients are locked out unless somebody does something.
    pub breaking: usize,
    /// Clients of those that break.
    pub clients: usize,
}

/// Something that somebody has to see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attention {
    /// What it is: `refused`, `ended`, `failed`, `ends-soon`, `too-old`, `near-limit`, `staged`, `grace-over`, `to-delete`,
    /// `no-credential`, `secret-ends`, `client-ends`.
    pub why: &'static str,
    /// The same, for people.
    pub text: String,
    /// An account, or `@` and a domain; nothing where it is about a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The client's login name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The kind of credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<CredentialKind>,
    /// The id of the credential, or of the client's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Since when, or by when if that is to come.
    pub at: Timestamp,
    /// What to do, for people.
    pub todo: String,
}
