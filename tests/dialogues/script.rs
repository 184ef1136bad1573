//! Transcripts: `tests/transcripts/<protocol>/<name>.txt`, each one dialogue.
//!
//! ```text
//! server                       the side of Locum's that is under test: server or client
//! option tls=offered           how it is set up; any number of them
//! # a remark
//! C: EHLO scanner              what the mail client sends, or Locum's client; CR LF is implied
//! S: 250 mail.example.com      what Locum's server says, or the provider
//! C+ AHNj                      the same without the CR LF
//! ! starttls                   what Locum asks of its driver, or the driver's answer
//! ```
//!
//! Bytes may be written as `\r`, `\n`, `\0`, `\xNN` and `\\`. Where there is a token, `<token>` stands for it, and `<xoauth2>`
//! and `<oauthbearer>` for the message with it, in base64.
//!
//! | options | values (the first is the default) |
//! |---|---|
//! | server: `tls` | active, offered, absent |
//! | server: `plaintext-login` | no, yes |
//! | server: `takes-xclient`, `recognises` | no, yes |
//! | server: `keywords` | none, or a list with commas |
//! | client: `starttls` | no, yes |
//! | client: `goal` | login, probe |
//! | client: `identity`, `password` | empty |
//! | client: `token` | in place of a password; `x*8000` is 8,000 of them |
//! | client: `mechanisms` | none, or a list with commas, best first |
//! | both: `name` | mail.example.com, locum.example.com |
//!
//! | acts of Locum | answers and other inputs |
//! |---|---|
//! | `authenticate authcid=… [authzid=…] password=…` | `accept KEYWORD …`, `refuse Refusal` |
//! | `recognise` | the same |
//! | `change-peer same`, `unknown` or an address | `peer-changed plaintext-login=no`, `refuse Refusal` |
//! | `starttls` | `tls-started` |
//! | `relay early=…`, `close` | `shut-down Goodbye` |
//! | `ready keywords=… early=…`, `fail Variant [text]` | |

use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use locum::model::{CredentialKind, Mechanism, Protocol, Refusal, Secret};
use locum::proto::{ClientLimits, ClientOptions, Goal, Goodbye, ServerLimits, ServerOptions, ServerTls};
use locum::sasl::Credentials;

use crate::wire::Side;

/// One transcript.
pub(crate) struct Script {
    pub(crate) path: PathBuf,
    pub(crate) protocol: Protocol,
    pub(crate) setup: Setup,
    /// With the number of the line each stands in.
    pub(crate) lines: Vec<(usize, Line)>,
}

/// Which side, and how it is set up.
#[derive(Debug, Clone)]
pub(crate) enum Setup {
    Server(ServerOptions),
    Client(Goal, ClientOptions),
}

/// What happens, as seen from the side under test.
pub(crate) enum Line {
    /// The peer sends this.
    Peer(Vec<u8>),
    /// We say this.
    Ours(Vec<u8>),
    /// We ask for this: [`Act::words`](crate::wire::Act::words).
    Expect(String),
    TlsStarted,
    Accept(Vec<String>),
    Refuse(Refusal),
    PeerChanged(bool),
    ShutDown(Goodbye),
}

impl Setup {
    pub(crate) fn side(&self, protocol: Protocol) -> Side {
        match self {
            Self::Server(options) => Side::server(protocol, options.clone()),
            Self::Client(goal, options) => Side::client(protocol, goal.clone(), options.clone()),
        }
    }
}

/// All transcripts of a protocol, in the order of their names; none if there is no folder.
pub(crate) fn scripts(protocol: Protocol) -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(protocol.name());
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.into_iter().map(|path| read(path, protocol)).collect()
}

fn read(path: PathBuf, protocol: Protocol) -> Script {
    let text = fs::read_to_string(&path).expect("a transcript in UTF-8");
    let mut side = "";
    let mut options = Vec::new();
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let at = at + 1;
        let fault = |what: &str| -> ! { panic!("{}:{at}: {what}: {line}", path.display()) };
        if line.is_empty() || line.starts_with('#') {
        } else if side.is_empty() {
            side = line;
        } else if let Some(option) = line.strip_prefix("option ") {
            options.push(option.split_once('=').unwrap_or_else(|| fault("not key=value")));
        } else if let Some(act) = line.strip_prefix("! ") {
            lines.push((at, parse_act(act).unwrap_or_else(|| fault("no such act"))));
        } else {
            let (who, text) = line.split_at_checked(3).unwrap_or((line, ""));
            let mut bytes = unescape(&with_token(text, &options)).unwrap_or_else(|| fault("a bad escape"));
            match &who[1..] {
                ": " => bytes.extend(b"\r\n"),
                "+ " => {}
                _ => fault("neither C: nor S: nor !"),
            }
            let peer = match side {
                "server" => "C",
                _ => "S",
            };
            lines.push((at, if who.starts_with(peer) { Line::Peer(bytes) } else { Line::Ours(bytes) }));
        }
    }
    let setup = match side {
        "server" => server_setup(&options),
        "client" => client_setup(&options),
        _ => None,
    };
    let setup = setup.unwrap_or_else(|| panic!("{}: the side or an option is not known", path.display()));
    Script { path, protocol, setup, lines }
}

