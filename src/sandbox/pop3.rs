//! POP3 (RFC 1939, RFC 2449, RFC 2595) as the provider speaks it. Messages are those that were in the INBOX at login;
//! what is deleted goes at QUIT and never before.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::connection::{Connection, line_length};
use super::login::{Asked, Exchanged, exchange, explain, inline_attempt, kind_of};
use super::message;
use super::texts::{Refusal, Verdict};
use super::{Sandbox, Start};
use crate::model::{Attempt, CredentialKind, Protocol, Secret};

/// Refused logins before the connection ends.
const REFUSALS_MAX: u32 = 3;

struct Session<'a> {
    sandbox: &'a Sandbox,
    connection: &'a mut Connection,
    tls: bool,
    user: Option<Vec<u8>>,
    drop: Option<Maildrop>,
    refusals: u32,
}

/// The INBOX as it was at login.
struct Maildrop {
    address: String,
    validity: u32,
    messages: Vec<Held>,
}

struct Held {
    uid: u32,
    bytes: Arc<Vec<u8>>,
    deleted: bool,
}

/// Whether the session goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Stay,
    Close,
}

/// Holds a session until either side ends it.
pub(super) async fn serve(
    sandbox: &Sandbox,
    connection: &mut Connection,
    peer: SocketAddr,
    start: Start,
) -> io::Result<()> {
    connection.send_line(&sandbox.texts().pop3_greeting(peer.ip())).await?;
    let tls = start == Start::Implicit;
    let mut session = Session { sandbox, connection, tls, user: None, drop: None, refusals: 0 };
    while session.command().await? == Next::Stay {}
    Ok(())
}

