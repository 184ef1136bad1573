//! The credentials that are being replaced, and who still uses which, as nodes tell it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::subjects::{self, Choice};
use super::typed;
use crate::broker::{Directory, DirectoryError};
use crate::management::{Damaged, Desk, ManagementError, Paging};
use crate::model::{Account, CredentialKind, Next, Previous, Slots, StoredCredential, Tenant};
use crate::rotation::{Reports, StillUsed, Subject, machine};
use crate::store::StoreError;

/// Paging of what is being replaced.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RotationReport {
    /// Whether it is known who uses what.
    pub usage_known: bool,
    /// Why not.
    #[serde(skip)]
    pub usage_unknown: Option<String>,
    /// Uses that found no room in what nodes told.
    pub usage_omitted: u32,
    /// The credentials, by account.
    pub items: Vec<Replaced>,
    /// Where the next part begins; nothing if this is the last.
    pub next: Option<String>,
    /// Records in this part that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
}

/// A credential that is being replaced.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RotationReportRow)]
pub struct Replaced {
    /// As verbs take it: a domain with an @ before it.
    pub account: String,
    /// Of which kind.
    pub kind: CredentialKind,
    /// The one that logins use.
    pub current: Option<Shown>,
    /// Since when that is the current one.
    pub since: Option<Timestamp>,
    /// The one before.
    pub previous: Option<Before>,
    /// The one that is to become current.
    pub next: Option<Coming>,
}

/// A credential, less its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RotationReportCredential)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// What it is called in the provider's portal.
    pub label: String,
}

/// The credential before, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RotationReportPrevious)]
pub struct Before {
    /// Which.
    #[serde(flatten)]
    pub shown: Shown,
    /// Until when logins may use it.
    pub until: Timestamp,
    /// Whether the provider may still take it.
    pub usable: bool,
    /// Sessions that are open by it.
    pub live: u32,
    /// By whom.
    pub used: Vec<StillUsed>,
    /// Whether its time is over and nobody uses it.
    pub may_be_retired: bool,
}

/// The credential that comes, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RotationReportNext)]
pub struct Coming {
    /// Which.
    #[serde(flatten)]
    pub shown: Shown,
    /// `staged`, `verified` …
    pub state: &'static str,
    /// Who staged it.
    pub by: String,
    /// When.
    pub since: Timestamp,
    /// Sessions that are open by it.
    pub live: u32,
    /// By whom.
    pub used: Vec<StillUsed>,
}

/// Who uses what, as far as it is known.
struct Usage {
    reports: Reports,
    omitted: u32,
    /// Why nothing is known.
    unknown: Option<String>,
    now: Timestamp,
}

/// Paging of what is being replaced: of one account, of those of a domain with its own credential, or of all. `limit` counts
/// accounts and domains.
///
/// # Errors
/// If there is no such account, the part begins nowhere, or the store fails.
pub async fn rotation(
    desk: &Desk,
    account: Option<&str>,
    domain: Option<&str>,
    paging: &Paging,
) -> Result<RotationReport, ManagementError> {
    let usage = Usage::read(&desk.directory, Timestamp::now()).await?;
    let found = match account {
        Some(name) => {
            let missing = || ManagementError::missing(format!("there is no account {name}"));
            let record = desk.directory.account(name).await?.ok_or_else(missing)?.record;
            subjects::Subjects { accounts: vec![record], ..subjects::Subjects::default() }
        }
        None => {
            let account = |account: &Account| account.credentials.values().any(is_under_way);
            let tenant = |tenant: &Tenant| is_under_way(&tenant.oauth2);
            subjects::page(desk, Choice { domain, account: &account, tenant: &tenant }, paging).await?
        }
    };
    let mut items: Vec<Replaced> = found.accounts.iter().flat_map(|account| of_account(account, &usage)).collect();
    items.extend(found.tenants.iter().filter_map(|tenant| of_tenant(tenant, &usage)));
    items.sort_by(|a, b| (&a.account, a.kind).cmp(&(&b.account, b.kind)));
    let Usage { omitted, unknown, .. } = usage;
    Ok(RotationReport {
        usage_known: unknown.is_none(),
        usage_unknown: unknown,
        usage_omitted: omitted,
        items,
        next: found.next,
        damaged: found.damaged,
    })
}

fn is_under_way(slots: &Slots) -> bool {
    slots.previous.is_some() || slots.next.is_some()
}

fn of_account(account: &Account, usage: &Usage) -> Vec<Replaced> {
    let under_way = account.credentials.iter().filter(|(_, slots)| is_under_way(slots));
    let row = |(kind, slots): (&CredentialKind, &Slots)| {
        let subject = Subject::Account { name: account.name.clone(), kind: *kind };
        Replaced::of(&subject, slots, usage)
    };
    under_way.map(row).collect()
}

fn of_tenant(tenant: &Tenant, usage: &Usage) -> Option<Replaced> {
    let subject = Subject::Tenant { domain: tenant.domain.clone() };
    is_under_way(&tenant.oauth2).then(|| Replaced::of(&subject, &tenant.oauth2, usage))
}

impl Usage {
    /// Where the list is kept away, all else can be told.
    async fn read(directory: &Directory, now: Timestamp) -> Result<Self, DirectoryError> {
        let (reports, unknown) = match Reports::read(directory).await {
            Ok(reports) => (reports, None),
            Err(DirectoryError::Store(error @ StoreError::Config(_))) => (Reports::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(Self { omitted: reports.omitted(now), reports, unknown, now })
    }

    fn of(&self, subject: &Subject, id: &str) -> Vec<StillUsed> {
        self.reports.still_used(&subject.holder(), subject.kind(), id, self.now)
    }
}

impl RotationReport {
    /// Whether it is certain that what nobody tells of is not used.
    pub fn is_complete(&self) -> bool {
        self.usage_known && self.usage_omitted == 0
    }
}

impl Replaced {
    fn of(subject: &Subject, slots: &Slots, usage: &Usage) -> Self {
        let promoted = slots.previous.as_ref().map(|previous| previous.since);
        Self {
            account: typed(subject),
            kind: subject.kind(),
            current: slots.current.as_ref().map(Shown::of),
            since: promoted.or(slots.current.as_ref().map(|current| current.created)),
            previous: slots.previous.as_ref().map(|previous| Before::of(previous, subject, usage)),
            next: slots.next.as_ref().map(|next| Coming::of(next, subject, usage)),
        }
    }
}

impl Shown {
    fn of(stored: &StoredCredential) -> Self {
        Self { id: stored.id.clone(), label: stored.label.clone() }
    }
}

impl Before {
    fn of(previous: &Previous, subject: &Subject, usage: &Usage) -> Self {
        let used = usage.of(subject, &previous.credential.id);
        let live = used.iter().map(|used| used.live).sum();
        let is_over = !previous.usable || previous.retire_at <= usage.now;
        let is_complete = usage.unknown.is_none() && usage.omitted == 0;
        Self {
            shown: Shown::of(&previous.credential),
            until: previous.retire_at,
            usable: previous.usable,
            live,
            used,
            may_be_retired: is_over && live == 0 && is_complete,
        }
    }
}

impl Coming {
    fn of(next: &Next, subject: &Subject, usage: &Usage) -> Self {
        let used = usage.of(subject, &next.credential.id);
        Self {
            shown: Shown::of(&next.credential),
            state: machine::state_name(&next.state),
            by: next.by.clone(),
            since: next.since,
            live: used.iter().map(|used| used.live).sum(),
            used,
        }
    }
}
