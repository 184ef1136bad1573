//! Tenants: domains with one OAuth2 credential for all their mailboxes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::accounts::profile_of;
use super::credentials::{self, Application, CredentialView, place};
use super::given::check_domain;
use super::rotation::{Places, places_state};
use super::{Desk, Fault, ManagementError, Page, Paging};
use crate::broker::{Change, Damage, Versioned};
use crate::credential::oauth2::{Grant, OAuth2};
use crate::model::{CredentialKind, Leftover, Profile, RecordId, RecordKind, Slot, StoredCredential, Tenant};

/// One domain.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TenantView {
    /// The domain behind the `@` of its mailboxes.
    pub domain: String,
    /// The upstream that they live at.
    pub upstream: String,
    /// What logins use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialView>,
    /// What is in the places.
    pub places: Places,
    /// How far its rotation is; empty if there is nothing to be done.
    pub rotation: String,
    /// Who changed it last, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Change>,
    /// Which writing of the record this is.
    #[serde(skip)]
    pub version: String,
}

impl TenantView {
    /// Of what was read.
    pub fn of(found: Versioned<Tenant>) -> Self {
        let Versioned { record: tenant, changed, version } = found;
        Self {
            credential: tenant.oauth2.current.as_ref().map(|it| CredentialView::of(CredentialKind::OAuth2, it)),
            places: Places::of(CredentialKind::OAuth2, &tenant.oauth2),
            rotation: places_state(&tenant.oauth2, Timestamp::now()),
            domain: tenant.domain,
            upstream: tenant.upstream,
            changed,
            version: version.to_string(),
        }
    }
}

/// A domain's credential.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantGiven {
    /// The upstream that its accounts live at; if it is not said, that of before.
    pub upstream: Option<String>,
    /// The application.
    pub application: Application,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TenantSet {
    /// The domain as it is now.
    pub tenant: TenantView,
    /// Whether it had a credential before.
    pub was_there: bool,
    /// By which right tokens are asked for.
    pub grant: String,
    /// When the application's secret or certificate ends, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// What is to be deleted in the registration of the application since.
    pub to_delete: Vec<Leftover>,
    /// The upstream whose accounts it is for no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_longer_for: Option<String>,
}

/// What came of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TenantRemoved {
    /// The domain.
    pub domain: String,
    /// Whether its record could not be read: then nothing is known of what it had.
    pub was_damaged: bool,
    /// What is still there at the provider, by label or id.
    pub to_delete: Vec<String>,
}

/// A part of all tenants.
///
/// # Errors
/// See [`ManagementError`]; a record that is damaged is none.
pub async fn list(desk: &Desk, paging: &Paging) -> Result<Page<TenantView>, ManagementError> {
    let after = paging.record(RecordKind::Tenant)?;
    let page = desk.directory.tenants_page(after.as_ref(), paging.limit).await?;
    let mut page = Page::of(page, TenantView::of);
    page.items.sort_by(|a, b| a.domain.cmp(&b.domain));
    Ok(page)
}

/// One tenant.
///
/// # Errors
/// If the domain has none; see [`ManagementError`].
pub async fn find(desk: &Desk, domain: &str) -> Result<TenantView, ManagementError> {
    record(desk, check_domain(domain)?).await.map(TenantView::of)
}

async fn record(desk: &Desk, domain: &str) -> Result<Versioned<Tenant>, ManagementError> {
    let missing = || ManagementError::missing(format!("{domain} has no credential; see `locum oauth status`"));
    desk.directory.tenant(domain).await?.ok_or_else(missing)
}

/// Gives a domain an application's credential, for all its accounts that have none of their own; new, or in the place of the
/// one before.
///
/// # Errors
/// If it cannot be used at that upstream; see [`ManagementError`].
pub async fn set(
    desk: &Desk,
    domain: &str,
    given: TenantGiven,
    expected: Option<&str>,
) -> Result<TenantSet, ManagementError> {
    let place = place_of(desk, domain, given.upstream).await?;
    if let Some(found) = &place.found {
        desk.check_version(found.version, expected)?;
    }
    let label = given.application.label.clone();
    let credential = given.application.credential(Grant::ClientCredentials, place.profile, place.current())?;
    put(desk, place, credential, &label).await
}

