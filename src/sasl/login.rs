//! LOGIN (draft-murchison-sasl-login-00): the server asks for a name, then for a password.
//!
//! The draft's prompts are `User Name` and `Password`; devices in the field compare with `Username:` and `Password:`
//! and hang up on anything else, so those are the ones.

use super::{ClientStep, Credentials, PART_BYTES_MAX, SaslError, ServerStep};
use crate::model::{Attempt, Secret};

const USERNAME: &[u8] = b"Username:";
const PASSWORD: &[u8] = b"Password:";

#[derive(Debug)]
pub(super) struct Server {
    method: &'static str,
    state: ServerState,
}

#[derive(Debug)]
enum ServerState {
    Start,
    ExpectName,
    ExpectPassword { name: Vec<u8> },
    Over,
}

impl Server {
    pub(super) fn new(method: &'static str) -> Self {
        Self { method, state: ServerState::Start }
    }

    /// An initial response is the name: the next prompt must then be the password's, or many devices give up.
    pub(super) fn step(&mut self, response: Option<Secret>) -> Result<ServerStep, SaslError> {
        match (std::mem::replace(&mut self.state, ServerState::Over), response) {
            (ServerState::Start, None) => {
                self.state = ServerState::ExpectName;
                Ok(ServerStep::Challenge(USERNAME))
            }
            (ServerState::Start | ServerState::ExpectName, Some(name)) => {
                self.state = ServerState::ExpectPassword { name: part(&name)?.to_vec() };
                Ok(ServerStep::Challenge(PASSWORD))
            }
            (ServerState::ExpectPassword { name }, Some(password)) => {
                part(&password)?;
                Ok(ServerStep::Done(Attempt { authcid: name, authzid: None, proof: password, method: self.method }))
            }
            _ => Err(SaslError::Malformed),
        }
    }
}

fn part(response: &Secret) -> Result<&[u8], SaslError> {
    match response.expose() {
        [] => Err(SaslError::Malformed),
        bytes if bytes.contains(&0) => Err(SaslError::Malformed),
        bytes if bytes.len() > PART_BYTES_MAX => Err(SaslError::TooLong),
        bytes => Ok(bytes),
    }
}

#[derive(Debug)]
pub(super) struct Client {
    credentials: Credentials,
    sent: u8,
}

impl Client {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, sent: 0 }
    }

    /// The name first, then the password: "clients should ignore the text" of the prompts (draft section 2.2).
    pub(super) fn respond(&mut self) -> ClientStep {
        self.sent = self.sent.saturating_add(1);
        match self.sent {
            1 => ClientStep::Respond(Secret::new(self.credentials.identity.as_bytes())),
            2 => ClientStep::Respond(self.credentials.secret.clone()),
            _ => ClientStep::Cancel,
        }
    }

    pub(super) fn has_told(&self) -> bool {
        self.sent >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CredentialKind;

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    fn challenge(step: Result<ServerStep, SaslError>) -> &'static [u8] {
        match step {
            Ok(ServerStep::Challenge(challenge)) => challenge,
            other => panic!("expected a challenge, got {other:?}"),
        }
    }

    #[test]
    fn name_then_password() {
        let mut server = Server::new("test");
        assert_eq!(challenge(server.step(None)), USERNAME);
        assert_eq!(challenge(server.step(secret("scan"))), PASSWORD);
        let Ok(ServerStep::Done(attempt)) = server.step(secret("geheim")) else { panic!("not done") };
        assert_eq!((attempt.authcid.as_slice(), attempt.proof.expose()), (b"scan".as_slice(), b"geheim".as_slice()));
    }

    #[test]
    fn an_initial_response_is_the_name() {
        assert_eq!(challenge(Server::new("test").step(secret("scan"))), PASSWORD);
    }

    #[test]
    fn empty_and_nul_are_malformed_and_end_the_exchange() {
        for bad in ["", "a\0b"] {
            let mut server = Server::new("test");
            assert_eq!(server.step(secret(bad)).unwrap_err(), SaslError::Malformed);
            assert_eq!(server.step(secret("scan")).unwrap_err(), SaslError::Malformed, "the exchange is over");
        }
    }

    #[test]
    fn our_client_answers_twice() {
        let (identity, secret) = ("scan".to_owned(), Secret::new("geheim"));
        let mut client = Client::new(Credentials { identity, secret, kind: CredentialKind::AppPassword });
        for answer in [b"scan".as_slice(), b"geheim"] {
            let ClientStep::Respond(response) = client.respond() else { panic!("no {answer:?}") };
            assert_eq!(response.expose(), answer);
        }
        assert!(matches!(client.respond(), ClientStep::Cancel));
    }
}
