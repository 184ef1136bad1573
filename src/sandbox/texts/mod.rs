//! Everything that the provider says, by face, protocol and behaviour. Texts stand here as they were seen on the wire;
//! nothing else in this room may word an answer that a provider words its own way.

mod exchange;
mod gmail;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::authority::book::TokenId;
use super::login::kind_of;
use super::{Behaviour, Face};
use crate::model::{CredentialKind, Mechanism, Protocol};
use crate::sandbox::state::Excess;

/// How a provider turns a login away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The answer: for IMAP what stands behind the tag, for submission all lines of the reply.
    pub(super) reply: Vec<String>,
    /// IMAP: untagged lines ahead of the answer.
    pub(super) before: Vec<String>,
    /// IMAP: an untagged line behind it.
    pub(super) after: Option<&'static str>,
    /// What explains it ahead of all else, in base64: the client must take note of it before it is told.
    pub(super) challenge: Option<&'static str>,
    /// Whether the connection ends.
    pub(super) closes: bool,
}

impl Refusal {
    fn new(reply: impl Into<String>) -> Self {
        Self { reply: vec![reply.into()], ..Self::default() }
    }

    fn lines(lines: &[String]) -> Self {
        Self { reply: lines.to_vec(), ..Self::default() }
    }

    fn with_bye(self, bye: &'static str) -> Self {
        Self { after: Some(bye), closes: true, ..self }
    }
}

/// What becomes of a login.
pub(super) enum Verdict {
    /// The account of that (normalised) address is logged in.
    Accept {
        address: String,
        /// Whether there is a mailbox behind the login.
        connected: bool,
        /// The token whose life the session shares.
        token: Option<TokenId>,
    },
    Refuse(Refusal),
}

/// The texts of one face.
#[derive(Debug)]
pub(super) struct Texts {
    face: Face,
    host: String,
    serial: AtomicU64,
}

impl Texts {
    pub(super) fn new(face: Face, host: &str) -> Self {
        Self { face, host: host.to_owned(), serial: AtomicU64::new(0) }
    }

    /// Whether any password can log in by that protocol.
    pub(super) fn takes_passwords(&self, protocol: Protocol) -> bool {
        match self.face {
            Face::ExchangeOnline => protocol == Protocol::Submission,
            Face::ExchangeWithPasswords | Face::Gmail => true,
        }
    }

    /// Whether a mechanism is offered, on a connection under TLS.
    pub(super) fn offers(&self, protocol: Protocol, mechanism: Mechanism) -> bool {
        if mechanism.presents() == CredentialKind::OAuth2 {
            // POP3 at Gmail does not list OAUTHBEARER, and takes it.
            return mechanism == Mechanism::Xoauth2 || self.face == Face::Gmail;
        }
        match (self.face, protocol) {
            // POP3 still lists PLAIN in 2026 and then refuses it.
            (Face::ExchangeOnline, Protocol::Pop3) => mechanism == Mechanism::Plain,
            (Face::ExchangeOnline, Protocol::Imap) => false,
            (Face::ExchangeOnline | Face::ExchangeWithPasswords, Protocol::Submission) => mechanism == Mechanism::Login,
            (Face::Gmail, Protocol::Submission) => true,
            (Face::ExchangeWithPasswords | Face::Gmail, Protocol::Imap | Protocol::Pop3) => {
                mechanism == Mechanism::Plain
            }
        }
    }

    /// Any password, where none is taken.
    pub(super) fn no_passwords(&self, protocol: Protocol) -> Refusal {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange::no_passwords(protocol, self),
            Face::Gmail => gmail::wrong_password(protocol, self),
        }
    }

    /// A wrong password, an unknown account: no provider tells them apart.
    pub(super) fn wrong_password(&self, protocol: Protocol, method: &str) -> Refusal {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange::wrong_password(protocol, method, self),
            Face::Gmail => gmail::wrong_password(protocol, self),
        }
    }

    /// A token that is not good.
    pub(super) fn wrong_token(&self, protocol: Protocol) -> Refusal {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange::wrong_token(protocol, self),
            Face::Gmail => gmail::wrong_token(protocol, self),
        }
    }

    /// What a behaviour does to a login; nothing if the login may go on.
    pub(super) fn refusal(&self, protocol: Protocol, method: &str, behaviour: Behaviour) -> Option<Refusal> {
        if !behaviour.hits(kind_of(method)) {
            return None;
        }
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange::refusal(protocol, method, behaviour, self),
            Face::Gmail => gmail::refusal(protocol, behaviour, self),
        }
    }

    fn serial(&self) -> String {
        format!("08DE{:012X}", self.serial.fetch_add(1, Ordering::Relaxed))
    }

    /// `[HOST time id]`, what Microsoft's support asks for.
    fn trailer(&self) -> String {
        format!("[{} {} {}]", self.host, Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ"), self.serial())
    }
}