/// Where a domain's credential is put: over the one before, or where there was none.
#[derive(Debug)]
pub struct TenantPlace<'d> {
    domain: String,
    upstream: String,
    found: Option<Versioned<Tenant>>,
    /// The upstream that its accounts live at.
    pub profile: &'d Profile,
}

impl TenantPlace<'_> {
    /// The one before.
    pub fn before(&self) -> Option<&StoredCredential> {
        self.found.as_ref().and_then(|found| found.record.oauth2.current.as_ref())
    }

    /// The one before, if it is for the same upstream: an application is known to one authority.
    pub fn current(&self) -> Option<&StoredCredential> {
        let is_at = |found: &Versioned<Tenant>| found.record.upstream == self.upstream;
        self.before().filter(|_| self.found.as_ref().is_some_and(is_at))
    }
}

/// Where a domain's credential would be put, for who asks somebody for its secret. `upstream`: if it is not said, that of
/// before.
///
/// # Errors
/// If it is no domain, or its upstream is not known.
pub async fn place_of<'d>(
    desk: &'d Desk,
    domain: &str,
    upstream: Option<String>,
) -> Result<TenantPlace<'d>, ManagementError> {
    let domain = check_domain(domain)?;
    let found = desk.directory.tenant(domain).await?;
    let Some(upstream) = upstream.or(found.as_ref().map(|found| found.record.upstream.clone())) else {
        let message = format!("say with --upstream where the accounts of {domain} live");
        return Err(ManagementError::new(Fault::Usage, message));
    };
    let profile = profile_of(&desk.profiles, &upstream)?;
    Ok(TenantPlace { domain: domain.to_owned(), upstream, found, profile })
}

/// Puts a credential there.
///
/// # Errors
/// If one that is being set at the provider must not be given up now, or somebody else was faster; see [`ManagementError`].
pub async fn put(
    desk: &Desk,
    at: TenantPlace<'_>,
    credential: OAuth2,
    label: &str,
) -> Result<TenantSet, ManagementError> {
    let TenantPlace { domain, upstream, found, profile: _ } = at;
    let stored = credentials::stored(credential.clone(), label)?;
    let before = found.as_ref().map(|found| &found.record);
    let same_place = before.is_none_or(|before| before.upstream == upstream);
    let places = before.map(|before| before.oauth2.clone()).unwrap_or_default();
    let mut tenant = Tenant { domain, upstream, oauth2: places.clone() };
    place(&mut tenant.oauth2, stored, desk, same_place)?;
    desk.directory.put_tenant(&tenant, found.as_ref().map(|found| found.version)).await?;
    let left = before.map(|before| before.upstream.clone()).filter(|left| *left != tenant.upstream);
    Ok(TenantSet {
        tenant: find(desk, &tenant.domain).await?,
        was_there: before.is_some(),
        grant: credential.grant.to_string(),
        ends: credential.expires(),
        to_delete: super::accounts::new_leftovers(&places, &tenant.oauth2),
        no_longer_for: left,
    })
}

/// Removes a domain's credential. Its accounts without one of their own can log in no more.
///
/// # Errors
/// If the domain has none; see [`ManagementError`].
pub async fn remove(desk: &Desk, domain: &str, expected: Option<&str>) -> Result<TenantRemoved, ManagementError> {
    let domain = check_domain(domain)?;
    if desk.directory.remove_damaged(&RecordId::new(RecordKind::Tenant, domain)).await? == Damage::Removed {
        return Ok(TenantRemoved { domain: domain.to_owned(), was_damaged: true, to_delete: Vec::new() });
    }
    let found = record(desk, domain).await?;
    desk.check_version(found.version, expected)?;
    desk.directory.remove_tenant(domain, found.version).await?;
    let name = |label: &str, id: &str| if label.is_empty() { id.to_owned() } else { label.to_owned() };
    let slots = &found.record.oauth2;
    let placed = Slot::ALL.into_iter().filter_map(|slot| slots.in_slot(slot));
    let placed = placed.map(|stored| name(&stored.label, &stored.id));
    let left = slots.leftovers.iter().map(|left| name(&left.label, &left.id));
    let to_delete = placed.chain(left).collect();
    Ok(TenantRemoved { domain: found.record.domain, was_damaged: false, to_delete })
}
