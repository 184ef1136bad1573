//! The dialogue with a provider over POP3, until it has let us in. It must never send a credential before TLS is on, and
//! never put the provider's words where a client could read them.

use std::collections::VecDeque;
use std::mem;

use super::capabilities::Offer;
use crate::model::{CredentialKind, Mechanism, Secret};
use crate::proto::exchange::Exchange;
use crate::proto::input::{Input, LineTooLong, Sent, printable};
use crate::proto::{self, ClientAction, ClientFailure, ClientOptions, Goal, Outgoing, UpstreamReady};
use crate::sasl::Credentials;

/// The side of POP3 that faces the provider.
#[derive(Debug)]
pub struct Client {
    goal: Goal,
    options: ClientOptions,
    input: Input,
    queue: VecDeque<ClientAction>,
    state: State,
    /// TLS is on: from the start, or since the handshake.
    secured: bool,
    /// What CAPA said last; `None` where the provider does not know CAPA.
    offer: Option<Offer>,
    /// To be masked where the provider quotes it.
    sent: Sent,
}

#[derive(Debug)]
enum State {
    ExpectGreeting,
    ExpectCapa,
    /// In the list that CAPA gives; the number is that of its lines so far.
    ExpectCapability(Offer, usize),
    ExpectTls,
    StartingTls,
    /// USER is sent; the password waits.
    ExpectUser(Secret),
    ExpectPass,
    /// The provider's next word in the exchange, or its last.
    ExpectOutcome(Exchange),
    /// We cancelled the exchange.
    ExpectRefusal(Exchange),
    /// All is known that a login needs, but for the goal.
    Waiting,
    Over,
}

/// The first word of a reply (RFC 1939 section 3, RFC 5034 section 4).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Err,
    Continue,
}

impl Client {
    /// A dialogue that begins by waiting for the provider's greeting.
    pub fn new(goal: Goal, options: ClientOptions) -> Self {
        let mut client = Self {
            input: Input::new(options.limits.line_bytes_max),
            queue: VecDeque::new(),
            state: State::ExpectGreeting,
            secured: !options.starttls,
            offer: None,
            sent: Sent::default(),
            goal,
            options,
        };
        client.check_goal();
        client
    }

