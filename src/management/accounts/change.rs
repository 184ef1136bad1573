//! What is changed of an account. A secret of the provider before is never shown to the one after, and no secret is forgotten
//! that may be alive somewhere.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::add::{app_password, known_class, set_identity};
use super::prefer::{Prefer, has_kind, tenant_of, used};
use super::read::{find, profile_of, record};
use super::view::{AccountView, Used};
use crate::audit::Event;
use crate::broker::Versioned;
use crate::credential::oauth2::kept_in;
use crate::management::credentials::forget;
use crate::management::given::check_label;
use crate::management::rotation::StoredView;
use crate::management::{Desk, Fault, GivenSecret, ManagementError};
use crate::model::{Account, CredentialKind, Identity, Leftover, Preference};
use crate::rotation::machine::Actor;
use crate::rotation::upkeep::{self, Pasted};

/// What is to be another than it is. What is not named stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChanges {
    /// The upstream that it lives at from now on; its credentials are left behind, so it needs another app password.
    pub upstream: Option<String>,
    /// The class that it is of; empty: of none.
    pub class: Option<String>,
    /// The name to log in upstream with; empty: the account's own again.
    pub identity: Option<String>,
    /// The same for single protocols.
    #[serde(default)]
    pub identity_for: BTreeMap<crate::model::Protocol, String>,
    /// Another app password, which is current at once, unverified. A rotation is the safer way.
    pub app_password: Option<GivenSecret>,
    /// What the app password is called in the provider's portal.
    pub label: Option<String>,
    /// Which kind of credential is preferred.
    #[serde(default)]
    pub prefer: Prefer,
}

