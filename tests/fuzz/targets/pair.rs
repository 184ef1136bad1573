//! Locum's client against Locum's server: whatever the credential is, either it is not sent, or it arrives as it is.
//!
//! An input is: protocol and set-up (1 byte), mechanism and answer (1 byte), cuts (2 bytes), a name, and the secret.

use locum::model::{Attempt, CredentialKind, Mechanism, Protocol, Refusal, Secret};
use locum::proto::{
    self, Client, ClientAction, ClientFailure, ClientLimits, ClientOptions, Goal, Server, ServerAction, ServerLimits,
    ServerOptions, ServerTls, UpstreamReady,
};
use locum::sasl::Credentials;

use super::{Input, bit};

/// More turns than any login takes, byte by byte.
const TURNS_MAX: usize = 200_000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (setup, how) = (input.byte(), input.byte());
    let cuts = (1 + usize::from(input.byte()), 1 + usize::from(input.byte()));
    let protocol = Protocol::ALL[usize::from(setup) % 3];
    let starttls = bit(setup, 7);
    let mechanism = Mechanism::WITH_PASSWORD[usize::from(how & 1)];
    let refusal = Refusal::ALL.get(usize::from(how >> 1)).copied();
    let identity = String::from_utf8_lossy(input.piece()).into_owned();
    let secret = Secret::new(input.rest());
    let kind = CredentialKind::AppPassword;
    let credentials = Credentials { identity: identity.clone(), secret: secret.clone(), kind };
    let goal = Goal::LogIn { credentials, mechanisms: vec![mechanism] };
    let mut pair = Pair::new(protocol, goal, starttls, cuts);
    let end = pair.converse(refusal);
    if let Some(attempt) = &pair.attempt {
        assert_eq!(attempt.authcid, identity.as_bytes(), "another name arrived");
        assert!(attempt.authzid.is_none() && attempt.proof == secret, "another secret arrived");
    }
    match end {
        Ok(ready) => {
            assert!(pair.attempt.is_some() && refusal.is_none(), "it is in, and nobody let it in");
            assert!(ready.early.is_empty());
        }
        Err(ClientFailure::Refused(_)) => {}
        Err(failure) => {
            let is_let_in = pair.attempt.is_some() && refusal.is_none();
            assert!(!is_let_in, "{failure}");
        }
    }
}

/// Both ends, and what lies between them.
struct Pair {
    server: Box<dyn Server>,
    client: Box<dyn Client>,
    up: Vec<u8>,
    down: Vec<u8>,
    cuts: (usize, usize),
    attempt: Option<Attempt>,
}

/// What an end did.
enum Did {
    Something,
    Nothing,
    WantsTls,
    Ended(Result<UpstreamReady, ClientFailure>),
}

impl Pair {
    fn new(protocol: Protocol, goal: Goal, starttls: bool, cuts: (usize, usize)) -> Self {
        let server = ServerOptions {
            name: "mail.example.com".into(),
            tls: if starttls { ServerTls::Offered } else { ServerTls::Active },
            plaintext_login: false,
            keywords: Vec::new(),
            takes_xclient: false,
            recognises: false,
            limits: ServerLimits::default(),
        };
        let client = ClientOptions { starttls, name: "locum.example.com".into(), limits: ClientLimits::default() };
        Self {
            server: proto::server(protocol, server),
            client: proto::client(protocol, goal, client),
            up: Vec::new(),
            down: Vec::new(),
            cuts,
            attempt: None,
        }
    }

    /// Lets both talk until the client is done.
    fn converse(&mut self, refusal: Option<Refusal>) -> Result<UpstreamReady, ClientFailure> {
        for _ in 0..TURNS_MAX {
            let server = self.serve(refusal);
            match (server, self.ask()) {
                (_, Did::Ended(end)) => return end,
                (Did::WantsTls, Did::WantsTls) => {
                    assert!(self.up.is_empty() && self.down.is_empty(), "something lies before the handshake");
                    self.server.tls_started();
                    self.client.tls_started();
                }
                // Whoever waits for the other to say something will wait for ever.
                (Did::Nothing | Did::Ended(_), Did::Nothing) if self.up.is_empty() && self.down.is_empty() => {
                    return Err(ClientFailure::Protocol("nobody says anything"));
                }
                _ => {}
            }
        }
        panic!("no end: the server is at {:?}, the client at {:?}", self.server.state(), self.client.state());
    }

    fn serve(&mut self, refusal: Option<Refusal>) -> Did {
        match self.server.next_action() {
            ServerAction::Wait if self.up.is_empty() => return Did::Nothing,
            ServerAction::Wait => {
                let piece: Vec<u8> = self.up.drain(..self.cuts.0.min(self.up.len())).collect();
                self.server.receive(&piece);
            }
            ServerAction::Send(bytes) => self.down.extend_from_slice(bytes.as_bytes()),
            ServerAction::StartTls => return Did::WantsTls,
            ServerAction::Authenticate(attempt) => {
                assert!(self.attempt.replace(attempt).is_none(), "a second attempt");
                match refusal {
                    None => {
                        self.server.accept(&UpstreamReady { keywords: vec!["IMAP4rev1".to_owned()], early: Vec::new() })
                    }
                    Some(refusal) => self.server.refuse(refusal),
                }
            }
            ServerAction::Relay { early } => {
                assert!(early.is_empty() && self.attempt.is_some());
                return Did::Nothing;
            }
            ServerAction::Close => return Did::Nothing,
            ServerAction::Recognise | ServerAction::ChangePeer(_) => panic!("nobody asked for that"),
        }
        Did::Something
    }

    fn ask(&mut self) -> Did {
        match self.client.next_action() {
            ClientAction::Wait if self.down.is_empty() => return Did::Nothing,
            ClientAction::Wait => {
                let piece: Vec<u8> = self.down.drain(..self.cuts.1.min(self.down.len())).collect();
                self.client.receive(&piece);
            }
            ClientAction::Send(bytes) => self.up.extend_from_slice(bytes.as_bytes()),
            ClientAction::StartTls => return Did::WantsTls,
            ClientAction::Ready(ready) => return Did::Ended(Ok(ready)),
            ClientAction::Fail(failure) => return Did::Ended(Err(failure)),
        }
        Did::Something
    }
}
