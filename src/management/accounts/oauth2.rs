//! OAuth2 of one account, where it needs no browser: an application that acts by itself, or one that a person consented to
//! elsewhere, with the refresh token that came of it. The refresh token is written before the account that needs it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::prefer::{tenant_of, used};
use super::read::{find, profile_of, record};
use super::view::{AccountView, Used};
use crate::broker::{DirectoryError, Versioned};
use crate::credential::oauth2::{Grant, kept_in};
use crate::management::credentials::{self, Application, forget, place};
use crate::management::{Desk, Fault, GivenSecret, ManagementError};
use crate::model::{Account, CredentialKind, KeptToken, Leftover, Slots, StoredCredential};

/// A consent costs a person's time: where others change something else of the account meanwhile, it is read again and
/// written so often.
const TRIES: usize = 3;

/// What access tokens are got with.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Given {
    /// The application.
    pub application: Application,
    /// What the authority handed out when a person consented to it; without it the application acts by itself.
    pub refresh_token: Option<GivenSecret>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OAuth2Set {
    /// The account as it is now.
    pub account: AccountView,
    /// Whether it had one before.
    pub was_there: bool,
    /// By which right tokens are asked for.
    pub grant: String,
    /// When the application's secret or certificate ends, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// What is to be deleted in the registration of the application since.
    pub to_delete: Vec<Leftover>,
    /// What each protocol uses.
    pub used: Vec<Used>,
    /// What could not be put in order behind it, and what is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Gives one account an OAuth2 credential of its own.
///
/// # Errors
/// If it cannot be used at the account's upstream; see [`ManagementError`].
pub async fn set_oauth2(desk: &Desk, name: &str, given: OAuth2Given) -> Result<OAuth2Set, ManagementError> {
    let account = record(&desk.directory, name).await?.record;
    let profile = profile_of(&desk.profiles, &account.upstream)?;
    let before = current(&account).cloned();
    let grant = if given.refresh_token.is_some() { Grant::RefreshToken } else { Grant::ClientCredentials };
    let label = given.application.label.clone();
    let credential = given.application.credential(grant, profile, before.as_ref())?;
    let stored = credentials::stored(credential.clone(), &label)?;
    if let Some(token) = given.refresh_token {
        let token = token.into_secret();
        if token.is_empty() || token.has_control_characters() {
            return Err(ManagementError::invalid("the refresh token is empty, or has characters that none has"));
        }
        let (credential, obtained) = (stored.id.clone(), Timestamp::now());
        desk.directory.put_token(&KeptToken { credential, refresh_token: token, obtained }, None).await?;
    }
    let (account, slots_before) = match write_oauth2(desk, account, &stored, before.as_ref()).await {
        Ok(written) => written,
        Err(error) => {
            // A store that failed may have written the account all the same: then the token is needed.
            if !matches!(&error, ManagementError::Directory(DirectoryError::Store(_))) {
                forget(&desk.directory, &kept_in(&Slots::of(stored)), &BTreeSet::new()).await;
            }
            return Err(error);
        }
    };
    let slots = account.credentials.get(&CredentialKind::OAuth2).cloned().unwrap_or_default();
    let tenant = tenant_of(&desk.directory, &account).await?.is_some();
    Ok(OAuth2Set {
        account: find(desk, &account.name).await?,
        was_there: slots_before.current.is_some(),
        grant: credential.grant.to_string(),
        ends: credential.expires(),
        to_delete: new_leftovers(&slots_before, &slots),
        used: used(&account, tenant, profile),
        warning: forget(&desk.directory, &kept_in(&slots_before), &kept_in(&slots)).await,
    })
}

/// What is to be deleted since.
pub fn new_leftovers(before: &Slots, now: &Slots) -> Vec<Leftover> {
    now.leftovers.iter().filter(|left| !before.leftovers.contains(left)).cloned().collect()
}

fn current(account: &Account) -> Option<&StoredCredential> {
    account.credentials.get(&CredentialKind::OAuth2).and_then(|slots| slots.current.as_ref())
}

/// Puts the credential into the account as it is by now, or as it is to be made. The account as written, and the places of its
/// OAuth2 credentials as they were.
///
/// # Errors
/// [`Fault::Conflict`] if somebody gave it another upstream or OAuth2 credential meanwhile; see [`ManagementError`].
pub async fn write_oauth2(
    desk: &Desk,
    to_be: Account,
    stored: &StoredCredential,
    before: Option<&StoredCredential>,
) -> Result<(Account, Slots), ManagementError> {
    let mut tries = 0;
    loop {
        let (mut account, version) = match desk.directory.account(&to_be.name).await? {
            Some(Versioned { record, version, .. }) => (record, Some(version)),
            None => (to_be.clone(), None),
        };
        let is_other =
            |a: Option<&StoredCredential>, b: Option<&StoredCredential>| a.map(|it| &it.id) != b.map(|it| &it.id);
        if account.upstream != to_be.upstream || is_other(current(&account), before) {
            let message = format!(
                "somebody else gave {} another upstream or OAuth2 credential meanwhile; nothing was changed here",
                account.name
            );
            return Err(ManagementError::new(Fault::Conflict, message));
        }
        let slots = account.credentials.entry(CredentialKind::OAuth2).or_default();
        let before = slots.clone();
        place(slots, stored.clone(), desk, true)?;
        tries += 1;
        match desk.directory.put_account(&account, version).await {
            Ok(_) => return Ok((account, before)),
            Err(DirectoryError::Changed { .. } | DirectoryError::Removed { .. }) if tries < TRIES => {}
            Err(error) => return Err(error.into()),
        }
    }
}
