//! Floor 1: the protocols before login, without I/O: bytes in, actions out. A protocol is a folder here and one variant
//! of [`Protocol`].
//!
//! A *dialogue* is one side of a connection until login. [`Server`] faces the client, [`Client`] faces the provider; one
//! driver runs all of them. The driver's part of the contract:
//!
//! - read from the socket only on `Wait`, and feed what was read with `receive`;
//! - carry out every other action before asking for the next one;
//! - after `StartTls`: flush, shake hands, call `tls_started`;
//! - after `Authenticate` and `Recognise`: decide, feed what was read meanwhile, call `accept` or `refuse`;
//! - after `ChangePeer`: call `peer_changed` or `refuse`;
//! - after `Relay`, `Ready`, `Fail` or `Close`: the dialogue is over, but for one whose goal is to wait.
//!
//! **Invariant:** no dialogue holds more than its [`ServerLimits`] or [`ClientLimits`] of the peer's bytes.
//!
//! **Invariant:** bytes that arrived before a TLS handshake are never read as if they had come through it: a dialogue
//! that holds any at STARTTLS ends (CVE-2011-0411 and its family).

mod exchange;
pub mod imap;
mod input;
mod lull;
pub mod pop3;
pub mod submission;
mod transcript;
#[cfg(test)]
mod waiting;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::model::{Attempt, Mechanism, Protocol, Refusal, Secret};
use crate::sasl::Credentials;

pub use lull::Lull;

/// The dialogue that faces a client.
pub trait Server: Send + fmt::Debug {
    /// Takes bytes that the client sent.
    fn receive(&mut self, bytes: &[u8]);

    /// What to do next.
    fn next_action(&mut self) -> ServerAction;

    /// Whether there are bytes that were received and not read yet.
    fn has_unread(&self) -> bool;

    /// The TLS handshake asked for by [`ServerAction::StartTls`] is done. All that was said before is forgotten.
    fn tls_started(&mut self);

    /// The attempt succeeded and the upstream is logged in.
    fn accept(&mut self, upstream: &UpstreamReady);

    /// The attempt failed. The client may try again, up to [`ServerLimits::refusals_max`].
    fn refuse(&mut self, refusal: Refusal);

    /// The peer is another one from here on, as [`ServerAction::ChangePeer`] asked; whether it may log in without TLS. All
    /// that was said before is forgotten.
    fn peer_changed(&mut self, _plaintext_login: bool) {}

    /// Says goodbye, whatever the state, and closes.
    fn shut_down(&mut self, cause: Goodbye);

    /// Where the dialogue stands, in words for the operator: `"greeting"`, `"command"`, `"AUTHENTICATE PLAIN"` …
    fn state(&self) -> &'static str;

    /// Has it remember what is said from here on, for [`Server::remarks`]. Without, it remembers nothing.
    fn be_traced(&mut self);

    /// What was said since it was asked last.
    fn remarks(&mut self) -> Vec<Remark>;
}

/// Something that was said in a dialogue, for whoever traces it. No byte of a peer's can be in it: what a peer said is told in
/// words of ours, by what the parser took it for; what we said is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Who said it.
    pub speaker: Speaker,
    /// What.
    pub text: Cow<'static, str>,
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The mail client.
    Client,
    /// Locum, to the mail client.
    Locum,
    /// Locum to the provider, or the provider.
    Upstream,
}

/// What listens to dialogues.
pub trait Tap: Send + Sync + fmt::Debug {
    /// Something was said.
    fn hear(&self, remark: Remark);
}

/// Why Locum ends a dialogue on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// The process is being stopped.
    Draining,
    /// The client took too long to log in.
    TimedOut,
    /// Its place is needed for others.
    Overloaded,
}

