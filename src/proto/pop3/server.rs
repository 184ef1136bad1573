//! The dialogue with a mail client over POP3, and every word that the client reads before it is logged in. It must never
//! say anything that an upstream said, and never offer APOP: that would need every password in clear.

use std::collections::VecDeque;
use std::mem;

use crate::model::{Attempt, Mechanism, Refusal, Secret};
use crate::proto::input::{Input, LineTooLong, decode_base64, encode_base64};
use crate::proto::transcript::{self, Transcript};
use crate::proto::{self, Goodbye, Outgoing, Remark, ServerAction, ServerOptions, ServerTls, UpstreamReady, auth_by};
use crate::sasl::{PART_BYTES_MAX, ServerExchange, ServerStep};

/// The side of POP3 that faces the mail client.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    input: Input,
    queue: VecDeque<ServerAction>,
    state: State,
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
    /// USER was said.
    ExpectPass(Vec<u8>),
    ExpectResponse(Mechanism, ServerExchange),
    StartingTls,
    Deciding,
    Over,
}

/// The commands of RFC 1939, 2449, 2595 and 5034 that have an answer of their own here.
#[derive(Clone, Copy)]
enum Command {
    Capa,
    User,
    Pass,
    Auth,
    Stls,
    Noop,
    Quit,
    Apop,
    /// A command of the TRANSACTION state.
    Mail,
}

