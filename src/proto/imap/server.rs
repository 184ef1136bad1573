//! The side that faces a mail client, and every word that a client is told over IMAP.
//!
//! It must never say what it cannot keep, ask for a password where it may not be sent, or read on while a login is
//! being decided.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::authenticate_by;
use super::command::{self, Command, LoginArguments};
use super::literal::{Mark, split_mark};
use crate::model::{Attempt, Mechanism, Refusal, Secret};
use crate::proto::input::{Input, decode_base64, encode_base64};
use crate::proto::transcript::{self, Transcript};
use crate::proto::{Goodbye, Outgoing, Remark, ServerAction, ServerOptions, ServerTls, UpstreamReady};
use crate::sasl::{ServerExchange, ServerStep};

/// What an upstream offers after login and a client must not see: it concerns logging in, which is over, or the
/// provider's own machines (the last three are Exchange Online's).
const CUT_AFTER_LOGIN: [&str; 6] = [
    "LOGINDISABLED",
    "STARTTLS",
    "SASL-IR",
    "CLIENTACCESSRULES",
    "CLIENTNETWORKPRESENCELOCATION",
    "BACKENDAUTHENTICATE",
];

const CANCELLED: Answer = Answer::Bad("AUTHENTICATE cancelled");
const EXCHANGE_MALFORMED: Answer = Answer::Bad("Response is not what the mechanism asks for");
const HAS_NUL: Answer = Answer::Bad("NUL is not allowed");
const LITERAL_TOO_LONG: Answer = Answer::No("[TOOBIG] Literal is too long");
const LITERAL_UNEXPECTED: Answer = Answer::Bad("Literal is not expected here");
const LOGIN_MALFORMED: Answer = Answer::Bad("LOGIN takes a name and a password");
const LOG_IN_FIRST: Answer = Answer::No("Log in first");
const MECHANISM_MISSING: Answer = Answer::Bad("AUTHENTICATE takes a mechanism");
const MECHANISM_UNKNOWN: Answer = Answer::No("Mechanism is not supported");
const NOT_BASE64: Answer = Answer::Bad("Response is not base64");
const PRIVACY_REQUIRED: Answer = Answer::No("[PRIVACYREQUIRED] Login needs TLS");
const TLS_ACTIVE: Answer = Answer::Bad("TLS is active already");
const TLS_ABSENT: Answer = Answer::Bad("STARTTLS is not available");
const UNKNOWN: Answer = Answer::Bad("Unknown command");

/// A tagged answer to a command that led nowhere.
#[derive(Debug, Clone, Copy)]
enum Answer {
    No(&'static str),
    Bad(&'static str),
}

/// The dialogue with a mail client, until it is logged in.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    tls: ServerTls,
    input: Input,
    actions: VecDeque<ServerAction>,
    state: State,
    consumed_bytes: usize,
    refusals: u32,
    bad_commands: u32,
    transcript: Transcript,
}

#[derive(Debug)]
enum State {
    Greeting,
    Command,
    /// Counted bytes of this command come next.
    Literal {
        tag: String,
        open: Open,
        bytes: usize,
    },
    /// The rest of a command comes next, behind its literal.
    Remainder {
        tag: String,
        open: Open,
    },
    Exchange {
        tag: String,
        mechanism: Mechanism,
        exchange: ServerExchange,
    },
    StartingTls,
    Deciding {
        tag: String,
    },
    Accepted,
    Over,
}

/// A command that may go on over several lines.
#[derive(Debug)]
enum Open {
    Login(LoginArguments),
    /// What ID says is of no use here.
    Id,
    /// One whose answer is known already; what the client still sends of it is read and forgotten.
    Refused(Answer),
}

impl Server {
    /// Begins a dialogue; the greeting is its first action.
    pub fn new(options: ServerOptions) -> Self {
        Self {
            tls: options.tls,
            input: Input::new(options.limits.line_bytes_max),
            options,
            actions: VecDeque::new(),
            state: State::Greeting,
            consumed_bytes: 0,
            refusals: 0,
            bad_commands: 0,
            transcript: Transcript::default(),
        }
    }

