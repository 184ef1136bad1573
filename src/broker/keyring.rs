//! Which credential an account is entered with, made ready: its own or its domain's, of the kind that is preferred and that
//! the provider takes, and of several of one kind the current one. It must never use a kind that an operator left out of a
//! preference, nor another than the current one unless that was definitely refused.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Directory, DirectoryError, Reason, Versioned};
use crate::credential::oauth2::{AccessToken, Tokens};
use crate::credential::{self, CredentialError, CredentialVersion, Issued, Ready};
use crate::model::{
    Account, Authority, CredentialKind, Endpoint, Holder, Profile, Protocol, Slot, Slots, StoredCredential, Tenant,
};

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

/// Which credentials may be looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) fresh: Freshness,
    /// The one in that place and no other, whatever else there is.
    pub(super) only: Option<Slot>,
    pub(super) spent: &'a Spent,
}

/// What one login does not use again.
#[derive(Debug, Clone, Default)]
pub(super) struct Spent {
    /// Versions that the provider refused for their own sake: the next of the same kind may do better.
    pub(super) versions: Vec<CredentialVersion>,
    /// Kinds that the provider did not take from this account: no other of the same kind would do better.
    pub(super) kinds: Vec<CredentialKind>,
}

/// A credential, and why no better one, where there is a better one that failed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) ready: Ready,
    /// The place that it has in its record.
    pub(super) slot: Slot,
    /// Whose record that is.
    pub(super) holder: Holder,
    /// The id of the one that is current there, where another one is used in its place.
    pub(super) passed_over: Option<String>,
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

    /// The best credential for that door among those that are searched for.
    pub(super) async fn credential(
        &self,
        account: &Account,
        door: Door<'_>,
        search: Search<'_>,
    ) -> Result<Found, Reason> {
        let preferred = account.preferred(door.protocol);
        let kinds = if preferred.is_empty() { &CredentialKind::ALL[..] } else { preferred };
        let mut failed: Option<Reason> = None;
        let mut fell_back = None;
        for &kind in kinds {
            let error = match self.of_kind(kind, account, door, search).await {
                Ok(found) => return Ok(found.after(fell_back)),
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
        search: Search<'_>,
    ) -> Result<Found, Reason> {
        if search.spent.kinds.contains(&kind) {
            return Err(CredentialError::Refused.into());
        }
        let own = account.credentials.get(&kind);
        match kind {
            CredentialKind::AppPassword => app_password(account, own, door, search),
            CredentialKind::OAuth2 => {
                let authority = credential::authority(door.profile, door.protocol, door.endpoint)?;
                let of_domain;
                let (holder, slots) = match own.filter(|own| search.candidates(own).next().is_some()) {
                    Some(own) => (Holder::Account(account.name.clone()), own),
                    None => {
                        of_domain = self.of_domain(account, door.protocol, search.fresh).await?;
                        let tenant = of_domain.as_ref().ok_or(CredentialError::None)?;
                        (Holder::Tenant(tenant.domain.clone()), &tenant.oauth2)
                    }
                };
                self.by_token(holder, slots, authority, account.identity(door.protocol), search).await
            }
        }
    }

    /// The first access token that is to be had. Only where the authority refuses the application itself does what else it
    /// can show matter: a mailbox that takes no token would take no other either.
    async fn by_token(
        &self,
        holder: Holder,
        slots: &Slots,
        authority: &Authority,
        identity: &str,
        search: Search<'_>,
    ) -> Result<Found, Reason> {
        let mut before = Before::of(holder);
        for (slot, stored) in search.candidates(slots) {
            let wanted = Arc::new(credential::wanted(stored, authority, identity)?);
            if search.spent.versions.contains(&wanted.version) {
                before.refused(slot, stored, CredentialError::Refused);
                continue;
            }
            match self.tokens.access_token(&wanted).await {
                Ok(token) => return Ok(before.found(slot, Ready::of_token(identity, Issued { wanted, token }))),
                Err(failure) if failure.is_about_the_application() => before.refused(slot, stored, failure.into()),
                Err(failure) => return Err(CredentialError::from(failure).into()),
            }
        }
        Err(before.none())
    }

    /// The domain that the account's mailbox is in, with its credentials, if that is at the account's upstream.
    async fn of_domain(
        &self,
        account: &Account,
        protocol: Protocol,
        fresh: Freshness,
    ) -> Result<Option<Tenant>, DirectoryError> {
        let tenant = self.tenant_of(account.identity(protocol), fresh).await?;
        Ok(tenant.filter(|tenant| tenant.upstream == account.upstream))
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

fn app_password(account: &Account, own: Option<&Slots>, door: Door<'_>, search: Search<'_>) -> Result<Found, Reason> {
    let mut before = Before::of(Holder::Account(account.name.clone()));
    for (slot, stored) in own.into_iter().flat_map(|own| search.candidates(own)) {
        let ready = credential::app_password(account, stored, door.protocol, door.endpoint)?;
        if !search.spent.versions.contains(&ready.version) {
            return Ok(before.found(slot, ready));
        }
        before.refused(slot, stored, CredentialError::Refused);
    }
    Err(before.none())
}

impl<'a> Search<'a> {
    /// As of the last write anywhere.
    pub(super) fn latest(spent: &'a Spent) -> Self {
        Self { fresh: Freshness::Latest, only: None, spent }
    }

    /// Those of a kind that may be looked at, best first.
    fn candidates<'s>(&self, slots: &'s Slots) -> impl Iterator<Item = (Slot, &'s StoredCredential)> + use<'s> {
        let usable = self.only.is_none().then(|| slots.usable(Timestamp::now()));
        let named = self.only.and_then(|slot| slots.in_slot(slot).map(|stored| (slot, stored)));
        usable.into_iter().flatten().chain(named)
    }
}

/// Those of one kind in one record that were looked at before.
#[derive(Debug)]
struct Before {
    holder: Holder,
    /// The first of them, which is the best one.
    refused: Option<Refused>,
}

#[derive(Debug)]
struct Refused {
    slot: Slot,
    id: String,
    error: CredentialError,
}

impl Before {
    fn of(holder: Holder) -> Self {
        Self { holder, refused: None }
    }

    fn refused(&mut self, slot: Slot, stored: &StoredCredential, error: CredentialError) {
        self.refused.get_or_insert_with(|| Refused { slot, id: stored.id.clone(), error });
    }

    fn found(self, slot: Slot, ready: Ready) -> Found {
        let Self { holder, refused } = self;
        let fell_back = refused.as_ref().map(|it| format!("the {} one: {}", it.slot, it.error));
        let passed_over = refused.filter(|it| it.slot == Slot::Current).map(|it| it.id);
        Found { ready, slot, holder, passed_over, fell_back }
    }

    fn none(self) -> Reason {
        self.refused.map_or(CredentialError::None, |it| it.error).into()
    }
}

impl Found {
    /// The same, where another kind failed before for that reason.
    fn after(self, kind_failed: Option<String>) -> Self {
        let reasons: Vec<String> = kind_failed.into_iter().chain(self.fell_back).collect();
        Self { fell_back: (!reasons.is_empty()).then(|| reasons.join("; ")), ..self }
    }
}
