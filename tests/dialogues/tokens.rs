//! Tokens, against providers of a few lines: they arrive as they are, by their own mechanisms alone, and come back in no
//! text. Locum's server is no peer for this, as it offers passwords only.

use data_encoding::BASE64;
use locum::model::{Attempt, CredentialKind, Mechanism, Protocol, Secret};
use locum::proto::{ClientFailure, Goal};
use locum::sasl::{Credentials, ServerExchange, ServerStep};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::script::client_options;
use crate::wire::{Act, Cut, Side, Wire};

const WITH_TOKEN: [Mechanism; 2] = [Mechanism::Oauthbearer, Mechanism::Xoauth2];

/// A provider that offers one mechanism, takes what it is sent, and then accepts it or explains why not.
struct Provider {
    protocol: Protocol,
    mechanism: Mechanism,
    /// Whether IMAP takes an initial response.
    inline: bool,
    explanation: Option<&'static str>,
    exchange: ServerExchange,
    stage: Stage,
    tag: String,
    attempt: Option<Attempt>,
    acknowledgement: Option<String>,
}

#[derive(PartialEq)]
enum Stage {
    Commands,
    Exchange,
    Explained,
}

impl Provider {
    fn new(protocol: Protocol, mechanism: Mechanism, inline: bool, explanation: Option<&'static str>) -> Self {
        let exchange = ServerExchange::new(mechanism, "test");
        let (stage, tag) = (Stage::Commands, String::new());
        Self { protocol, mechanism, inline, explanation, exchange, stage, tag, attempt: None, acknowledgement: None }
    }

    fn greeting(&self) -> &'static str {
        match self.protocol {
            Protocol::Imap => "* OK hi\r\n",
            Protocol::Pop3 => "+OK hi\r\n",
            Protocol::Submission => "220 mx\r\n",
        }
    }

    fn answer(&mut self, line: &str) -> String {
        match self.stage {
            Stage::Commands => self.command(line),
            Stage::Exchange => self.take(Some(line)),
            Stage::Explained => {
                self.acknowledgement = Some(line.to_owned());
                self.end(false)
            }
        }
    }

    fn command(&mut self, line: &str) -> String {
        let mechanism = self.mechanism.name();
        let mut words = line.split(' ');
        if self.protocol == Protocol::Imap {
            self.tag = words.next().expect("a tag").to_owned();
        }
        match words.next().expect("a command") {
            "CAPABILITY" => {
                let inline = if self.inline { " SASL-IR" } else { "" };
                format!("* CAPABILITY IMAP4rev1{inline} AUTH={mechanism}\r\n{} OK\r\n", self.tag)
            }
            "CAPA" => format!("+OK\r\nSASL {mechanism}\r\n.\r\n"),
            "EHLO" => format!("250-mx\r\n250 AUTH {mechanism}\r\n"),
            "AUTHENTICATE" | "AUTH" => {
                assert_eq!(words.next(), Some(mechanism), "another mechanism");
                let initial = words.next();
                assert!(initial.is_none() || self.inline && self.protocol == Protocol::Imap, "{line}");
                assert!(line.len() + "\r\n".len() <= 8192, "{} octets", line.len());
                self.take(initial)
            }
            _ => panic!("what is {line}?"),
        }
    }

    fn take(&mut self, base64: Option<&str>) -> String {
        let response = base64.map(|base64| Secret::new(BASE64.decode(base64.as_bytes()).expect("base64")));
        let challenge = match self.exchange.step(response).expect("a message of the mechanism") {
            ServerStep::Challenge(challenge) => {
                self.stage = Stage::Exchange;
                challenge
            }
            ServerStep::Done(attempt) => {
                self.attempt = Some(attempt);
                let Some(explanation) = self.explanation else { return self.end(true) };
                self.stage = Stage::Explained;
                explanation.as_bytes()
            }
        };
        let prompt = if self.protocol == Protocol::Submission { "334" } else { "+" };
        format!("{prompt} {}\r\n", BASE64.encode(challenge))
    }

    fn end(&mut self, good: bool) -> String {
        self.stage = Stage::Commands;
        match (self.protocol, good) {
            (Protocol::Imap, true) => format!("{} OK done\r\n", self.tag),
            (Protocol::Imap, false) => format!("{} NO not done\r\n", self.tag),
            (Protocol::Pop3, true) => "+OK done\r\n".to_owned(),
            (Protocol::Pop3, false) => "-ERR not done\r\n".to_owned(),
            (Protocol::Submission, true) => "235 done\r\n".to_owned(),
            (Protocol::Submission, false) => "535 not done\r\n".to_owned(),
        }
    }

    /// How our client fares, fed one byte at a time.
    fn meet(&mut self, goal: Goal) -> Act {
        let mut client = Wire::new(Side::client(self.protocol, goal, client_options(false)), Cut::Bytes);
        client.put(self.greeting().as_bytes());
        // More turns than any login takes.
        for _ in 0..20 {
            client.drive();
            let said = String::from_utf8(std::mem::take(&mut client.said)).expect("text");
            for line in said.split_terminator("\r\n") {
                client.put(self.answer(line).as_bytes());
            }
            if let Some(act) = client.take_act() {
                return act;
            }
        }
        panic!("no end: the client is at {:?}", client.state());
    }
}

