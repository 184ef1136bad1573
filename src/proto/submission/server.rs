//! The dialogue with a mail client over submission, and every word that the client reads before it is logged in. It must
//! never say anything that an upstream said, and never take one byte of a message.

use std::collections::VecDeque;
use std::mem;

use super::{BASE64_BYTES_MAX, xclient};
use crate::model::{Mechanism, Refusal};
use crate::proto::input::{Input, LineTooLong, decode_base64, encode_base64};
use crate::proto::transcript::{self, Transcript};
use crate::proto::{self, Goodbye, Outgoing, Remark, ServerAction, ServerOptions, ServerTls, UpstreamReady, auth_by};
use crate::sasl::{ServerExchange, ServerStep};

/// The side of submission that faces the mail client.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    input: Input,
    queue: VecDeque<ServerAction>,
    state: State,
    /// EHLO or HELO was said, on this side of a TLS handshake.
    greeted: bool,
    bytes_read: usize,
    refusals: u32,
    bad_commands: u32,
    transcript: Transcript,
}

#[derive(Debug)]
enum State {
    /// Our greeting is still to be said.
    Greeting,
    ExpectCommand,
    ExpectResponse(Mechanism, ServerExchange),
    StartingTls,
    Deciding,
    /// The same, about who sent this MAIL without a login.
    Recognising(Vec<u8>),
    ChangingPeer,
    Over,
}

/// The commands of RFC 5321, 3030, 3207 and 4954, and Postfix's own, that have an answer of their own here.
#[derive(Clone, Copy)]
enum Command {
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Xclient,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Noop,
    Rset,
    Quit,
    Help,
    Vrfy,
    Expn,
}

impl Server {
    /// A dialogue that begins with our greeting.
    pub fn new(options: ServerOptions) -> Self {
        Self {
            input: Input::new(options.limits.line_bytes_max),
            options,
            queue: VecDeque::new(),
            state: State::Greeting,
            greeted: false,
            bytes_read: 0,
            refusals: 0,
            bad_commands: 0,
            transcript: Transcript::default(),
        }
    }

    fn passwords_allowed(&self) -> bool {
        self.options.tls == ServerTls::Active || self.options.plaintext_login
    }

    /// Reads and answers one line; `false` if there is none yet.
    fn answer_line(&mut self) -> bool {
        let unread = self.input.len();
        match self.input.next_line() {
            Ok(None) => return false,
            Ok(Some(line)) => {
                self.bytes_read += unread - self.input.len();
                if self.bytes_read > self.options.limits.total_bytes_max {
                    self.close_with("421 4.7.0 Too much said before login");
                } else {
                    match mem::replace(&mut self.state, State::ExpectCommand) {
                        State::ExpectResponse(mechanism, exchange) => self.respond(mechanism, exchange, &line),
                        _ => self.command(&line),
                    }
                }
            }
            // Where the line would end is anyone's guess, and what stands behind it no command.
            Err(LineTooLong) => match self.state {
                State::ExpectResponse(..) => self.close_with("500 5.5.6 Authentication exchange line is too long"),
                _ => self.close_with("500 5.5.2 Line too long"),
            },
        }
        true
    }

    fn command(&mut self, line: &[u8]) {
        if line.contains(&0) {
            self.transcript.client("a line with a NUL in it (withheld)");
            return self.reject("500 5.5.2 NUL is not allowed");
        }
        let (word, rest) = split_word(line);
        let command = Command::from_word(word);
        self.transcript.client(told(command, rest));
        match command {
            Some(Command::Ehlo) => self.greet_extended(),
            Some(Command::Helo) => {
                self.greeted = true;
                self.say(format!("250 {}", self.options.name));
            }
            Some(Command::StartTls) => self.start_tls(rest),
            Some(Command::Auth) => self.authenticate(rest),
            Some(Command::Xclient) => self.speak_for(rest),
            Some(Command::Noop | Command::Rset) => self.say("250 2.0.0 OK"),
            Some(Command::Quit) => self.close_with("221 2.0.0 Bye"),
            // Its octets follow unasked. They are part of a message, and must not be read as commands.
            Some(Command::Bdat) => self.close_with("530 5.7.0 Authentication required"),
            // RFC 3207 section 4.
            _ if !self.passwords_allowed() => self.reject("530 5.7.0 Must issue a STARTTLS command first"),
            Some(Command::Mail) if self.options.recognises => self.recognise(line),
            Some(Command::Mail | Command::Rcpt | Command::Data) => self.reject("530 5.7.0 Authentication required"),
            Some(Command::Help) => self.say("214 2.0.0 Log in with AUTH first"),
            Some(Command::Vrfy) => self.say("252 2.5.0 Cannot verify before login"),
            Some(Command::Expn) => self.reject("502 5.5.1 EXPN is not implemented"),
            None => self.reject("500 5.5.2 Unknown command"),
        }
    }

