//! The look-alike provider: the upstream of `locum demo` and of the tests. Small but real mailboxes in memory, over
//! TLS, with the greetings, capabilities and failure texts of the provider whose [`Face`] it wears.
//!
//! It knows nothing of the broker that logs in to it, and must never help it: what a provider would refuse is refused.
//! It is for loopback and for mail that nobody misses: nothing is stored, and a mailbox has no quota.
//!
//! - [`Sandbox`]: a cheap handle. Add accounts, [serve](Sandbox::serve) listeners, then look at what arrived.
//! - [`Application`], [`AuthorityTrouble`], [`TokenRequest`]: its authority, [served](Sandbox::serve_authority) over HTTPS.
//! - [`Behaviour`]: what is wrong with one account, so that each of the provider's refusals can be had on demand.
//! - Everything that it says is in `texts/`; one file or folder per protocol says when.

mod authority;
mod behaviour;
mod connection;
mod imap;
mod login;
mod mailbox;
mod message;
mod pop3;
mod state;
mod submission;
mod texts;

use std::fmt;
use std::future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::{Attempt, CredentialKind, Mechanism, Protocol, Secret};
use authority::book::TokenId;
use connection::Connection;

pub use authority::{
    Application, ApplicationProof, AuthorityTrouble, HUGE_BYTES, Mailboxes, TokenOutcome, TokenRequest,
};
pub use behaviour::Behaviour;
use mailbox::Folders;
use state::State;
use texts::{Texts, Verdict};

/// Connections of one listener at a time. More wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1024;

/// Which provider it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Exchange Online as of 2026: IMAP and POP3 take no password of any kind, submission takes an app password, by
    /// AUTH LOGIN alone.
    ExchangeOnline,
    /// Exchange as it was online until the end of 2022 and still is on premises: passwords work for all three
    /// protocols.
    ExchangeWithPasswords,
    /// Gmail: an app password works for all three protocols.
    Gmail,
}

/// How a sandbox looks.
#[derive(Debug, Clone)]
pub struct Options {
    /// The provider it plays.
    pub face: Face,
    /// The host name in its greetings and error texts.
    pub host: String,
    /// Its certificate and key.
    pub tls: Arc<rustls::ServerConfig>,
    /// How long Exchange's submission holds back the answer to a junk line or to a refused login: 5 s in the wild.
    pub junk_delay: Duration,
}

/// Whether TLS is on from the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// TLS at once (993, 995, 465).
    Implicit,
    /// Plain text until STARTTLS or STLS (143, 110, 587).
    StartTls,
}

/// A mailbox to add.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its address, which is its login too.
    pub address: String,
    /// The app password that the provider made for it.
    pub password: Secret,
    /// What is wrong with it.
    pub behaviour: Behaviour,
}

/// How much one account may submit, which Exchange enforces: 3 connections at once, and 30 messages a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// Sessions that are logged in at once.
    pub connections: usize,
    /// Messages within any such window.
    pub messages: usize,
    /// The window: a minute in the wild.
    pub window: Duration,
}

/// A login that reached the provider. It never holds the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Where it came in.
    pub protocol: Protocol,
    /// Who it said it was.
    pub identity: String,
    /// By which words: `"LOGIN command"`, `"AUTHENTICATE PLAIN"`, `"USER/PASS"`, `"AUTH LOGIN"` …
    pub mechanism: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

impl Login {
    /// The SASL mechanism; none where the protocol's own command logged in.
    pub fn sasl(&self) -> Option<Mechanism> {
        login::mechanism_of(self.mechanism)
    }

    /// What was presented.
    pub fn kind(&self) -> CredentialKind {
        login::kind_of(self.mechanism)
    }
}

/// How a login ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Let in.
    Accepted,
    /// Turned away, for whatever cause.
    Refused,
}

/// A message that submission took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The account that was logged in.
    pub account: String,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients, of this provider or not.
    pub recipients: Vec<String>,
    /// The message, byte for byte, with the dots of the wire taken out.
    pub message: Arc<Vec<u8>>,
}

