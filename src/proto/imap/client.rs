//! The side that faces a provider. It must never send a credential before it knows, over TLS, what the provider offers;
//! nor bytes that could end the line they stand in; nor believe anything that was said before TLS.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::authenticate_by;
use super::literal::{Mark, split_mark};
use super::reply::{self, Condition, Reply, Status};
use crate::model::{CredentialKind, Mechanism};
use crate::proto::exchange::Exchange;
use crate::proto::input::{Input, Sent, printable};
use crate::proto::{ClientAction, ClientFailure, ClientOptions, Goal, Outgoing, UpstreamReady};
use crate::sasl::Credentials;

/// RFC 7888 section 5: what LITERAL- allows to be sent unasked.
const SHORT_LITERAL_BYTES_MAX: usize = 4096;

/// RFC 7162 section 4: the longest command line that servers should allow.
const COMMAND_BYTES_MAX: usize = 8192;

/// The dialogue with a provider, until it has let us in.
#[derive(Debug)]
pub struct Client {
    goal: Goal,
    options: ClientOptions,
    input: Input,
    actions: VecDeque<ClientAction>,
    state: State,
    /// Whether the connection still has to be put under TLS.
    tls_due: bool,
    /// The newest list of capabilities that still holds.
    capabilities: Option<Vec<String>>,
    commands: u32,
    /// Lines since the last command.
    lines: usize,
    /// A literal that is being skipped, and the rest of its response.
    skipping: Option<usize>,
    /// To be masked where the provider quotes it.
    sent: Sent,
}

#[derive(Debug)]
enum State {
    Greeting,
    Capability,
    StartTls,
    StartingTls,
    Exchange(Exchange),
    LoginCommand {
        unsent: VecDeque<Outgoing>,
    },
    Cancelled(Exchange),
    CapabilityAfterLogin,
    /// All is known that a login needs, but for the goal.
    Waiting,
    Over,
}

impl Client {
    /// Begins a dialogue; the provider speaks first.
    pub fn new(goal: Goal, options: ClientOptions) -> Self {
        Self {
            goal,
            input: Input::new(options.limits.line_bytes_max),
            actions: VecDeque::new(),
            state: State::Greeting,
            tls_due: options.starttls,
            options,
            capabilities: None,
            commands: 0,
            lines: 0,
            skipping: None,
            sent: Sent::default(),
        }
    }

    /// Goes on by one line, and says whether there was one.
    fn step(&mut self) -> bool {
        if matches!(self.state, State::StartingTls | State::Waiting) {
            return false;
        }
        if matches!(self.state, State::Over) {
            self.fail(ClientFailure::Protocol("the dialogue is over"));
            return true;
        }
        let Some(line) = self.next_line() else { return false };
        match self.skipping {
            Some(_) => self.look_for_literal(&line),
            None => self.line(&line),
        }
        true
    }

    fn next_line(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        if let Some(left) = &mut self.skipping {
            *left -= self.input.skip(*left);
            if *left > 0 {
                return None;
            }
        }
        let Ok(line) = self.input.next_line() else {
            self.fail(ClientFailure::Protocol("a line is too long"));
            return None;
        };
        let line = line?;
        self.lines += 1;
        if self.lines > self.options.limits.reply_lines_max {
            self.fail(ClientFailure::Protocol("a reply has too many lines"));
            return None;
        }
        Some(line)
    }

    /// What is in a literal is not a line, whatever it looks like.
    fn look_for_literal(&mut self, line: &[u8]) {
        self.skipping = match split_mark(line).1 {
            Some(Mark { bytes, .. }) if bytes > self.options.limits.line_bytes_max => {
                return self.fail(ClientFailure::Protocol("a literal is too long"));
            }
            mark => mark.map(|mark| mark.bytes),
        };
    }