/// IMAP.
impl Texts {
    pub(super) fn imap_greeting(&self, peer: IpAddr) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                format!(
                    "* OK The Microsoft Exchange IMAP4 service is ready. [{}]",
                    exchange::name_in_base64(&self.host)
                )
            }
            Face::Gmail => format!("* OK Gimap ready for requests from {peer} {}", self.serial()),
        }
    }

    /// The capabilities before login. Ahead of STARTTLS they offer no login at all.
    pub(super) fn imap_capability_before(&self, tls: bool) -> &'static str {
        match (self.face, tls) {
            (Face::ExchangeOnline, true) => exchange::IMAP_BEFORE_LOGIN_2026,
            (Face::ExchangeWithPasswords, true) => exchange::IMAP_BEFORE_LOGIN_WITH_PASSWORDS,
            (Face::ExchangeOnline | Face::ExchangeWithPasswords, false) => exchange::IMAP_BEFORE_TLS,
            (Face::Gmail, true) => gmail::IMAP_BEFORE_LOGIN,
            (Face::Gmail, false) => gmail::IMAP_BEFORE_TLS,
        }
    }

    pub(super) fn imap_capability_after(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange::IMAP_AFTER_LOGIN,
            Face::Gmail => gmail::IMAP_AFTER_LOGIN,
        }
    }

    /// The text of a tagged OK.
    pub(super) fn imap_done(&self, command: &str) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => format!("{command} completed."),
            Face::Gmail if command == "CAPABILITY" => format!("Thats all she wrote! {}", self.serial()),
            Face::Gmail => "Success".to_owned(),
        }
    }

    /// The text of the tagged OK of a login.
    pub(super) fn imap_logged_in(&self, method: &str, address: &str) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => format!("{} completed.", exchange::imap_verb(method)),
            Face::Gmail => format!("{address} authenticated (Success)"),
        }
    }

    /// Whether the capabilities are told, untagged, with the login.
    pub(super) fn imap_tells_capability_at_login(&self) -> bool {
        self.face == Face::Gmail
    }

    pub(super) fn imap_bad(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "BAD Command Argument Error. 11",
            Face::Gmail => "BAD Could not parse command",
        }
    }

    /// After too many bad commands or refused logins.
    pub(super) fn imap_enough(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "* BYE Connection is closed. 14",
            Face::Gmail => "* BYE Too many protocol errors",
        }
    }

    pub(super) fn imap_bye(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange::IMAP_BYE,
            Face::Gmail => "* BYE LOGOUT Requested",
        }
    }

    pub(super) fn imap_cancelled(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                "NO The AUTH protocol exchange was canceled by the client."
            }
            Face::Gmail => "BAD Authentication canceled",
        }
    }

    pub(super) fn imap_id(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                "* ID (\"name\" \"Microsoft.Exchange.Imap4.Imap4Server\" \"version\" \"15.20\")"
            }
            Face::Gmail => "* ID (\"name\" \"GImap\" \"vendor\" \"Google, Inc.\")",
        }
    }

    /// The message is larger than a mailbox takes.
    pub(super) fn imap_append_too_large(&self) -> &'static str {
        "NO Maximum size of appendable message has been exceeded"
    }

    /// Whether a non-synchronising literal of any size may come (LITERAL+), or of 4,096 octets at most (LITERAL-).
    pub(super) fn imap_literal_plus(&self) -> bool {
        self.face != Face::Gmail
    }

    /// Whether flags that are not system flags are kept. Exchange takes them and forgets them.
    pub(super) fn imap_keeps_keywords(&self) -> bool {
        self.face == Face::Gmail
    }

    /// What a session says that is logged in and has no mailbox: the answer, and the goodbye.
    pub(super) fn imap_not_connected(&self, behaviour: Behaviour) -> Option<(&'static str, &'static str)> {
        (self.face != Face::Gmail && behaviour == Behaviour::NotConnected).then_some(exchange::IMAP_NOT_CONNECTED)
    }

    /// What becomes of the behaviour with a login to IMAP, where that login finds no mailbox behind it.
    pub(super) fn imap_not_connected_once(&self, behaviour: Behaviour) -> Option<Behaviour> {
        match (self.face, behaviour) {
            (Face::Gmail, _) => None,
            (_, Behaviour::NotConnectedFor(logins)) => match logins.checked_sub(1)? {
                0 => Some(Behaviour::Normal),
                left => Some(Behaviour::NotConnectedFor(left)),
            },
            _ => None,
        }
    }

    /// Whether a good token for other mailboxes is let in, to find none.
    pub(super) fn imap_lets_strangers_in(&self, protocol: Protocol, behaviour: Behaviour) -> bool {
        let has_such = self.face != Face::Gmail && protocol == Protocol::Imap;
        has_such && matches!(behaviour, Behaviour::StrangersNotConnected | Behaviour::NotConnected)
    }

    /// The goodbye to a session whose token's time is over.
    pub(super) fn imap_token_over(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => exchange::IMAP_TOKEN_OVER,
            Face::Gmail => "* BYE Session expired, please login again",
        }
    }

    /// The answer in place of it to some commands.
    pub(super) fn imap_token_over_tagged(&self, command: &str) -> Option<&'static str> {
        (self.face != Face::Gmail && matches!(command, "SEARCH" | "UID")).then_some(exchange::IMAP_TOKEN_OVER_TAGGED)
    }
}

