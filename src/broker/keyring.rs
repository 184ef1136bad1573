//! Which credential an account is entered with, made ready: its own or its domain's, of the kind that is preferred and that
//! the provider takes. It must never use a kind that an operator left out of a preference.

use std::sync::Arc;

use super::{Directory, DirectoryError, Reason, Versioned};
use crate::credential::oauth2::{AccessToken, Tokens};
use crate::credential::{self, CredentialError, CredentialVersion, Issued, Ready};
use crate::model::{Account, CredentialKind, Endpoint, Profile, Protocol, Slot, StoredCredential, Tenant};

/// The records, and the access tokens that come of them.
#[derive(Debug)]
pub(super) struct Keyring {
    directory: Directory,
    tokens: Arc<Tokens>,
}

/// How new what is read has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// As the node remembers it.
    Remembered,
    /// As of the last write anywhere.
    Latest,
}

/// Where an account is entered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Door<'a> {
    pub(super) profile: &'a Profile,
    pub(super) endpoint: &'a Endpoint,
    pub(super) protocol: Protocol,
}

/// A credential, and why no better one, where one was preferred and failed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) ready: Ready,
    /// The place that it has in its record.
    pub(super) slot: Slot,
    pub(super) fell_back: Option<String>,
}

impl Keyring {
    pub(super) fn new(directory: Directory, tokens: Arc<Tokens>) -> Self {
        Self { directory, tokens }
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The account of that name. An address without a record is one where its domain has a credential.
    pub(super) async fn account(&self, name: &str, fresh: Freshness) -> Result<Option<Account>, DirectoryError> {
        let found = match fresh {
            Freshness::Remembered => self.directory.account(name).await?,
            Freshness::Latest => self.directory.latest_account(name).await?,
        };
        if let Some(found) = found {
            return Ok(Some(found.record));
        }
        Ok(self.tenant_of(name, fresh).await?.map(|tenant| Account::of_tenant(name, &tenant)))
    }

    /// The best credential for that door. None of `spent` is used again.
    pub(super) async fn credential(
        &self,
        account: &Account,
        door: Door<'_>,
        fresh: Freshness,
        spent: &[CredentialVersion],
    ) -> Result<Found, Reason> {
        let preferred = account.preferred(door.protocol);
        let kinds = if preferred.is_empty() { &CredentialKind::ALL[..] } else { preferred };
        let mut failed: Option<Reason> = None;
        let mut fell_back = None;
        for &kind in kinds {
            let error = match self.of_kind(kind, account, door, fresh, spent).await {
                Ok(ready) => return Ok(Found { ready, slot: Slot::Current, fell_back }),
                Err(error) => error,
            };
            let (is_missing, is_not_taken) = match &error {
                Reason::Credential(error) => (*error == CredentialError::None, error.is_not_taken()),
                _ => (false, false),
            };
            if preferred.is_empty() && !is_missing && !is_not_taken {
                return Err(error);
            }
            // Where a provider does not take what is preferred, nothing has failed that somebody could mend.
            if !preferred.is_empty() && !is_not_taken {
                fell_back.get_or_insert_with(|| format!("{kind}: {error}"));
            }
            // What failed says more than what is not there.
            failed = match failed {
                Some(Reason::Credential(CredentialError::None)) | None => Some(error),
                said => said,
            };
        }
        Err(failed.unwrap_or(Reason::Credential(CredentialError::None)))
    }

    /// Another access token for a credential whose last one the provider refused; `None` if that one was new.
    pub(super) async fn another_token(&self, issued: &Issued) -> Result<Option<AccessToken>, CredentialError> {
        Ok(self.tokens.another(&issued.wanted, &issued.token).await?)
    }

    async fn of_kind(
        &self,
        kind: CredentialKind,
        account: &Account,
        door: Door<'_>,
        fresh: Freshness,
        spent: &[CredentialVersion],
    ) -> Result<Ready, Reason> {
        let own = account.credentials.get(&kind).and_then(|slots| slots.current.as_ref());
        match kind {
            CredentialKind::AppPassword => {
                let ready = credential::app_password(account, own, door.protocol, door.endpoint)?;
                if spent.contains(&ready.version) { Err(CredentialError::Refused.into()) } else { Ok(ready) }
            }
            CredentialKind::OAuth2 => {
                let authority = credential::authority(door.profile, door.protocol, door.endpoint)?;
                let of_domain;
                let stored: &StoredCredential = match own {
                    Some(own) => own,
                    None => {
                        of_domain = self.of_domain(account, door.protocol, fresh).await?;
                        of_domain.as_ref().ok_or(CredentialError::None)?
                    }
                };
                let identity = account.identity(door.protocol);
                let wanted = Arc::new(credential::wanted(stored, authority, identity)?);
                if spent.contains(&wanted.version) {
                    return Err(CredentialError::Refused.into());
                }
                let token = self.tokens.access_token(&wanted).await.map_err(CredentialError::from)?;
                Ok(Ready::of_token(identity, Issued { wanted, token }))
            }
        }
    }

    /// The credential of the domain that the account's mailbox is in, if that is at the account's upstream.
    async fn of_domain(
        &self,
        account: &Account,
        protocol: Protocol,
        fresh: Freshness,
    ) -> Result<Option<StoredCredential>, DirectoryError> {
        let tenant = self.tenant_of(account.identity(protocol), fresh).await?;
        Ok(tenant.filter(|tenant| tenant.upstream == account.upstream).and_then(|tenant| tenant.oauth2.current))
    }

    async fn tenant_of(&self, address: &str, fresh: Freshness) -> Result<Option<Tenant>, DirectoryError> {
        let Some((_, domain)) = address.rsplit_once('@') else { return Ok(None) };
        let found: Option<Versioned<Tenant>> = match fresh {
            Freshness::Remembered => self.directory.tenant(domain).await?,
            Freshness::Latest => self.directory.latest_tenant(domain).await?,
        };
        Ok(found.map(|found| found.record))
    }
}