    fn greet(&mut self) {
        self.state = State::ExpectCommand;
        self.say(format!("220 {} ESMTP Locum ready", self.options.name));
    }

    /// The argument is not even looked at: devices send underscores, one label, an address, nothing, or their owner's
    /// alphabet.
    fn greet_extended(&mut self) {
        self.greeted = true;
        let mut lines = vec![self.options.name.clone()];
        lines.extend(self.options.keywords.iter().cloned());
        if self.options.tls == ServerTls::Offered {
            lines.push("STARTTLS".to_owned());
        }
        if self.passwords_allowed() {
            lines.push(format!("AUTH {}", Mechanism::WITH_PASSWORD.map(Mechanism::name).join(" ")));
        }
        if self.options.takes_xclient {
            lines.push(xclient::KEYWORD.to_owned());
        }
        let last = lines.len() - 1;
        let reply = lines.iter().enumerate().map(|(at, line)| {
            let separator = if at == last { ' ' } else { '-' };
            format!("250{separator}{line}\r\n")
        });
        let reply: String = reply.collect();
        self.transcript.locum(&reply);
        self.queue.push_back(ServerAction::Send(Outgoing::new(reply)));
    }

    fn start_tls(&mut self, parameters: &[u8]) {
        if !self.greeted {
            return self.reject("503 5.5.1 Send EHLO first");
        }
        match self.options.tls {
            ServerTls::Active => self.reject("503 5.5.1 TLS is active already"),
            ServerTls::Absent => self.reject("502 5.5.1 STARTTLS is not available"),
            ServerTls::Offered if !parameters.is_empty() => self.reject("501 5.5.4 STARTTLS takes no parameters"),
            // What stands behind STARTTLS came in clear, perhaps from somebody else (CVE-2011-0411).
            ServerTls::Offered if !self.input.is_empty() => self.close(),
            ServerTls::Offered => {
                self.say("220 2.0.0 Ready to start TLS");
                self.queue.push_back(ServerAction::StartTls);
                self.state = State::StartingTls;
            }
        }
    }

    /// A front end is believed for its address, with TLS and without.
    fn speak_for(&mut self, arguments: &[u8]) {
        if !self.options.takes_xclient {
            return self.reject("550 5.7.0 XCLIENT is not taken from here");
        }
        match xclient::parse(arguments) {
            Ok(said) => {
                self.queue.push_back(ServerAction::ChangePeer(said));
                self.state = State::ChangingPeer;
            }
            Err(reply) => self.reject(reply),
        }
    }

    /// Who sends mail without a login is one that cannot, or has forgotten to.
    fn recognise(&mut self, mail: &[u8]) {
        if !self.greeted {
            return self.reject("503 5.5.1 Send EHLO first");
        }
        self.queue.push_back(ServerAction::Recognise);
        self.state = State::Recognising([mail, b"\r\n"].concat());
    }

    fn authenticate(&mut self, arguments: &[u8]) {
        let (name, response) = split_word(arguments);
        if !self.greeted {
            return self.reject("503 5.5.1 Send EHLO first");
        }
        if !self.passwords_allowed() {
            return self.reject("538 5.7.11 Encryption required for requested authentication mechanism");
        }
        if name.is_empty() {
            return self.reject("501 5.5.4 Name a mechanism: AUTH PLAIN or AUTH LOGIN");
        }
        let Some(mechanism) = Mechanism::with_password_from_name(name) else {
            return self.reject("504 5.5.4 Unrecognized authentication type");
        };
        let exchange = ServerExchange::new(mechanism, auth_by(mechanism));
        match response {
            b"" => self.step(mechanism, exchange, None),
            // An empty initial response (RFC 4954 section 4).
            b"=" => self.step(mechanism, exchange, Some(b"")),
            response => self.step(mechanism, exchange, Some(response)),
        }
    }