/// The provider. A handle: clones are the same provider.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    options: Options,
    texts: Texts,
    state: Mutex<State>,
}

impl Sandbox {
    /// A provider without accounts.
    pub fn new(options: Options) -> Self {
        let texts = Texts::new(options.face, &options.host);
        let state = Mutex::new(State::new(options.face));
        Self(Arc::new(Inner { options, texts, state }))
    }

    /// Adds an account with empty folders, or replaces the one of that address.
    pub fn add_account(&self, account: Account) {
        let folders = Folders::new(self.0.options.face);
        self.state().add(account, folders);
    }

    /// The provider now takes this password, and no other, for the account. Says whether there is such an account.
    pub fn set_password(&self, address: &str, password: Secret) -> bool {
        self.state().account(address).map(|account| account.passwords = vec![password]).is_some()
    }

    /// The provider now takes this password, too, for the account. Says whether there is such an account.
    pub fn add_password(&self, address: &str, password: Secret) -> bool {
        self.state().account(address).map(|account| account.passwords.push(password)).is_some()
    }

    /// The same for so many logins, after which the provider takes it no more.
    pub fn add_fleeting_password(&self, address: &str, password: Secret, logins: u32) -> bool {
        let mut state = self.state();
        let Some(account) = state.account(address) else { return false };
        account.fleeting.push((password.clone(), logins));
        account.passwords.push(password);
        true
    }

    /// The provider takes this password no more for the account. Says whether it did.
    pub fn remove_password(&self, address: &str, password: &Secret) -> bool {
        let mut state = self.state();
        let Some(account) = state.account(address) else { return false };
        let before = account.passwords.len();
        account.passwords.retain(|it| it != password);
        account.passwords.len() < before
    }

    /// Every password that the provider takes for the account.
    pub fn passwords(&self, address: &str) -> Vec<Secret> {
        self.state().account(address).map(|account| account.passwords.clone()).unwrap_or_default()
    }

    /// From the next login or command on, this is wrong with the account. Says whether there is such an account.
    pub fn set_behaviour(&self, address: &str, behaviour: Behaviour) -> bool {
        self.state().account(address).map(|account| account.behaviour = behaviour).is_some()
    }

    /// From now on the account may submit no more than that: what is too much is put off at its end, as Exchange does.
    /// Says whether there is such an account.
    pub fn limit_sends(&self, address: &str, limits: SendLimits) -> bool {
        self.state().account(address).map(|account| account.sends.limits = Some(limits)).is_some()
    }

    /// Messages of the account that were too many.
    pub fn sends_put_off(&self, address: &str) -> usize {
        self.state().account(address).map_or(0, |account| account.sends.put_off)
    }

    /// From now on no password logs in, whoever's: Exchange's switch of December 2026.
    pub fn switch_passwords_off(&self) {
        self.state().passwords_are_off = true;
    }

    /// Puts a message into the account's INBOX. Says whether there is such an account.
    pub fn deliver(&self, address: &str, message: &[u8]) -> bool {
        let message = Arc::new(message.to_vec());
        self.state().account(address).map(|account| account.folders.deliver(message)).is_some()
    }

    /// The messages in a folder of an account, oldest first; none where there is no such folder.
    pub fn messages(&self, address: &str, folder: &str) -> Vec<Vec<u8>> {
        let mut state = self.state();
        let Some(mailbox) = state.account(address).and_then(|account| account.folders.named(folder)) else {
            return Vec::new();
        };
        mailbox.messages().iter().map(|message| message.bytes.to_vec()).collect()
    }

