//! What is shown of an account: never a secret.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::{Change, Versioned};
use crate::management::credentials::CredentialView;
use crate::management::rotation::{Places, places_state};
use crate::model::{Account, CredentialKind, Identity, Preference, Protocol};

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AccountView {
    /// Its name, usually its address.
    pub name: String,
    /// The upstream that it lives at.
    pub upstream: String,
    /// Who it is there.
    pub identity: Identity,
    /// What logins use.
    pub credentials: Vec<CredentialView>,
    /// Which kind of credential is preferred.
    #[serde(skip_serializing_if = "Preference::is_empty")]
    pub preference: Preference,
    /// Of kinds that have more than a current one: what is staged, what was current before, what is to be deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Places>,
    /// How far its rotations are, in words.
    #[serde(skip)]
    pub rotation: String,
    /// The class that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Who changed it last, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Change>,
    /// Which writing of the record this is, for who changes it on the condition that nobody else did.
    #[serde(skip)]
    pub version: String,
}

/// What a protocol uses from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Used {
    /// The protocol.
    pub protocol: Protocol,
    /// The kind of credential; none: nothing that the upstream takes, and logins fail.
    pub kind: Option<CredentialKind>,
}

impl AccountView {
    /// Of what was read.
    pub fn of(found: Versioned<Account>) -> Self {
        let Versioned { record: account, changed, version } = found;
        let now = Timestamp::now();
        let states = account.credentials.values().map(|slots| places_state(slots, now));
        let rotation = states.filter(|state| !state.is_empty()).collect::<Vec<_>>().join(", ");
        let places = account.credentials.iter().map(|(kind, slots)| Places::of(*kind, slots));
        let places = places.filter(Places::say_more).collect();
        let current = account.credentials.iter().filter_map(|(kind, slots)| Some((*kind, slots.current.as_ref()?)));
        Self {
            credentials: current.map(|(kind, stored)| CredentialView::of(kind, stored)).collect(),
            name: account.name,
            upstream: account.upstream,
            identity: account.identity,
            preference: account.preference,
            places,
            rotation,
            class: account.class,
            changed,
            version: version.to_string(),
        }
    }

    /// When the first of its credentials ends that is known to.
    pub fn ends(&self) -> Option<Timestamp> {
        self.credentials.iter().filter_map(|credential| credential.oauth2.as_ref()?.expires).min()
    }

    /// Whether it has a credential of that kind of its own.
    pub fn has(&self, kind: CredentialKind) -> bool {
        self.credentials.iter().any(|credential| credential.kind == kind)
    }
}