impl AccountChanges {
    /// Whether anything but a secret is named.
    pub fn names_any(&self) -> bool {
        let Self { upstream, class, identity, identity_for, app_password: _, label, prefer } = self;
        upstream.is_some()
            || class.is_some()
            || identity.is_some()
            || !identity_for.is_empty()
            || label.is_some()
            || prefer.names_any()
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AccountChanged {
    /// The account as it is now.
    pub account: AccountView,
    /// What became of the app password that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pasted: Option<PastedAs>,
    /// What each protocol uses.
    pub used: Vec<Used>,
    /// Of the provider that it left: what is to be deleted there, by kind of credential.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_behind: BTreeMap<CredentialKind, Vec<Leftover>>,
    /// Whether its OAuth2 credential was for the provider that it left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lost_oauth2: bool,
    /// What could not be put in order behind it, and what is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// What became of an app password that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PastedAs {
    /// It is the current one now; the one before is kept for a while.
    Anew,
    /// It was already; nodes try it again, whatever the provider said before.
    Same,
    /// It was the one before, and is the current one again.
    RolledBack,
}

impl From<Pasted> for PastedAs {
    fn from(pasted: Pasted) -> Self {
        match pasted {
            Pasted::Anew => Self::Anew,
            Pasted::Same => Self::Same,
            Pasted::RolledBack => Self::RolledBack,
        }
    }
}

impl AccountChanged {
    /// The one before the current app password, if there is one.
    pub fn previous(&self) -> Option<&crate::management::rotation::PreviousView> {
        let mut places = self.account.places.iter();
        places.find(|places| places.kind == CredentialKind::AppPassword)?.previous.as_ref()
    }

    /// The app password that logins use.
    pub fn current(&self) -> Option<StoredView> {
        let mut own = self.account.credentials.iter();
        let found = own.find(|credential| credential.kind == CredentialKind::AppPassword)?;
        let (id, label) = (found.id.clone(), found.label.clone());
        Some(StoredView { id, label, created: found.created, verified: None })
    }
}

/// Changes an account. `expected`: on the condition that the record is still that [version](AccountView::version).
///
/// # Errors
/// [`Fault::Conflict`] if somebody else changed it; see [`ManagementError`].
pub async fn set(
    desk: &Desk,
    name: &str,
    changes: AccountChanges,
    expected: Option<&str>,
) -> Result<AccountChanged, ManagementError> {
    let found = record(&desk.directory, name).await?;
    desk.check_version(found.version, expected)?;
    change(desk, found, changes).await
}

/// The same of an account that was read before: on the condition that nobody else changes it meanwhile.
///
/// # Errors
/// As for [`set`].
pub async fn change(
    desk: &Desk,
    found: Versioned<Account>,
    changes: AccountChanges,
) -> Result<AccountChanged, ManagementError> {
    let Versioned { record: mut account, version, .. } = found;
    let actor = Actor { by: &desk.author, at: Timestamp::now() };
    let moves = changes.upstream.as_ref().is_some_and(|upstream| *upstream != account.upstream);
    let mut left = None;
    if let Some(upstream) = changes.upstream.filter(|_| moves) {
        left = Some(move_away(&mut account, upstream, actor));
    }
    let profile = profile_of(&desk.profiles, &account.upstream)?;
    let mut pasted = None;
    match (changes.app_password, &changes.label) {
        (Some(secret), label) => {
            let stored = app_password(secret, label.as_deref(), profile)?;
            let slots = account.credentials.entry(CredentialKind::AppPassword).or_default();
            pasted = Some(upkeep::paste(slots, stored, desk.options.grace, actor)?);
        }
        // A password is for one provider and must not be shown to another.
        (None, _) if moves && account_needs_a_password(&account, desk).await? => {
            let message = "an account that moves to another upstream needs an app password of that one";
            return Err(ManagementError::new(Fault::Usage, message));
        }
        (None, Some(label)) => relabel(&mut account, label)?,
        (None, None) => {}
    }
    set_identity(&mut account.identity, changes.identity.as_deref(), &changes.identity_for)?;
    if let Some(class) = changes.class {
        account.class = if class.is_empty() { None } else { Some(known_class(desk, class)?) };
    }
    let tenant = tenant_of(&desk.directory, &account).await?.is_some();
    if changes.prefer.names_any() {
        changes.prefer.check(&account, tenant)?;
        changes.prefer.apply(&mut account.preference);
    }
    desk.directory.put_account(&account, Some(version)).await?;
    if pasted.is_some() {
        desk.audit.record_step(&replaced(&account, &desk.author));
    }
    let used = used(&account, tenant, profile);
    let (mut warning, mut left_behind, mut lost_oauth2) = (None, BTreeMap::new(), false);
    if let Some(left) = left {
        (left_behind, lost_oauth2) = (left.to_delete(&account), left.had_oauth2);
        warning = forget(&desk.directory, &left.tokens, &BTreeSet::new()).await;
    }
    let account = find(desk, &account.name).await?;
    Ok(AccountChanged { account, pasted: pasted.map(PastedAs::from), used, left_behind, lost_oauth2, warning })
}

/// Whether it would have nothing to log in with where it moves to.
async fn account_needs_a_password(account: &Account, desk: &Desk) -> Result<bool, ManagementError> {
    let tenant = tenant_of(&desk.directory, account).await?.is_some();
    Ok(!CredentialKind::ALL.into_iter().any(|kind| has_kind(account, tenant, kind)))
}

/// What an account had at the provider that it left.
struct LeftBehind {
    from: String,
    had_oauth2: bool,
    /// The ids that its refresh tokens are kept under.
    tokens: BTreeSet<String>,
}

impl LeftBehind {
    fn to_delete(&self, account: &Account) -> BTreeMap<CredentialKind, Vec<Leftover>> {
        let there = |left: &&Leftover| left.upstream.as_ref() == Some(&self.from);
        let of = |kind: &CredentialKind| account.credentials[kind].leftovers.iter().filter(there).cloned().collect();
        account
            .credentials
            .keys()
            .map(|kind| (*kind, of(kind)))
            .filter(|(_, left): &(_, Vec<_>)| !left.is_empty())
            .collect()
    }
}

/// The account lives at that upstream from now on. No secret of the one before must be shown there, and none is forgotten:
/// what is to be deleted at the other one stays in the record.
fn move_away(account: &mut Account, upstream: String, actor: Actor<'_>) -> LeftBehind {
    let from = std::mem::replace(&mut account.upstream, upstream);
    account.identity = Identity::default(); // those were its names at the other provider
    account.preference = Preference::default();
    let oauth2 = account.credentials.get(&CredentialKind::OAuth2);
    let (mut had_oauth2, tokens) = (false, oauth2.map(kept_in).unwrap_or_default());
    for (kind, slots) in &mut account.credentials {
        let left = upkeep::move_away(slots, &from, &account.upstream, actor);
        had_oauth2 |= *kind == CredentialKind::OAuth2 && !left.is_empty();
    }
    LeftBehind { from, had_oauth2, tokens }
}

/// The audit event for an app password that was pasted.
fn replaced(account: &Account, by: &str) -> Event {
    let kind = CredentialKind::AppPassword;
    let current = account.credentials.get(&kind).and_then(|slots| slots.current.as_ref());
    Event::Rotation {
        step: "replaced",
        outcome: "done",
        reason: None,
        actor: by.to_owned(),
        subject: account.name.clone(),
        kind: kind.name(),
        credential: current.map(|current| current.id.clone()),
    }
}

/// The secret stays; only what it is called in the portal was put down wrongly, or not at all.
fn relabel(account: &mut Account, label: &str) -> Result<(), ManagementError> {
    let current = account.credentials.get_mut(&CredentialKind::AppPassword).and_then(|slots| slots.current.as_mut());
    let Some(current) = current else {
        return Err(ManagementError::invalid(format!(
            "{} has no app password that could bear a label; give it one, too",
            account.name
        )));
    };
    check_label(label)?.clone_into(&mut current.label);
    Ok(())
}