/// What the driver does next for a [`Server`].
#[derive(Debug)]
pub enum ServerAction {
    /// Read more.
    Wait,
    /// Write these bytes.
    Send(Outgoing),
    /// Shake TLS hands as a server.
    StartTls,
    /// Decide about this attempt.
    Authenticate(Attempt),
    /// Decide whether the client is let in for where it comes from, or for the certificate it showed.
    Recognise,
    /// A front end says for whom it speaks: count that one as the peer.
    ChangePeer(SpokenFor),
    /// Login is done; relay from here on. `early` came after the login and goes upstream first.
    Relay {
        /// Bytes the client sent behind its login.
        early: Vec<u8>,
    },
    /// Close the connection.
    Close,
}

/// Whom a front end says it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpokenFor {
    /// For the same as before.
    Same,
    /// It does not know: it is the peer itself.
    Unknown,
    /// For the client at this address.
    Address(IpAddr),
}

/// The dialogue that faces a provider.
pub trait Client: Send + fmt::Debug {
    /// Takes bytes that the provider sent.
    fn receive(&mut self, bytes: &[u8]);

    /// What to do next.
    fn next_action(&mut self) -> ClientAction;

    /// The TLS handshake asked for by [`ClientAction::StartTls`] is done. All that was said before is forgotten.
    fn tls_started(&mut self);

    /// Goes on from where [`Goal::Wait`] has led, to that goal. `false`, and nothing is sent, where it does not wait, or the
    /// provider has said more than it was asked: its next word could be taken for an answer.
    fn go_on(&mut self, goal: Goal) -> bool;

    /// Where the dialogue stands, in words for the operator: `"greeting"`, `"STARTTLS"`, `"AUTH LOGIN"` …
    fn state(&self) -> &'static str;
}

/// What the driver does next for a [`Client`].
#[derive(Debug)]
pub enum ClientAction {
    /// Read more.
    Wait,
    /// Write these bytes.
    Send(Outgoing),
    /// Shake TLS hands as a client, and verify the name.
    StartTls,
    /// The goal is reached.
    Ready(UpstreamReady),
    /// It will not be reached.
    Fail(ClientFailure),
}

/// What a [`Client`] is for.
#[derive(Debug, Clone)]
pub enum Goal {
    /// Log in and stay.
    LogIn {
        /// With what.
        credentials: Credentials,
        /// By which mechanisms, best first.
        mechanisms: Vec<Mechanism>,
    },
    /// Learn what is offered before login, and leave. No credential is needed for it.
    Probe,
    /// Get as far as a login gets without a credential, and wait there until [`Client::go_on`] says for what.
    Wait,
}

/// An upstream whose dialogue is over.
#[derive(Debug, Clone, Default)]
pub struct UpstreamReady {
    /// IMAP after login: its capabilities. Otherwise what it offered before login: EHLO keywords, POP3 capabilities.
    pub keywords: Vec<String>,
    /// Bytes that came behind the last reply and belong to the client.
    pub early: Vec<u8>,
}

/// Why an upstream dialogue failed. Texts are the provider's, made safe for a log, and never shown to a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientFailure {
    /// The provider answered the login with a refusal.
    #[error("refused: {0}")]
    Refused(String),
    /// The provider ended the session, or refused it before any login: BYE, 421, 554, -ERR as the greeting.
    #[error("turned away: {0}")]
    TurnedAway(String),
    /// STARTTLS is not offered or was refused.
    #[error("no STARTTLS: {0}")]
    NoTls(String),
    /// None of the mechanisms wanted is offered.
    #[error("no usable login mechanism: {0}")]
    NoMechanism(String),
    /// It does not speak the protocol, or breaks a limit.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
}

/// Bytes to be written. They may hold a credential: wiped when dropped, and `Debug` shows their number alone.
pub struct Outgoing(Zeroizing<Vec<u8>>);