    fn check_goal(&mut self) {
        if let Goal::LogIn { credentials, .. } = &self.goal
            && (credentials.identity.bytes().any(|byte| byte.is_ascii_control())
                || credentials.secret.has_control_characters())
        {
            self.fail(ClientFailure::Protocol("the credential has control characters"));
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let state = mem::replace(&mut self.state, State::Over);
        if let State::ExpectCapability(offer, lines) = state {
            return self.take_capability(offer, lines, line);
        }
        let Some((status, text)) = split_status(line) else {
            return self.fail(ClientFailure::Protocol("a line is not a reply"));
        };
        match (state, status) {
            (State::ExpectGreeting, Status::Ok) => self.ask_capabilities(),
            (State::ExpectGreeting, Status::Err) => self.fail(ClientFailure::TurnedAway(self.text(line))),
            (State::ExpectCapa, Status::Ok) => self.state = State::ExpectCapability(Offer::default(), 0),
            (State::ExpectCapa, Status::Err) => self.take_offer(None),
            // What stands behind the reply came in clear, perhaps from somebody else.
            (State::ExpectTls, Status::Ok) if !self.input.is_empty() => {
                self.fail(ClientFailure::Protocol("bytes before the TLS handshake"));
            }
            (State::ExpectTls, Status::Ok) => {
                self.state = State::StartingTls;
                self.queue.push_back(ClientAction::StartTls);
            }
            (State::ExpectTls, Status::Err) => self.fail(ClientFailure::NoTls(self.text(line))),
            (State::ExpectUser(password), Status::Ok) => {
                self.send_secret("PASS ", password.expose());
                self.state = State::ExpectPass;
            }
            (State::ExpectPass, Status::Ok) => self.finish(),
            (State::ExpectOutcome(exchange), Status::Ok) => match exchange.succeed() {
                Ok(()) => self.finish(),
                Err(failure) => self.fail(failure),
            },
            (State::ExpectOutcome(exchange), Status::Continue) => self.respond(exchange, text),
            (State::ExpectUser(_) | State::ExpectPass, Status::Err) => {
                self.fail(ClientFailure::Refused(self.text(line)));
            }
            (State::ExpectOutcome(exchange) | State::ExpectRefusal(exchange), Status::Err) => {
                self.fail(ClientFailure::Refused(exchange.text(line, &self.sent)));
            }
            _ => self.fail(ClientFailure::Protocol("a reply out of place")),
        }
    }

    fn ask_capabilities(&mut self) {
        self.state = State::ExpectCapa;
        self.send(Outgoing::new("CAPA\r\n"));
    }

    fn take_capability(&mut self, mut offer: Offer, lines: usize, line: &[u8]) {
        match line {
            b"." => self.take_offer(Some(offer)),
            _ if lines == self.options.limits.reply_lines_max => {
                self.fail(ClientFailure::Protocol("a reply has too many lines"));
            }
            _ => {
                // A leading dot is doubled (RFC 1939 section 3).
                offer.take_line(line.strip_prefix(b".").unwrap_or(line));
                self.state = State::ExpectCapability(offer, lines + 1);
            }
        }
    }

    fn take_offer(&mut self, offer: Option<Offer>) {
        if !self.secured {
            // A provider without CAPA may still have STLS: asking tells.
            if offer.is_some_and(|offer| !offer.has("STLS")) {
                return self.fail(ClientFailure::NoTls("not offered".to_owned()));
            }
            self.state = State::ExpectTls;
            return self.send(Outgoing::new("STLS\r\n"));
        }
        self.offer = offer;
        self.pursue();
    }

    /// Does what the goal asks for, now that it is known what is offered.
    fn pursue(&mut self) {
        match self.goal.clone() {
            Goal::Probe => {
                self.send(Outgoing::new("QUIT\r\n"));
                self.finish();
            }
            Goal::LogIn { credentials, mechanisms } => self.authenticate(credentials, &mechanisms),
            Goal::Wait => {
                self.state = State::Waiting;
                self.queue.push_back(ClientAction::Ready(UpstreamReady::default()));
            }
        }
    }

    /// SASL where a wanted mechanism is offered; else USER and PASS, which present the same password, but never a token.
    fn authenticate(&mut self, credentials: Credentials, wanted: &[Mechanism]) {
        let offered = self.offer.as_ref().map_or("", Offer::mechanisms);
        let offers = |name: &str| offered.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(name));
        let mut wanted = wanted.iter().filter(|mechanism| mechanism.presents() == credentials.kind).peekable();
        let password_wanted = credentials.kind == CredentialKind::AppPassword && wanted.peek().is_some();
        let user_offered = self.offer.as_ref().is_none_or(|offer| offer.has("USER"));
        if let Some(&mechanism) = wanted.find(|mechanism| offers(mechanism.name())) {
            match Exchange::new(mechanism, credentials, &mut self.sent) {
                Ok(exchange) => {
                    // Never an initial response: Exchange Online takes it for an error, the line has a bound that a
                    // token exceeds (RFC 5034 section 4), and every server takes two lines.
                    self.send(Outgoing::new(format!("AUTH {}\r\n", mechanism.name())));
                    self.state = State::ExpectOutcome(exchange);
                }
                Err(failure) => self.fail(failure),
            }
        } else if password_wanted && user_offered {
            self.send(Outgoing::new(format!("USER {}\r\n", credentials.identity)));
            self.state = State::ExpectUser(credentials.secret);
        } else {
            let offered = if offered.is_empty() { "none is offered" } else { offered };
            self.fail(ClientFailure::NoMechanism(printable(offered.as_bytes())));
        }
    }

    fn respond(&mut self, mut exchange: Exchange, challenge: &[u8]) {
        debug_assert!(self.secured, "no credential before TLS");
        match exchange.answer(challenge, &mut self.sent) {
            Some(line) => {
                self.send(line);
                self.state = State::ExpectOutcome(exchange);
            }
            None => {
                self.send(Outgoing::new("*\r\n"));
                self.state = State::ExpectRefusal(exchange);
            }
        }
    }

    /// Sends a part of the credential, and remembers it for [`Self::text`].
    fn send_secret(&mut self, before: &str, secret: &[u8]) {
        debug_assert!(self.secured, "no credential before TLS");
        let line = self.sent.line(before, secret);
        self.send(line);
    }

    fn send(&mut self, bytes: Outgoing) {
        self.queue.push_back(ClientAction::Send(bytes));
    }

    /// What the provider said, for the operator.
    fn text(&self, line: &[u8]) -> String {
        self.sent.masked(line)
    }

    fn finish(&mut self) {
        self.state = State::Over;
        let keywords = self.offer.take().unwrap_or_default().keywords;
        let ready = UpstreamReady { keywords, early: self.input.take_rest() };
        self.queue.push_back(ClientAction::Ready(ready));
    }

    fn fail(&mut self, failure: ClientFailure) {
        self.state = State::Over;
        self.queue.push_back(ClientAction::Fail(failure));
    }
}

