//! A new account.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::prefer::{tenant_of, used};
use super::read::{profile_of, record};
use super::view::{AccountView, Used};
use crate::credential;
use crate::management::credentials::{authority, random_id};
use crate::management::{Desk, Fault, GivenSecret, ManagementError, check_label, check_new_name};
use crate::model::{Account, CredentialKind, Identity, Preference, Profile, Protocol, Slots, StoredCredential};

/// A new account. Without an app password it uses OAuth2: its domain's, or what it is given after.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Its name, usually its address.
    pub name: String,
    /// The upstream that it lives at, as `[upstream.<name>]` in the configuration.
    pub upstream: String,
    /// The name to log in upstream with, if it is not the account's own.
    #[serde(default)]
    pub identity: Option<String>,
    /// The same for single protocols.
    #[serde(default)]
    pub identity_for: BTreeMap<Protocol, String>,
    /// Its app password.
    #[serde(default)]
    pub app_password: Option<GivenSecret>,
    /// What that is called in the provider's portal.
    #[serde(default)]
    pub label: Option<String>,
    /// The class that it is of, as `[rotation.class.<name>]` in the configuration.
    #[serde(default)]
    pub class: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AccountAdded {
    /// The account.
    pub account: AccountView,
    /// What each protocol uses.
    pub used: Vec<Used>,
    /// Whether its domain has a credential that it may use.
    pub domain_has_credential: bool,
}

/// Makes an account.
///
/// # Errors
/// [`Fault::Exists`] if there is one of that name; see [`ManagementError`].
pub async fn add(desk: &Desk, new: NewAccount) -> Result<AccountAdded, ManagementError> {
    let profile = check_new(desk, &new.name, &new.upstream).await?;
    let account = account(desk, profile, new)?;
    let name = account.name.as_str();
    desk.directory.put_account(&account, None).await?;
    let domain_has_credential = tenant_of(&desk.directory, &account).await?.is_some();
    let used = used(&account, domain_has_credential, profile);
    let account = AccountView::of(record(&desk.directory, name).await?);
    Ok(AccountAdded { account, used, domain_has_credential })
}

/// Whether an account of that name can be made there, for who asks somebody for its secret; and the upstream.
///
/// # Errors
/// As for [`add`].
pub async fn check_new<'d>(desk: &'d Desk, name: &str, upstream: &str) -> Result<&'d Profile, ManagementError> {
    let profile = profile_of(&desk.profiles, upstream)?;
    let name = check_new_name(name)?;
    if desk.directory.account(name).await?.is_some() {
        let message = format!("there is an account {name} already; change it with `locum account set`");
        return Err(ManagementError::new(Fault::Exists, message));
    }
    Ok(profile)
}

/// The account that is to be made.
pub(super) fn account(desk: &Desk, profile: &Profile, new: NewAccount) -> Result<Account, ManagementError> {
    let mut account = empty(check_new_name(&new.name)?.to_owned(), new.upstream);
    match new.app_password {
        Some(pasted) => {
            let stored = app_password(pasted, new.label.as_deref(), profile)?;
            account.credentials.insert(CredentialKind::AppPassword, Slots::of(stored));
        }
        None if new.label.is_some() => {
            let message = "the label is that of an app password, and none is given";
            return Err(ManagementError::new(Fault::Usage, message));
        }
        None => drop(authority(profile)?),
    }
    set_identity(&mut account.identity, new.identity.as_deref(), &new.identity_for)?;
    account.class = new.class.filter(|class| !class.is_empty()).map(|class| known_class(desk, class)).transpose()?;
    Ok(account)
}

/// An account that has nothing yet.
pub fn empty(name: String, upstream: String) -> Account {
    Account {
        name,
        upstream,
        identity: Identity::default(),
        credentials: BTreeMap::new(),
        preference: Preference::default(),
        class: None,
    }
}

/// A new app password, as it is stored.
pub(super) fn app_password(
    pasted: GivenSecret,
    label: Option<&str>,
    profile: &Profile,
) -> Result<StoredCredential, ManagementError> {
    let label = label.map(check_label).transpose()?.unwrap_or_default();
    let (pasted, id) = (pasted.into_secret(), random_id()?);
    Ok(credential::new_app_password(&pasted, profile.app_password, id, label, Timestamp::now())?)
}

/// Changes the names that are named; an empty one is none.
pub(super) fn set_identity(
    identity: &mut Identity,
    all: Option<&str>,
    by_protocol: &BTreeMap<Protocol, String>,
) -> Result<(), ManagementError> {
    if let Some(name) = all {
        identity.all = if name.is_empty() { None } else { Some(check_new_name(name)?.to_owned()) };
    }
    for (protocol, name) in by_protocol {
        if name.is_empty() {
            identity.by_protocol.remove(protocol);
        } else {
            identity.by_protocol.insert(*protocol, check_new_name(name)?.to_owned());
        }
    }
    Ok(())
}

/// A class that the configuration does not have would mean nothing.
pub(super) fn known_class(desk: &Desk, class: String) -> Result<String, ManagementError> {
    let classes = &desk.options.max_ages.classes;
    if classes.contains_key(&class) {
        return Ok(class);
    }
    let known: Vec<&str> = classes.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
    Err(ManagementError::missing(format!("the configuration has no [rotation.class.{class}]; {known}")))
}