impl Server {
    /// A dialogue that begins with our greeting.
    pub fn new(options: ServerOptions) -> Self {
        Self {
            input: Input::new(options.limits.line_bytes_max),
            options,
            queue: VecDeque::new(),
            state: State::Greeting,
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
                    self.close_with("-ERR Too much said before login");
                } else {
                    match mem::replace(&mut self.state, State::ExpectCommand) {
                        State::ExpectResponse(mechanism, exchange) => self.respond(mechanism, exchange, &line),
                        State::ExpectPass(name) => self.command(&line, Some(name)),
                        _ => self.command(&line, None),
                    }
                }
            }
            // Where the line would end is anyone's guess, and what stands behind it no command.
            Err(LineTooLong) => self.close_with("-ERR Line too long"),
        }
        true
    }

    /// `name` is the one that USER gave in the line before, and is forgotten but for PASS (RFC 1939 section 7).
    fn command(&mut self, line: &[u8], name: Option<Vec<u8>>) {
        if line.contains(&0) {
            self.transcript.client("a line with a NUL in it (withheld)");
            return self.reject("-ERR NUL is not allowed");
        }
        let (word, rest) = split_word(line);
        let command = Command::from_word(word);
        self.transcript.client(told(command, rest));
        match command {
            Some(Command::Capa) => self.list_capabilities(),
            Some(Command::Quit) => self.close_with("+OK Bye"),
            // Not of this state, but keeps some clients content.
            Some(Command::Noop) => self.say("+OK"),
            Some(Command::Stls) => self.start_tls(rest),
            Some(Command::User | Command::Pass | Command::Auth) if !self.passwords_allowed() => {
                self.reject("-ERR [SYS/PERM] TLS is required before login");
            }
            Some(Command::User) => self.take_name(rest.trim_ascii()),
            Some(Command::Pass) => self.take_password(name, rest),
            Some(Command::Auth) => self.authenticate(rest.trim_ascii()),
            Some(Command::Apop) => self.reject("-ERR APOP is not supported"),
            Some(Command::Mail) => self.reject("-ERR Log in first"),
            None => self.reject("-ERR Unknown command"),
        }
    }

    fn list_capabilities(&mut self) {
        let mut lines = vec!["+OK Capabilities follow".to_owned()];
        lines.extend(self.options.keywords.iter().cloned());
        if self.passwords_allowed() {
            lines.push("USER".to_owned());
            lines.push(format!("SASL {}", Mechanism::WITH_PASSWORD.map(Mechanism::name).join(" ")));
        }
        if self.options.tls == ServerTls::Offered {
            lines.push("STLS".to_owned());
        }
        lines.extend(["RESP-CODES", "AUTH-RESP-CODE", "."].map(str::to_owned));
        self.say(lines.join("\r\n"));
    }

    fn start_tls(&mut self, arguments: &[u8]) {
        match self.options.tls {
            ServerTls::Active => self.reject("-ERR Command not permitted when TLS active"),
            ServerTls::Absent => self.reject("-ERR STLS is not available"),
            ServerTls::Offered if !arguments.trim_ascii().is_empty() => self.reject("-ERR STLS takes no arguments"),
            // What stands behind STLS came in clear, perhaps from somebody else (CVE-2011-0411).
            ServerTls::Offered if !self.input.is_empty() => self.close(),
            ServerTls::Offered => {
                self.say("+OK Begin TLS negotiation");
                self.queue.push_back(ServerAction::StartTls);
                self.state = State::StartingTls;
            }
        }
    }

    fn take_name(&mut self, name: &[u8]) {
        if name.is_empty() || name.len() > PART_BYTES_MAX {
            return self.reject("-ERR USER needs a name");
        }
        // The same words for every name: nothing is looked up yet.
        self.say("+OK Send the password");
        self.state = State::ExpectPass(name.to_vec());
    }

    /// `password` is all that stands behind the one blank, blanks included (RFC 1939 section 7).
    fn take_password(&mut self, name: Option<Vec<u8>>, password: &[u8]) {
        let Some(authcid) = name else { return self.reject("-ERR Send USER first") };
        if password.is_empty() || password.len() > PART_BYTES_MAX {
            return self.reject("-ERR PASS needs a password");
        }
        self.decide(Attempt { authcid, authzid: None, proof: Secret::new(password), method: "USER/PASS" });
    }

    fn authenticate(&mut self, arguments: &[u8]) {
        let (name, response) = split_word(arguments);
        if name.is_empty() {
            // Never standardised, and asked for by old clients that know no CAPA.
            let names = Mechanism::WITH_PASSWORD.map(Mechanism::name).join("\r\n");
            return self.say(format!("+OK Mechanisms follow\r\n{names}\r\n."));
        }
        let Some(mechanism) = Mechanism::with_password_from_name(name) else {
            return self.reject("-ERR Unrecognized authentication type");
        };
        let exchange = ServerExchange::new(mechanism, auth_by(mechanism));
        match response.trim_ascii() {
            b"" => self.step(mechanism, exchange, None),
            // An empty initial response (RFC 5034 section 4).
            b"=" => self.step(mechanism, exchange, Some(b"")),
            response => self.step(mechanism, exchange, Some(response)),
        }
    }

    fn respond(&mut self, mechanism: Mechanism, exchange: ServerExchange, line: &[u8]) {
        let is_cancelled = line.trim_ascii_end() == b"*";
        self.transcript.client(if is_cancelled { "* (cancels the login)" } else { "a response (withheld)" });
        match line.trim_ascii_end() {
            b"*" => self.reject("-ERR Authentication cancelled"),
            response => self.step(mechanism, exchange, Some(response)),
        }
    }

    /// Feeds the client's response, still in base64, to the exchange.
    fn step(&mut self, mechanism: Mechanism, mut exchange: ServerExchange, response: Option<&[u8]>) {
        let response = match response.map(decode_base64) {
            Some(None) => return self.reject("-ERR Cannot decode base64"),
            Some(Some(response)) => Some(response),
            None => None,
        };
        match exchange.step(response) {
            Ok(ServerStep::Challenge(challenge)) => {
                // The blank stays even where nothing follows: some clients wait for it.
                self.say(format!("+ {}", encode_base64(challenge).as_str()));
                self.state = State::ExpectResponse(mechanism, exchange);
            }
            Ok(ServerStep::Done(attempt)) => self.decide(attempt),
            Err(_) => self.reject("-ERR Malformed authentication response"),
        }
    }

    fn decide(&mut self, attempt: Attempt) {
        self.queue.push_back(ServerAction::Authenticate(attempt));
        self.state = State::Deciding;
    }

    /// Answers a command that nobody can use; too many of them end the connection.
    fn reject(&mut self, reply: &str) {
        self.say(reply);
        self.bad_commands += 1;
        if self.bad_commands >= self.options.limits.bad_commands_max {
            self.close();
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
                State::Greeting => {
                    self.state = State::ExpectCommand;
                    // No angle brackets: they would offer APOP (RFC 1939 section 7).
                    self.say(format!("+OK {} ready", self.options.name));
                }
                State::ExpectCommand | State::ExpectPass(_) | State::ExpectResponse(..) => {
                    if !self.answer_line() {
                        return ServerAction::Wait;
                    }
                }
                State::StartingTls | State::Deciding => return ServerAction::Wait,
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
        (self.bytes_read, self.bad_commands) = (0, 0);
        self.state = State::ExpectCommand;
    }

    fn accept(&mut self, _upstream: &UpstreamReady) {
        if matches!(self.state, State::Deciding) {
            self.say("+OK Logged in");
            self.queue.push_back(ServerAction::Relay { early: self.input.take_rest() });
            self.state = State::Over;
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        if !matches!(self.state, State::Deciding) {
            return;
        }
        self.state = State::ExpectCommand;
        self.say(words(refusal));
        self.refusals += 1;
        if self.refusals >= self.options.limits.refusals_max {
            self.close();
        }
    }

    fn shut_down(&mut self, cause: Goodbye) {
        self.queue.clear();
        match (&self.state, cause) {
            // In the middle of a handshake there is nobody to say it to, and after the end nothing to say.
            (State::StartingTls | State::Over, _) => self.close(),
            // POP3 has no word for it; clients take a closed connection for a passing fault, which it is.
            (_, Goodbye::Draining) => self.close(),
            (_, Goodbye::TimedOut) => self.close_with("-ERR [SYS/TEMP] Took too long to log in"),
            (_, Goodbye::Overloaded) => self.close_with("-ERR [SYS/TEMP] Too many connections, try again later"),
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
            State::ExpectCommand => "command",
            State::ExpectPass(_) => "USER/PASS",
            State::ExpectResponse(mechanism, _) => auth_by(*mechanism),
            State::StartingTls => "STLS",
            State::Deciding => "deciding",
            State::Over => "over",
        }
    }
}

impl Command {
    fn from_word(word: &[u8]) -> Option<Self> {
        const WORDS: [(&[u8], Command); 17] = [
            (b"CAPA", Command::Capa),
            (b"USER", Command::User),
            (b"PASS", Command::Pass),
            (b"AUTH", Command::Auth),
            (b"STLS", Command::Stls),
            (b"NOOP", Command::Noop),
            (b"QUIT", Command::Quit),
            (b"APOP", Command::Apop),
            (b"STAT", Command::Mail),
            (b"LIST", Command::Mail),
            (b"RETR", Command::Mail),
            (b"DELE", Command::Mail),
            (b"RSET", Command::Mail),
            (b"TOP", Command::Mail),
            (b"UIDL", Command::Mail),
            (b"LAST", Command::Mail),
            (b"XTND", Command::Mail),
        ];
        WORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|&(_, command)| command)
    }
}

