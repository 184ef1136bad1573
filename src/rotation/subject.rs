//! Whose credential is rotated, and the record that it is in.

use std::fmt;

use crate::broker::{Directory, DirectoryError, Versioned};
use crate::model::{Account, CredentialKind, Holder, Slots, Tenant};
use crate::store::Version;

/// Whose credential is rotated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An account's, of one kind.
    Account {
        /// The account's name.
        name: String,
        /// The kind.
        kind: CredentialKind,
    },
    /// The OAuth2 credential of a whole domain.
    Tenant {
        /// The domain.
        domain: String,
    },
}

impl Subject {
    /// The account's app password.
    pub fn app_password(account: &str) -> Self {
        Self::Account { name: account.to_owned(), kind: CredentialKind::AppPassword }
    }

    /// The name of the account or the domain.
    pub fn name(&self) -> &str {
        match self {
            Self::Account { name, .. } => name,
            Self::Tenant { domain } => domain,
        }
    }

    /// The kind of credential.
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::Account { kind, .. } => *kind,
            Self::Tenant { .. } => CredentialKind::OAuth2,
        }
    }

    /// Whose record it is in.
    pub fn holder(&self) -> Holder {
        match self {
            Self::Account { name, .. } => Holder::Account(name.clone()),
            Self::Tenant { domain } => Holder::Tenant(domain.clone()),
        }
    }

    /// Its record as of the last write anywhere.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub async fn read(&self, directory: &Directory) -> Result<Option<Versioned<Record>>, DirectoryError> {
        let map = |version, changed, record| Versioned { record, version, changed };
        Ok(match self {
            Self::Account { name, .. } => directory
                .latest_account(name)
                .await?
                .map(|it| map(it.version, it.changed, Record::Account(Box::new(it.record)))),
            Self::Tenant { domain } => directory
                .latest_tenant(domain)
                .await?
                .map(|it| map(it.version, it.changed, Record::Tenant(Box::new(it.record)))),
        })
    }

    /// Its places in the record, if it has any yet.
    pub fn slots<'r>(&self, record: &'r Record) -> Option<&'r Slots> {
        match record {
            Record::Account(account) => account.credentials.get(&self.kind()),
            Record::Tenant(tenant) => Some(&tenant.oauth2),
        }
    }

    /// Its places in the record, made if there are none.
    pub fn slots_mut<'r>(&self, record: &'r mut Record) -> &'r mut Slots {
        match record {
            Record::Account(account) => account.credentials.entry(self.kind()).or_default(),
            Record::Tenant(tenant) => &mut tenant.oauth2,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { name, .. } => write!(f, "account {name}"),
            Self::Tenant { domain } => write!(f, "credential of the domain {domain}"),
        }
    }
}

/// The record that a credential is in.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Of one mailbox.
    Account(Box<Account>),
    /// Of one domain.
    Tenant(Box<Tenant>),
}

impl Record {
    /// The upstream profile.
    pub fn upstream(&self) -> &str {
        match self {
            Self::Account(account) => &account.upstream,
            Self::Tenant(tenant) => &tenant.upstream,
        }
    }

    /// Writes it in place of the version that was read.
    pub(super) async fn put(&self, directory: &Directory, found: Version) -> Result<Version, DirectoryError> {
        match self {
            Self::Account(account) => directory.put_account(account, Some(found)).await,
            Self::Tenant(tenant) => directory.put_tenant(tenant, Some(found)).await,
        }
    }
}
