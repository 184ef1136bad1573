//! The dialogue with a provider over submission, until it has let us in. It must never send a credential before TLS and
//! EHLO are through, and never put the provider's words where a client could read them.

use std::collections::VecDeque;
use std::mem;

use super::COMMAND_BYTES_MAX;
use super::keywords::Offer;
use super::reply::{Reply, ReplyReader};
use crate::model::{CredentialKind, Mechanism};
use crate::proto::exchange::Exchange;
use crate::proto::input::{Input, Sent, printable};
use crate::proto::{self, ClientAction, ClientFailure, ClientOptions, Goal, Outgoing, UpstreamReady};
use crate::sasl::Credentials;

/// The side of submission that faces the provider.
#[derive(Debug)]
pub struct Client {
    goal: Goal,
    options: ClientOptions,
    input: Input,
    replies: ReplyReader,
    queue: VecDeque<ClientAction>,
    state: State,
    /// TLS is on: from the start, or since the handshake.
    secured: bool,
    /// The last EHLO keywords.
    keywords: Vec<String>,
    /// To be masked where the provider quotes it.
    sent: Sent,
}

#[derive(Debug)]
enum State {
    ExpectGreeting,
    ExpectHello,
    ExpectTls,
    StartingTls,
    /// The provider's next word in the exchange, or its last.
    ExpectOutcome(Exchange),
    /// We cancelled the exchange.
    ExpectRefusal(Exchange),
    /// All is known that a login needs, but for the goal.
    Waiting(Offer),
    Over,
}

