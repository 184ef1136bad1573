//! The record in which a node tells who uses, through it, a credential that is not the current one. Names and times alone.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::CredentialKind;

/// Whose record a credential is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// The account of that name.
    Account(String),
    /// The tenant of that domain: one credential for all its mailboxes.
    Tenant(String),
}

impl Holder {
    /// The name of the account or the domain.
    pub fn name(&self) -> &str {
        match self {
            Self::Account(name) | Self::Tenant(name) => name,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one node has to tell (`usage/<id>`, under the id that it gave itself when it started). Only that node writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageReport {
    /// The node: another one each time that it starts.
    pub node: String,
    /// The name of its host.
    pub host: String,
    /// When it started.
    pub started: Timestamp,
    /// When it wrote this.
    pub written: Timestamp,
    /// Whether it is over: no session is open there any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// The credentials, those with sessions first.
    #[serde(default)]
    pub entries: Vec<UsageEntry>,
    /// How many more there are that found no room.
    #[serde(default, skip_serializing_if = "super::slots::is_zero")]
    pub omitted: u32,
}

/// The use of one credential that is not the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEntry {
    /// Whose it is.
    pub holder: Holder,
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id.
    pub credential: String,
    /// Where it is in the record, as the node saw it.
    pub place: UsagePlace,
    /// Sessions that were logged in with it and are open.
    pub live: u32,
    /// When a session with it was last open.
    pub last_seen: Timestamp,
    /// Who they are, the latest first.
    #[serde(default)]
    pub logins: Vec<UsageLogin>,
    /// Whether there are or were more than these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A login name that uses a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageLogin {
    /// The login name.
    pub login: String,
    /// Its open sessions.
    pub live: u32,
    /// When one was last open.
    pub last_seen: Timestamp,
}

/// Where a credential is that is not the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsagePlace {
    /// It is to become current.
    Next,
    /// It was current before.
    Previous,
    /// It is in no place any more, and to be deleted at the provider.
    Left,
    /// The record does not name it.
    Gone,
}

impl UsagePlace {
    /// The name used in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Previous => "previous",
            Self::Left => "left",
            Self::Gone => "gone",
        }
    }
}
