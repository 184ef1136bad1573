//! The dialogue with a mail client, of each protocol, with whatever a stranger sends.
//!
//! An input is: set-up (1 byte), cut (1 byte), and what the client says; `\x1c` stands for a handshake, `\x1d` for the end of
//! the process.

use std::fmt::Write;

use locum::model::{Attempt, Protocol, Refusal};
use locum::proto::{
    self, Goodbye, Server, ServerAction, ServerLimits, ServerOptions, ServerTls, SpokenFor, UpstreamReady,
};

use super::cuts::{BROKEN, Cut, HANDSHAKE, SHUT_DOWN, Wire, compare, is_part, unread};
use super::{Input, bit};

/// What one byte of a client may make us say, at the most: short commands with long answers.
const SAID_PER_BYTE: usize = 128;

/// What we may say to nobody: greeting and goodbye.
const SAID_MIN: usize = 1024;

pub(crate) fn run(protocol: Protocol, data: &[u8]) {
    let mut input = Input::new(data);
    let setup = input.byte();
    let plan = input.byte();
    let options = options(setup);
    let client = input.rest();
    let [whole, others @ ..] = Cut::all(plan);
    let trace = Play::new(protocol, &options, client, whole, false).trace();
    for cut in others {
        // Whether somebody listens makes no difference either.
        let cut_up = Play::new(protocol, &options, client, cut, bit(setup, 6)).trace();
        compare(true, &trace, &cut_up, cut);
    }
}

fn options(setup: u8) -> ServerOptions {
    let mut limits = ServerLimits::default();
    if bit(setup, 5) {
        limits = ServerLimits {
            line_bytes_max: 48,
            literal_bytes_max: 8,
            total_bytes_max: 160,
            bad_commands_max: 5,
            ..limits
        };
    }
    ServerOptions {
        name: "mail.example.com".into(),
        tls: [ServerTls::Active, ServerTls::Offered, ServerTls::Absent, ServerTls::Offered][usize::from(setup & 3)],
        plaintext_login: bit(setup, 2),
        keywords: vec!["PIPELINING".to_owned(), "SIZE 1000".to_owned()],
        takes_xclient: bit(setup, 3),
        recognises: bit(setup, 4),
        limits,
    }
}

/// One dialogue from its beginning to its end.
struct Play<'d> {
    protocol: Protocol,
    options: &'d ServerOptions,
    client: &'d [u8],
    server: Box<dyn Server>,
    wire: Wire<'d>,
    trace: String,
    said: usize,
    steps: usize,
    /// Whether what is said is under TLS, or need not be.
    is_private: bool,
    is_tls: bool,
    is_accepted: bool,
    /// Whether what it asked for last is whether somebody knows the client.
    is_recognised: bool,
    is_ended: bool,
    refusals: u32,
    /// Read since the dialogue last began anew.
    begun_at: usize,
    is_traced: bool,
}

impl<'d> Play<'d> {
    fn new(protocol: Protocol, options: &'d ServerOptions, client: &'d [u8], cut: Cut, is_traced: bool) -> Self {
        let mut server = proto::server(protocol, options.clone());
        if is_traced {
            server.be_traced();
        }
        let is_tls = options.tls == ServerTls::Active;
        Self {
            protocol,
            options,
            client,
            server,
            wire: Wire::new(client, cut),
            trace: String::new(),
            said: 0,
            steps: 0,
            is_private: is_tls || options.plaintext_login,
            is_tls,
            is_accepted: false,
            is_recognised: false,
            is_ended: false,
            refusals: 0,
            begun_at: 0,
            is_traced,
        }
    }

    /// All that it does.
    fn trace(mut self) -> String {
        // Each byte leads to a few steps at the most, and so does each pause.
        let steps_max = 64 + 8 * self.client.len();
        loop {
            self.steps += 1;
            assert!(self.steps <= steps_max, "it goes on and on: {:?}", self.server);
            assert!(self.said <= SAID_MIN + SAID_PER_BYTE * self.client.len(), "it says too much: {}", self.trace);
            assert!(!self.server.state().is_empty());
            let action = self.server.next_action();
            self.remarks();
            if !self.act(action) {
                return self.trace;
            }
        }
    }

    /// What was said in our words holds nothing of the client's: they have no names and secrets among them.
    fn remarks(&mut self) {
        let remarks = self.server.remarks();
        assert!(self.is_traced || remarks.is_empty(), "nobody asked for remarks");
        for remark in remarks {
            assert!(
                remark.text.len() <= 512 && remark.text.chars().all(|c| !c.is_control() || "\r\n".contains(c)),
                "{remark:?}"
            );
            assert!(!remark.text.contains("canary"), "{remark:?}");
        }
    }