    /// The latest messages that submission took, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent()
    }

    /// The latest logins that were tried, oldest first.
    pub fn logins(&self) -> Vec<Login> {
        self.state().logins()
    }

    /// Whether this secret was ever presented as a password or token, in whatever login, let in or not.
    pub fn was_presented(&self, secret: &Secret) -> bool {
        self.times_presented(secret) > 0
    }

    /// How often this secret was presented.
    pub fn times_presented(&self, secret: &Secret) -> usize {
        self.state().times_presented(secret)
    }

    /// Serves a protocol on a listener until told to stop; returns when its connections are closed. Dropping the future
    /// ends the connections too.
    pub async fn serve(&self, protocol: Protocol, tls: Start, listener: TcpListener, until: CancellationToken) {
        self.accept(listener, until, |stream, peer| {
            let sandbox = self.clone();
            async move { sandbox.converse(protocol, tls, stream, peer).await }
        })
        .await;
    }

    /// Accepts connections until told to stop, and has each of them conversed with.
    async fn accept<F>(
        &self,
        listener: TcpListener,
        until: CancellationToken,
        converse: impl Fn(TcpStream, SocketAddr) -> F,
    ) where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        // A child, so that the connections end with `until` and with this future, whichever is first.
        let stop = until.child_token();
        let _stop_when_dropped = stop.clone().drop_guard();
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let connections = TaskTracker::new();
        loop {
            let accept = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                // Out of descriptors, most likely: wait for connections to end rather than spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (session, stop) = (converse(stream, peer), stop.clone());
            connections.spawn(async move {
                let _permit = permit;
                if let Some(Err(error)) = stop.run_until_cancelled(session).await {
                    tracing::debug!(%peer, %error, "sandbox connection ended");
                }
            });
        }
        connections.close();
        connections.wait().await;
    }

    async fn converse(&self, protocol: Protocol, tls: Start, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut connection = Connection::new(stream);
        if tls == Start::Implicit {
            connection.start_tls(self.tls()).await?;
        }
        let ended = match protocol {
            Protocol::Imap => imap::serve(self, &mut connection, peer, tls).await,
            Protocol::Pop3 => pop3::serve(self, &mut connection, peer, tls).await,
            Protocol::Submission => submission::serve(self, &mut connection, peer, tls).await,
        };
        connection.close().await;
        ended
    }

    fn face(&self) -> Face {
        self.0.options.face
    }

    fn texts(&self) -> &Texts {
        &self.0.texts
    }

    fn tls(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.options.tls)
    }

    /// Judges an attempt and remembers it.
    fn log_in(&self, protocol: Protocol, attempt: &Attempt) -> Verdict {
        self.state().log_in(self.texts(), protocol, attempt)
    }

    /// Remembers an attempt that no password could have passed.
    fn turn_away(&self, protocol: Protocol, attempt: &Attempt) {
        self.state().record(protocol, attempt, Outcome::Refused);
    }

    /// What is wrong with an account that is logged in.
    fn behaviour(&self, address: &str) -> Behaviour {
        self.state().account(address).map_or(Behaviour::Normal, |account| account.behaviour)
    }

    /// Works on an account's folders. `work` must be short: it holds the one lock of the sandbox.
    fn with_folders<T>(&self, address: &str, work: impl FnOnce(&mut Folders) -> T) -> T {
        let mut state = self.state();
        let account = state.account(address).expect("who is logged in has an account, and none is ever removed");
        work(&mut account.folders)
    }

    /// Whether the time of a session's token is over; never, where it logged in without one.
    fn token_is_over(&self, token: Option<TokenId>) -> bool {
        token.is_some_and(|token| self.state().book.end_of(token) <= Instant::now())
    }

    async fn until_token_is_over(&self, token: Option<TokenId>) {
        let Some(token) = token else { return future::pending().await };
        loop {
            let (end, mut ended) = {
                let book = &self.state().book;
                (book.end_of(token), book.ended())
            };
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                _ = ended.changed() => {}
            }
        }
    }

    async fn hold_back(&self) {
        if self.face() != Face::Gmail && !self.0.options.junk_delay.is_zero() {
            tokio::time::sleep(self.0.options.junk_delay).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder of this lock panics")
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("face", &self.face()).field("host", &self.0.options.host).finish()
    }
}
