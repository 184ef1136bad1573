//! Floor 1: SASL mechanisms (RFC 4422), both sides, without I/O. A mechanism is one file here and one variant of
//! [`Mechanism`]. This room knows no protocol: base64, prompts' framing and cancellation belong to the dialogues.
//!
//! - [`ServerExchange`]: we ask, the client answers. Ends in an [`Attempt`].
//! - [`ClientExchange`]: the upstream asks, we answer with a credential.

mod bearer;
mod login;
mod oauthbearer;
mod plain;
mod xoauth2;

use std::fmt;

use crate::model::{Attempt, Mechanism, Secret};

/// The most octets that one part of a credential may have; RFC 4616 section 2 asks for at least 255.
pub const PART_BYTES_MAX: usize = 1024;

/// Why a client's exchange cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// The response is not what the mechanism prescribes.
    #[error("the response does not have the form of the mechanism")]
    Malformed,
    /// A part is longer than [`PART_BYTES_MAX`].
    #[error("a name or password is too long")]
    TooLong,
}

/// What the server side does next.
#[derive(Debug)]
pub enum ServerStep {
    /// Send this challenge (not yet base64) and feed the answer to [`ServerExchange::step`].
    Challenge(&'static [u8]),
    /// The exchange is over.
    Done(Attempt),
}

/// The server side of one exchange.
#[derive(Debug)]
pub struct ServerExchange(ServerState);

#[derive(Debug)]
enum ServerState {
    Plain(plain::Server),
    Login(login::Server),
    Xoauth2(xoauth2::Server),
    Oauthbearer(oauthbearer::Server),
}

impl ServerExchange {
    /// Begins an exchange. `method` is what the audit shall call it.
    pub fn new(mechanism: Mechanism, method: &'static str) -> Self {
        Self(match mechanism {
            Mechanism::Plain => ServerState::Plain(plain::Server::new(method)),
            Mechanism::Login => ServerState::Login(login::Server::new(method)),
            Mechanism::Xoauth2 => ServerState::Xoauth2(xoauth2::Server::new(method)),
            Mechanism::Oauthbearer => ServerState::Oauthbearer(oauthbearer::Server::new(method)),
        })
    }

    /// Takes the client's next response, decoded from base64; `None` at the start if there was no initial response.
    ///
    /// # Errors
    /// If the response does not have the form of the mechanism. The exchange is then over.
    pub fn step(&mut self, response: Option<Secret>) -> Result<ServerStep, SaslError> {
        match &mut self.0 {
            ServerState::Plain(server) => server.step(response),
            ServerState::Login(server) => server.step(response),
            ServerState::Xoauth2(server) => server.step(response),
            ServerState::Oauthbearer(server) => server.step(response),
        }
    }
}

/// What the client side proves itself with.
#[derive(Clone)]
pub struct Credentials {
    /// The name at the provider.
    pub identity: String,
    /// The password, or the access token.
    pub secret: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("identity", &self.identity).field("secret", &self.secret).finish()
    }
}

/// The client side of one exchange.
#[derive(Debug)]
pub struct ClientExchange(ClientState);

#[derive(Debug)]
enum ClientState {
    Plain(plain::Client),
    Login(login::Client),
    Bearer(Bearer),
}

/// XOAUTH2 and OAUTHBEARER: one message, and an acknowledgement if its refusal is explained.
#[derive(Debug)]
struct Bearer {
    message: Option<Secret>,
    acknowledgement: Option<Secret>,
}

impl Bearer {
    fn new(message: Secret, acknowledgement: &[u8]) -> Self {
        Self { message: Some(message), acknowledgement: Some(Secret::new(acknowledgement)) }
    }
}

impl ClientExchange {
    /// Begins an exchange.
    pub fn new(mechanism: Mechanism, credentials: Credentials) -> Self {
        Self(match mechanism {
            Mechanism::Plain => ClientState::Plain(plain::Client::new(credentials)),
            Mechanism::Login => ClientState::Login(login::Client::new(credentials)),
            Mechanism::Xoauth2 => {
                ClientState::Bearer(Bearer::new(xoauth2::message(&credentials), xoauth2::ACKNOWLEDGEMENT))
            }
            Mechanism::Oauthbearer => {
                ClientState::Bearer(Bearer::new(oauthbearer::message(&credentials), oauthbearer::ACKNOWLEDGEMENT))
            }
        })
    }

    /// The initial response, not yet base64, for mechanisms in which the client speaks first; the dialogue may send it
    /// at once where the protocol lets it, or else as the answer to the first (empty) challenge. `None` where the
    /// server speaks first.
    pub fn initial_response(&mut self) -> Option<Secret> {
        match &mut self.0 {
            ClientState::Plain(client) => client.initial_response(),
            ClientState::Login(_) => None,
            ClientState::Bearer(bearer) => bearer.message.take(),
        }
    }

    /// The answer to a challenge, not yet base64; `None` where the mechanism has nothing more to say, and the dialogue
    /// must cancel.
    pub fn respond(&mut self, challenge: &[u8]) -> Option<Secret> {
        match &mut self.0 {
            ClientState::Plain(client) => client.initial_response(),
            ClientState::Login(client) => client.respond(challenge),
            ClientState::Bearer(bearer) => bearer.message.take().or_else(|| bearer.acknowledgement.take()),
        }
    }
}
