//! The three mail access protocols, and the SASL mechanisms spoken in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CredentialKind;

/// A protocol that clients log in with, and that the provider is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
    /// Message submission (RFC 6409) over ESMTP with AUTH (RFC 4954).
    Submission,
}

impl Protocol {
    /// All protocols, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Imap, Self::Pop3, Self::Submission];

    /// The name used in configuration, records and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // POP is the only one that people shorten.
        match text {
            "imap" => Ok(Self::Imap),
            "pop3" | "pop" => Ok(Self::Pop3),
            "submission" => Ok(Self::Submission),
            _ => Err("expected \"imap\", \"pop3\" or \"submission\"".to_owned()),
        }
    }
}

/// A SASL mechanism that Locum speaks (`sasl/` has one file for each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN (draft-murchison-sasl-login-00), never standardised and everywhere.
    Login,
    /// XOAUTH2 (Google, "OAuth 2.0 Mechanism"; Microsoft, "Authenticate an IMAP, POP or SMTP connection using OAuth").
    Xoauth2,
    /// OAUTHBEARER (RFC 7628).
    Oauthbearer,
}

impl Mechanism {
    /// All mechanisms, best first within what they present.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Login, Self::Oauthbearer, Self::Xoauth2];

    /// Those that present a password, in the order in which they are offered to clients. LOGIN and PLAIN stay in front:
    /// some clients read no further than the second word.
    pub const WITH_PASSWORD: [Self; 2] = [Self::Plain, Self::Login];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Xoauth2 => "XOAUTH2",
            Self::Oauthbearer => "OAUTHBEARER",
        }
    }

    /// What kind of credential it presents.
    pub fn presents(self) -> CredentialKind {
        match self {
            Self::Plain | Self::Login => CredentialKind::AppPassword,
            Self::Xoauth2 | Self::Oauthbearer => CredentialKind::OAuth2,
        }
    }

    /// The mechanism of that name, in any case (RFC 4422 section 3.1 has names in upper case; devices do not).
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }

    /// The same among those [that present a password](Self::WITH_PASSWORD).
    pub fn with_password_from_name(name: &[u8]) -> Option<Self> {
        Self::from_name(name).filter(|mechanism| Self::WITH_PASSWORD.contains(mechanism))
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_name(text.as_bytes())
            .ok_or_else(|| "expected \"PLAIN\", \"LOGIN\", \"OAUTHBEARER\" or \"XOAUTH2\"".to_owned())
    }
}