/// POP3.
impl Texts {
    pub(super) fn pop3_greeting(&self, peer: IpAddr) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                format!("+OK The Microsoft Exchange POP3 service is ready. [{}]", exchange::name_in_base64(&self.host))
            }
            Face::Gmail => format!("+OK Gpop ready for requests from {peer} {}", self.serial()),
        }
    }

    pub(super) fn pop3_capabilities(&self, tls: bool, logged_in: bool) -> &'static [&'static str] {
        let exchange = self.face != Face::Gmail;
        match (tls, logged_in) {
            (false, _) => &["TOP", "UIDL", "STLS"],
            (true, false) if exchange => &["TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER"],
            (true, false) => gmail::POP3_BEFORE_LOGIN,
            (true, true) if exchange => &["TOP", "UIDL"],
            (true, true) => &["RESP-CODES", "TOP", "UIDL"],
        }
    }

    pub(super) fn pop3_logged_in(&self, kind: CredentialKind) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords if kind == CredentialKind::OAuth2 => {
                "+OK User successfully authenticated."
            }
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "+OK User successfully logged on.",
            Face::Gmail => "+OK Welcome.",
        }
    }

    /// Exchange takes a token on a line of its own or not at all, and none of more than 4096 octets (since July 2025).
    pub(super) fn pop3_token_misplaced(&self, inline: bool, length: usize) -> Option<&'static str> {
        ((inline || length > 4096) && self.face != Face::Gmail)
            .then_some("-ERR Protocol error. Connection is closed. 10")
    }
}