    fn respond(&mut self, mechanism: Mechanism, exchange: ServerExchange, line: &[u8]) {
        let is_cancelled = line.trim_ascii_end() == b"*";
        self.transcript.client(if is_cancelled { "* (cancels the login)" } else { "a response (withheld)" });
        match line.trim_ascii_end() {
            b"*" => self.reject("501 5.7.0 Authentication cancelled"),
            response => self.step(mechanism, exchange, Some(response)),
        }
    }

    /// Feeds the client's response, still in base64, to the exchange.
    fn step(&mut self, mechanism: Mechanism, mut exchange: ServerExchange, response: Option<&[u8]>) {
        let response = match response {
            Some(base64) if base64.len() > BASE64_BYTES_MAX => {
                return self.reject("500 5.5.6 Authentication exchange line is too long");
            }
            Some(base64) => match decode_base64(base64) {
                Some(response) => Some(response),
                None => return self.reject("501 5.5.2 Cannot decode base64"),
            },
            None => None,
        };
        match exchange.step(response) {
            Ok(ServerStep::Challenge(challenge)) => {
                // The blank stays even where nothing follows: some clients wait for it.
                self.say(format!("334 {}", encode_base64(challenge).as_str()));
                self.state = State::ExpectResponse(mechanism, exchange);
            }
            Ok(ServerStep::Done(attempt)) => {
                self.queue.push_back(ServerAction::Authenticate(attempt));
                self.state = State::Deciding;
            }
            Err(_) => self.reject("501 5.5.2 Malformed authentication response"),
        }
    }

    /// Answers a command that nobody can use; too many of them end the connection.
    fn reject(&mut self, reply: &str) {
        self.say(reply);
        self.bad_commands += 1;
        if self.bad_commands >= self.options.limits.bad_commands_max {
            self.close_with("421 4.7.0 Too many unusable commands");
        }
    }

    fn say(&mut self, line: impl Into<String>) {
        let line = line.into() + "\r\n";
        self.transcript.locum(&line);
        self.queue.push_back(ServerAction::Send(Outgoing::new(line)));
    }

    fn close_with(&mut self, line: &str) {
        self.say(line);
        self.close();
    }

    fn close(&mut self) {
        self.queue.push_back(ServerAction::Close);
        self.state = State::Over;
    }
}

