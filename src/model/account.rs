//! The record of one mailbox at a provider: who it is there, and with which credential it is entered.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Protocol;
use super::secret::{self, Secret};
use super::slots::{Slots, is_zero};

/// The record of one mailbox (`accounts/<id>`), one compare-and-set unit in the store: a rotation is one write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The account's name as the operator wrote it, usually the address; looked up by its normalised form.
    pub name: String,
    /// The upstream profile it lives at, by its name in the configuration.
    pub upstream: String,
    /// Who it is at the provider.
    #[serde(default)]
    pub identity: Identity,
    /// Its credentials, by kind.
    #[serde(default)]
    pub credentials: BTreeMap<CredentialKind, Slots>,
    /// Which kind of credential to use.
    #[serde(default, skip_serializing_if = "Preference::is_empty")]
    pub preference: Preference,
    /// The class of account that it is of, as `[rotation.class.<name>]` in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

impl Account {
    /// An address of a tenant's domain, as if it were an account.
    pub fn of_tenant(name: &str, tenant: &Tenant) -> Self {
        Self {
            name: name.to_owned(),
            upstream: tenant.upstream.clone(),
            identity: Identity::default(),
            credentials: BTreeMap::new(),
            preference: Preference::default(),
            class: None,
        }
    }

    /// The name to log in upstream with, for a protocol.
    pub fn identity(&self, protocol: Protocol) -> &str {
        self.identity.by_protocol.get(&protocol).or(self.identity.all.as_ref()).unwrap_or(&self.name)
    }

    /// The kinds that an operator named for a protocol, best first; empty if none was named.
    pub fn preferred(&self, protocol: Protocol) -> &[CredentialKind] {
        self.preference.by_protocol.get(&protocol).unwrap_or(&self.preference.all)
    }
}

/// Which kinds of credential an account may be entered with. A list that is there names all that may be used, best first:
/// where one fails, the next is tried, and that is told. Where there is none, the first kind of [`CredentialKind::ALL`]
/// that the account has and the provider takes is used, and no other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preference {
    /// For all protocols that have none of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<CredentialKind>,
    /// For one protocol.
    #[serde(default, flatten)]
    pub by_protocol: BTreeMap<Protocol, Vec<CredentialKind>>,
}

impl Preference {
    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.by_protocol.is_empty()
    }
}

/// One credential for all mailboxes of a domain (`tenants/<id>`): what accounts without an OAuth2 credential of their own
/// use, and bindings that name an address of that domain where there is no account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// The domain behind the `@` of its mailboxes, as the operator wrote it; looked up by its normalised form.
    pub domain: String,
    /// The upstream profile its mailboxes live at.
    pub upstream: String,
    /// Its credential: an application's, which may act as any mailbox that the provider's administrator gave it.
    #[serde(default)]
    pub oauth2: Slots,
}

/// A refresh token (`tokens/<id>`), under the id of the credential that it belongs to. Nodes write it: a provider may hand
/// out a new one at any refresh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptToken {
    /// The id of the credential.
    pub credential: String,
    /// The token.
    #[serde(with = "secret::in_record")]
    pub refresh_token: Secret,
    /// When the provider handed it out.
    pub obtained: Timestamp,
}

/// Names at the provider. Where none is given the account's own name serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// For all protocols that have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<String>,
    /// For one protocol: a shared mailbox wants its own address in IMAP and the delegate's in submission.
    #[serde(default, flatten)]
    pub by_protocol: BTreeMap<Protocol, String>,
}

/// A kind of credential (`credential/` has one file for each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A password that the provider made for one application.
    AppPassword,
    /// What access tokens are got with (RFC 6749).
    #[serde(rename = "oauth2")]
    OAuth2,
}

impl CredentialKind {
    /// All kinds, in the order in which they are used where none is preferred: the older way first, so that nothing
    /// changes for an account that is given the newer one beside it.
    pub const ALL: [Self; 2] = [Self::AppPassword, Self::OAuth2];

    /// The name used on the command line and in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::AppPassword => "app-password",
            Self::OAuth2 => "oauth2",
        }
    }
}

impl FromStr for CredentialKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| "expected \"app-password\" or \"oauth2\"".to_owned())
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppPassword => f.write_str("app password"),
            Self::OAuth2 => f.write_str("OAuth2"),
        }
    }
}

/// One version of a credential. Rotation makes a new one with a new id; a version never changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCredential {
    /// Random and public: logs, audit and the breaker name it by this.
    pub id: String,
    /// The name it bears in the provider's portal, to find it there.
    #[serde(default)]
    pub label: String,
    /// When it was put here.
    pub created: Timestamp,
    /// When somebody last logged in with it before it became current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Timestamp>,
    /// How often an operator said that it is to be tried again, though the provider refused it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// What only `credential/` can read.
    #[serde(flatten)]
    pub material: Material,
}

/// The named parts of a credential, all held as secrets. Only its kind's file in `credential/` knows the names.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Material(BTreeMap<String, Part>);

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Part(#[serde(with = "secret::in_record")] Secret);

impl Material {
    /// Material of these parts.
    pub fn of_parts(parts: impl IntoIterator<Item = (&'static str, Secret)>) -> Self {
        Self(parts.into_iter().map(|(name, value)| (name.to_owned(), Part(value))).collect())
    }

    /// Material of one part.
    pub fn of(name: &str, value: Secret) -> Self {
        Self(BTreeMap::from([(name.to_owned(), Part(value))]))
    }

    /// The same with one more part, or with another one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, value: Secret) -> Self {
        self.0.insert(name.to_owned(), Part(value));
        self
    }

    /// The part of that name.
    pub fn part(&self, name: &str) -> Option<&Secret> {
        self.0.get(name).map(|part| &part.0)
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let credential = StoredCredential {
            id: "c1".into(),
            label: "locum".into(),
            created: Timestamp::UNIX_EPOCH,
            verified: None,
            retries: 0,
            material: Material::of("secret", Secret::new("canary-7f3a")),
        };
        Account {
            name: "Shared@contoso.com".into(),
            upstream: "exchange-online".into(),
            identity: Identity {
                all: None,
                by_protocol: BTreeMap::from([(Protocol::Submission, "delegate@contoso.com".into())]),
            },
            credentials: BTreeMap::from([(CredentialKind::AppPassword, Slots::of(credential))]),
            preference: Preference::default(),
            class: None,
        }
    }

    #[test]
    fn a_record_survives_the_round_trip() {
        let json = serde_json::to_string(&account()).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), account());
    }

    #[test]
    fn the_secret_is_in_the_record_and_not_in_debug() {
        assert!(serde_json::to_string(&account()).unwrap().contains("canary-7f3a"));
        assert!(!format!("{:?}", account()).contains("canary-7f3a"));
    }

    #[test]
    fn identity_falls_back_to_the_name() {
        assert_eq!(account().identity(Protocol::Imap), "Shared@contoso.com");
        assert_eq!(account().identity(Protocol::Submission), "delegate@contoso.com");
    }
}
