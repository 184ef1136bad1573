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

use crate::model::{Attempt, CredentialKind, Mechanism, Secret};

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
    Login(login::Server),
    OneMessage(OneMessage),
}

/// Where the client says all at once: an empty challenge if it has not begun, and then its message.
#[derive(Debug)]
struct OneMessage {
    method: &'static str,
    parse: fn(&Secret, &'static str) -> Result<Attempt, SaslError>,
}

impl OneMessage {
    fn step(&self, response: Option<Secret>) -> Result<ServerStep, SaslError> {
        match response {
            None => Ok(ServerStep::Challenge(b"")),
            Some(response) => (self.parse)(&response, self.method).map(ServerStep::Done),
        }
    }
}

impl ServerExchange {
    /// Begins an exchange. `method` is what the audit shall call it.
    pub fn new(mechanism: Mechanism, method: &'static str) -> Self {
        let one_message = |parse| ServerState::OneMessage(OneMessage { method, parse });
        Self(match mechanism {
            Mechanism::Login => ServerState::Login(login::Server::new(method)),
            Mechanism::Plain => one_message(plain::parse),
            Mechanism::Xoauth2 => one_message(xoauth2::parse),
            Mechanism::Oauthbearer => one_message(oauthbearer::parse),
        })
    }

    /// Takes the client's next response, decoded from base64; `None` at the start if there was no initial response.
    ///
    /// # Errors
    /// If the response does not have the form of the mechanism. The exchange is then over.
    pub fn step(&mut self, response: Option<Secret>) -> Result<ServerStep, SaslError> {
        match &mut self.0 {
            ServerState::Login(server) => server.step(response),
            ServerState::OneMessage(server) => server.step(response),
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
    /// Which of the two it is: a mechanism for the other never gets it.
    pub kind: CredentialKind,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, secret, kind } = self;
        let mut shown = f.debug_struct("Credentials");
        shown.field("identity", identity).field("secret", secret).field("kind", kind).finish()
    }
}

/// Why a mechanism cannot carry a credential. Nothing of it has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub enum Unsendable {
    /// The mechanism presents the other kind.
    Kind,
    /// The name would be taken for nobody's, or for more than a name.
    Name,
    /// RFC 6750 section 2.1 says what a token is made of.
    Token,
    /// The message would be longer than servers must take.
    TooLong,
}

impl Unsendable {
    /// In words for the operator.
    pub fn text(self) -> &'static str {
        match self {
            Self::Kind => "the mechanism is for another kind of credential",
            Self::Name => "our own name at the provider is empty or has control characters",
            Self::Token => "our own token has characters that no token has",
            Self::TooLong => "our own token is longer than a login can be",
        }
    }
}

/// What the client side does next.
#[derive(Debug)]
pub enum ClientStep {
    /// Send this (not yet base64), and go on.
    Respond(Secret),
    /// The challenge was no question: we are refused, and this is why. Send the answer; what follows is the refusal.
    Acknowledge {
        /// What the mechanism prescribes, not yet base64.
        answer: Secret,
        /// The provider's reason in short, for the operator; empty if it gave none. It may repeat what we sent.
        why: Secret,
    },
    /// The mechanism has nothing more to say.
    Cancel,
}

/// The client side of one exchange.
#[derive(Debug)]
pub struct ClientExchange(ClientState);

#[derive(Debug)]
enum ClientState {
    Plain(plain::Client),
    Login(login::Client),
    Bearer(bearer::Client),
}

impl ClientExchange {
    /// Begins an exchange.
    ///
    /// # Errors
    /// If the mechanism cannot carry the credential.
    pub fn new(mechanism: Mechanism, credentials: Credentials) -> Result<Self, Unsendable> {
        if mechanism.presents() != credentials.kind {
            return Err(Unsendable::Kind);
        }
        Ok(Self(match mechanism {
            Mechanism::Plain => ClientState::Plain(plain::Client::new(credentials)),
            Mechanism::Login => ClientState::Login(login::Client::new(credentials)),
            Mechanism::Xoauth2 => ClientState::Bearer(xoauth2::client(&credentials)?),
            Mechanism::Oauthbearer => ClientState::Bearer(oauthbearer::client(&credentials)?),
        }))
    }

    /// The initial response, not yet base64, for mechanisms in which the client speaks first; the dialogue may send it
    /// at once where the protocol lets it, or else as the answer to the first challenge. `None` where the server speaks
    /// first.
    pub fn initial_response(&mut self) -> Option<Secret> {
        match &mut self.0 {
            ClientState::Plain(client) => client.initial_response(),
            ClientState::Login(_) => None,
            ClientState::Bearer(client) => client.initial_response(),
        }
    }

    /// Takes a challenge, decoded from base64.
    pub fn respond(&mut self, challenge: &[u8]) -> ClientStep {
        match &mut self.0 {
            ClientState::Plain(client) => client.initial_response().map_or(ClientStep::Cancel, ClientStep::Respond),
            ClientState::Login(client) => client.respond(),
            ClientState::Bearer(client) => client.respond(challenge),
        }
    }

    /// Whether all of the credential was handed out. A login that is accepted before is none.
    pub fn has_told(&self) -> bool {
        match &self.0 {
            ClientState::Plain(client) => client.has_told(),
            ClientState::Login(client) => client.has_told(),
            ClientState::Bearer(client) => client.has_told(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mechanism_presents_its_own_kind_alone() {
        for mechanism in Mechanism::ALL {
            for kind in [CredentialKind::AppPassword, CredentialKind::OAuth2] {
                let credentials = Credentials { identity: "scan".into(), secret: Secret::new("abc"), kind };
                let exchange = ClientExchange::new(mechanism, credentials);
                match mechanism.presents() == kind {
                    true => assert!(exchange.is_ok()),
                    false => assert_eq!(exchange.unwrap_err(), Unsendable::Kind, "{mechanism:?}"),
                }
            }
        }
    }
}