impl proto::Server for Server {
    fn receive(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    fn has_unread(&self) -> bool {
        !self.input.is_empty()
    }

    fn next_action(&mut self) -> ServerAction {
        loop {
            if let Some(action) = self.queue.pop_front() {
                return action;
            }
            match self.state {
                State::Greeting => self.greet(),
                State::ExpectCommand | State::ExpectResponse(..) => {
                    if !self.answer_line() {
                        return ServerAction::Wait;
                    }
                }
                State::StartingTls | State::Deciding | State::Recognising(_) | State::ChangingPeer => {
                    return ServerAction::Wait;
                }
                State::Over => return ServerAction::Close,
            }
        }
    }

    fn tls_started(&mut self) {
        if !matches!(self.state, State::StartingTls) || !self.input.is_empty() {
            return self.close();
        }
        self.options.tls = ServerTls::Active;
        // Whoever said what came in clear, the client shall not answer for it.
        (self.greeted, self.bytes_read, self.bad_commands) = (false, 0, 0);
        self.state = State::ExpectCommand;
    }

    fn accept(&mut self, _upstream: &UpstreamReady) {
        let early = match &mut self.state {
            State::Deciding => {
                self.say("235 2.7.0 Authentication succeeded");
                self.input.take_rest()
            }
            // The provider answers it.
            State::Recognising(mail) => [mem::take(mail), self.input.take_rest()].concat(),
            _ => return,
        };
        self.queue.push_back(ServerAction::Relay { early });
        self.state = State::Over;
    }

    fn peer_changed(&mut self, plaintext_login: bool) {
        if matches!(self.state, State::ChangingPeer) {
            self.options.plaintext_login = plaintext_login;
            self.greeted = false;
            self.greet();
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let words = match self.state {
            State::Deciding => words(refusal),
            State::Recognising(_) => words_for_mail(refusal),
            // The front end has nothing to correct.
            State::ChangingPeer => return self.close_with("421 4.7.0 This client is not served"),
            _ => return,
        };
        self.state = State::ExpectCommand;
        self.refusals += 1;
        match refusal {
            // A 421 is a goodbye in itself (RFC 5321 section 3.8).
            Refusal::LimitReached => self.close_with(words),
            _ if self.refusals >= self.options.limits.refusals_max => {
                self.say(words);
                self.close_with("421 4.7.0 Too many failed logins");
            }
            _ => self.say(words),
        }
    }

    fn shut_down(&mut self, cause: Goodbye) {
        self.queue.clear();
        match (&self.state, cause) {
            // In the middle of a handshake there is nobody to say it to, and after the end nothing to say.
            (State::StartingTls | State::Over, _) => self.close(),
            (_, Goodbye::Draining) => self.close_with("421 4.3.2 Shutting down, try again shortly"),
            (_, Goodbye::TimedOut) => self.close_with("421 4.4.2 Took too long to log in"),
            (_, Goodbye::Overloaded) => self.close_with("421 4.3.2 Too many connections, try again later"),
        }
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
            State::ExpectCommand if self.greeted => "command",
            State::ExpectCommand => "EHLO",
            State::ExpectResponse(mechanism, _) => auth_by(*mechanism),
            State::StartingTls => "STARTTLS",
            State::Deciding | State::Recognising(_) => "deciding",
            State::ChangingPeer => "XCLIENT",
            State::Over => "over",
        }
    }
}

impl Command {
    fn from_word(word: &[u8]) -> Option<Self> {
        const WORDS: [(&[u8], Command); 15] = [
            (b"EHLO", Command::Ehlo),
            (b"HELO", Command::Helo),
            (b"STARTTLS", Command::StartTls),
            (b"AUTH", Command::Auth),
            (b"XCLIENT", Command::Xclient),
            (b"MAIL", Command::Mail),
            (b"RCPT", Command::Rcpt),
            (b"DATA", Command::Data),
            (b"BDAT", Command::Bdat),
            (b"NOOP", Command::Noop),
            (b"RSET", Command::Rset),
            (b"QUIT", Command::Quit),
            (b"HELP", Command::Help),
            (b"VRFY", Command::Vrfy),
            (b"EXPN", Command::Expn),
        ];
        WORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|&(_, command)| command)
    }
}

/// What is told of a command.
fn told(command: Option<Command>, rest: &[u8]) -> &'static str {
    match command {
        Some(Command::Ehlo) => "EHLO (name withheld)",
        Some(Command::Helo) => "HELO (name withheld)",
        Some(Command::StartTls) => "STARTTLS",
        Some(Command::Auth) => {
            let (name, response) = split_word(rest);
            transcript::mechanism(name, !response.is_empty())
        }
        Some(Command::Xclient) => "XCLIENT (attributes withheld)",
        Some(Command::Mail) => "MAIL (sender withheld)",
        Some(Command::Rcpt) => "RCPT (recipient withheld)",
        Some(Command::Data) => "DATA",
        Some(Command::Bdat) => "BDAT",
        Some(Command::Noop) => "NOOP",
        Some(Command::Rset) => "RSET",
        Some(Command::Quit) => "QUIT",
        Some(Command::Help) => "HELP",
        Some(Command::Vrfy) => "VRFY (argument withheld)",
        Some(Command::Expn) => "EXPN (argument withheld)",
        None => "a line that is no command (withheld)",
    }
}

/// What a refused client is told (RFC 4954 section 6). Only its own credential is ever called wrong: after a 454 a
/// client keeps its password and tries again.
fn words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::WrongCredentials | Refusal::NotPermitted => "535 5.7.8 Authentication credentials invalid",
        Refusal::Unavailable => "454 4.7.0 Temporary authentication failure, try again later",
        Refusal::ContactAdmin => "454 4.7.0 Temporary authentication failure, contact your administrator",
        Refusal::LimitReached => "421 4.7.0 Too many connections or attempts, try again later",
    }
}

