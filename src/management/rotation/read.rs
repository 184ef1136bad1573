//! Which records have places, and what is in them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::{RotationView, places_state};
use crate::broker::Directory;
use crate::management::given::{check_domain, check_name};
use crate::management::reports::subjects::{self, Choice};
use crate::management::{Damaged, Desk, ManagementError, Page, Paging, accounts};
use crate::model::{Account, CredentialKind, Slots, Tenant, normalise};
use crate::rotation::Subject;

/// Records asked for in one go.
const PAGE: usize = 5_000;

/// The places of one kind in one record.
#[derive(Debug)]
pub struct Held {
    /// Whose.
    pub subject: Subject,
    /// The upstream profile.
    pub upstream: String,
    /// The places.
    pub slots: Slots,
}

/// Which rotations.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct RotationsWanted {
    /// Of this domain only.
    pub domain: Option<String>,
    /// In this state only: `staged`, `verified`, `failed`, `overlap`, `to retire`, `to delete`; or `open`: in any.
    pub state: Option<String>,
    /// Of this kind only.
    pub kind: Option<CredentialKind>,
}

impl RotationsWanted {
    fn has_kind(&self, held: &Held) -> bool {
        self.kind.is_none_or(|kind| kind == held.subject.kind())
    }

    fn has_state(&self, slots: &Slots, now: Timestamp) -> bool {
        match self.state.as_deref() {
            None | Some("") => true,
            Some("open") => !places_state(slots, now).is_empty(),
            Some("to delete") => !slots.leftovers.is_empty(),
            Some(state) => places_state(slots, now) == state,
        }
    }
}

/// Rotations of many, by name.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Rotations {
    /// Those that were asked for.
    pub items: Vec<RotationView>,
    /// Records that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<Damaged>,
}

/// Whose it is that is named so: an account, or a domain with an `@` before it.
///
/// # Errors
/// If it is no name.
pub fn subject(name: &str, kind: CredentialKind) -> Result<Subject, ManagementError> {
    let name = check_name(name)?;
    Ok(match name.strip_prefix('@') {
        Some(domain) => Subject::Tenant { domain: check_domain(domain)?.to_owned() },
        None => Subject::Account { name: name.to_owned(), kind },
    })
}

/// The places of an account, by kind; or of a domain, with an `@` before it.
///
/// # Errors
/// If there is no such record; see [`ManagementError`].
pub async fn of_one(desk: &Desk, name: &str) -> Result<Vec<RotationView>, ManagementError> {
    let now = Timestamp::now();
    Ok(held_of_one(&desk.directory, name).await?.iter().map(|held| RotationView::of(desk, held, now)).collect())
}

/// The places of one subject, which may be empty.
///
/// # Errors
/// As for [`of_one`].
pub async fn of_subject(desk: &Desk, subject: &Subject) -> Result<RotationView, ManagementError> {
    let record = desk.record(subject).await?;
    let slots = subject.slots(&record).cloned().unwrap_or_default();
    let held = Held { subject: subject.clone(), upstream: record.upstream().to_owned(), slots };
    Ok(RotationView::of(desk, &held, Timestamp::now()))
}

/// The places of all records that are wanted, in order.
///
/// # Errors
/// See [`ManagementError`]; a record that is damaged is none.
pub async fn of_all(desk: &Desk, wanted: &RotationsWanted) -> Result<Rotations, ManagementError> {
    let now = Timestamp::now();
    let (accounts, tenants, damaged) = records_of_all(&desk.directory, wanted.domain.as_deref()).await?;
    Ok(Rotations { items: wanted_of(desk, held(accounts, tenants), wanted, now), damaged })
}

