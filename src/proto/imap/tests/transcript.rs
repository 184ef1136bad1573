//! Plays the dialogues in `tests/transcripts/imap`, each twice: line by line, and one byte at a time.

use std::collections::VecDeque;
use std::path::Path;

use super::{client_options, log_in, server_options};
use crate::model::{Attempt, Mechanism, Refusal};
use crate::proto::imap::{Client, Server};
use crate::proto::{
    Client as _, ClientAction, ClientFailure, ClientOptions, Goal, Goodbye, Server as _, ServerAction, ServerOptions,
    ServerTls, UpstreamReady,
};

#[test]
fn transcripts_play_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/imap");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for bytewise in [false, true] {
            play(&text, &format!("{} (byte by byte: {bytewise})", path.display()), bytewise);
        }
        played += 1;
    }
    assert!(played > 30, "only {played} transcripts were found");
}

/// One dialogue under test, whichever side it is, with its actions in the words of a transcript.
trait Subject {
    fn receive(&mut self, bytes: &[u8]);
    fn next(&mut self) -> Step;
    /// Carries out a `!` line that is for the driver; `false` if it is something to expect instead.
    fn drive(&mut self, line: &str) -> bool;
}

#[derive(Debug, PartialEq)]
enum Step {
    Wait,
    Send(Vec<u8>),
    Act(String),
}

fn play(text: &str, name: &str, bytewise: bool) {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    let role = lines.next().unwrap();
    let mut options = Vec::new();
    while let Some(option) = lines.peek().and_then(|line| line.strip_prefix("option ")) {
        options.push(option.split_once('=').unwrap());
        lines.next();
    }
    let (mut subject, peer): (Box<dyn Subject>, _) = match role {
        "server" => (Box::new(server(&options)), 'C'),
        "client" => (Box::new(client(&options)), 'S'),
        other => panic!("{name}: who is {other:?}?"),
    };
    let mut driver = Driver { steps: VecDeque::new(), sent: Vec::new() };
    for line in lines {
        let context = format!("{name}: {line}");
        if let Some(act) = line.strip_prefix("! ") {
            if !subject.drive(act) {
                driver.expect_act(&mut *subject, act, &context);
            }
            continue;
        }
        let (who, rest) = line.split_at(1);
        let bytes = match rest.split_at(2) {
            (": ", text) => [unescape(text), b"\r\n".to_vec()].concat(),
            ("+ ", text) => unescape(text),
            _ => panic!("{context}: not a line of a transcript"),
        };
        if who.starts_with(peer) {
            driver.feed(&mut *subject, &bytes, bytewise);
        } else {
            driver.expect_bytes(&mut *subject, &bytes, &context);
        }
    }
    driver.expect_silence(&mut *subject, name);
}

/// What the dialogue did and the transcript has not come to yet.
struct Driver {
    steps: VecDeque<Step>,
    sent: Vec<u8>,
}

impl Driver {
    fn feed(&mut self, subject: &mut dyn Subject, bytes: &[u8], bytewise: bool) {
        if !bytewise {
            return subject.receive(bytes);
        }
        for byte in bytes {
            // A driver reads only on `Wait`: an action that the transcript has to answer comes first.
            while !matches!(self.steps.back(), Some(Step::Act(_))) {
                match subject.next() {
                    Step::Wait => break,
                    step => self.steps.push_back(step),
                }
            }
            match self.steps.back_mut() {
                // A dialogue that is over hands the wire on: what comes now is early to whoever reads it next.
                Some(Step::Act(act)) if act.starts_with("ready ") => act.push_str(&escape(&[*byte])),
                _ => subject.receive(&[*byte]),
            }
        }
    }

    fn next(&mut self, subject: &mut dyn Subject) -> Step {
        self.steps.pop_front().unwrap_or_else(|| subject.next())
    }

    fn expect_bytes(&mut self, subject: &mut dyn Subject, expected: &[u8], context: &str) {
        while self.sent.len() < expected.len() {
            match self.next(subject) {
                Step::Send(bytes) => self.sent.extend(bytes),
                step => panic!("{context}: got {step:?} behind {:?}", String::from_utf8_lossy(&self.sent)),
            }
        }
        let rest = self.sent.split_off(expected.len());
        let sent = std::mem::replace(&mut self.sent, rest);
        assert_eq!(String::from_utf8_lossy(&sent), String::from_utf8_lossy(expected), "{context}");
    }

    fn expect_act(&mut self, subject: &mut dyn Subject, expected: &str, context: &str) {
        assert_eq!(String::from_utf8_lossy(&self.sent), "", "{context}: bytes that were not expected");
        assert_eq!(self.next(subject), Step::Act(expected.to_owned()), "{context}");
    }

    fn expect_silence(&mut self, subject: &mut dyn Subject, name: &str) {
        assert_eq!(String::from_utf8_lossy(&self.sent), "", "{name}: bytes at the end");
        match self.next(subject) {
            Step::Send(bytes) => panic!("{name}: sends {:?} at the end", String::from_utf8_lossy(&bytes)),
            Step::Act(act) => assert!(act == "close" || act.contains("the dialogue is over"), "{name}: {act}"),
            Step::Wait => {}
        }
    }
}