    fn line(&mut self, line: &[u8]) {
        match (&self.state, reply::read(line)) {
            (_, Reply::Untagged(Condition { status: Status::Bye, said, .. })) => {
                self.fail(ClientFailure::TurnedAway(self.text(said)));
            }
            (_, Reply::Untagged(Condition { status: Status::PreAuth, .. })) => {
                // Nobody has asked who we are, so whose mailbox is it? And it rules STARTTLS out (RFC 9051 section 11.2).
                self.fail(ClientFailure::Protocol("logged in without a login (PREAUTH)"));
            }
            (State::Greeting, Reply::Untagged(Condition { status: Status::Ok, capabilities, .. })) => {
                self.capabilities = capabilities;
                self.prepare();
            }
            (State::Greeting, _) => self.fail(ClientFailure::Protocol("the greeting is not IMAP")),
            (_, Reply::Untagged(condition)) => self.learn(condition.capabilities),
            (_, Reply::Capabilities(words)) => self.learn(Some(words)),
            (_, Reply::Continue(challenge)) => self.challenged(challenge),
            (_, Reply::Tagged { tag, condition }) if tag == self.tag() => self.completed(condition),
            (_, Reply::Tagged { .. }) => self.fail(ClientFailure::Protocol("a reply to no command of ours")),
            // Untagged data, which may be of any kind; blank lines between replies harm nobody.
            (_, Reply::Other) if line.is_empty() || line.starts_with(b"*") => self.look_for_literal(line),
            // Nobody who says this will answer what we asked: there is nothing to wait for.
            (_, Reply::Other) => self.fail(ClientFailure::Protocol("a line that is not IMAP")),
        }
    }

    fn learn(&mut self, capabilities: Option<Vec<String>>) {
        if capabilities.is_some() {
            self.capabilities = capabilities;
        }
    }

    /// Does what is next before login, as soon as it is known what is offered.
    fn prepare(&mut self) {
        let Some(offered) = &self.capabilities else {
            self.state = State::Capability;
            return self.command("CAPABILITY\r\n");
        };
        if self.tls_due {
            if !offers(offered, "STARTTLS") {
                return self.fail(ClientFailure::NoTls("not offered".to_owned()));
            }
            self.state = State::StartTls;
            return self.command("STARTTLS\r\n");
        }
        // From here on only what the login itself brings counts.
        let offered = self.capabilities.take().unwrap_or_default();
        match std::mem::replace(&mut self.goal, Goal::Probe) {
            Goal::LogIn { credentials, mechanisms } => self.log_in(credentials, &mechanisms, &offered),
            Goal::Probe => {
                self.command("LOGOUT\r\n");
                self.ready(offered, Vec::new());
            }
            Goal::Wait => {
                self.capabilities = Some(offered);
                self.ready(Vec::new(), Vec::new());
                self.state = State::Waiting;
            }
        }
    }

    fn log_in(&mut self, credentials: Credentials, mechanisms: &[Mechanism], offered: &[String]) {
        if credentials.identity.bytes().any(|byte| byte.is_ascii_control())
            || credentials.secret.has_control_characters()
        {
            return self.fail(ClientFailure::Protocol("our own credential has control characters"));
        }
        let offers_mechanism = |mechanism: Mechanism| {
            mechanism.presents() == credentials.kind && offers(offered, &format!("AUTH={}", mechanism.name()))
        };
        let wanted = mechanisms.iter().copied().find(|&mechanism| offers_mechanism(mechanism));
        match (wanted, credentials.kind) {
            (Some(mechanism), _) => self.authenticate(mechanism, credentials, offers(offered, "SASL-IR")),
            (None, CredentialKind::AppPassword) if !offers(offered, "LOGINDISABLED") => {
                self.login_command(&credentials, offered);
            }
            // LOGIN takes passwords; a token must not be shown as one.
            (None, CredentialKind::AppPassword | CredentialKind::OAuth2) => {
                self.fail(ClientFailure::NoMechanism(ways_to_log_in(offered)));
            }
        }
    }

    fn authenticate(&mut self, mechanism: Mechanism, credentials: Credentials, at_once: bool) {
        let mut exchange = match Exchange::new(mechanism, credentials, &mut self.sent) {
            Ok(exchange) => exchange,
            Err(failure) => return self.fail(failure),
        };
        // RFC 4959 section 3: only where it is offered. What does not fit waits to be asked for, as it does elsewhere.
        let bytes_left = COMMAND_BYTES_MAX - "L9 AUTHENTICATE OAUTHBEARER \r\n".len();
        let response = if at_once { exchange.initial_response(bytes_left) } else { None };
        match response {
            Some(base64) => {
                self.sent.note(base64.as_bytes());
                self.command_in_parts(&["AUTHENTICATE ", mechanism.name(), " ", &base64, "\r\n"]);
            }
            None => self.command_in_parts(&["AUTHENTICATE ", mechanism.name(), "\r\n"]),
        }
        self.state = State::Exchange(exchange);
    }