impl Client {
    /// A dialogue that begins by waiting for the provider's greeting.
    pub fn new(goal: Goal, options: ClientOptions) -> Self {
        let mut client = Self {
            input: Input::new(options.limits.line_bytes_max),
            replies: ReplyReader::new(options.limits),
            queue: VecDeque::new(),
            state: State::ExpectGreeting,
            secured: !options.starttls,
            keywords: Vec::new(),
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

    fn take_reply(&mut self, reply: &Reply) {
        // "Closing the channel": it may stand in place of any reply (RFC 5321 section 3.8).
        if reply.code == 421 {
            return self.fail(ClientFailure::TurnedAway(self.text(reply)));
        }
        match (mem::replace(&mut self.state, State::Over), reply.code) {
            (State::ExpectGreeting, 220) => self.say_hello(),
            (State::ExpectHello, 250) => self.take_offer(Offer::from_reply(reply)),
            // Without EHLO there is no AUTH: to try HELO would lead nowhere.
            (State::ExpectGreeting | State::ExpectHello, _) if reply.is_refusal() => {
                self.fail(ClientFailure::TurnedAway(self.text(reply)));
            }
            // What stands behind the reply came in clear, perhaps from somebody else.
            (State::ExpectTls, 220) if !self.input.is_empty() => {
                self.fail(ClientFailure::Protocol("bytes before the TLS handshake"));
            }
            (State::ExpectTls, 220) => {
                self.state = State::StartingTls;
                self.queue.push_back(ClientAction::StartTls);
            }
            (State::ExpectTls, _) => self.fail(ClientFailure::NoTls(self.text(reply))),
            (State::ExpectOutcome(exchange), 334) => self.respond(exchange, reply),
            (State::ExpectOutcome(exchange), 235) => match exchange.succeed() {
                Ok(()) => self.finish(),
                Err(failure) => self.fail(failure),
            },
            // Whatever the code: 535 is not the only one that is said of a token.
            (State::ExpectOutcome(exchange) | State::ExpectRefusal(exchange), _) if reply.is_refusal() => {
                self.fail(ClientFailure::Refused(exchange.text(&reply.text(), &self.sent)));
            }
            _ => self.fail(ClientFailure::Protocol("a reply out of place")),
        }
    }

    fn say_hello(&mut self) {
        self.state = State::ExpectHello;
        self.send(Outgoing::new(format!("EHLO {}\r\n", self.options.name)));
    }

    fn take_offer(&mut self, offer: Offer) {
        if !self.secured {
            if !offer.starttls {
                return self.fail(ClientFailure::NoTls("not offered".to_owned()));
            }
            self.state = State::ExpectTls;
            return self.send(Outgoing::new("STARTTLS\r\n"));
        }
        let chosen = match &self.goal {
            Goal::Probe => {
                self.keywords = offer.keywords;
                self.send(Outgoing::new("QUIT\r\n"));
                return self.finish();
            }
            Goal::Wait => {
                self.state = State::Waiting(offer);
                return self.queue.push_back(ClientAction::Ready(UpstreamReady::default()));
            }
            Goal::LogIn { credentials, mechanisms } => mechanisms
                .iter()
                .find(|mechanism| mechanism.presents() == credentials.kind && offer.offers(mechanism.name()))
                .map(|&mechanism| (mechanism, credentials.clone())),
        };
        match chosen {
            Some((mechanism, credentials)) => {
                self.keywords = offer.keywords;
                self.authenticate(mechanism, credentials);
            }
            None => self.fail(ClientFailure::NoMechanism(match offer.mechanisms.as_slice() {
                [] => "none is offered".to_owned(),
                names => printable(names.join(" ").as_bytes()),
            })),
        }
    }

    /// The initial response of PLAIN goes with the command where the line may hold it. LOGIN has none: its name waits
    /// to be asked for, since not every server takes it early. A token has thousands of octets and always a line of its
    /// own: Gmail breaks off at a command of more than 512.
    fn authenticate(&mut self, mechanism: Mechanism, credentials: Credentials) {
        debug_assert!(self.secured, "no credential before TLS");
        let command = format!("AUTH {}", mechanism.name());
        let bytes_left = match credentials.kind {
            CredentialKind::AppPassword => COMMAND_BYTES_MAX - " \r\n".len() - command.len(),
            CredentialKind::OAuth2 => 0,
        };
        let mut exchange = match Exchange::new(mechanism, credentials, &mut self.sent) {
            Ok(exchange) => exchange,
            Err(failure) => return self.fail(failure),
        };
        let line = match exchange.initial_response(bytes_left) {
            Some(base64) => self.sent.line(&(command + " "), base64.as_bytes()),
            None => Outgoing::new(command + "\r\n"),
        };
        self.send(line);
        self.state = State::ExpectOutcome(exchange);
    }

    fn respond(&mut self, mut exchange: Exchange, reply: &Reply) {
        let challenge = reply.lines.last().map_or(b"".as_slice(), Vec::as_slice);
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

    fn send(&mut self, bytes: Outgoing) {
        self.queue.push_back(ClientAction::Send(bytes));
    }

    /// What the provider said, for the operator.
    fn text(&self, reply: &Reply) -> String {
        self.sent.masked(&reply.text())
    }

    fn finish(&mut self) {
        self.state = State::Over;
        let ready = UpstreamReady { keywords: mem::take(&mut self.keywords), early: self.input.take_rest() };
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
                State::StartingTls | State::Waiting(_) => return ClientAction::Wait,
                _ => match self.replies.next_reply(&mut self.input) {
                    Ok(Some(reply)) => self.take_reply(&reply),
                    Ok(None) => return ClientAction::Wait,
                    Err(cause) => self.fail(ClientFailure::Protocol(cause)),
                },
            }
        }
    }

    fn tls_started(&mut self) {
        if !matches!(self.state, State::StartingTls) || !self.input.is_empty() {
            return self.fail(ClientFailure::Protocol("bytes before the TLS handshake"));
        }
        self.secured = true;
        self.say_hello();
    }

    fn go_on(&mut self, goal: Goal) -> bool {
        match mem::replace(&mut self.state, State::Over) {
            State::Waiting(offer) if self.input.is_empty() => {
                self.goal = goal;
                self.check_goal();
                if self.queue.is_empty() {
                    self.take_offer(offer);
                }
                true
            }
            _ => false,
        }
    }

    fn state(&self) -> &'static str {
        match &self.state {
            State::ExpectGreeting => "greeting",
            State::ExpectHello => "EHLO",
            State::ExpectTls | State::StartingTls => "STARTTLS",
            State::ExpectOutcome(exchange) => proto::auth_by(exchange.mechanism()),
            State::ExpectRefusal(_) => "cancelled AUTH",
            State::Waiting(_) => "before AUTH",
            State::Over => "over",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;
    use crate::proto::{Client as _, ClientLimits};

    fn client(identity: &str, secret: &str) -> Client {
        let (identity, secret) = (identity.to_owned(), Secret::new(secret));
        let credentials = Credentials { identity, secret, kind: CredentialKind::AppPassword };
        let goal = Goal::LogIn { credentials, mechanisms: vec![Mechanism::Plain] };
        let options = ClientOptions { starttls: false, name: "locum.example".into(), limits: ClientLimits::default() };
        Client::new(goal, options)
    }

    fn last_line_to(client: &mut Client, reply: &str) -> String {
        client.receive(reply.as_bytes());
        let mut line = String::new();
        while let ClientAction::Send(bytes) = client.next_action() {
            line = String::from_utf8(bytes.as_bytes().to_vec()).unwrap();
        }
        line
    }

    #[test]
    fn the_initial_response_goes_with_the_command_up_to_512_octets() {
        // "AUTH PLAIN " and CR LF leave 499 octets: 496 of base64, 372 of the message, 370 of name and password.
        for (password_bytes, inline) in [(366, true), (367, false)] {
            let mut client = client("scan", &"p".repeat(password_bytes));
            let line = last_line_to(&mut client, "220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n");
            assert_eq!(line.len() <= 512 && line.len() > 500, inline, "{} octets", line.len());
            assert_eq!(line == "AUTH PLAIN\r\n", !inline);
        }
    }

    #[test]
    fn a_quoted_credential_is_masked() {
        let mut client = client("scan", "geheim12");
        let line = last_line_to(&mut client, "220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n");
        client.receive(format!("500 5.5.1 Command unrecognized: \"{}\"\r\n", line.trim()).as_bytes());
        let ClientAction::Fail(ClientFailure::Refused(text)) = client.next_action() else { panic!("not refused") };
        assert_eq!(text, format!("500 5.5.1 Command unrecognized: \"AUTH PLAIN {}\"", "*".repeat(20)));
    }

    #[test]
    fn control_characters_never_reach_the_wire() {
        for (identity, secret) in [("scan\r\nQUIT", "p"), ("scan", "p\0"), ("scan\u{7f}", "p"), ("scan", "\u{1b}p")] {
            let mut client = client(identity, secret);
            client.receive(b"220 mx\r\n250 AUTH PLAIN\r\n");
            assert!(matches!(client.next_action(), ClientAction::Fail(ClientFailure::Protocol(_))));
        }
    }
}