impl proto::Client for Client {
    fn receive(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    fn next_action(&mut self) -> ClientAction {
        loop {
            if let Some(action) = self.queue.pop_front() {
                return action;
            }
            match self.state {
                State::Over => return ClientAction::Fail(ClientFailure::Protocol("the dialogue is over")),
                State::StartingTls | State::Waiting => return ClientAction::Wait,
                _ => match self.input.next_line() {
                    Ok(Some(line)) => self.take_line(&line),
                    Ok(None) => return ClientAction::Wait,
                    Err(LineTooLong) => self.fail(ClientFailure::Protocol("a line of a reply is too long")),
                },
            }
        }
    }

    fn tls_started(&mut self) {
        if !matches!(self.state, State::StartingTls) || !self.input.is_empty() {
            return self.fail(ClientFailure::Protocol("bytes before the TLS handshake"));
        }
        self.secured = true;
        self.ask_capabilities();
    }

    fn go_on(&mut self, goal: Goal) -> bool {
        match mem::replace(&mut self.state, State::Over) {
            State::Waiting if self.input.is_empty() => {
                self.goal = goal;
                self.check_goal();
                if self.queue.is_empty() {
                    self.pursue();
                }
                true
            }
            _ => false,
        }
    }

    fn state(&self) -> &'static str {
        match &self.state {
            State::ExpectGreeting => "greeting",
            State::ExpectCapa | State::ExpectCapability(..) => "CAPA",
            State::ExpectTls | State::StartingTls => "STLS",
            State::ExpectUser(_) | State::ExpectPass => "USER/PASS",
            State::ExpectOutcome(exchange) => proto::auth_by(exchange.mechanism()),
            State::ExpectRefusal(_) => "cancelled AUTH",
            State::Waiting => "before AUTH",
            State::Over => "over",
        }
    }
}

/// Status and text. The continuation may come without its blank.
fn split_status(line: &[u8]) -> Option<(Status, &[u8])> {
    let (word, text) = match line.iter().position(|&byte| byte == b' ') {
        Some(end) => (&line[..end], &line[end + 1..]),
        None => (line, &line[line.len()..]),
    };
    let status = match word {
        b"+" => Status::Continue,
        word if word.eq_ignore_ascii_case(b"+OK") => Status::Ok,
        word if word.eq_ignore_ascii_case(b"-ERR") => Status::Err,
        _ => return None,
    };
    Some((status, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Client as _, ClientLimits};

    fn client(identity: &str, secret: &str, limits: ClientLimits) -> Client {
        let (identity, secret) = (identity.to_owned(), Secret::new(secret));
        let credentials = Credentials { identity, secret, kind: CredentialKind::AppPassword };
        let goal = Goal::LogIn { credentials, mechanisms: vec![Mechanism::Plain] };
        Client::new(goal, ClientOptions { starttls: false, name: "locum.example".into(), limits })
    }

    fn failure_after(client: &mut Client, reply: &str) -> Option<ClientFailure> {
        client.receive(reply.as_bytes());
        loop {
            match client.next_action() {
                ClientAction::Send(_) => {}
                ClientAction::Fail(failure) => return Some(failure),
                _ => return None,
            }
        }
    }

    #[test]
    fn control_characters_never_reach_the_wire() {
        for (identity, secret) in [("scan\r\nQUIT", "p"), ("scan", "p\0"), ("scan\u{7f}", "p"), ("scan", "\u{1b}p")] {
            let mut client = client(identity, secret, ClientLimits::default());
            client.receive(b"+OK\r\n-ERR\r\n");
            assert!(matches!(client.next_action(), ClientAction::Fail(ClientFailure::Protocol(_))));
        }
    }

    #[test]
    fn a_quoted_password_is_masked() {
        let mut client = client("scan", "ge heim", ClientLimits::default());
        assert_eq!(failure_after(&mut client, "+OK\r\n-ERR\r\n+OK\r\n"), None);
        let failure = failure_after(&mut client, "-ERR unknown: PASS ge heim\r\n");
        assert_eq!(failure, Some(ClientFailure::Refused("-ERR unknown: PASS *******".into())));
    }

    #[test]
    fn an_endless_list_ends_the_dialogue() {
        let limits = ClientLimits { reply_lines_max: 2, ..Default::default() };
        assert_eq!(failure_after(&mut client("scan", "p", limits), "+OK\r\n+OK\r\nA\r\nB\r\n"), None);
        let failure = failure_after(&mut client("scan", "p", limits), "+OK\r\n+OK\r\nA\r\nB\r\nC\r\n");
        assert_eq!(failure, Some(ClientFailure::Protocol("a reply has too many lines")));
    }
}
