//! Tickets by which clients resume a TLS session (RFC 5077; RFC 8446 section 4.6.1), under keys that nodes share. What a node
//! would have to remember of a session the client keeps, sealed: so it is resumed after a reload, after a restart, and at
//! another node. A ticket must never be worth more than a new handshake: it says nothing of who the client is, and one that
//! does not open costs that handshake and nothing else.
//!
//! A ticket reads `id of the key (16 bytes) ‖ nonce (12) ‖ sealed ‖ tag (16)`, by ChaCha20-Poly1305. It is bound to the id, to the
//! application protocol and to the listener: rustls compares server names and cipher suites when it resumes, and neither of these.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::ServerConfig;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache};
use zeroize::Zeroizing;

use crate::model::Secret;

/// Bytes of the name of a key. Drawn by lot, so that no two nodes draw the same.
const ID_BYTES: usize = 16;

/// Bytes of a key of ChaCha20-Poly1305.
const KEY_BYTES: usize = 32;

/// No ticket is longer. What is sealed is a secret of 48 bytes, a server name and the name of a protocol; what strangers send
/// beyond that is not worth the work.
const TICKET_BYTES_MAX: usize = 1024;

/// Tickets after each handshake by TLS 1.3. One is enough for a client that logs in, and comes again: each session brings the
/// next one, and those that open several at once got as many. The second, of which rustls sends two by itself, is 250 bytes
/// and a sealing for nothing.
const TICKETS_PER_HANDSHAKE: usize = 1;

/// Sessions that a listener remembers, of clients by TLS 1.2 that know no tickets (Java before 13). As many as rustls does by
/// itself: for each of them a few hundred bytes.
const SESSIONS_WITHOUT_TICKETS_MAX: usize = 256;

/// A key that seals and opens tickets until its end.
pub struct TicketKey {
    id: [u8; ID_BYTES],
    /// Wiped when it is freed, as all memory of the program is.
    key: LessSafeKey,
    ends: Timestamp,
}

impl TicketKey {
    /// The key of that record, good until `ends`; `None` if it has not the form of one: an id of 16 bytes in hexadecimal and a
    /// secret of 32 in base64.
    pub fn new(id: &str, secret: &Secret, ends: Timestamp) -> Option<Self> {
        let id = HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok()?;
        let secret = Zeroizing::new(BASE64.decode(secret.expose()).ok()?);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &secret).ok()?;
        Some(Self { id, key: LessSafeKey::new(key), ends })
    }

    /// An id and a secret that nobody else has; `None` if the operating system gives no random numbers.
    pub fn draw() -> Option<(String, Secret)> {
        let (mut id, mut secret) = ([0; ID_BYTES], Zeroizing::new([0; KEY_BYTES]));
        let random = SystemRandom::new();
        random.fill(&mut id).ok()?;
        random.fill(&mut *secret).ok()?;
        Some((HEXLOWER.encode(&id), Secret::new(BASE64.encode(&*secret))))
    }

    fn is_live(&self, now: Timestamp) -> bool {
        now < self.ends
    }

    fn seal(&self, context: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let bytes = ID_BYTES + NONCE_LEN + plain.len() + CHACHA20_POLY1305.tag_len();
        if bytes > TICKET_BYTES_MAX {
            return None;
        }
        // By lot: nodes that share a key cannot count together. Of 2^32 tickets under one key two have the same nonce with a
        // chance of 2^-33, and a key lasts for hours.
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        // With room for all of it from the start, so that it is not moved, and leaves no copy of what is not sealed yet.
        let mut ticket = Vec::with_capacity(bytes);
        ticket.extend_from_slice(&self.id);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(plain);
        let (nonce, sealed) = (Nonce::assume_unique_for_key(nonce), &mut ticket[ID_BYTES + NONCE_LEN..]);
        let tag = self.key.seal_in_place_separate_tag(nonce, self.bound_to(context), sealed).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn open(&self, context: &[u8], nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let bytes = self.key.open_in_place(nonce, self.bound_to(context), &mut plain).ok()?.len();
        plain.truncate(bytes);
        Some(plain)
    }

    fn bound_to(&self, context: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([self.id.as_slice(), context].concat())
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKey").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// The keys that a node has now, for all its listeners. Clones are one; whoever serves with it goes on through reloads.
#[derive(Debug, Clone, Default)]
pub struct Tickets(Arc<ArcSwap<Vec<TicketKey>>>);

impl Tickets {
    /// From now on the first of these seals, and all of them open. None: no tickets.
    pub fn hold(&self, keys: Vec<TicketKey>) {
        self.0.store(Arc::new(keys));
    }

    /// What seals and opens for that listener, and for none beside it.
    pub fn of(&self, protocol: &[u8], listener: &str) -> Arc<dyn ProducesTickets> {
        // Neither holds a NUL: no two listeners come to the same.
        let context = [b"locum:tls-ticket", protocol, listener.as_bytes()].join(&0);
        Arc::new(Ticketer { tickets: self.clone(), context })
    }

    fn seal(&self, context: &[u8], plain: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        self.0.load().first().filter(|key| key.is_live(now))?.seal(context, plain)
    }

    fn open(&self, context: &[u8], ticket: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let (id, rest) = ticket.split_first_chunk::<ID_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        // No more than one key is ever tried: which one it is, is no secret.
        let keys = self.0.load();
        keys.iter().find(|key| key.id == *id && key.is_live(now))?.open(context, *nonce, sealed)
    }

    /// Seconds that a ticket is good for which is sealed now.
    fn lifetime(&self, now: Timestamp) -> u32 {
        let ends = self.0.load().first().map_or(now, |key| key.ends);
        u32::try_from(ends.as_second() - now.as_second()).unwrap_or_default()
    }
}

/// [`Tickets`] as one listener has them.
struct Ticketer {
    tickets: Tickets,
    context: Vec<u8>,
}

impl ProducesTickets for Ticketer {
    /// Without a key the listener remembers sessions itself, as long as it has none.
    fn enabled(&self) -> bool {
        self.tickets.lifetime(Timestamp::now()) > 0
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime(Timestamp::now())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.seal(&self.context, plain, Timestamp::now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.tickets.open(&self.context, ticket, Timestamp::now())
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

/// The same for that listener, whose clients get tickets. Not for a listener that asks for certificates: a session that is
/// resumed brings along what was proven in the first one, by whomever.
pub fn with_tickets(config: &ServerConfig, tickets: &Tickets, listener: &str) -> Arc<ServerConfig> {
    let mut config = config.clone();
    let protocol = config.alpn_protocols.first().map(Vec::as_slice).unwrap_or_default();
    config.ticketer = tickets.of(protocol, listener);
    // Its own: what was cloned is shared with every listener of that certificate.
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_WITHOUT_TICKETS_MAX);
    config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
    Arc::new(config)
}

#[cfg(test)]
mod tests;