/// What is told of a command.
fn told(command: Option<Command>, rest: &[u8]) -> &'static str {
    match command {
        Some(Command::Capa) => "CAPA",
        Some(Command::User) => "USER (name withheld)",
        Some(Command::Pass) => "PASS (password withheld)",
        Some(Command::Auth) if rest.trim_ascii().is_empty() => "AUTH",
        Some(Command::Auth) => {
            let (name, response) = split_word(rest.trim_ascii());
            transcript::mechanism(name, !response.trim_ascii().is_empty())
        }
        Some(Command::Stls) => "STLS",
        Some(Command::Noop) => "NOOP",
        Some(Command::Quit) => "QUIT",
        Some(Command::Apop) => "APOP (arguments withheld)",
        Some(Command::Mail) => "a command that needs a login first",
        None => "a line that is no command (withheld)",
    }
}

/// What a refused client is told (RFC 2449 section 8, RFC 3206). Only its own credential is ever called wrong: after
/// `[SYS/TEMP]` a client keeps its password and tries again.
fn words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::WrongCredentials | Refusal::NotPermitted => "-ERR [AUTH] Invalid login or password",
        Refusal::Unavailable => "-ERR [SYS/TEMP] Temporary failure, try again later",
        Refusal::ContactAdmin => "-ERR [SYS/TEMP] Temporary failure, contact your administrator",
        Refusal::LimitReached => "-ERR [IN-USE] Too many connections or attempts, try again later",
    }
}

/// The first word, and all that follows the one blank behind it.
fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii_start();
    match line.iter().position(u8::is_ascii_whitespace) {
        Some(end) => (&line[..end], &line[end + 1..]),
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
    fn bounds_end_the_dialogue() {
        let mut dialogue = server(ServerLimits { line_bytes_max: 16, ..Default::default() });
        dialogue.receive(b"USER 12345678901");
        assert_eq!(hear(&mut dialogue), ("+OK mail.example.com ready\r\n-ERR Line too long\r\n".into(), true));

        let mut dialogue = server(ServerLimits { total_bytes_max: 6, ..Default::default() });
        dialogue.receive(b"NOOP\r\nNOOP\r\n");
        let said = "+OK mail.example.com ready\r\n+OK\r\n-ERR Too much said before login\r\n";
        assert_eq!(hear(&mut dialogue), (said.into(), true));
    }

    #[test]
    fn long_names_and_passwords_are_refused() {
        let mut dialogue = server(ServerLimits::default());
        hear(&mut dialogue);
        dialogue.receive(format!("USER {}\r\n", "n".repeat(PART_BYTES_MAX + 1)).as_bytes());
        assert_eq!(hear(&mut dialogue).0, "-ERR USER needs a name\r\n");
        dialogue.receive(format!("USER n\r\nPASS {}\r\n", "p".repeat(PART_BYTES_MAX + 1)).as_bytes());
        assert_eq!(hear(&mut dialogue).0, "+OK Send the password\r\n-ERR PASS needs a password\r\n");
    }

    #[test]
    fn a_handshake_is_not_spoken_into() {
        let mut dialogue = server(ServerLimits::default());
        dialogue.options.tls = ServerTls::Offered;
        dialogue.receive(b"STLS\r\n");
        assert!(hear(&mut dialogue).0.ends_with("+OK Begin TLS negotiation\r\n"));
        dialogue.shut_down(Goodbye::TimedOut);
        assert_eq!(hear(&mut dialogue), (String::new(), true));
    }
}
