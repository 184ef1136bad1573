//! A mail client of raw lines under TLS, which takes whatever happens to it and says what that was.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use locum::model::Protocol;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Actor, Node};

/// What does not come within that never comes: longer than any bound that is waited for here.
const PATIENCE: Duration = Duration::from_secs(50);

/// What a client is told, by the protocol's own words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum View {
    LetIn,
    /// Try again later; its password is not in question.
    Later,
    /// Name or password is wrong.
    Wrong,
    /// Too many attempts.
    Limit,
    /// The connection ended without a word.
    Closed,
    /// Nobody took the connection.
    Refused,
    /// Anything else.
    Odd(String),
}

impl View {
    /// What that is in a protocol's words, as the page has it.
    pub(crate) fn words(&self, protocol: Protocol) -> String {
        let words = match (self, protocol) {
            (Self::LetIn, _) => return "let in".to_owned(),
            (Self::Closed, _) => return "closed".to_owned(),
            (Self::Refused, _) => return "no connection".to_owned(),
            (Self::Odd(text), _) => text,
            (Self::Later, Protocol::Imap) => "NO [UNAVAILABLE]",
            (Self::Later, Protocol::Pop3) => "-ERR [SYS/TEMP]",
            (Self::Later, Protocol::Submission) => "454 4.7.0",
            (Self::Wrong, Protocol::Imap) => "NO [AUTHENTICATIONFAILED]",
            (Self::Wrong, Protocol::Pop3) => "-ERR [AUTH]",
            (Self::Wrong, Protocol::Submission) => "535 5.7.8",
            (Self::Limit, Protocol::Imap) => "NO [LIMIT]",
            (Self::Limit, Protocol::Pop3) => "-ERR [LOGIN-DELAY]",
            (Self::Limit, Protocol::Submission) => "421 4.7.0",
        };
        format!("`{words}`")
    }

    fn of(protocol: Protocol, answer: &str) -> Self {
        let let_in = match protocol {
            Protocol::Imap => "OK ",
            Protocol::Pop3 => "+OK ",
            Protocol::Submission => "235 ",
        };
        if answer.starts_with(let_in) {
            return Self::LetIn;
        }
        if answer.is_empty() {
            return Self::Closed;
        }
        let known = [Self::Later, Self::Wrong, Self::Limit];
        let says = |view: &Self| answer.starts_with(view.words(protocol).trim_matches('`'));
        let in_use = protocol == Protocol::Pop3 && answer.starts_with("-ERR [IN-USE]");
        let found = known.iter().find(|view| says(view)).cloned();
        found.or_else(|| in_use.then_some(Self::Limit)).unwrap_or_else(|| Self::Odd(answer.to_owned()))
    }
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All of it came, and the session goes on.
    Whole,
    /// The connection ended in the middle.
    Cut,
    /// Nothing more came for as long as was waited.
    Silent,
}

