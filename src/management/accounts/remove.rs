//! An account goes, and what it had at its provider is told: after this nobody else knows.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::prefer::tenant_of;
use super::read::record;
use crate::broker::{Damage, Versioned};
use crate::credential::oauth2::kept_in;
use crate::management::credentials::forget;
use crate::management::given::check_name;
use crate::management::{Desk, ManagementError};
use crate::model::{Account, CredentialKind, RecordId, RecordKind};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountRemoved {
    /// The account.
    pub name: String,
    /// Whether its record could not be read: then nothing is known of what it had.
    pub was_damaged: bool,
    /// The kinds of which it had a current credential.
    pub had: Vec<CredentialKind>,
    /// All that may exist at providers: to be deleted there.
    pub to_delete: Vec<ToDelete>,
    /// The domain by whose credential clients that are bound to it still enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub still_by_domain: Option<String>,
    /// What could not be put in order behind it, and what is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// What may exist at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ToDelete {
    /// The kind.
    pub kind: CredentialKind,
    /// Its id here.
    pub id: String,
    /// What it is called in the portal.
    pub label: String,
    /// The upstream that it is at.
    pub at: String,
}

/// Removes an account and its credentials. Clients bound to it can log in no more. `expected`: on the condition that the record
/// is still that version.
///
/// # Errors
/// If there is none of that name; see [`ManagementError`].
pub async fn remove(desk: &Desk, name: &str, expected: Option<&str>) -> Result<AccountRemoved, ManagementError> {
    let name = check_name(name)?;
    if desk.directory.remove_damaged(&RecordId::new(RecordKind::Account, name)).await? == Damage::Removed {
        let (name, had, to_delete) = (name.to_owned(), Vec::new(), Vec::new());
        return Ok(AccountRemoved { name, was_damaged: true, had, to_delete, still_by_domain: None, warning: None });
    }
    let found = record(&desk.directory, name).await?;
    desk.check_version(found.version, expected)?;
    let Versioned { record: account, version, .. } = found;
    desk.directory.remove_account(name, version).await?;
    let has = |kind: &CredentialKind| account.credentials.get(kind).is_some_and(|slots| slots.current.is_some());
    let kept = account.credentials.get(&CredentialKind::OAuth2).map(kept_in).unwrap_or_default();
    let warning = forget(&desk.directory, &kept, &BTreeSet::new()).await;
    Ok(AccountRemoved {
        was_damaged: false,
        had: CredentialKind::ALL.into_iter().filter(has).collect(),
        to_delete: to_delete(&account),
        still_by_domain: tenant_of(&desk.directory, &account).await?,
        name: account.name,
        warning,
    })
}

fn to_delete(account: &Account) -> Vec<ToDelete> {
    let mut all = Vec::new();
    for (kind, slots) in &account.credentials {
        let of = |id: &str, label: &str, at: &str| ToDelete {
            kind: *kind,
            id: id.to_owned(),
            label: label.to_owned(),
            at: at.to_owned(),
        };
        let next = slots.next.as_ref().map(|next| &next.credential);
        let previous = slots.previous.as_ref().filter(|previous| previous.usable).map(|previous| &previous.credential);
        let placed = slots.current.iter().chain(next).chain(previous);
        all.extend(placed.map(|stored| of(&stored.id, &stored.label, &account.upstream)));
        let at = |left: &crate::model::Leftover| left.upstream.clone().unwrap_or_else(|| account.upstream.clone());
        all.extend(slots.leftovers.iter().map(|left| of(&left.id, &left.label, &at(left))));
    }
    all
}