/// A part of them. One that is not the last may hold fewer than were asked for, or more: an account has two kinds.
///
/// # Errors
/// As for [`of_all`].
pub async fn page(
    desk: &Desk,
    wanted: &RotationsWanted,
    paging: &Paging,
) -> Result<Page<RotationView>, ManagementError> {
    let now = Timestamp::now();
    let is_wanted = |slots: &Slots| wanted.has_state(slots, now);
    let account = |account: &Account| account.credentials.values().any(is_wanted);
    let tenant = |tenant: &Tenant| is_wanted(&tenant.oauth2);
    let choice = Choice { domain: wanted.domain.as_deref(), account: &account, tenant: &tenant };
    let found = subjects::page(desk, choice, paging).await?;
    let items = wanted_of(desk, held(found.accounts, found.tenants), wanted, now);
    Ok(Page { items, next: found.next, damaged: found.damaged })
}

fn wanted_of(desk: &Desk, held: Vec<Held>, wanted: &RotationsWanted, now: Timestamp) -> Vec<RotationView> {
    let is_wanted = |held: &Held| wanted.has_kind(held) && wanted.has_state(&held.slots, now);
    held.into_iter().filter(is_wanted).map(|held| RotationView::of(desk, &held, now)).collect()
}

/// The places of an account, by kind; or of a domain, with an `@` before it: as the record has them.
///
/// # Errors
/// As for [`of_one`].
pub async fn held_of_one(directory: &Directory, name: &str) -> Result<Vec<Held>, ManagementError> {
    let name = check_name(name)?;
    let Some(domain) = name.strip_prefix('@') else {
        return Ok(of_account(accounts::record(directory, name).await?.record));
    };
    let missing = || {
        ManagementError::missing(format!(
            "there is no credential of the domain {domain}; see `locum oauth status --all`"
        ))
    };
    let tenant = directory.tenant(domain).await?.ok_or_else(missing)?.record;
    Ok(vec![of_tenant(tenant)])
}

/// Those of these records, in order.
pub fn held(accounts: Vec<Account>, tenants: Vec<Tenant>) -> Vec<Held> {
    let mut held: Vec<Held> = accounts.into_iter().flat_map(of_account).collect();
    held.extend(tenants.into_iter().map(of_tenant));
    held.sort_by(|a, b| (a.subject.name(), a.subject.kind()).cmp(&(b.subject.name(), b.subject.kind())));
    held
}

/// All accounts and domains, or all of a domain; and the records that cannot be read.
///
/// # Errors
/// See [`ManagementError`]; a record that is damaged is none.
pub async fn records_of_all(
    directory: &Directory,
    domain: Option<&str>,
) -> Result<(Vec<Account>, Vec<Tenant>, Vec<Damaged>), ManagementError> {
    let domain = domain.map(|domain| normalise(domain.trim().trim_start_matches('@')));
    let is_meant = |own: Option<&str>| match &domain {
        Some(domain) => own.is_some_and(|own| normalise(own) == *domain),
        None => true,
    };
    let (mut accounts, mut tenants, mut damaged, mut after) = (Vec::new(), Vec::new(), Vec::new(), None);
    loop {
        let page = directory.accounts_page(after.as_ref(), PAGE).await?;
        damaged.extend(Damaged::all(page.damaged));
        let found = page.records.into_iter().map(|found| found.record);
        let is_in = |account: &Account| is_meant(account.name.rsplit_once('@').map(|(_, domain)| domain));
        accounts.extend(found.filter(is_in));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = directory.tenants_page(after.as_ref(), PAGE).await?;
        damaged.extend(Damaged::all(page.damaged));
        let found = page.records.into_iter().map(|found| found.record);
        tenants.extend(found.filter(|tenant: &Tenant| is_meant(Some(&tenant.domain))));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    accounts.sort_by(|a: &Account, b| a.name.cmp(&b.name));
    Ok((accounts, tenants, damaged))
}

fn of_account(account: Account) -> Vec<Held> {
    let Account { name, upstream, credentials, .. } = account;
    let held = |(kind, slots)| {
        let subject = Subject::Account { name: name.clone(), kind };
        Held { subject, upstream: upstream.clone(), slots }
    };
    credentials.into_iter().map(held).collect()
}

fn of_tenant(tenant: Tenant) -> Held {
    let Tenant { domain, upstream, oauth2 } = tenant;
    Held { subject: Subject::Tenant { domain }, upstream, slots: oauth2 }
}