    /// LOGIN, in as many pieces as its literals make of it.
    fn login_command(&mut self, credentials: &Credentials, offered: &[String]) {
        let arguments = [credentials.identity.as_bytes(), credentials.secret.expose()];
        // Wide enough for every byte to be quoted, so that no half-grown copy of the secret stays behind.
        let capacity = arguments.iter().map(|argument| 2 * argument.len() + 32).sum();
        let empty = || Zeroizing::new(Vec::with_capacity(capacity));
        self.sent.note(credentials.secret.expose());
        let mut quoted = empty();
        quote(credentials.secret.expose(), &mut quoted);
        self.sent.note(&quoted);
        let seal = |mut piece: Zeroizing<Vec<u8>>| Outgoing::new(std::mem::take(&mut *piece));
        let mut pieces = VecDeque::new();
        let mut piece = empty();
        piece.extend_from_slice(b"LOGIN");
        for argument in arguments {
            piece.push(b' ');
            if argument.iter().all(|byte| (b' '..=b'~').contains(byte)) {
                quote(argument, &mut piece);
                continue;
            }
            let at_once = offers(offered, "LITERAL+")
                || (offers(offered, "LITERAL-") && argument.len() <= SHORT_LITERAL_BYTES_MAX);
            let plus = if at_once { "+" } else { "" };
            piece.extend_from_slice(format!("{{{}{plus}}}\r\n", argument.len()).as_bytes());
            if !at_once {
                pieces.push_back(seal(std::mem::replace(&mut piece, empty())));
            }
            piece.extend_from_slice(argument);
        }
        piece.extend_from_slice(b"\r\n");
        pieces.push_back(seal(piece));
        if let Some(first) = pieces.pop_front() {
            self.command_bytes(first.as_bytes());
        }
        self.state = State::LoginCommand { unsent: pieces };
    }

    fn challenged(&mut self, challenge: &[u8]) {
        match &mut self.state {
            State::Exchange(exchange) => match exchange.answer(challenge, &mut self.sent) {
                Some(line) => self.actions.push_back(ClientAction::Send(line)),
                None => {
                    // More is asked than the mechanism has. The tagged NO is next.
                    if let State::Exchange(exchange) = std::mem::replace(&mut self.state, State::Over) {
                        self.state = State::Cancelled(exchange);
                    }
                    self.send(&[b"*\r\n"]);
                }
            },
            State::LoginCommand { unsent } => match unsent.pop_front() {
                Some(piece) => self.actions.push_back(ClientAction::Send(piece)),
                None => self.fail(ClientFailure::Protocol("a continuation that nothing asked for")),
            },
            _ => self.fail(ClientFailure::Protocol("a continuation that nothing asked for")),
        }
    }

    fn completed(&mut self, condition: Condition<'_>) {
        let said = self.text(condition.said);
        match (&self.state, condition.status) {
            (State::Capability, Status::Ok) => {
                self.learn(condition.capabilities);
                match &self.capabilities {
                    Some(_) => self.prepare(),
                    None => self.fail(ClientFailure::Protocol("CAPABILITY has no answer")),
                }
            }
            (State::Capability, Status::No | Status::Bad) => self.fail(ClientFailure::TurnedAway(said)),
            // Whoever put these bytes here, they must not be taken for what the provider says under TLS.
            (State::StartTls, Status::Ok) if !self.input.is_empty() => {
                self.fail(ClientFailure::Protocol("bytes behind the reply to STARTTLS"));
            }
            (State::StartTls, Status::Ok) => {
                self.actions.push_back(ClientAction::StartTls);
                self.state = State::StartingTls;
            }
            (State::StartTls, Status::No | Status::Bad) => self.fail(ClientFailure::NoTls(said)),
            (State::LoginCommand { unsent }, Status::Ok) if !unsent.is_empty() => {
                self.fail(ClientFailure::Protocol("the login was accepted before it was sent"));
            }
            (State::Exchange(_) | State::LoginCommand { .. }, Status::Ok) => self.let_in(condition.capabilities),
            (State::CapabilityAfterLogin, Status::Ok) => {
                self.learn(condition.capabilities);
                let capabilities = self.capabilities.take().unwrap_or_default();
                self.logged_in(capabilities);
            }
            // Exchange Online says here, not at the login, that it found no mailbox.
            (
                State::Exchange(_) | State::LoginCommand { .. } | State::Cancelled(_) | State::CapabilityAfterLogin,
                Status::No | Status::Bad,
            ) => self.fail(ClientFailure::Refused(said)),
            (State::Cancelled(_), Status::Ok) => {
                self.fail(ClientFailure::Protocol("the login was accepted after it was cancelled"));
            }
            (State::Greeting | State::StartingTls | State::Waiting | State::Over, _)
            | (_, Status::PreAuth | Status::Bye) => {
                self.fail(ClientFailure::Protocol("a tagged reply out of place"));
            }
        }
    }