    /// Goes on by one line, literal or decision, and says whether there was one.
    fn step(&mut self) -> bool {
        match &self.state {
            State::Greeting => self.greet(),
            State::Command | State::Remainder { .. } | State::Exchange { .. } => {
                let Some(line) = self.next_line() else { return false };
                self.line(&line);
            }
            State::Literal { bytes, .. } => {
                let Some(literal) = self.next_literal(*bytes) else { return false };
                self.literal(literal);
            }
            State::StartingTls | State::Deciding { .. } => return false,
            State::Accepted => {
                let early = self.input.take_rest();
                self.actions.push_back(ServerAction::Relay { early });
                self.state = State::Over;
            }
            State::Over => self.actions.push_back(ServerAction::Close),
        }
        true
    }

    fn line(&mut self, line: &[u8]) {
        match self.take_state() {
            State::Remainder { tag, open } => self.remainder(tag, open, line),
            State::Exchange { tag, mechanism, exchange } => self.response(tag, mechanism, exchange, line),
            _ => self.command(line),
        }
    }

    fn next_line(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let before = self.input.len();
        match self.input.next_line() {
            Ok(line) => self.within_total(before - self.input.len()).then_some(line)?,
            Err(_) => {
                self.bye("Line is too long");
                None
            }
        }
    }

    fn next_literal(&mut self, bytes: usize) -> Option<Zeroizing<Vec<u8>>> {
        let literal = self.input.take(bytes)?;
        self.within_total(bytes).then_some(literal)
    }

    fn within_total(&mut self, bytes: usize) -> bool {
        self.consumed_bytes = self.consumed_bytes.saturating_add(bytes);
        let within = self.consumed_bytes <= self.options.limits.total_bytes_max;
        if !within {
            self.bye("Too much was sent before login");
        }
        within
    }

    fn greet(&mut self) {
        self.send(format!("* OK [CAPABILITY {}] {} ready\r\n", self.capabilities(), self.options.name));
        self.state = State::Command;
    }

    /// What can be had now and no more; IMAP4rev1 comes first, for those who read no further.
    fn capabilities(&self) -> String {
        let mut words = "IMAP4rev1 SASL-IR LITERAL+ ID".to_owned();
        if self.tls == ServerTls::Offered {
            words.push_str(" STARTTLS");
        }
        if self.may_log_in() {
            Mechanism::WITH_PASSWORD.iter().for_each(|mechanism| words.extend([" AUTH=", mechanism.name()]));
        } else {
            words.push_str(" LOGINDISABLED");
        }
        words
    }

    fn may_log_in(&self) -> bool {
        self.tls == ServerTls::Active || self.options.plaintext_login
    }

    fn command(&mut self, line: &[u8]) {
        let (text, mark) = split_mark(line);
        let (tag, command) = command::parse(text);
        self.transcript.client(told(&command));
        // An answer to what has no tag is untagged (RFC 3501 section 7.1.3).
        let tag = tag.unwrap_or("*").to_owned();
        let open = match command {
            _ if line.contains(&0) => Open::Refused(HAS_NUL),
            Command::Login(_) | Command::Authenticate(_) if !self.may_log_in() => Open::Refused(PRIVACY_REQUIRED),
            Command::Login(arguments) => Open::Login(LoginArguments::begin(arguments, mark.is_some())),
            Command::Id => Open::Id,
            Command::AfterLogin => Open::Refused(LOG_IN_FIRST),
            Command::Unknown => Open::Refused(UNKNOWN),
            _ if mark.is_some() => Open::Refused(LITERAL_UNEXPECTED),
            Command::Capability => {
                let capabilities = self.capabilities();
                return self.send(format!("* CAPABILITY {capabilities}\r\n{tag} OK CAPABILITY completed\r\n"));
            }
            Command::Noop => return self.send(format!("{tag} OK NOOP completed\r\n")),
            Command::Logout => return self.log_out(&tag),
            Command::StartTls => return self.start_tls(&tag),
            Command::Authenticate(arguments) => return self.authenticate(tag, arguments),
        };
        self.go_on(tag, open, mark);
    }

