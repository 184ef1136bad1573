//! Which kind of credential an account is entered with, as an operator wants it, and what comes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::Used;
use crate::broker::{Directory, DirectoryError, Versioned};
use crate::management::ManagementError;
use crate::model::{Account, CredentialKind, Preference, Profile, Protocol, normalise};

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prefer {
    /// The kinds to log in upstream with, best first; none: no preference.
    pub all: Option<Vec<CredentialKind>>,
    /// The same for single protocols.
    pub by_protocol: BTreeMap<Protocol, Vec<CredentialKind>>,
}

/// What became of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preferred {
    /// It is as wanted now.
    Changed,
    /// It was already.
    Same,
}

impl Prefer {
    /// Whether anything is wanted.
    pub fn names_any(&self) -> bool {
        self.all.is_some() || !self.by_protocol.is_empty()
    }

    /// Changes what is named.
    pub fn apply(&self, preference: &mut Preference) {
        if let Some(kinds) = &self.all {
            preference.all.clone_from(kinds);
        }
        for (protocol, kinds) in &self.by_protocol {
            if kinds.is_empty() {
                preference.by_protocol.remove(protocol);
            } else {
                preference.by_protocol.insert(*protocol, kinds.clone());
            }
        }
    }

    /// Refuses what would leave the account with no credential to log in with. `tenant`: whether its domain has one.
    ///
    /// # Errors
    /// If it would.
    pub fn check(&self, account: &Account, tenant: bool) -> Result<(), ManagementError> {
        for kinds in self.all.iter().chain(self.by_protocol.values()) {
            if kinds.iter().collect::<BTreeSet<_>>().len() != kinds.len() {
                return Err(ManagementError::invalid("a kind of credential stands in the list twice"));
            }
            let lacks = |kind: &CredentialKind| !has_kind(account, tenant, *kind);
            if let (Some(first), true) = (kinds.first(), kinds.iter().all(lacks)) {
                return Err(ManagementError::invalid(lacking(&account.name, *first)));
            }
        }
        Ok(())
    }
}

fn lacking(name: &str, kind: CredentialKind) -> String {
    match (kind, domain_of(name)) {
        (CredentialKind::AppPassword, _) => {
            format!("{name} has no app password that could be preferred: give it one with `locum account set {name}`")
        }
        (CredentialKind::OAuth2, Some(domain)) => format!(
            "{name} has no OAuth2 credential that could be preferred, nor has {domain} one for all: give it one with \
             `locum oauth login {name}`, or {domain} with `locum oauth add-tenant {domain}`"
        ),
        (CredentialKind::OAuth2, None) => format!(
            "{name} has no OAuth2 credential that could be preferred: give it one with `locum oauth login {name}`"
        ),
    }
}

/// Changes what one account prefers, unless it is as wanted.
///
/// # Errors
/// If it would have nothing left to log in with; see [`ManagementError`].
pub async fn prefer(
    tenants: &Tenants<'_>,
    found: Versioned<Account>,
    wanted: &Prefer,
) -> Result<Preferred, ManagementError> {
    let Versioned { record: mut account, version, .. } = found;
    let before = account.preference.clone();
    wanted.check(&account, tenants.serve(&account).await?)?;
    wanted.apply(&mut account.preference);
    if account.preference == before {
        return Ok(Preferred::Same);
    }
    tenants.directory.put_account(&account, Some(version)).await?;
    Ok(Preferred::Changed)
}

/// Domains that were asked for, and the upstream of those that have a credential: for work on many accounts.
#[derive(Debug)]
pub struct Tenants<'d> {
    /// The records.
    pub directory: &'d Directory,
    known: Mutex<HashMap<String, Option<String>>>,
}

impl<'d> Tenants<'d> {
    /// Of these records.
    pub fn of(directory: &'d Directory) -> Self {
        Self { directory, known: Mutex::default() }
    }

    /// Whether the account's domain has a credential that it may use.
    async fn serve(&self, account: &Account) -> Result<bool, DirectoryError> {
        let Some(domain) = domain_of(&account.name) else { return Ok(false) };
        let known = self.known.lock().ok().and_then(|known| known.get(&normalise(domain)).cloned());
        let upstream = match known {
            Some(upstream) => upstream,
            None => {
                let found = self.directory.tenant(domain).await?.map(|found| found.record);
                let upstream = found.filter(|it| it.oauth2.current.is_some()).map(|it| it.upstream);
                if let Ok(mut known) = self.known.lock() {
                    known.insert(normalise(domain), upstream.clone());
                }
                upstream
            }
        };
        Ok(upstream.as_ref() == Some(&account.upstream))
    }
}

/// The domain whose credential the account may use, if that has one: that of its names at the provider.
///
/// # Errors
/// See [`ManagementError`].
pub async fn tenant_of(directory: &Directory, account: &Account) -> Result<Option<String>, ManagementError> {
    let domains = Protocol::ALL.into_iter().filter_map(|protocol| domain_of(account.identity(protocol)));
    for domain in domains.collect::<BTreeSet<_>>() {
        let found = directory.tenant(domain).await?.map(|found| found.record);
        let tenant = found.filter(|tenant| tenant.upstream == account.upstream && tenant.oauth2.current.is_some());
        if let Some(tenant) = tenant {
            return Ok(Some(tenant.domain));
        }
    }
    Ok(None)
}

/// The domain of an address.
pub fn domain_of(name: &str) -> Option<&str> {
    name.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty())
}

/// The kind that a login of the account uses first, by protocol that the upstream serves. `tenant`: whether its domain has
/// a credential that it may use.
pub fn used(account: &Account, tenant: bool, profile: &Profile) -> Vec<Used> {
    let first = |protocol: Protocol| {
        let preferred = account.preferred(protocol);
        let kinds = if preferred.is_empty() { &CredentialKind::ALL } else { preferred };
        kinds.iter().copied().find(|kind| has_kind(account, tenant, *kind) && takes(profile, protocol, *kind))
    };
    profile.endpoints.keys().map(|protocol| Used { protocol: *protocol, kind: first(*protocol) }).collect()
}

/// Whether an upstream takes a kind for a protocol that it serves.
pub fn takes(profile: &Profile, protocol: Protocol, kind: CredentialKind) -> bool {
    let known = kind != CredentialKind::OAuth2 || profile.authority.is_some();
    known && profile.endpoints.get(&protocol).is_some_and(|endpoint| endpoint.takes(kind))
}

/// Whether the account has a credential of the kind, be it its domain's.
pub fn has_kind(account: &Account, tenant: bool, kind: CredentialKind) -> bool {
    let own = account.credentials.get(&kind).is_some_and(|slots| slots.current.is_some());
    own || (tenant && kind == CredentialKind::OAuth2)
}