    /// Carries out an action; whether there is another one.
    fn act(&mut self, action: ServerAction) -> bool {
        match action {
            ServerAction::Wait => return self.wait(),
            ServerAction::Send(bytes) => {
                self.said += bytes.as_bytes().len();
                assert!(!bytes.as_bytes().is_empty(), "it says nothing");
                self.trace.push_str(&String::from_utf8_lossy(bytes.as_bytes()));
            }
            ServerAction::StartTls => {
                assert!(self.options.tls == ServerTls::Offered && !self.is_tls, "TLS is not to be had, or on already");
                if !self.wire.rest().is_empty() {
                    self.trace.push_str(BROKEN);
                    return false;
                }
                self.trace.push_str("! starttls\n");
                self.wire.turn();
                (self.is_tls, self.is_private, self.begun_at) = (true, true, self.wire.read);
                self.server.tls_started();
            }
            ServerAction::Authenticate(attempt) => {
                self.is_recognised = false;
                self.authenticate(&attempt);
            }
            ServerAction::Recognise => {
                assert!(self.options.recognises && !self.is_ended, "nobody is recognised here");
                assert_eq!(self.protocol, Protocol::Submission);
                self.trace.push_str("! recognise\n");
                self.is_recognised = true;
                self.decide(self.trace.len() % 7);
            }
            ServerAction::ChangePeer(said) => self.change_peer(said),
            ServerAction::Relay { early } => {
                assert!(self.is_accepted, "nobody let it in");
                let rest = [&early, self.wire.rest()].concat();
                // The MAIL of who is recognised goes on with an end that every server takes for one.
                let end = if self.is_recognised { rest.iter().position(|byte| *byte == b'\n') } else { None };
                let (mail, behind) = end.map_or((&[][..], &rest[..]), |end| (&rest[..end], &rest[end + 1..]));
                let mail = mail.strip_suffix(b"\r").unwrap_or(mail);
                // Without a handshake what stands before its mark and behind it is one.
                let client: Vec<u8> = self.client.iter().copied().filter(|byte| *byte != HANDSHAKE).collect();
                assert!(is_part(&client, mail) && is_part(&client, behind), "not the client's");
                let _ = writeln!(self.trace, "! relay early={}", rest.escape_ascii());
                return false;
            }
            ServerAction::Close => {
                self.trace.push_str("! close\n");
                return false;
            }
        }
        true
    }

    /// Nothing to do but to read.
    fn wait(&mut self) -> bool {
        assert!(!self.is_ended, "it waits after the end");
        let limits = &self.options.limits;
        let held = unread(&format!("{:?}", self.server));
        let longest = limits.line_bytes_max.max(limits.literal_bytes_max);
        assert!(held <= longest, "it holds {held} bytes");
        let since = self.wire.read - self.begun_at;
        assert!(since <= limits.total_bytes_max + longest, "it takes more than it should: {since} bytes");
        if let Some(piece) = self.wire.next() {
            self.server.receive(piece);
            return true;
        }
        match self.wire.turn() {
            None => false,
            Some(SHUT_DOWN) => {
                self.server.shut_down(if self.trace.len().is_multiple_of(2) {
                    Goodbye::Draining
                } else {
                    Goodbye::TimedOut
                });
                self.is_ended = true;
                true
            }
            // No handshake was asked for: it goes on in clear.
            Some(_) => true,
        }
    }

    fn authenticate(&mut self, attempt: &Attempt) {
        assert!(self.is_private && !self.is_ended, "a login in clear, or after the end");
        let limits = &self.options.limits;
        let longest = limits.line_bytes_max.max(limits.literal_bytes_max);
        let parts = [attempt.authcid.len(), attempt.proof.expose().len(), attempt.authzid.as_ref().map_or(0, Vec::len)];
        assert!(parts.iter().all(|length| *length <= longest), "{parts:?}");
        assert!(!attempt.method.is_empty() && !format!("{attempt:?}").contains("canary-secret"));
        let _ = writeln!(
            self.trace,
            "! authenticate {} {:?} {} {}",
            attempt.authcid.escape_ascii(),
            attempt.authzid.as_ref().map(|name| name.escape_ascii().to_string()),
            attempt.proof.expose().escape_ascii(),
            attempt.method
        );
        // By what was sent, so that it does not depend on the cut.
        self.decide(attempt.proof.expose().len() % 7);
    }

    fn decide(&mut self, choice: usize) {
        assert!(!self.is_accepted, "it asks again");
        match Refusal::ALL.get(choice) {
            Some(refusal) => {
                self.refusals += 1;
                assert!(self.refusals <= self.options.limits.refusals_max, "it asks too often");
                self.server.refuse(*refusal);
            }
            None => {
                self.is_accepted = true;
                let keywords = vec!["IMAP4rev1".to_owned(), "IDLE".to_owned()];
                self.server.accept(&UpstreamReady { keywords, early: Vec::new() });
            }
        }
    }

    fn change_peer(&mut self, said: SpokenFor) {
        assert!(self.options.takes_xclient && !self.is_ended, "nobody speaks for others here");
        let _ = writeln!(self.trace, "! change-peer {said:?}");
        if self.trace.len().is_multiple_of(5) {
            self.server.refuse(Refusal::LimitReached);
            return;
        }
        let plaintext_login = self.trace.len().is_multiple_of(2);
        self.begun_at = self.wire.read;
        self.refusals = 0;
        self.is_private = self.is_tls || plaintext_login;
        self.server.peer_changed(plaintext_login);
    }
}
