//! Drives one side of a dialogue as a session does, but for the socket: what the peer sent lies on the wire until the
//! dialogue waits for it, and then arrives in pieces of a chosen size.

use std::collections::VecDeque;

use locum::model::{Attempt, Protocol, Refusal};
use locum::proto::{
    self, Client, ClientAction, ClientFailure, ClientOptions, Goal, Goodbye, Server, ServerAction, ServerOptions,
    SpokenFor, UpstreamReady,
};

use crate::script::escape;

/// One side under test.
#[derive(Debug)]
pub(crate) enum Side {
    Server(Box<dyn Server>),
    Client(Box<dyn Client>),
}

impl Side {
    pub(crate) fn server(protocol: Protocol, options: ServerOptions) -> Self {
        Self::Server(proto::server(protocol, options))
    }

    pub(crate) fn client(protocol: Protocol, goal: Goal, options: ClientOptions) -> Self {
        Self::Client(proto::client(protocol, goal, options))
    }

    fn receive(&mut self, bytes: &[u8]) {
        match self {
            Self::Server(server) => server.receive(bytes),
            Self::Client(client) => client.receive(bytes),
        }
    }

    fn next(&mut self) -> Step {
        match self {
            Self::Server(server) => match server.next_action() {
                ServerAction::Wait => Step::Wait,
                ServerAction::Send(bytes) => Step::Say(bytes.as_bytes().to_vec()),
                ServerAction::StartTls => Step::Do(Act::StartTls),
                ServerAction::Authenticate(attempt) => Step::Do(Act::Authenticate(attempt)),
                ServerAction::Recognise => Step::Do(Act::Recognise),
                ServerAction::ChangePeer(said) => Step::Do(Act::ChangePeer(said)),
                ServerAction::Relay { early } => Step::Do(Act::Relay { early }),
                ServerAction::Close => Step::Do(Act::Close),
            },
            Self::Client(client) => match client.next_action() {
                ClientAction::Wait => Step::Wait,
                ClientAction::Send(bytes) => Step::Say(bytes.as_bytes().to_vec()),
                ClientAction::StartTls => Step::Do(Act::StartTls),
                ClientAction::Ready(ready) => Step::Do(Act::Ready(ready)),
                ClientAction::Fail(failure) => Step::Do(Act::Fail(failure)),
            },
        }
    }
}

enum Step {
    Wait,
    Say(Vec<u8>),
    Do(Act),
}

/// What a dialogue asks for, beside reading and writing.
#[derive(Debug)]
pub(crate) enum Act {
    StartTls,
    /// TLS was asked for while the peer's bytes in clear were still on the wire: the handshake would choke on them.
    BrokenTls,
    Authenticate(Attempt),
    Recognise,
    ChangePeer(SpokenFor),
    Relay {
        early: Vec<u8>,
    },
    Close,
    Ready(UpstreamReady),
    Fail(ClientFailure),
}

impl Act {
    /// The act in the words of a transcript.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::StartTls => "starttls".to_owned(),
            Self::BrokenTls => "starttls with bytes behind it".to_owned(),
            Self::Authenticate(attempt) => {
                let authzid = attempt.authzid.as_deref().map(|name| format!(" authzid={}", escape(name)));
                format!(
                    "authenticate authcid={}{} password={}",
                    escape(&attempt.authcid),
                    authzid.unwrap_or_default(),
                    escape(attempt.proof.expose())
                )
            }
            Self::Recognise => "recognise".to_owned(),
            Self::ChangePeer(SpokenFor::Same) => "change-peer same".to_owned(),
            Self::ChangePeer(SpokenFor::Unknown) => "change-peer unknown".to_owned(),
            Self::ChangePeer(SpokenFor::Address(address)) => format!("change-peer {address}"),
            Self::Relay { early } => format!("relay early={}", escape(early)),
            Self::Close => "close".to_owned(),
            Self::Ready(ready) => format!("ready keywords={} early={}", ready.keywords.join(" "), escape(&ready.early)),
            Self::Fail(failure) => {
                let (variant, text) = match failure {
                    ClientFailure::Refused(text) => ("Refused", text.as_str()),
                    ClientFailure::TurnedAway(text) => ("TurnedAway", text.as_str()),
                    ClientFailure::NoTls(text) => ("NoTls", text.as_str()),
                    ClientFailure::NoMechanism(text) => ("NoMechanism", text.as_str()),
                    ClientFailure::Protocol(text) => ("Protocol", *text),
                };
                format!("fail {variant} {text}")
            }
        }
    }
}

/// How the peer's bytes arrive.
#[derive(Debug, Clone)]
pub(crate) enum Cut {
    /// Line by line.
    Lines,
    /// One by one.
    Bytes,
    /// As many at once as there are.
    Glued,
    /// In pieces of these lengths, over and over.
    Lengths(Vec<usize>),
}