/// One connection to Locum, or none that was taken.
pub(crate) struct Client {
    protocol: Protocol,
    wire: Option<BufReader<TlsStream<TcpStream>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) async fn connect(node: &Node, protocol: Protocol) -> Self {
        let wire = timeout(PATIENCE, Self::reach(node.port(protocol), node.trust())).await;
        Self { protocol, wire: wire.ok().flatten() }
    }

    async fn reach(port: u16, trust: Arc<ClientConfig>) -> Option<BufReader<TlsStream<TcpStream>>> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        socket.set_nodelay(true).ok()?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(trust).connect(name, socket).await.ok().map(BufReader::new)
    }

    /// Logs in as devices do.
    pub(crate) async fn log_in(&mut self, actor: &Actor) -> View {
        if self.wire.is_none() {
            return View::Refused;
        }
        let greeting = self.line().await;
        if greeting.is_empty() {
            return View::Closed;
        }
        let plain = BASE64.encode(format!("\0{}\0{}", actor.login, actor.secret).as_bytes());
        let answer = match self.protocol {
            Protocol::Imap => {
                self.say(&format!("a LOGIN {} \"{}\"", actor.login, actor.secret)).await;
                self.until("a ").await
            }
            Protocol::Pop3 => {
                self.say(&format!("USER {}", actor.login)).await;
                self.line().await;
                self.say(&format!("PASS {}", actor.secret)).await;
                self.line().await
            }
            Protocol::Submission => {
                self.say("EHLO scanner.test").await;
                self.until("250 ").await;
                self.say(&format!("AUTH PLAIN {plain}")).await;
                self.line().await
            }
        };
        View::of(self.protocol, &answer)
    }

    /// Something that a server answers at once; whether it did.
    pub(crate) async fn is_answered(&mut self) -> bool {
        self.ask_for_nothing().await;
        self.hears_ok().await
    }

    pub(crate) async fn ask_for_nothing(&mut self) {
        self.say(if self.protocol == Protocol::Imap { "n NOOP" } else { "NOOP" }).await;
    }

    /// Whether the answer to [`Client::ask_for_nothing`] comes, and is good.
    pub(crate) async fn hears_ok(&mut self) -> bool {
        match self.protocol {
            Protocol::Imap => self.until("n ").await.starts_with("OK"),
            Protocol::Pop3 => self.line().await.starts_with("+OK"),
            Protocol::Submission => self.line().await.starts_with("250"),
        }
    }

    /// Whether nothing is heard for a moment, and the connection stands.
    pub(crate) async fn waits(&mut self, moment: Duration) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        timeout(moment, wire.fill_buf()).await.is_err()
    }

    /// Whether the connection ends.
    pub(crate) async fn is_ended(&mut self) -> bool {
        while !self.line().await.is_empty() {}
        true
    }

    /// Fetches the first message, which has that many bytes; `silence` is what counts as no more coming.
    pub(crate) async fn fetch(&mut self, size: usize, silence: Duration) -> (usize, Ending) {
        match self.protocol {
            Protocol::Imap => {
                self.say("s EXAMINE INBOX").await;
                self.until("s ").await;
                self.say("f FETCH 1 BODY.PEEK[]").await;
            }
            Protocol::Pop3 => self.say("RETR 1").await,
            Protocol::Submission => panic!("nobody fetches by submission"),
        }
        self.take(size, silence).await
    }

    /// Reads up to the end of a message of at least so many bytes, or to another end.
    pub(crate) async fn take(&mut self, size: usize, silence: Duration) -> (usize, Ending) {
        let Some(wire) = &mut self.wire else { return (0, Ending::Cut) };
        let end: &[u8] = if self.protocol == Protocol::Imap { b"f OK" } else { b"\r\n.\r\n" };
        let (mut heard, mut buffer) = (Vec::new(), vec![0; 32 * 1024]);
        loop {
            match timeout(silence, wire.read(&mut buffer)).await {
                Err(_) => return (heard.len(), Ending::Silent),
                Ok(Ok(0) | Err(_)) => return (heard.len(), Ending::Cut),
                Ok(Ok(count)) => heard.extend_from_slice(&buffer[..count]),
            }
            let tail = &heard[heard.len().saturating_sub(200)..];
            if heard.len() >= size && tail.windows(end.len()).any(|window| window == end) {
                return (heard.len(), Ending::Whole);
            }
        }
    }

    /// Submits a message; whether it was taken, or how it ended.
    pub(crate) async fn submit(&mut self, address: &str, message: &[u8], silence: Duration) -> Ending {
        for command in [format!("MAIL FROM:<{address}>"), format!("RCPT TO:<{address}>"), "DATA".to_owned()] {
            self.say(&command).await;
            if self.line().await.is_empty() {
                return Ending::Cut;
            }
        }
        let Some(wire) = &mut self.wire else { return Ending::Cut };
        let sending = async {
            wire.write_all(message).await?;
            wire.write_all(b".\r\n").await?;
            wire.flush().await
        };
        match timeout(silence, sending).await {
            Err(_) => return Ending::Silent,
            Ok(Err(_)) => return Ending::Cut,
            Ok(Ok(())) => {}
        }
        let mut answer = String::new();
        match timeout(silence, wire.read_line(&mut answer)).await {
            Err(_) => Ending::Silent,
            Ok(Ok(1..)) if answer.starts_with("250") => Ending::Whole,
            Ok(_) => Ending::Cut,
        }
    }

    /// Begins to fetch or to submit, and does not read on.
    pub(crate) async fn begin(&mut self, address: &str, message: &[u8]) {
        match self.protocol {
            Protocol::Imap => self.say("s EXAMINE INBOX\r\nf FETCH 1 BODY.PEEK[]").await,
            Protocol::Pop3 => self.say("RETR 1").await,
            Protocol::Submission => {
                for command in [format!("MAIL FROM:<{address}>"), format!("RCPT TO:<{address}>"), "DATA".to_owned()] {
                    self.say(&command).await;
                    self.line().await;
                }
                let half = String::from_utf8_lossy(&message[..message.len() / 2]).into_owned();
                self.say(&half).await;
                return;
            }
        }
        self.line().await;
    }

    /// Is gone at once, as who loses power: the other side is reset.
    pub(crate) fn vanish(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.get_ref().get_ref().0.set_zero_linger().unwrap();
        }
    }

    /// Says that no more will be said.
    pub(crate) async fn finish(&mut self) {
        if let Some(wire) = &mut self.wire {
            let _ = wire.shutdown().await; // who has hung up needs no word
        }
    }

    pub(crate) async fn say(&mut self, line: &str) {
        if let Some(wire) = &mut self.wire {
            // One who has hung up is met at the next read.
            let _ = wire.write_all(format!("{line}\r\n").as_bytes()).await;
            let _ = wire.flush().await;
        }
    }

    /// The rest of the first line that begins so; empty where the connection ended before.
    async fn until(&mut self, start: &str) -> String {
        loop {
            let line = self.line().await;
            match line.strip_prefix(start) {
                Some(rest) => return rest.to_owned(),
                None if line.is_empty() => return line,
                None => {}
            }
        }
    }

    /// One line; empty where the connection ended. Panics where nothing comes at all.
    async fn line(&mut self) -> String {
        let Some(wire) = &mut self.wire else { return String::new() };
        let mut line = Vec::new();
        let read = timeout(PATIENCE, wire.read_until(b'\n', &mut line)).await;
        assert!(read.is_ok(), "nothing came for {PATIENCE:?} by {}", self.protocol);
        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()
    }
}
