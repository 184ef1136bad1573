//! What is shown of a client: never a secret, and no verifier either.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::{Change, Versioned};
use crate::model::{Binding, Client, Delegation, Policy, SecretSource};

/// A client, less what could prove it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Client)]
pub struct ClientView {
    /// The login name.
    pub login: String,
    /// The accounts that it may act as.
    pub accounts: Vec<String>,
    /// The mailboxes that it may act as, by patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegations: Vec<Delegation>,
    /// What proves it, by name alone.
    pub secrets: Vec<SecretView>,
    /// Where and how it may log in.
    pub policy: Policy,
    /// Who changed it last, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Change>,
}

/// A secret of a client, less the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClientSecret)]
pub struct SecretView {
    /// Its public id, as the audit names it.
    pub id: String,
    /// What the operator calls it.
    pub label: String,
    /// When it was issued.
    pub created: Timestamp,
    /// When it stops working, if ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// How it came here.
    pub source: SecretSource,
}

impl ClientView {
    /// What is shown of that record.
    pub fn of(found: Versioned<Client>) -> Self {
        let Versioned { record: Client { login, secrets, bindings, policy }, changed, .. } = found;
        let (mut accounts, mut delegations) = (Vec::new(), Vec::new());
        for binding in bindings {
            match binding {
                Binding::Account(name) => accounts.push(name),
                Binding::Delegation(delegation) => delegations.push(delegation),
            }
        }
        let secrets = secrets.into_iter().map(|secret| SecretView {
            id: secret.id,
            label: secret.label,
            created: secret.created,
            expires: secret.expires,
            source: secret.source,
        });
        Self { login, accounts, delegations, secrets: secrets.collect(), policy, changed }
    }
}