fn server(options: &[(&str, &str)]) -> Server {
    let mut server_options: ServerOptions = server_options(ServerTls::Active);
    for &(key, value) in options {
        match (key, value) {
            ("tls", "active") => server_options.tls = ServerTls::Active,
            ("tls", "offered") => server_options.tls = ServerTls::Offered,
            ("tls", "absent") => server_options.tls = ServerTls::Absent,
            ("plaintext-login", _) => server_options.plaintext_login = value == "yes",
            ("name", _) => server_options.name = value.into(),
            _ => panic!("no option {key}={value}"),
        }
    }
    Server::new(server_options)
}

fn client(options: &[(&str, &str)]) -> Client {
    let option = |key| options.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| *value);
    let mechanisms: Vec<Mechanism> =
        option("mechanisms").split(',').filter(|name| !name.is_empty()).map(|name| name.parse().unwrap()).collect();
    let goal = match option("goal") {
        "probe" => Goal::Probe,
        _ => {
            let identity = String::from_utf8(unescape(option("identity"))).unwrap();
            log_in(&identity, &unescape(option("password")), &mechanisms)
        }
    };
    let client_options: ClientOptions = client_options(option("starttls") == "yes");
    Client::new(goal, client_options)
}

impl Subject for Server {
    fn receive(&mut self, bytes: &[u8]) {
        crate::proto::Server::receive(self, bytes);
    }

    fn next(&mut self) -> Step {
        match self.next_action() {
            ServerAction::Wait => Step::Wait,
            ServerAction::Send(bytes) => Step::Send(bytes.as_bytes().to_vec()),
            ServerAction::StartTls => Step::Act("starttls".into()),
            ServerAction::Authenticate(attempt) => Step::Act(authenticate(&attempt)),
            ServerAction::Relay { early } => Step::Act(format!("relay early={}", escape(&early))),
            ServerAction::Close => Step::Act("close".into()),
        }
    }

    fn drive(&mut self, line: &str) -> bool {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "tls-started" => self.tls_started(),
            "accept" => {
                let keywords = rest.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
                self.accept(&UpstreamReady { keywords, early: Vec::new() });
            }
            "refuse" => {
                self.refuse(Refusal::ALL.into_iter().find(|refusal| format!("{refusal:?}") == rest).unwrap());
            }
            "shut-down" => self.shut_down(match rest {
                "Draining" => Goodbye::Draining,
                "TimedOut" => Goodbye::TimedOut,
                "Full" => Goodbye::Full,
                other => panic!("no goodbye {other}"),
            }),
            _ => return false,
        }
        true
    }
}

impl Subject for Client {
    fn receive(&mut self, bytes: &[u8]) {
        crate::proto::Client::receive(self, bytes);
    }

    fn next(&mut self) -> Step {
        match self.next_action() {
            ClientAction::Wait => Step::Wait,
            ClientAction::Send(bytes) => Step::Send(bytes.as_bytes().to_vec()),
            ClientAction::StartTls => Step::Act("starttls".into()),
            ClientAction::Ready(UpstreamReady { keywords, early }) => {
                Step::Act(format!("ready keywords={} early={}", keywords.join(" "), escape(&early)))
            }
            ClientAction::Fail(failure) => Step::Act(match failure {
                ClientFailure::Refused(text) => format!("fail Refused {text}"),
                ClientFailure::TurnedAway(text) => format!("fail TurnedAway {text}"),
                ClientFailure::NoTls(text) => format!("fail NoTls {text}"),
                ClientFailure::NoMechanism(text) => format!("fail NoMechanism {text}"),
                ClientFailure::Protocol(text) => format!("fail Protocol {text}"),
            }),
        }
    }

    fn drive(&mut self, line: &str) -> bool {
        if line == "tls-started" {
            self.tls_started();
        }
        line == "tls-started"
    }
}

fn authenticate(attempt: &Attempt) -> String {
    let authzid = attempt.authzid.as_ref().map(|authzid| format!(" authzid={}", escape(authzid))).unwrap_or_default();
    format!("authenticate authcid={}{authzid} password={}", escape(&attempt.authcid), escape(attempt.proof.expose()))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, length) = match (first, behind.first()) {
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'0')) => (0, 2),
            (b'\\', Some(b'\\')) => (b'\\', 2),
            (b'\\', Some(b'x')) => (u8::from_str_radix(std::str::from_utf8(&rest[2..4]).unwrap(), 16).unwrap(), 4),
            (b'\\', _) => panic!("bad escape in {text}"),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

fn escape(bytes: &[u8]) -> String {
    let escaped = bytes.iter().map(|&byte| match byte {
        b'\r' => "\\r".to_owned(),
        b'\n' => "\\n".to_owned(),
        0 => "\\0".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    });
    escaped.collect()
}