    /// Finishes a command, or prepares for the literal that its line announced. Every line is looked at for one, those
    /// of unknown commands too: or else what is a literal to the client would be commands to us (RFC 7888 section 3).
    fn go_on(&mut self, tag: String, open: Open, mark: Option<Mark>) {
        let open = match open {
            Open::Login(arguments) if arguments.is_malformed() => Open::Refused(LOGIN_MALFORMED),
            open => open,
        };
        let Some(Mark { bytes, waits }) = mark else { return self.finish(tag, open) };
        let too_long = bytes > self.options.limits.literal_bytes_max;
        match (waits, open) {
            (true, Open::Refused(answer)) => self.answer(&tag, answer),
            (true, _) if too_long => self.answer(&tag, LITERAL_TOO_LONG),
            // It is on its way already, and there is no other end to it.
            (false, _) if too_long => self.bye("Literal is too long"),
            (waits, open) => {
                if waits {
                    self.send("+ Go ahead\r\n");
                }
                self.state = State::Literal { tag, open, bytes };
            }
        }
    }

    fn literal(&mut self, literal: Zeroizing<Vec<u8>>) {
        let State::Literal { tag, mut open, .. } = self.take_state() else { return };
        self.transcript.client("a literal (withheld)");
        if literal.contains(&0) {
            open = Open::Refused(HAS_NUL);
        }
        if let Open::Login(arguments) = &mut open {
            arguments.literal(literal);
        }
        self.state = State::Remainder { tag, open };
    }

    fn remainder(&mut self, tag: String, mut open: Open, line: &[u8]) {
        self.transcript.client("the rest of the command (withheld)");
        let (text, mark) = split_mark(line);
        if line.contains(&0) {
            open = Open::Refused(HAS_NUL);
        }
        if let Open::Login(arguments) = &mut open {
            arguments.text(text, mark.is_some());
        }
        self.go_on(tag, open, mark);
    }

    fn finish(&mut self, tag: String, open: Open) {
        match open {
            Open::Refused(answer) => self.answer(&tag, answer),
            Open::Id => self.send(format!("* ID (\"name\" \"Locum\")\r\n{tag} OK ID completed\r\n")),
            Open::Login(arguments) => match arguments.finish() {
                None => self.answer(&tag, LOGIN_MALFORMED),
                Some((name, proof)) => {
                    let authcid = name.expose().to_vec();
                    self.decide(tag, Attempt { authcid, authzid: None, proof, method: "LOGIN command" });
                }
            },
        }
    }

    fn log_out(&mut self, tag: &str) {
        self.send(format!("* BYE Logging out\r\n{tag} OK LOGOUT completed\r\n"));
        self.close();
    }

    fn start_tls(&mut self, tag: &str) {
        match self.tls {
            ServerTls::Active => self.answer(tag, TLS_ACTIVE),
            ServerTls::Absent => self.answer(tag, TLS_ABSENT),
            // Whoever put these bytes here, they must not be taken for what the client says under TLS.
            ServerTls::Offered if !self.input.is_empty() => self.bye("Nothing may follow STARTTLS"),
            ServerTls::Offered => {
                self.send(format!("{tag} OK Begin TLS\r\n"));
                self.actions.push_back(ServerAction::StartTls);
                self.state = State::StartingTls;
            }
        }
    }