impl Session<'_> {
    async fn command(&mut self) -> io::Result<Next> {
        let line = self.connection.read_line().await?;
        let (verb, rest) = match line.iter().position(|&byte| byte == b' ') {
            // All of the rest: a password may have blanks in it (RFC 1939 section 7).
            Some(blank) => (&line[..blank], Some(&line[blank + 1..])),
            None => (line.as_slice(), None),
        };
        let verb = String::from_utf8_lossy(verb).to_ascii_uppercase();
        match verb.as_str() {
            "CAPA" => {
                self.connection.send_line("+OK").await?;
                for capability in self.sandbox.texts().pop3_capabilities(self.tls, self.drop.is_some()) {
                    self.connection.send_line(capability).await?;
                }
                return self.say(".").await;
            }
            "QUIT" => {
                self.update();
                self.say("+OK Server signing off.").await?;
                return Ok(Next::Close);
            }
            _ => {}
        }
        if self.drop.is_some() {
            return self.transaction(&verb, rest.unwrap_or_default()).await;
        }
        match (verb.as_str(), rest) {
            ("STLS", None) if !self.tls => {
                self.say("+OK Begin TLS negotiation.").await?;
                self.connection.start_tls(self.sandbox.tls()).await?;
                self.tls = true;
                self.user = None;
                Ok(Next::Stay)
            }
            ("USER", Some(user)) => {
                self.user = Some(user.to_vec());
                self.say("+OK").await
            }
            ("PASS", Some(password)) => {
                let Some(authcid) = self.user.take() else { return self.say("-ERR USER comes first.").await };
                let proof = Secret::new(password);
                self.decide(&Attempt { authcid, authzid: None, proof, method: "USER/PASS" }).await
            }
            ("AUTH", Some(rest)) => self.authenticate(rest).await,
            _ => self.say("-ERR Command is not valid in this state.").await,
        }
    }

    async fn authenticate(&mut self, rest: &[u8]) -> io::Result<Next> {
        let mut words = rest.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let asked = Asked::from_name(words.next().unwrap_or_default());
        let initial = words.next();
        let texts = self.sandbox.texts();
        let is_offered = match asked {
            Asked::Known(mechanism) => texts.offers(Protocol::Pop3, mechanism),
            Asked::Unknown => false,
        };
        if !is_offered || !self.tls {
            if let Some(attempt) = inline_attempt(asked, false, initial) {
                self.sandbox.turn_away(Protocol::Pop3, &attempt);
            }
            return self.say("-ERR Unsupported authentication mechanism.").await;
        }
        if asked.kind() == Some(CredentialKind::OAuth2)
            && let Some(text) = texts.pop3_token_misplaced(initial.is_some(), 0)
        {
            if let Some(attempt) = inline_attempt(asked, false, initial) {
                self.sandbox.turn_away(Protocol::Pop3, &attempt);
            }
            self.say(text).await?;
            return Ok(Next::Close);
        }
        match exchange(self.connection, asked, false, "+ ", initial).await? {
            Exchanged::Attempt(attempt) => self.decide(&attempt).await,
            Exchanged::Cancelled => self.say("-ERR Authentication canceled.").await,
            Exchanged::Malformed => self.say("-ERR The response cannot be decoded.").await,
        }
    }

    async fn decide(&mut self, attempt: &Attempt) -> io::Result<Next> {
        let texts = self.sandbox.texts();
        let kind = kind_of(attempt.method);
        if kind == CredentialKind::OAuth2
            && let Some(text) = texts.pop3_token_misplaced(false, attempt.proof.expose().len())
        {
            self.sandbox.turn_away(Protocol::Pop3, attempt);
            self.say(text).await?;
            return Ok(Next::Close);
        }
        if !self.tls {
            self.sandbox.turn_away(Protocol::Pop3, attempt);
            return self.say("-ERR Command is not valid in this state.").await;
        }
        match self.sandbox.log_in(Protocol::Pop3, attempt) {
            Verdict::Refuse(refusal) => {
                if !explain(self.connection, &refusal, attempt.method, "+ ").await? {
                    return self.say("-ERR The response cannot be decoded.").await;
                }
                self.refuse(refusal).await
            }
            Verdict::Accept { address, .. } => {
                self.drop = self.open(address);
                self.say(texts.pop3_logged_in(kind)).await
            }
        }
    }

    async fn refuse(&mut self, refusal: Refusal) -> io::Result<Next> {
        for line in &refusal.reply {
            self.connection.send_line(line).await?;
        }
        self.refusals += 1;
        Ok(if refusal.closes || self.refusals >= REFUSALS_MAX { Next::Close } else { Next::Stay })
    }

    fn open(&self, address: String) -> Option<Maildrop> {
        let (validity, messages) = self.sandbox.with_folders(&address, |folders| {
            let inbox = folders.named("INBOX")?;
            let held = |message: &super::mailbox::Message| Held {
                uid: message.uid,
                bytes: Arc::clone(&message.bytes),
                deleted: false,
            };
            Some((inbox.validity, inbox.messages().iter().map(held).collect()))
        })?;
        Some(Maildrop { address, validity, messages })
    }

    /// The UPDATE state of RFC 1939 section 6.
    fn update(&mut self) {
        if let Some(drop) = self.drop.take() {
            let deleted: Vec<u32> = drop.messages.iter().filter(|held| held.deleted).map(|held| held.uid).collect();
            self.sandbox.with_folders(&drop.address, |folders| folders.remove(drop.validity, &deleted));
        }
    }

    async fn transaction(&mut self, verb: &str, rest: &[u8]) -> io::Result<Next> {
        let words: Vec<&str> = std::str::from_utf8(rest).unwrap_or("?").split_ascii_whitespace().collect();
        let Some(drop) = &mut self.drop else { return Ok(Next::Close) };
        match (verb, words.as_slice()) {
            ("NOOP", []) => self.say("+OK").await,
            ("STAT", []) => {
                let reply =
                    format!("+OK {} {}", drop.live().count(), drop.live().map(|(_, held)| held.len()).sum::<usize>());
                self.say(&reply).await
            }
            ("RSET", []) => {
                drop.messages.iter_mut().for_each(|held| held.deleted = false);
                self.say("+OK").await
            }
            ("LIST", []) => {
                let lines = drop.live().map(|(number, held)| format!("{number} {}", held.len())).collect();
                self.listing(lines).await
            }
            ("UIDL", []) => {
                let lines = drop.live().map(|(number, held)| format!("{number} {}", drop.unique(held))).collect();
                self.listing(lines).await
            }
            ("LIST", [number]) => {
                let reply = drop.find(number).map(|held| format!("+OK {number} {}", held.len()));
                self.say(reply.as_deref().unwrap_or(NO_SUCH_MESSAGE)).await
            }
            ("UIDL", [number]) => {
                let reply = drop.find(number).map(|held| format!("+OK {number} {}", drop.unique(held)));
                self.say(reply.as_deref().unwrap_or(NO_SUCH_MESSAGE)).await
            }
            ("DELE", [number]) => {
                let reply = drop.find_mut(number).map(|held| held.deleted = true).map(|()| "+OK");
                self.say(reply.unwrap_or(NO_SUCH_MESSAGE)).await
            }
            ("RETR", [number]) => match drop.find(number).map(|held| Arc::clone(&held.bytes)) {
                Some(bytes) => self.send_message(&bytes, None).await,
                None => self.say(NO_SUCH_MESSAGE).await,
            },
            ("TOP", [number, lines]) => {
                let found = drop.find(number).map(|held| Arc::clone(&held.bytes));
                match (found, lines.parse()) {
                    (Some(bytes), Ok(lines)) => self.send_message(&bytes, Some(lines)).await,
                    _ => self.say(NO_SUCH_MESSAGE).await,
                }
            }
            _ => self.say("-ERR Protocol error.").await,
        }
    }

    async fn listing(&mut self, lines: Vec<String>) -> io::Result<Next> {
        self.connection.send_line("+OK").await?;
        for line in lines {
            self.connection.send_line(&line).await?;
        }
        self.say(".").await
    }

    /// A message, or its header and the first lines of its body, with its dots doubled (RFC 1939 section 3).
    async fn send_message(&mut self, bytes: &[u8], body_lines: Option<usize>) -> io::Result<Next> {
        self.connection.send_line("+OK").await?;
        let (header, body) = message::split(bytes);
        let body = match body_lines {
            Some(lines) => &body[..first_lines(body, lines)],
            None => body,
        };
        for mut part in [header, body] {
            while !part.is_empty() {
                let (line, rest) = part.split_at(line_length(part).unwrap_or(part.len()));
                if line.starts_with(b".") {
                    self.connection.send(b".").await?;
                }
                // A bare line feed ends a line for whoever is lax: on this wire every line ends as it should.
                let text = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
                self.connection.send(text).await?;
                self.connection.send(b"\r\n").await?;
                part = rest;
            }
        }
        self.say(".").await
    }

    async fn say(&mut self, line: &str) -> io::Result<Next> {
        self.connection.send_line(line).await?;
        Ok(Next::Stay)
    }
}

const NO_SUCH_MESSAGE: &str = "-ERR There is no such message.";

fn first_lines(body: &[u8], lines: usize) -> usize {
    let mut end = 0;
    for _ in 0..lines {
        match line_length(&body[end..]) {
            Some(length) => end += length,
            None => return body.len(),
        }
    }
    end
}

impl Maildrop {
    /// Messages that are not deleted, with their numbers, which deletion does not change.
    fn live(&self) -> impl Iterator<Item = (usize, &Held)> {
        (1..).zip(&self.messages).filter(|(_, held)| !held.deleted)
    }

    fn find(&self, number: &str) -> Option<&Held> {
        let number: usize = number.parse().ok()?;
        self.messages.get(number.checked_sub(1)?).filter(|held| !held.deleted)
    }

    fn find_mut(&mut self, number: &str) -> Option<&mut Held> {
        let number: usize = number.parse().ok()?;
        self.messages.get_mut(number.checked_sub(1)?).filter(|held| !held.deleted)
    }

    fn unique(&self, held: &Held) -> String {
        format!("{}-{}", self.validity, held.uid)
    }
}

impl Held {
    fn len(&self) -> usize {
        self.bytes.len()
    }
}