/// A side, and the wire between it and its peer.
#[derive(Debug)]
pub(crate) struct Wire {
    side: Side,
    cut: Cut,
    pieces_read: usize,
    /// Sent by the peer, not yet read.
    unread: VecDeque<u8>,
    /// Said by our side, not yet taken.
    pub(crate) said: Vec<u8>,
    /// What our side asks for; nothing goes on before it is [answered](Self::take_act).
    act: Option<Act>,
    /// Nothing may be read before a decision or a handshake.
    held: bool,
    /// The dialogue said that it is.
    over: bool,
}

impl Wire {
    pub(crate) fn new(side: Side, cut: Cut) -> Self {
        Self {
            side,
            cut,
            pieces_read: 0,
            unread: VecDeque::new(),
            said: Vec::new(),
            act: None,
            held: false,
            over: false,
        }
    }

    /// The peer sends this. Nothing reads it yet.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.unread.extend(bytes);
    }

    /// Goes on until there is nothing left to read or something to answer.
    pub(crate) fn drive(&mut self) {
        // More than any bounded dialogue can do with the inputs of these tests.
        const STEPS_MAX: usize = 1_000_000;
        for _ in 0..STEPS_MAX {
            if self.over || self.act.is_some() {
                return;
            }
            match self.side.next() {
                Step::Say(bytes) => self.said.extend(bytes),
                Step::Wait if self.held || self.unread.is_empty() => return,
                Step::Wait => {
                    let piece = self.next_piece();
                    self.side.receive(&piece);
                }
                Step::Do(act) => self.act = Some(self.hold(act)),
            }
        }
        panic!("the dialogue goes on and on: {:?}", self.side);
    }

    /// Whoever takes over from the dialogue finds the rest on the wire, so it counts with what was handed over.
    fn hold(&mut self, act: Act) -> Act {
        match act {
            Act::StartTls if !self.unread.is_empty() => Act::BrokenTls,
            Act::Relay { mut early } => {
                early.extend(self.unread.drain(..));
                Act::Relay { early }
            }
            Act::Ready(mut ready) => {
                ready.early.extend(self.unread.drain(..));
                Act::Ready(ready)
            }
            act => act,
        }
    }

    fn next_piece(&mut self) -> Vec<u8> {
        let length = match &self.cut {
            Cut::Lines => self.unread.iter().position(|&byte| byte == b'\n').map_or(self.unread.len(), |end| end + 1),
            Cut::Bytes => 1,
            Cut::Glued => self.unread.len(),
            Cut::Lengths(lengths) => lengths[self.pieces_read % lengths.len()].max(1),
        };
        self.pieces_read += 1;
        self.unread.drain(..length.min(self.unread.len())).collect()
    }

    /// What our side asks for, if it does. After a decision or a handshake is asked for, nothing is read until
    /// [`Self::accept`], [`Self::refuse`], [`Self::peer_changed`] or [`Self::tls_started`].
    pub(crate) fn take_act(&mut self) -> Option<Act> {
        let act = self.act.take()?;
        match act {
            Act::StartTls | Act::Authenticate(_) | Act::Recognise | Act::ChangePeer(_) => self.held = true,
            Act::BrokenTls | Act::Relay { .. } | Act::Close | Act::Ready(_) | Act::Fail(_) => self.over = true,
        }
        Some(act)
    }

    /// Whether the next thing that happens is a TLS handshake that must fail.
    pub(crate) fn breaks_tls(&self) -> bool {
        matches!(self.act, Some(Act::BrokenTls))
    }

    pub(crate) fn tls_started(&mut self) {
        self.held = false;
        match &mut self.side {
            Side::Server(server) => server.tls_started(),
            Side::Client(client) => client.tls_started(),
        }
    }

    pub(crate) fn accept(&mut self, keywords: Vec<String>) {
        self.held = false;
        self.as_server().accept(&UpstreamReady { keywords, early: Vec::new() });
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.held = false;
        self.as_server().refuse(refusal);
    }

    pub(crate) fn peer_changed(&mut self, plaintext_login: bool) {
        self.held = false;
        self.as_server().peer_changed(plaintext_login);
    }

    pub(crate) fn shut_down(&mut self, cause: Goodbye) {
        self.as_server().shut_down(cause);
    }

    /// Where the dialogue stands.
    pub(crate) fn state(&self) -> &'static str {
        match &self.side {
            Side::Server(server) => server.state(),
            Side::Client(client) => client.state(),
        }
    }

    fn as_server(&mut self) -> &mut dyn Server {
        match &mut self.side {
            Side::Server(server) => server.as_mut(),
            Side::Client(_) => panic!("only a server is asked to decide"),
        }
    }
}