    fn authenticate(&mut self, tag: String, arguments: &[u8]) {
        let Some((name, initial_response)) = command::authenticate_arguments(arguments) else {
            return self.answer(&tag, MECHANISM_MISSING);
        };
        let Some(mechanism) = Mechanism::with_password_from_name(name) else {
            return self.answer(&tag, MECHANISM_UNKNOWN);
        };
        let exchange = ServerExchange::new(mechanism, authenticate_by(mechanism));
        match initial_response {
            None => self.exchange(tag, mechanism, exchange, None),
            // RFC 4959 section 3: "=" is the response that is there and empty.
            Some(b"=") => self.exchange(tag, mechanism, exchange, Some(Secret::new(b""))),
            Some(base64) => match decode_base64(base64) {
                None => self.answer(&tag, NOT_BASE64),
                response => self.exchange(tag, mechanism, exchange, response),
            },
        }
    }

    fn response(&mut self, tag: String, mechanism: Mechanism, exchange: ServerExchange, line: &[u8]) {
        if line.trim_ascii_end() == b"*" {
            self.transcript.client("* (cancels the login)");
            return self.answer(&tag, CANCELLED);
        }
        self.transcript.client("a response (withheld)");
        match decode_base64(line) {
            None => self.answer(&tag, NOT_BASE64),
            response => self.exchange(tag, mechanism, exchange, response),
        }
    }

    fn exchange(&mut self, tag: String, mechanism: Mechanism, mut exchange: ServerExchange, response: Option<Secret>) {
        match exchange.step(response) {
            Err(_) => self.answer(&tag, EXCHANGE_MALFORMED),
            Ok(ServerStep::Done(attempt)) => self.decide(tag, attempt),
            Ok(ServerStep::Challenge(challenge)) => {
                // The blank is part of it, before an empty challenge too: clients compare with "+ ".
                self.send(format!("+ {}\r\n", encode_base64(challenge).as_str()));
                self.state = State::Exchange { tag, mechanism, exchange };
            }
        }
    }

    fn decide(&mut self, tag: String, attempt: Attempt) {
        self.actions.push_back(ServerAction::Authenticate(attempt));
        self.state = State::Deciding { tag };
    }

    /// Answers a command that led nowhere, and counts it.
    fn answer(&mut self, tag: &str, answer: Answer) {
        self.send(match answer {
            Answer::No(text) => format!("{tag} NO {text}\r\n"),
            Answer::Bad(text) => format!("{tag} BAD {text}\r\n"),
        });
        self.state = State::Command;
        self.bad_commands += 1;
        if self.bad_commands >= self.options.limits.bad_commands_max {
            self.bye("Too many bad commands");
        }
    }

    /// Takes the command under way out of its state; what becomes of it sets the next one.
    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Command)
    }

    fn send(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.transcript.locum_tagged(&text);
        self.actions.push_back(ServerAction::Send(Outgoing::new(text)));
    }

    fn bye(&mut self, text: &str) {
        self.send(format!("* BYE {text}\r\n"));
        self.close();
    }

    fn close(&mut self) {
        self.state = State::Over;
    }
}

