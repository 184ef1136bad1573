//! What an operator tries a stored credential with, wherever it stands in a record. Nothing is audited, for nobody is let in,
//! and no client can come by what is found here.

use super::{Broker, Directory, DirectoryError, Reason};
use crate::credential::{self, CredentialError};
use crate::model::{Account, CredentialKind, Protocol, StoredCredential, normalise};

/// Accounts that are looked at to find one of a domain: this is a convenience, and reading takes time.
const LOOKED_AT_MAX: usize = 500;

/// Accounts that are read at a time.
const PAGE: usize = 100;

impl Broker {
    /// Asks for an access token by that OAuth2 credential, for a mailbox at an upstream. `anew`: whatever the authority said
    /// lately, unless time alone can change it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn try_token(
        &self,
        stored: &StoredCredential,
        upstream: &str,
        mailbox: &str,
        anew: bool,
    ) -> Result<(), Reason> {
        let unknown = || Reason::UpstreamUnknown { upstream: upstream.to_owned() };
        let profile = self.upstream(upstream).ok_or_else(unknown)?;
        let not_taken = || CredentialError::TokensNotTaken { upstream: upstream.to_owned(), protocol: Protocol::Imap };
        let authority = profile.authority.as_ref().ok_or_else(not_taken)?;
        let wanted = credential::wanted(stored, authority, mailbox)?;
        let tokens = self.keyring.tokens();
        if anew {
            tokens.forgive(&wanted);
        }
        tokens.access_token(&wanted).await.map_err(CredentialError::from)?;
        Ok(())
    }
}

/// Whether an account enters its mailbox by the credential of that domain, by whichever protocol.
pub fn is_of_domain(account: &Account, domain: &str, upstream: &str) -> bool {
    let of = |name: &str| name.rsplit_once('@').is_some_and(|(_, behind)| normalise(behind) == normalise(domain));
    let has_its_own = account.credentials.get(&CredentialKind::OAuth2).is_some_and(|slots| slots.current.is_some());
    account.upstream == upstream && !has_its_own && Protocol::ALL.iter().all(|protocol| of(account.identity(*protocol)))
}

/// The name of an account that enters its mailbox by the credential of that domain, if there is one among the first.
///
/// # Errors
/// If the accounts cannot be listed.
pub async fn account_of_domain(
    directory: &Directory,
    domain: &str,
    upstream: &str,
) -> Result<Option<String>, DirectoryError> {
    let (mut after, mut seen) = (None, 0);
    while seen < LOOKED_AT_MAX {
        let page = directory.accounts_page(after.as_ref(), PAGE).await?;
        let mut accounts = page.records.into_iter().map(|found| found.record);
        if let Some(found) = accounts.find(|account| is_of_domain(account, domain, upstream)) {
            return Ok(Some(found.name));
        }
        seen += PAGE;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(None)
}