/// The same for a device that sent mail without a login: that it lacks one is all that it is told.
fn words_for_mail(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::WrongCredentials | Refusal::NotPermitted => "530 5.7.0 Authentication required",
        Refusal::Unavailable | Refusal::ContactAdmin | Refusal::LimitReached => words(refusal),
    }
}

/// The first word, and what follows the blanks behind it; blanks around the whole are dropped.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii();
    match line.iter().position(u8::is_ascii_whitespace) {
        Some(end) => (&line[..end], line[end..].trim_ascii_start()),
        None => (line, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Server as _, ServerLimits};

    fn server(limits: ServerLimits) -> Server {
        Server::new(ServerOptions {
            name: "mail.example.com".into(),
            tls: ServerTls::Active,
            plaintext_login: false,
            takes_xclient: false,
            recognises: false,
            keywords: Vec::new(),
            limits,
        })
    }

    /// Everything that is said until the dialogue waits, decides or ends; and whether it ended.
    fn hear(server: &mut Server) -> (String, bool) {
        let mut said = String::new();
        loop {
            match server.next_action() {
                ServerAction::Send(bytes) => said.push_str(std::str::from_utf8(bytes.as_bytes()).unwrap()),
                ServerAction::Close => return (said, true),
                _ => return (said, false),
            }
        }
    }

    #[test]
    fn long_base64_is_taken_and_longer_refused() {
        let mut dialogue = server(ServerLimits::default());
        dialogue.receive(b"EHLO x\r\n");
        hear(&mut dialogue);
        // 12,288 octets that decode, to no message of PLAIN: understood, and refused for its form.
        dialogue.receive(format!("AUTH PLAIN\r\n{}\r\n", "QUFB".repeat(BASE64_BYTES_MAX / 4)).as_bytes());
        assert_eq!(hear(&mut dialogue).0, "334 \r\n501 5.5.2 Malformed authentication response\r\n");
        dialogue.receive(format!("AUTH PLAIN\r\n{}\r\n", "QUFB".repeat(BASE64_BYTES_MAX / 4 + 1)).as_bytes());
        assert_eq!(hear(&mut dialogue).0, "334 \r\n500 5.5.6 Authentication exchange line is too long\r\n");
    }

    #[test]
    fn a_line_without_end_ends_the_dialogue() {
        let mut dialogue = server(ServerLimits::default());
        dialogue.receive(&[b'x'; 16 * 1024]);
        let (said, closed) = hear(&mut dialogue);
        assert_eq!((said.lines().last(), closed), (Some("500 5.5.2 Line too long"), true));
    }

    #[test]
    fn bytes_before_login_are_counted() {
        let mut dialogue = server(ServerLimits { total_bytes_max: 12, ..Default::default() });
        dialogue.receive(b"NOOP\r\nNOOP\r\n");
        assert!(hear(&mut dialogue).0.ends_with("250 2.0.0 OK\r\n250 2.0.0 OK\r\n"));
        dialogue.receive(b"NOOP\r\n");
        assert_eq!(hear(&mut dialogue), ("421 4.7.0 Too much said before login\r\n".into(), true));
    }

    #[test]
    fn a_handshake_is_not_spoken_into() {
        let mut dialogue = server(ServerLimits::default());
        dialogue.options.tls = ServerTls::Offered;
        dialogue.receive(b"EHLO x\r\nSTARTTLS\r\n");
        assert!(hear(&mut dialogue).0.ends_with("220 2.0.0 Ready to start TLS\r\n"));
        dialogue.shut_down(Goodbye::TimedOut);
        assert_eq!(hear(&mut dialogue), (String::new(), true));
    }

    #[test]
    fn decisions_nobody_asked_for_change_nothing() {
        let mut dialogue = server(ServerLimits::default());
        hear(&mut dialogue);
        dialogue.accept(&UpstreamReady::default());
        dialogue.refuse(Refusal::WrongCredentials);
        assert_eq!(hear(&mut dialogue), (String::new(), false));
    }
}