impl crate::proto::Server for Server {
    fn receive(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Over) {
            self.input.push(bytes);
        }
    }

    fn has_unread(&self) -> bool {
        !self.input.is_empty()
    }

    fn next_action(&mut self) -> ServerAction {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return action;
            }
            if !self.step() && self.actions.is_empty() {
                return ServerAction::Wait;
            }
        }
    }

    fn tls_started(&mut self) {
        if !matches!(self.state, State::StartingTls) || !self.input.is_empty() {
            return self.close();
        }
        self.tls = ServerTls::Active;
        // Whoever said what came in clear, the client shall not answer for it.
        (self.consumed_bytes, self.bad_commands) = (0, 0);
        self.state = State::Command;
    }

    fn accept(&mut self, upstream: &UpstreamReady) {
        let State::Deciding { tag } = &self.state else { return };
        let keywords: Vec<_> =
            upstream.keywords.iter().map(String::as_str).filter(|keyword| is_for_clients(keyword)).collect();
        let code = match keywords.as_slice() {
            [] => String::new(),
            keywords => format!("[CAPABILITY {}] ", keywords.join(" ")),
        };
        // Its capabilities are the upstream's words, which has the credential by now.
        self.transcript.locum("OK Logged in");
        self.actions.push_back(ServerAction::Send(Outgoing::new(format!("{tag} OK {code}Logged in\r\n"))));
        self.state = State::Accepted;
    }

    fn refuse(&mut self, refusal: Refusal) {
        let State::Deciding { tag } = &self.state else { return };
        let text = match refusal {
            Refusal::WrongCredentials => "[AUTHENTICATIONFAILED] Login or password is wrong",
            Refusal::NotPermitted => "[AUTHORIZATIONFAILED] This login is not permitted here",
            Refusal::Unavailable => "[UNAVAILABLE] Mail is out of reach for now, try again later",
            Refusal::ContactAdmin => "[CONTACTADMIN] The mail provider needs your administrator's attention",
            Refusal::LimitReached => "[LIMIT] Too many sessions or logins, try again later",
        };
        self.send(format!("{tag} NO {text}\r\n"));
        self.state = State::Command;
        self.refusals += 1;
        if self.refusals >= self.options.limits.refusals_max {
            self.bye("Too many refused logins");
        }
    }

    fn shut_down(&mut self, cause: Goodbye) {
        if matches!(self.state, State::Over) {
            return;
        }
        self.actions.retain(|action| matches!(action, ServerAction::Send(_)));
        if matches!(self.state, State::StartingTls) {
            // Half way into TLS there are no words that the client could read.
            self.actions.clear();
            return self.close();
        }
        self.bye(match cause {
            Goodbye::Draining => "[UNAVAILABLE] Server is being stopped, try again later",
            Goodbye::TimedOut => "Login took too long",
            Goodbye::Overloaded => "[UNAVAILABLE] Too many connections, try again later",
        });
    }

    fn be_traced(&mut self) {
        self.transcript.begin();
    }

    fn remarks(&mut self) -> Vec<Remark> {
        self.transcript.take()
    }

    fn state(&self) -> &'static str {
        match &self.state {
            State::Greeting => "greeting",
            State::Command => "command",
            State::Literal { open: Open::Login(_), .. } | State::Remainder { open: Open::Login(_), .. } => {
                "LOGIN literal"
            }
            State::Literal { .. } | State::Remainder { .. } => "literal",
            State::Exchange { mechanism, .. } => authenticate_by(*mechanism),
            State::StartingTls => "STARTTLS",
            State::Deciding { .. } => "deciding",
            State::Accepted | State::Over => "over",
        }
    }
}

/// What is told of a command.
fn told(command: &Command<'_>) -> &'static str {
    match command {
        Command::Capability => "CAPABILITY",
        Command::Noop => "NOOP",
        Command::Logout => "LOGOUT",
        Command::Id => "ID (arguments withheld)",
        Command::StartTls => "STARTTLS",
        Command::Login(_) => "LOGIN (arguments withheld)",
        Command::Authenticate(arguments) => match command::authenticate_arguments(arguments) {
            Some((name, response)) => transcript::mechanism(name, response.is_some()),
            None => "AUTHENTICATE (arguments withheld, and not of its form)",
        },
        Command::AfterLogin => "a command that needs a login first",
        Command::Unknown => "a line that is no command (withheld)",
    }
}

/// Whether an upstream's capability holds for the client after login, and can be written into a response code.
fn is_for_clients(keyword: &str) -> bool {
    let is_word = !keyword.is_empty() && keyword.bytes().all(|byte| byte.is_ascii_graphic() && byte != b']');
    let is_mechanism = keyword.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("AUTH="));
    is_word && !is_mechanism && !CUT_AFTER_LOGIN.iter().any(|cut| keyword.eq_ignore_ascii_case(cut))
}
