//! What exists of each account at its provider, and what is to be deleted there.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::subjects::{self, Choice};
use super::{Stock, typed};
use crate::management::{Desk, ManagementError, Page, Paging};
use crate::model::{Account, CredentialKind, Leftover, Profile, Slot, Slots, Tenant};
use crate::rotation::{Inventory, Room, Subject};

/// One account's credentials of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct InventoryRow {
    /// The account, or `@` and a domain.
    pub name: String,
    /// Of which kind.
    pub kind: CredentialKind,
    /// The upstream profile.
    pub upstream: String,
    /// What the current one is called in the provider's portal, or its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The same of the one that is to become current.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The same of the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// To be deleted at the provider, the oldest first.
    pub to_delete: Vec<Leftover>,
    /// To be deleted at providers that the account lived at before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<Leftover>,
    /// How many exist there, as far as is known.
    pub at_provider: usize,
    /// How many the provider allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_provider_max: Option<u32>,
    /// How many of them are none of ours.
    pub elsewhere: u32,
    /// How many more there can be, where that is few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<usize>,
    /// Since when the oldest of ours that is in a place is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
}

/// Paging of it. `limit` counts accounts and domains; each may have several kinds.
///
/// # Errors
/// If the part begins nowhere, or the store fails.
pub async fn inventory(
    desk: &Desk,
    domain: Option<&str>,
    paging: &Paging,
) -> Result<Page<InventoryRow>, ManagementError> {
    let choice = Choice { domain, account: &|account| !account.credentials.is_empty(), tenant: &|_| true };
    let found = subjects::page(desk, choice, paging).await?;
    let items = rows(desk, &found.accounts, &found.tenants);
    Ok(Page { items, damaged: found.damaged, next: found.next })
}

/// All of it, of what was read.
pub fn inventory_of(desk: &Desk, stock: &Stock) -> Vec<InventoryRow> {
    rows(desk, &stock.accounts, &stock.tenants)
}

fn rows(desk: &Desk, accounts: &[Account], tenants: &[Tenant]) -> Vec<InventoryRow> {
    let of_account = |account: &Account| {
        let row = |(kind, slots): (&CredentialKind, &Slots)| {
            let subject = Subject::Account { name: account.name.clone(), kind: *kind };
            InventoryRow::of(&subject, slots, &account.upstream, desk)
        };
        account.credentials.iter().map(row).collect::<Vec<_>>()
    };
    let of_tenant = |tenant: &Tenant| {
        let subject = Subject::Tenant { domain: tenant.domain.clone() };
        InventoryRow::of(&subject, &tenant.oauth2, &tenant.upstream, desk)
    };
    let mut rows: Vec<InventoryRow> =
        accounts.iter().flat_map(of_account).chain(tenants.iter().map(of_tenant)).collect();
    // By the name alone, as people look for it: an `@` before a domain is for verbs.
    let key = |row: &InventoryRow| (row.name.trim_start_matches('@').to_owned(), row.kind);
    rows.sort_by_cached_key(key);
    rows
}

impl InventoryRow {
    fn of(subject: &Subject, slots: &Slots, upstream: &str, desk: &Desk) -> Self {
        let profile: Option<&Profile> = desk.profiles.get(upstream).map(|profile| &**profile);
        let inventory = Inventory::of(slots, subject.kind(), profile);
        let label = |slot| {
            let stored = slots.in_slot(slot)?;
            Some(if stored.label.is_empty() { stored.id.clone() } else { stored.label.clone() })
        };
        let left = match inventory.room() {
            Room::Enough => None,
            Room::Little { left } => Some(left),
            Room::Full => Some(0),
        };
        Self {
            name: typed(subject),
            kind: subject.kind(),
            upstream: upstream.to_owned(),
            current: label(Slot::Current),
            next: label(Slot::Next),
            previous: label(Slot::Previous),
            at_provider: inventory.count,
            at_provider_max: inventory.max,
            elsewhere: inventory.elsewhere,
            left,
            oldest: inventory.oldest,
            to_delete: inventory.to_delete.into_iter().cloned().collect(),
            left_behind: inventory.left_behind.into_iter().cloned().collect(),
        }
    }
}
