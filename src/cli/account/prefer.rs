//! Which kind of credential an account is entered with, as an operator wants it.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::broker::Directory;
use crate::cli::kinds::{self, Kinds};
use crate::model::{Account, CredentialKind, Preference, Protocol};

/// What is wanted.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Prefer {
    /// The kinds of credential to log in upstream with, best first: oauth2, app-password, or both with a comma between
    /// them, so that the second is tried where the first fails; none: no preference.
    #[arg(long, value_name = "KIND[,KIND]")]
    pub(super) prefer: Option<Kinds>,
    /// The same for one protocol, such as submission=app-password.
    #[arg(long, value_name = "PROTOCOL=KIND[,KIND]", value_parser = kinds::parse_for_protocol)]
    pub(super) prefer_for: Vec<(Protocol, Kinds)>,
}

impl Prefer {
    pub(super) fn names_any(&self) -> bool {
        self.prefer.is_some() || !self.prefer_for.is_empty()
    }

    pub(super) fn apply(&self, preference: &mut Preference) {
        if let Some(Kinds(kinds)) = &self.prefer {
            preference.all.clone_from(kinds);
        }
        for (protocol, Kinds(kinds)) in &self.prefer_for {
            if kinds.is_empty() {
                preference.by_protocol.remove(protocol);
            } else {
                preference.by_protocol.insert(*protocol, kinds.clone());
            }
        }
    }

    /// Refuses what would leave the account with no credential to log in with. `tenant`: whether its domain has one.
    pub(super) fn check(&self, account: &Account, tenant: bool) -> Result<(), String> {
        let lists = self.prefer.iter().chain(self.prefer_for.iter().map(|(_, kinds)| kinds));
        for Kinds(kinds) in lists {
            let lacks = |kind: &CredentialKind| !kinds::has(account, tenant, *kind);
            if let (Some(first), true) = (kinds.first(), kinds.iter().all(lacks)) {
                return Err(lacking(&account.name, *first));
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

/// The domain whose credential the account may use, if that has one: that of its names at the provider.
pub(super) async fn tenant_of(directory: &Directory, account: &Account) -> Result<Option<String>> {
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

/// Whether the account's domain has a credential that it may use.
pub(in crate::cli) async fn has_tenant(directory: &Directory, account: &Account) -> Result<bool> {
    Ok(tenant_of(directory, account).await?.is_some())
}

/// The domain of an address.
pub(super) fn domain_of(name: &str) -> Option<&str> {
    name.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty())
}