fn credentials(identity: &str, secret: &str, kind: CredentialKind) -> Credentials {
    Credentials { identity: identity.to_owned(), secret: Secret::new(secret), kind }
}

fn by_token(identity: &str, token: &str) -> Goal {
    let credentials = credentials(identity, token, CredentialKind::OAuth2);
    Goal::LogIn { credentials, mechanisms: WITH_TOKEN.to_vec() }
}

fn arrives(protocol: Protocol, identity: &str, token: &str) {
    for mechanism in WITH_TOKEN {
        for inline in [false, true] {
            let mut provider = Provider::new(protocol, mechanism, inline, None);
            let act = provider.meet(by_token(identity, token));
            assert!(matches!(act, Act::Ready(_)), "{protocol} {mechanism:?}: {act:?}");
            let attempt = provider.attempt.expect("an attempt");
            assert_eq!(attempt.authcid, identity.as_bytes(), "{protocol} {mechanism:?}");
            assert_eq!(attempt.proof.expose(), token.as_bytes(), "{protocol} {mechanism:?}");
        }
    }
}

fn every_token_arrives_as_it_is(protocol: Protocol) {
    for length in [1, 1500, 4096, 8192, 9000] {
        arrives(protocol, "scan@example.com", &"aZ0-._~+/".repeat(length)[..length]);
    }
    let config = ProptestConfig::with_cases(64);
    proptest!(config, |(identity in "\\PC{1,40}", token in "[A-Za-z0-9._~+/-]{1,300}={0,2}")| {
        arrives(protocol, &identity, &token);
    });
}