/// Submission.
impl Texts {
    pub(super) fn smtp_greeting(&self) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => format!(
                "220 {} Microsoft ESMTP MAIL Service ready at {} [{}]",
                self.host,
                Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S +0000"),
                self.serial()
            ),
            Face::Gmail => format!("220 {} ESMTP {} - gsmtp", self.host, self.serial()),
        }
    }

    pub(super) fn smtp_hello(&self, peer: IpAddr) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => format!("{} Hello [{peer}]", self.host),
            Face::Gmail => format!("{} at your service, [{peer}]", self.host),
        }
    }

    pub(super) fn smtp_keywords(&self, tls: bool) -> &'static [&'static str] {
        match (self.face, tls) {
            (Face::ExchangeOnline | Face::ExchangeWithPasswords, false) => exchange::EHLO_BEFORE_TLS,
            (Face::ExchangeOnline | Face::ExchangeWithPasswords, true) => exchange::EHLO,
            (Face::Gmail, false) => gmail::EHLO_BEFORE_TLS,
            (Face::Gmail, true) => gmail::EHLO,
        }
    }

    /// The largest message, as the SIZE keyword says it.
    pub(super) fn smtp_size_max(&self) -> usize {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => 157_286_400,
            Face::Gmail => 35_882_577,
        }
    }

    pub(super) fn smtp_starttls(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "220 2.0.0 SMTP server ready",
            Face::Gmail => "220 2.0.0 Ready to start TLS",
        }
    }

    pub(super) fn smtp_logged_in(&self) -> &'static str {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => "235 2.7.0 Authentication successful",
            Face::Gmail => "235 2.7.0 Accepted",
        }
    }

    pub(super) fn smtp_no_mechanism(&self) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                format!("504 5.7.4 Unrecognized authentication type {}", self.trailer())
            }
            Face::Gmail => format!("504 5.7.4 Unrecognized Authentication Type {} - gsmtp", self.serial()),
        }
    }

    /// Exchange answers a cancelled exchange as a failed one.
    pub(super) fn smtp_cancelled(&self) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                format!("535 5.7.3 Authentication unsuccessful {}", self.trailer())
            }
            Face::Gmail => format!("501 5.7.0 Authentication canceled {} - gsmtp", self.serial()),
        }
    }

    /// The longest AUTH command is 512 octets at Gmail (RFC 4954 section 4); Exchange does not mind.
    pub(super) fn smtp_auth_line_too_long(&self, length: usize) -> Option<Vec<String>> {
        (self.face == Face::Gmail && length > 510).then(|| gmail::auth_line_too_long(&self.serial()))
    }

    pub(super) fn smtp_unauthenticated(&self, tls: bool) -> Vec<String> {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => vec![format!(
                "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM [{}]",
                self.host
            )],
            Face::Gmail => gmail::unauthenticated(tls, &self.serial()),
        }
    }

    pub(super) fn smtp_junk(&self) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                format!("500 5.3.3 Unrecognized command 'unknown' {}", self.trailer())
            }
            Face::Gmail => format!("502 5.5.1 Unrecognized command. {} - gsmtp", self.serial()),
        }
    }

    pub(super) fn smtp_too_large(&self) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                "552 5.3.4 Message size exceeds fixed maximum message size".to_owned()
            }
            Face::Gmail => {
                format!("552 5.3.4 Your message exceeded Google's message size limits. {} - gsmtp", self.serial())
            }
        }
    }

    /// What a behaviour does to a message that was sent whole; nothing if it is taken.
    pub(super) fn smtp_message_refusal(&self, behaviour: Behaviour, login: &str, from: &str) -> Option<String> {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                exchange::message_refusal(behaviour, login, from, &self.host)
            }
            Face::Gmail => None,
        }
    }

    pub(super) fn smtp_too_many(&self, excess: Excess) -> Option<String> {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => Some(exchange::too_many(excess, &self.host)),
            Face::Gmail => None,
        }
    }

    pub(super) fn smtp_taken(&self, message_id: Option<&str>) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                let made = || format!("<{}@{}>", self.serial(), self.host);
                let id = message_id.map_or_else(made, str::to_owned);
                format!("250 2.0.0 OK {id} [Hostname={}]", self.host)
            }
            Face::Gmail => {
                format!("250 2.0.0 OK  {} {} - gsmtp", Timestamp::now().as_second(), self.serial())
            }
        }
    }

    pub(super) fn smtp_bye(&self) -> String {
        match self.face {
            Face::ExchangeOnline | Face::ExchangeWithPasswords => {
                "221 2.0.0 Service closing transmission channel".to_owned()
            }
            Face::Gmail => format!("221 2.0.0 closing connection {} - gsmtp", self.serial()),
        }
    }
}
