//! The record of one login name: what proves it, which accounts it may act as, and under which conditions.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Protocol;

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
}

/// The stored form of a client secret. It proves a secret and does not reveal it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case")]
pub enum Verifier {
    /// SHA-256 over salt and secret. Only for secrets that Locum issued: 128 random bits need no slow hash.
    SaltedSha256 {
        /// 16 random bytes, base64.
        salt: String,
        /// The digest, base64.
        digest: String,
    },
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SaltedSha256 { .. } => f.write_str("SaltedSha256([REDACTED])"),
        }
    }
}

/// A right of a client to act as an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// The account of that name.
    Account(String),
}

/// Conditions of a login. Empty means no condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Protocols it may use; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<Protocol>,
    /// Names of listeners it may come through; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<String>,
    /// Networks it may come from; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
}
