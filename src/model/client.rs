//! The record of one login name: what proves it, which accounts it may act as, and under which conditions.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AddressPattern, Hours, Protocol};

/// The record of one login name (`clients/<id>`), one compare-and-set unit in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// The login name as the operator wrote it; looked up by its normalised form.
    pub login: String,
    /// What proves it. Many, each revocable alone.
    #[serde(default)]
    pub secrets: Vec<ClientSecret>,
    /// Which accounts it may act as.
    #[serde(default)]
    pub bindings: Vec<Binding>,
    /// Where and how it may log in.
    #[serde(default)]
    pub policy: Policy,
}

/// One secret of a client, in the form that can only check it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientSecret {
    /// The public id; an issued secret carries it in clear, so that a line of the audit can name it.
    pub id: String,
    /// What the operator calls it.
    #[serde(default)]
    pub label: String,
    /// The stored form.
    pub verifier: Verifier,
    /// When it was issued.
    pub created: Timestamp,
    /// When it stops working, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// How it came here.
    #[serde(default)]
    pub source: SecretSource,
}

/// How a client secret came into the record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// Locum made it.
    #[default]
    Issued,
    /// An operator brought its hash from another system.
    Imported,
    /// A client presented it, and the provider took it: the exception to the rule that no client secret is an upstream secret,
    /// until the account's first rotation.
    Learnt,
    /// A client presented it first, from a network that an operator named.
    FirstLogin,
}

impl SecretSource {
    /// The name used in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Imported => "imported",
            Self::Learnt => "learnt",
            Self::FirstLogin => "first-login",
        }
    }
}

/// The stored form of a client secret. It proves a secret and does not reveal it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case")]
pub enum Verifier {
    /// SHA-256 over salt and secret. Only for secrets that Locum issued: 112 random bits need no slow hash.
    SaltedSha256 {
        /// 16 random bytes, base64.
        salt: String,
        /// The digest, base64.
        digest: String,
    },
    /// A hash made to be slow, for secrets that people chose or that are too short: in the form of the PHC string format or of
    /// `crypt(3)` (`$argon2id$…`, `$2b$…`, `$6$…`, `$5$…`), or of RFC 2307 (`{SSHA}…`), which says by itself which it is.
    Chosen {
        /// The hash, with salt and parameters.
        hash: String,
    },
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SaltedSha256 { .. } => f.write_str("SaltedSha256([REDACTED])"),
            Self::Chosen { .. } => f.write_str("Chosen([REDACTED])"),
        }
    }
}

/// A right of a client to act as an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// The account of that name.
    Account(String),
    /// Every mailbox that a pattern names, for a time: what a migration tool or a backup needs.
    Delegation(Delegation),
}

impl Binding {
    /// The account that is named, if it is one account.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account(name) => Some(name),
            Self::Delegation(_) => None,
        }
    }
}

/// The right to act as any mailbox that a pattern names. The client says at each login which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delegation {
    /// Which mailboxes.
    pub pattern: AddressPattern,
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Networks from which it holds, beside what the client's policy says; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
    /// The class of quota that sessions by it are in, in place of the policy's: `[limits.class.<name>]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

/// Conditions of a login. Empty means no condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Protocols it may use; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<Protocol>,
    /// Names of listeners it may come through; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<String>,
    /// Networks it may come from; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<IpNet>,
    /// When it may log in; empty for always. A session that has begun within them goes on behind their end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<Hours>,
    /// When the client may log in no more, whichever secret it has; `None` for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Sessions that it may have open at once, on each node; `None` for no bound of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_max: Option<u32>,
    /// Senders that it may name in MAIL FROM (RFC 5321 section 4.1.1.2); empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub senders: Vec<AddressPattern>,
    /// The class of quota that it is in: `[limits.class.<name>]` in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}
