//! The three mail access protocols, and the SASL mechanisms spoken in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A protocol that clients log in with, and that the provider is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
}

impl Mechanism {
    /// All mechanisms, in the order in which they are offered to clients. LOGIN and PLAIN stay in front: some clients
    /// read no further than the second word.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Login];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The mechanism of that name, in any case (RFC 4422 section 3.1 has names in upper case; devices do not).
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }
}

impl FromStr for Mechanism {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_name(text.as_bytes()).ok_or_else(|| "expected \"PLAIN\" or \"LOGIN\"".to_owned())
    }
}
