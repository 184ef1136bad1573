//! What a listener lets in, as far as it is not about sockets: for whom it opens, and in which forms a login may come.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::Timestamp;

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
    /// Which clients may make themselves known here, if any.
    pub enrolment: Option<Enrolment>,
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
        /// Networks from which that is done; from any other it is refused. Never empty.
        networks: Vec<IpNet>,
    },
}

/// A window in which clients make themselves known by the password that they have, and nobody touches them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// By what a client is believed.
    pub mode: EnrolmentMode,
    /// What a login name without an `@` is completed by.
    pub domain: Option<String>,
    /// Networks from which it is open. Never empty.
    pub networks: Vec<IpNet>,
    /// When it opens; `None` for at once.
    pub from: Option<Timestamp>,
    /// When it closes.
    pub until: Timestamp,
}

impl Enrolment {
    /// Whether it is open at that time.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && now < self.until
    }

    /// Whether it is open at that time to who comes from there.
    pub fn is_open_to(&self, peer: IpAddr, now: Timestamp) -> bool {
        self.is_open(now) && self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The mailbox that a login name means: itself, completed if it needs to be. `None` if that is no address of one
    /// mailbox: what nobody has proven is shown to a provider only in a form that has no second meaning there.
    pub fn mailbox(&self, login: &str) -> Option<String> {
        let login = login.trim();
        let address = match &self.domain {
            Some(domain) if !login.contains('@') => format!("{login}@{domain}"),
            _ => login.to_owned(),
        };
        is_plain_address(&address).then_some(address)
    }
}

/// By what a client is believed that has no secret yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrolmentMode {
    /// The provider takes its password: then that is the client's from now on, and the account's until its first rotation.
    Learn {
        /// The upstream profile.
        upstream: String,
    },
    /// It is the first to come for an account that has a credential.
    FirstLogin,
}

impl EnrolmentMode {
    /// The name used in the configuration and in the audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Learn { .. } => "learn",
            Self::FirstLogin => "first-login",
        }
    }
}

/// The longest address: a local part of 64 octets and a domain of 255 (RFC 5321 section 4.5.3.1).
const ADDRESS_BYTES_MAX: usize = 320;

/// Whether a text is an address and nothing else: providers read more than that into `/`, `\`, `*` and `%`.
fn is_plain_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local = |c: char| c.is_alphanumeric() || "#$&'+-.=_~".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
    text.len() <= ADDRESS_BYTES_MAX
        && !local.is_empty()
        && local.chars().all(is_local)
        && domain.chars().all(is_domain)
        && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolment() -> Enrolment {
        Enrolment {
            mode: EnrolmentMode::Learn { upstream: "own".into() },
            domain: Some("contoso.com".into()),
            networks: vec!["10.3.0.0/16".parse().unwrap()],
            from: Some(Timestamp::from_second(1000).unwrap()),
            until: Timestamp::from_second(2000).unwrap(),
        }
    }

    #[test]
    fn a_window_has_two_ends_and_a_network() {
        let enrolment = enrolment();
        let open =
            |peer: &str, second| enrolment.is_open_to(peer.parse().unwrap(), Timestamp::from_second(second).unwrap());
        assert!(open("10.3.0.9", 1000) && open("10.3.255.1", 1999));
        assert!(!open("10.3.0.9", 999) && !open("10.3.0.9", 2000) && !open("10.4.0.9", 1500) && !open("::1", 1500));
    }

    #[test]
    fn a_login_is_completed_once_and_is_an_address_then() {
        let enrolment = enrolment();
        let mailbox = |login| enrolment.mailbox(login);
        assert_eq!(mailbox("scan").as_deref(), Some("scan@contoso.com"));
        assert_eq!(mailbox("Scan+3f@fabrikam.com").as_deref(), Some("Scan+3f@fabrikam.com"));
        for login in [
            "",
            "@",
            "scan@",
            "@contoso.com",
            "a@b@c",
            "a b",
            "scan@contoso.com/boss",
            "CONTOSO\\scan",
            "scan*boss",
            "scan%boss",
            "\"scan\"",
            "scan@contoso..com",
            "sc\r\nan",
        ] {
            assert_eq!(mailbox(login), None, "{login}");
        }
        let without = Enrolment { domain: None, ..enrolment };
        assert_eq!(without.mailbox("scan"), None);
    }
}