fn a_refusal_is_acknowledged_and_explained(protocol: Protocol) {
    for (mechanism, acknowledgement) in [(Mechanism::Xoauth2, ""), (Mechanism::Oauthbearer, "AQ==")] {
        for inline in [false, true] {
            let mut provider = Provider::new(protocol, mechanism, inline, Some(r#"{"status":"400","scope":"mail"}"#));
            let act = provider.meet(by_token("scan@example.com", "sesame"));
            assert_eq!(provider.acknowledgement.as_deref(), Some(acknowledgement), "{protocol} {mechanism:?}");
            let Act::Fail(ClientFailure::Refused(text)) = act else { panic!("{protocol} {mechanism:?}: {act:?}") };
            assert!(text.ends_with(" not done (status 400, scope mail)"), "{text}");
        }
    }
}

fn what_cannot_be_sent_stays_here(protocol: Protocol) {
    let long = "t".repeat(9300);
    let bad_tokens = ["", "two words", "t\r\nQUIT", "t\u{1}", "t\u{1}\u{1}", "a=b", "t,", "\u{fc}", &long];
    let bad_names = ["", "a\u{1}auth=Bearer t", "a\r\nQUIT", "a\0"];
    let cases = bad_tokens.map(|token| ("scan", token)).into_iter().chain(bad_names.map(|name| (name, "sesame")));
    for (identity, token) in cases {
        for mechanism in WITH_TOKEN {
            let mut provider = Provider::new(protocol, mechanism, true, None);
            let act = provider.meet(by_token(identity, token));
            assert!(matches!(act, Act::Fail(ClientFailure::Protocol(_))), "{identity:?} {token:?}: {act:?}");
            assert!(provider.attempt.is_none() && provider.stage == Stage::Commands, "{identity:?} {token:?}");
        }
    }
}

/// Whatever the upstream's list says, a provider that takes the other kind alone gets nothing.
fn secrets_go_by_their_own_mechanisms_alone(protocol: Protocol) {
    let offers = |kind| match (protocol, kind) {
        (Protocol::Imap, CredentialKind::AppPassword) => {
            "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] hi\r\n"
        }
        (Protocol::Imap, CredentialKind::OAuth2) => {
            "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER LOGINDISABLED] hi\r\n"
        }
        (Protocol::Pop3, CredentialKind::AppPassword) => "+OK hi\r\n+OK\r\nSASL PLAIN LOGIN\r\nUSER\r\n.\r\n",
        (Protocol::Pop3, CredentialKind::OAuth2) => "+OK hi\r\n+OK\r\nSASL XOAUTH2 OAUTHBEARER\r\n.\r\n",
        (Protocol::Submission, CredentialKind::AppPassword) => "220 mx\r\n250-mx\r\n250 AUTH PLAIN LOGIN\r\n",
        (Protocol::Submission, CredentialKind::OAuth2) => "220 mx\r\n250-mx\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n",
    };
    let lists = [Mechanism::ALL.to_vec(), WITH_TOKEN.to_vec(), Mechanism::WITH_PASSWORD.to_vec(), Vec::new()];
    for (held, taken) in
        [(CredentialKind::OAuth2, CredentialKind::AppPassword), (CredentialKind::AppPassword, CredentialKind::OAuth2)]
    {
        for mechanisms in &lists {
            let goal = Goal::LogIn { credentials: credentials("scan", "sesame", held), mechanisms: mechanisms.clone() };
            let mut client = Wire::new(Side::client(protocol, goal, client_options(false)), Cut::Lines);
            client.put(offers(taken).as_bytes());
            client.drive();
            let act = client.take_act();
            assert!(matches!(act, Some(Act::Fail(ClientFailure::NoMechanism(_)))), "{held} {mechanisms:?}: {act:?}");
            let said = String::from_utf8_lossy(&client.said).into_owned();
            assert!(["", "CAPA\r\n", "EHLO locum.example.com\r\n"].contains(&said.as_str()), "{held}: {said}");
        }
    }
}

/// What a provider may say behind a token.
#[derive(Debug, Clone)]
enum Piece {
    Words(&'static str),
    Noise(Vec<u8>),
    /// A part of the token, or of the message in base64.
    Quote {
        of_message: bool,
        from: Index,
        to: Index,
        upper: bool,
    },
    /// An explanation that quotes the token, behind its prompt.
    Explanation(&'static str),
}

fn pieces(protocol: Protocol) -> impl Strategy<Value = Vec<Piece>> {
    let words: &[&str] = match protocol {
        Protocol::Imap => &["\r\n", " ", "L1 NO ", "L1 BAD ", "L1 OK ", "* BYE ", "* OK ", "+ "],
        Protocol::Pop3 => &["\r\n", " ", "-ERR ", "+OK ", "+ "],
        Protocol::Submission => &["\r\n", " ", "535 ", "535-", "501 ", "421 ", "235 ", "334 "],
    };
    let quote = (any::<bool>(), any::<Index>(), any::<Index>(), any::<bool>());
    let piece = prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(Piece::Words),
        1 => vec(any::<u8>(), 0..20).prop_map(Piece::Noise),
        3 => quote.prop_map(|(of_message, from, to, upper)| Piece::Quote { of_message, from, to, upper }),
        2 => Just(Piece::Explanation(if protocol == Protocol::Submission { "334" } else { "+" })),
    ];
    vec(piece, 0..24)
}

fn spoken(piece: &Piece, token: &str, message: &str) -> Vec<u8> {
    match piece {
        Piece::Words(words) => words.as_bytes().to_vec(),
        Piece::Noise(noise) => noise.clone(),
        Piece::Quote { of_message, from, to, upper } => {
            let whole = if *of_message { message } else { token };
            let (from, to) = (from.index(whole.len() + 1), to.index(whole.len() + 1));
            let quote = &whole[from.min(to)..from.max(to)];
            if *upper { quote.to_uppercase().into_bytes() } else { quote.as_bytes().to_vec() }
        }
        Piece::Explanation(prompt) => {
            let json = format!(r#"{{"status":"bad {token}","scope":"{message}","schemes":"{token}"}}"#);
            format!("{prompt} {}\r\n", BASE64.encode(json.as_bytes())).into_bytes()
        }
    }
}

/// Neither whole nor in pieces, in whatever place and case a provider repeats it.
fn no_piece_of_a_token_comes_back(protocol: Protocol) {
    const PIECE_BYTES: usize = 6;
    let greet = |mechanism: &str| match protocol {
        Protocol::Imap => format!("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH={mechanism}] hi\r\n"),
        Protocol::Pop3 => format!("+OK hi\r\n+OK\r\nSASL {mechanism}\r\n.\r\n+ \r\n"),
        Protocol::Submission => format!("220 mx\r\n250-mx\r\n250 AUTH {mechanism}\r\n334 \r\n"),
    };
    let config = ProptestConfig::with_cases(512);
    proptest!(config, |(mechanism in prop::sample::select(WITH_TOKEN.to_vec()), token in "[A-Za-z0-9]{24,60}", pieces in pieces(protocol))| {
        let message = match mechanism {
            Mechanism::Xoauth2 => format!("user=scan\u{1}auth=Bearer {token}\u{1}\u{1}"),
            _ => format!("n,a=scan,\u{1}auth=Bearer {token}\u{1}\u{1}"),
        };
        let message = BASE64.encode(message.as_bytes());
        let mut client = Wire::new(Side::client(protocol, by_token("scan", &token), client_options(false)), Cut::Glued);
        client.put(greet(mechanism.name()).as_bytes());
        client.drive();
        prop_assert!(String::from_utf8_lossy(&client.said).contains(&message), "or nothing is proven");
        pieces.iter().for_each(|piece| client.put(&spoken(piece, &token, &message)));
        client.put(b"\r\n");
        client.drive();
        if let Some(Act::Fail(failure)) = client.take_act() {
            let shown = format!("{failure} {failure:?}").to_lowercase();
            prop_assert!(failure.to_string().chars().count() <= 512 + "turned away: ".len());
            for secret in [&token, &message] {
                for piece in secret.to_lowercase().as_bytes().windows(PIECE_BYTES) {
                    let piece = String::from_utf8_lossy(piece);
                    prop_assert!(!shown.contains(piece.as_ref()), "{piece} of {secret} in {shown}");
                }
            }
        }
    });
}

macro_rules! for_every_protocol {
    ($($name:ident: $protocol:expr),* $(,)?) => { $(
        mod $name {
            use locum::model::Protocol;

            #[test]
            fn every_token_arrives_as_it_is() {
                super::every_token_arrives_as_it_is($protocol);
            }

            #[test]
            fn a_refusal_is_acknowledged_and_explained() {
                super::a_refusal_is_acknowledged_and_explained($protocol);
            }

            #[test]
            fn what_cannot_be_sent_stays_here() {
                super::what_cannot_be_sent_stays_here($protocol);
            }

            #[test]
            fn secrets_go_by_their_own_mechanisms_alone() {
                super::secrets_go_by_their_own_mechanisms_alone($protocol);
            }

            #[test]
            fn no_piece_of_a_token_comes_back() {
                super::no_piece_of_a_token_comes_back($protocol);
            }
        }
    )* };
}

for_every_protocol! {
    imap: Protocol::Imap,
    pop3: Protocol::Pop3,
    submission: Protocol::Submission,
}
