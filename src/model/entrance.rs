//! What a listener lets in, as far as it is not about sockets: for whom it opens, and in which forms a login may come.

use std::fmt;
use std::str::FromStr;

use super::Recognition;

/// What holds for all logins that come through one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entrance {
    /// Names of the upstream profiles whose accounts may be used here. Never empty.
    pub upstreams: Vec<String>,
    /// In which forms a client may say as whom it wants to act.
    pub login_forms: Vec<LoginForm>,
    /// What becomes of a login name that is no client's.
    pub unknown_logins: UnknownLogins,
    /// Devices that are let in without a password. Submission only.
    pub recognitions: Vec<Recognition>,
}

/// A form in which a login names both who proves and whom to act as. A client whose login name is the whole text as it stands
/// comes before any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginForm {
    /// The authorization identity of SASL PLAIN (RFC 4616 section 2): what imapsync's `--authuser1` sends.
    Authzid,
    /// `mailbox*principal`, as Dovecot's master users log in.
    Master,
    /// `principal@domain\mailbox`, as Exchange's shared mailboxes were entered; and `DOMAIN\user`, which is `user@DOMAIN`.
    Backslash,
    /// `principal@domain/mailbox`, the same with a slash.
    Slash,
}

impl LoginForm {
    /// All forms.
    pub const ALL: [Self; 4] = [Self::Authzid, Self::Master, Self::Backslash, Self::Slash];

    /// The name used in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authzid => "authzid",
            Self::Master => "master",
            Self::Backslash => "backslash",
            Self::Slash => "slash",
        }
    }
}

impl fmt::Display for LoginForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LoginForm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|form| form.name() == text);
        known.ok_or("expected \"authzid\", \"master\", \"backslash\" or \"slash\"")
    }
}

/// What becomes of a login name that is no client's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UnknownLogins {
    /// It is refused.
    #[default]
    Reject,
    /// It is shown to that upstream as it came, for as long as clients are still being moved here.
    Passthrough {
        /// The upstream profile.
        upstream: String,
    },
}