fn parse_act(act: &str) -> Option<Line> {
    let (word, rest) = act.split_once(' ').unwrap_or((act, ""));
    Some(match word {
        "tls-started" => Line::TlsStarted,
        "peer-changed" => Line::PeerChanged(yes(rest.strip_prefix("plaintext-login=")?)?),
        "accept" => Line::Accept(rest.split_ascii_whitespace().map(str::to_owned).collect()),
        "refuse" => Line::Refuse(Refusal::ALL.into_iter().find(|refusal| format!("{refusal:?}") == rest)?),
        "shut-down" => {
            let causes = [Goodbye::Draining, Goodbye::TimedOut, Goodbye::Overloaded];
            Line::ShutDown(causes.into_iter().find(|cause| format!("{cause:?}") == rest)?)
        }
        "starttls" | "authenticate" | "recognise" | "change-peer" | "relay" | "close" | "ready" | "fail" => {
            Line::Expect(act.to_owned())
        }
        _ => return None,
    })
}

/// How servers are set up in these tests, but for what a test says.
pub(crate) fn server_options(tls: ServerTls) -> ServerOptions {
    ServerOptions {
        name: "mail.example.com".into(),
        tls,
        plaintext_login: false,
        takes_xclient: false,
        recognises: false,
        keywords: Vec::new(),
        limits: ServerLimits::default(),
    }
}

/// The same for clients.
pub(crate) fn client_options(starttls: bool) -> ClientOptions {
    ClientOptions { starttls, name: "locum.example.com".into(), limits: ClientLimits::default() }
}

fn server_setup(options: &[(&str, &str)]) -> Option<Setup> {
    let mut setup = server_options(ServerTls::Active);
    for &(key, value) in options {
        match (key, value) {
            ("tls", "active") => setup.tls = ServerTls::Active,
            ("tls", "offered") => setup.tls = ServerTls::Offered,
            ("tls", "absent") => setup.tls = ServerTls::Absent,
            ("plaintext-login", _) => setup.plaintext_login = yes(value)?,
            ("takes-xclient", _) => setup.takes_xclient = yes(value)?,
            ("recognises", _) => setup.recognises = yes(value)?,
            ("keywords", _) => setup.keywords = value.split(',').map(str::to_owned).collect(),
            ("name", _) => setup.name = value.into(),
            _ => return None,
        }
    }
    Some(Setup::Server(setup))
}

fn client_setup(options: &[(&str, &str)]) -> Option<Setup> {
    let mut setup = client_options(false);
    let kind = CredentialKind::AppPassword;
    let mut credentials = Credentials { identity: String::new(), secret: Secret::new(""), kind };
    let mut mechanisms: Vec<Mechanism> = Vec::new();
    let mut probe = false;
    for &(key, value) in options {
        match (key, value) {
            ("starttls", _) => setup.starttls = yes(value)?,
            ("name", _) => setup.name = value.into(),
            ("goal", "login") => probe = false,
            ("goal", "probe") => probe = true,
            ("identity", _) => credentials.identity = String::from_utf8(unescape(value)?).ok()?,
            ("password", _) => credentials.secret = Secret::new(unescape(value)?),
            ("token", _) => {
                (credentials.secret, credentials.kind) =
                    (Secret::new(unescape(&token(value))?), CredentialKind::OAuth2);
            }
            ("mechanisms", "") => mechanisms.clear(),
            ("mechanisms", _) => mechanisms = value.split(',').map(str::parse).collect::<Result<_, _>>().ok()?,
            _ => return None,
        }
    }
    let goal = if probe { Goal::Probe } else { Goal::LogIn { credentials, mechanisms } };
    Some(Setup::Client(goal, setup))
}

/// A token at its full length.
fn token(value: &str) -> String {
    match value.split_once('*').map(|(piece, times)| (piece, times.parse())) {
        Some((piece, Ok(times))) => piece.repeat(times),
        _ => value.to_owned(),
    }
}

/// The text with what stands for the token, and for the messages that have it, written out.
fn with_token(text: &str, options: &[(&str, &str)]) -> String {
    let of = |wanted: &str| options.iter().find(|(key, _)| *key == wanted).map(|&(_, value)| value);
    let Some(token) = of("token").map(token) else { return text.to_owned() };
    let identity = of("identity").unwrap_or_default();
    let xoauth2 = format!("user={identity}\x01auth=Bearer {token}\x01\x01");
    let oauthbearer = format!("n,a={identity},\x01auth=Bearer {token}\x01\x01");
    text.replace("<token>", &token)
        .replace("<xoauth2>", &BASE64.encode(xoauth2.as_bytes()))
        .replace("<oauthbearer>", &BASE64.encode(oauthbearer.as_bytes()))
}

fn yes(value: &str) -> Option<bool> {
    match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let (byte, behind) = match (first, behind) {
            (b'\\', [b'r', behind @ ..]) => (b'\r', behind),
            (b'\\', [b'n', behind @ ..]) => (b'\n', behind),
            (b'\\', [b'0', behind @ ..]) => (0, behind),
            (b'\\', [b'\\', behind @ ..]) => (b'\\', behind),
            (b'\\', [b'x', high, low, behind @ ..]) => {
                let digits = [*high, *low];
                (u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?, behind)
            }
            (b'\\', _) => return None,
            (byte, behind) => (*byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    Some(bytes)
}

/// Bytes as they are written in a transcript.
pub(crate) fn escape(bytes: &[u8]) -> String {
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