    /// The provider took the login.
    fn let_in(&mut self, capabilities: Option<Vec<String>>) {
        if let State::Exchange(exchange) = &self.state
            && let Err(failure) = exchange.succeed()
        {
            return self.fail(failure);
        }
        self.learn(capabilities);
        match self.capabilities.take() {
            Some(capabilities) => self.logged_in(capabilities),
            None => {
                self.state = State::CapabilityAfterLogin;
                self.command("CAPABILITY\r\n");
            }
        }
    }

    fn logged_in(&mut self, capabilities: Vec<String>) {
        let early = self.input.take_rest();
        self.ready(capabilities, early);
    }

    fn ready(&mut self, keywords: Vec<String>, early: Vec<u8>) {
        self.actions.push_back(ClientAction::Ready(UpstreamReady { keywords, early }));
        self.state = State::Over;
    }

    fn fail(&mut self, failure: ClientFailure) {
        self.actions.push_back(ClientAction::Fail(failure));
        self.state = State::Over;
    }

    /// What the provider said, for the operator.
    fn text(&self, said: &[u8]) -> String {
        match &self.state {
            State::Exchange(exchange) | State::Cancelled(exchange) => exchange.text(said, &self.sent),
            _ => self.sent.masked(said),
        }
    }

    fn tag(&self) -> String {
        format!("L{}", self.commands)
    }

    fn command(&mut self, text: &str) {
        self.command_bytes(text.as_bytes());
    }

    fn command_in_parts(&mut self, parts: &[&str]) {
        let command = Zeroizing::new(parts.concat());
        self.command_bytes(command.as_bytes());
    }

    fn command_bytes(&mut self, command: &[u8]) {
        self.commands += 1;
        self.lines = 0;
        let tag = self.tag();
        self.send(&[tag.as_bytes(), b" ", command]);
    }

    fn send(&mut self, parts: &[&[u8]]) {
        self.actions.push_back(ClientAction::Send(Outgoing::new(parts.concat())));
    }
}

impl crate::proto::Client for Client {
    fn receive(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    fn next_action(&mut self) -> ClientAction {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return action;
            }
            if !self.step() && self.actions.is_empty() {
                return ClientAction::Wait;
            }
        }
    }

    fn tls_started(&mut self) {
        if !matches!(self.state, State::StartingTls) || !self.input.is_empty() {
            return self.fail(ClientFailure::Protocol("bytes behind the reply to STARTTLS"));
        }
        self.tls_due = false;
        self.capabilities = None;
        self.prepare();
    }

    fn go_on(&mut self, goal: Goal) -> bool {
        let can = matches!(self.state, State::Waiting) && self.input.is_empty();
        self.state = State::Over;
        if can {
            self.goal = goal;
            self.prepare();
        }
        can
    }

    fn state(&self) -> &'static str {
        match &self.state {
            State::Greeting => "greeting",
            State::Capability => "CAPABILITY",
            State::StartTls | State::StartingTls => "STARTTLS",
            State::Exchange(exchange) => authenticate_by(exchange.mechanism()),
            State::LoginCommand { .. } => "LOGIN command",
            State::Cancelled(_) => "AUTHENTICATE cancelled",
            State::CapabilityAfterLogin => "CAPABILITY after login",
            State::Waiting => "before the login",
            State::Over => "over",
        }
    }
}

fn offers(offered: &[String], capability: &str) -> bool {
    offered.iter().any(|word| word.eq_ignore_ascii_case(capability))
}

/// What an operator wants to know when none of it was usable.
fn ways_to_log_in(offered: &[String]) -> String {
    let is_way = |word: &&String| {
        let word = word.to_ascii_uppercase();
        word.starts_with("AUTH=") || word == "LOGINDISABLED"
    };
    let ways: Vec<_> = offered.iter().filter(is_way).map(String::as_str).collect();
    match ways.as_slice() {
        [] => "none is offered".to_owned(),
        ways => printable(format!("offers {}", ways.join(" ")).as_bytes()),
    }
}

/// A quoted string (RFC 3501 section 4.3) of printable ASCII.
fn quote(text: &[u8], write: &mut Vec<u8>) {
    write.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            write.push(b'\\');
        }
        write.push(byte);
    }
    write.push(b'"');
}