impl Outgoing {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for the socket.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// How a [`Server`] shall behave on its connection.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The host name in greetings.
    pub name: String,
    /// TLS on this connection.
    pub tls: ServerTls,
    /// Whether this client may log in without TLS: only where the listener names its network.
    pub plaintext_login: bool,
    /// What to offer before login beside our own: EHLO keywords or POP3 capabilities that every upstream behind the
    /// listener offers too. IMAP needs none: its capabilities are told again after login.
    pub keywords: Vec<String>,
    /// Whether the peer is a front end that may speak for others. Submission only.
    pub takes_xclient: bool,
    /// Whether there are devices that are let in without a login. Submission only.
    pub recognises: bool,
    /// Bounds.
    pub limits: ServerLimits,
}

/// TLS on a client's connection, as its dialogue begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerTls {
    /// Already on.
    Active,
    /// Can be started.
    Offered,
    /// Not to be had.
    Absent,
}

/// Bounds on what a client may send before it has logged in.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// One line, its line end included. RFC 4954 section 4 asks for 12,288 octets of base64; 16 KiB leaves room.
    pub line_bytes_max: usize,
    /// One IMAP literal: names and passwords are far shorter.
    pub literal_bytes_max: usize,
    /// All bytes before login together, pipelined ones excepted: a bound on the work a stranger can ask for.
    pub total_bytes_max: usize,
    /// Refused logins before the connection ends. RFC 4954 section 9: not before three.
    pub refusals_max: u32,
    /// Unusable commands before the connection ends.
    pub bad_commands_max: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            line_bytes_max: 16 * 1024,
            literal_bytes_max: 8 * 1024,
            total_bytes_max: 256 * 1024,
            refusals_max: 3,
            bad_commands_max: 10,
        }
    }
}

/// How a [`Client`] shall behave.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Whether to begin TLS by STARTTLS. Otherwise the connection is under TLS already. There is no third way.
    pub starttls: bool,
    /// The name to greet with in EHLO. Never the client's own: devices send names that providers reject.
    pub name: String,
    /// Bounds.
    pub limits: ClientLimits,
}

/// Bounds on what a provider may send before it has let us in.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// One line, its line end included.
    pub line_bytes_max: usize,
    /// Lines of one reply, untagged IMAP responses included: an endless reply is an attack or a fault.
    pub reply_lines_max: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { line_bytes_max: 16 * 1024, reply_lines_max: 128 }
    }
}

/// The dialogue with a client of that protocol.
pub fn server(protocol: Protocol, options: ServerOptions) -> Box<dyn Server> {
    match protocol {
        Protocol::Imap => Box::new(imap::Server::new(options)),
        Protocol::Pop3 => Box::new(pop3::Server::new(options)),
        Protocol::Submission => Box::new(submission::Server::new(options)),
    }
}

/// The dialogue with a provider of that protocol.
pub fn client(protocol: Protocol, goal: Goal, options: ClientOptions) -> Box<dyn Client> {
    match protocol {
        Protocol::Imap => Box::new(imap::Client::new(goal, options)),
        Protocol::Pop3 => Box::new(pop3::Client::new(goal, options)),
        Protocol::Submission => Box::new(submission::Client::new(goal, options)),
    }
}

/// What a login by AUTH is called, in POP3 and submission alike.
fn auth_by(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "AUTH PLAIN",
        Mechanism::Login => "AUTH LOGIN",
        Mechanism::Xoauth2 => "AUTH XOAUTH2",
        Mechanism::Oauthbearer => "AUTH OAUTHBEARER",
    }
}

/// What a provider said after the login, safe for a log: what it repeats of the secret is masked.
pub(crate) fn masked(text: &[u8], secret: &Secret) -> String {
    let mut sent = input::Sent::default();
    sent.note(secret.expose());
    sent.masked(text)
}

/// What a listener may offer before login for upstreams that offer these lists: what is in all of them and can be
/// honoured through a relay.
pub fn shared_keywords(protocol: Protocol, lists: &[Vec<String>]) -> Vec<String> {
    match protocol {
        Protocol::Imap => Vec::new(),
        Protocol::Pop3 => pop3::shared_keywords(lists),
        Protocol::Submission => submission::shared_keywords(lists),
    }
}
