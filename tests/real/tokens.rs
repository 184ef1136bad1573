//! Our own dialogues log in with tokens at real servers: XOAUTH2 and OAUTHBEARER at Dovecot's IMAP and POP3, and at
//! Postfix, which asks Dovecot. What both sides make of tokens is said here by servers that have never heard of Locum.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use locum::model::{CredentialKind, Mechanism, Protocol, Secret};
use locum::proto::{self, Client, ClientAction, ClientFailure, ClientLimits, ClientOptions, Goal};
use locum::sasl::Credentials;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::child;
use crate::endpoint::{Endpoint, Tls};
use crate::issuer::Issuer;
use crate::lab::{Lab, Route};

/// A login may take this long.
const TIME_MAX: Duration = Duration::from_secs(30);
/// What stands between the dialogue and the server: it hides one word of the server's offer, and keeps what was sent.
#[derive(Default)]
struct Middle {
    hidden: Option<&'static str>,
    sent: Vec<String>,
}

impl Middle {
    fn hiding(word: &'static str) -> Self {
        Self { hidden: Some(word), sent: Vec::new() }
    }

    fn pass(&self, bytes: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.hidden.map_or(text.clone(), |word| text.replace(word, &"X".repeat(word.len()))).into_bytes()
    }

    /// The command that began the login.
    fn login_command(&self) -> &str {
        self.sent.iter().find(|line| line.contains("AUTH")).expect("it came to a login")
    }
}

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Logs in as `user` and asks for something that only who is logged in gets.
fn log_in(
    endpoint: &Endpoint,
    protocol: Protocol,
    mechanism: Mechanism,
    token: &str,
    middle: &mut Middle,
) -> Result<(), ClientFailure> {
    let credentials =
        Credentials { identity: endpoint.user.clone(), secret: Secret::new(token), kind: CredentialKind::OAuth2 };
    let goal = Goal::LogIn { credentials, mechanisms: vec![mechanism] };
    let starttls = endpoint.tls == Tls::Starttls;
    let options = ClientOptions { starttls, name: "client.example.test".to_owned(), limits: ClientLimits::default() };
    let mut dialogue = proto::client(protocol, goal, options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let converse = async {
        let mut wire = converse(endpoint, dialogue.as_mut(), middle).await?;
        let (question, answer) = match protocol {
            Protocol::Imap => ("A1 EXAMINE INBOX\r\n".to_owned(), "A1 OK "),
            Protocol::Pop3 => ("STAT\r\n".to_owned(), "+OK "),
            Protocol::Submission => (format!("MAIL FROM:<{0}>\r\nRCPT TO:<{0}>\r\n", endpoint.user), "250 2.1.5 "),
        };
        wire.write_all(question.as_bytes()).await.unwrap();
        wire.flush().await.unwrap();
        let mut said = String::new();
        while !said.lines().any(|line| line.starts_with(answer)) {
            let mut bytes = [0; 4096];
            let count = wire.read(&mut bytes).await.unwrap();
            assert!(count > 0, "{protocol}: it hung up after {said:?}");
            said.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        Ok(())
    };
    runtime.block_on(async { timeout(TIME_MAX, converse).await.expect("a login does not take this long") })
}

/// Drives a dialogue over a real connection.
async fn converse(
    endpoint: &Endpoint,
    dialogue: &mut dyn Client,
    middle: &mut Middle,
) -> Result<Box<dyn Wire>, ClientFailure> {
    let connector = connector(&endpoint.authority);
    let name = ServerName::try_from(endpoint.host.clone()).unwrap();
    let socket = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await.unwrap();
    let mut wire: Box<dyn Wire> = match endpoint.tls {
        Tls::Implicit => Box::new(connector.connect(name.clone(), socket).await.unwrap()),
        Tls::Starttls | Tls::Plain => Box::new(socket),
    };
    loop {
        match dialogue.next_action() {
            ClientAction::Wait => {
                let mut bytes = vec![0; 16384];
                let count = wire.read(&mut bytes).await.unwrap();
                assert!(count > 0, "it hung up in {}", dialogue.state());
                dialogue.receive(&middle.pass(&bytes[..count]));
            }
            ClientAction::Send(bytes) => {
                middle.sent.push(String::from_utf8(bytes.as_bytes().to_vec()).unwrap());
                wire.write_all(bytes.as_bytes()).await.unwrap();
                wire.flush().await.unwrap();
            }
            ClientAction::StartTls => {
                wire = Box::new(connector.connect(name.clone(), wire).await.unwrap());
                dialogue.tls_started();
            }
            ClientAction::Ready(ready) => {
                assert!(ready.early.is_empty(), "{:?}", ready.early);
                return Ok(wire);
            }
            ClientAction::Fail(failure) => return Err(failure),
        }
    }
}

fn connector(authority: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

const BOTH: [Mechanism; 2] = [Mechanism::Xoauth2, Mechanism::Oauthbearer];

#[test]
fn a_good_token_logs_in_by_either_mechanism_everywhere() {
    let issuer = Issuer::new();
    let lab = Lab::start_with_tokens(&issuer);
    for tls in [Tls::Implicit, Tls::Starttls] {
        let mailbox = lab.mailbox(tls);
        let token = issuer.issue(&mailbox.address, 0, 3600);
        assert!(token.len() > 2000, "{} bytes are no test", token.len());
        for protocol in Protocol::ALL {
            for mechanism in BOTH {
                let (endpoint, mut middle) = (lab.endpoint(protocol, tls, mailbox), Middle::default());
                log_in(&endpoint, protocol, mechanism, &token, &mut middle)
                    .unwrap_or_else(|failure| panic!("{protocol} {mechanism:?} {tls:?}: {failure}"));
                let is_inline = middle.login_command().len() > token.len();
                assert_eq!(is_inline, protocol == Protocol::Imap, "only IMAP has room for it in the command");
            }
        }
    }
    let answers = lab.dovecot.answers_after(12);
    assert_eq!((answers.accepted, answers.refused), (12, 0));
    let logins = child::eventually("eight logins in the log", || {
        let logins = lab.dovecot.logins();
        (logins.len() >= 8).then_some(logins)
    });
    let by = |mechanism: Mechanism| logins.iter().filter(|login| login.mechanism == mechanism.name()).count();
    assert_eq!((by(Mechanism::Xoauth2), by(Mechanism::Oauthbearer)), (4, 4), "{logins:?}");
    assert!(logins.iter().all(|login| login.tls), "{logins:?}");
}

#[test]
fn imap_without_initial_responses_waits_to_be_asked() {
    let issuer = Issuer::new();
    let lab = Lab::start_with_tokens(&issuer);
    let mailbox = lab.mailbox(Tls::Implicit);
    let endpoint = lab.endpoint(Protocol::Imap, Tls::Implicit, mailbox);
    for mechanism in BOTH {
        let mut middle = Middle::hiding("SASL-IR");
        let token = issuer.issue(&mailbox.address, 0, 3600);
        log_in(&endpoint, Protocol::Imap, mechanism, &token, &mut middle).unwrap();
        assert!(middle.login_command().ends_with(&format!("AUTHENTICATE {}\r\n", mechanism.name())));
    }
}

#[test]
fn a_token_that_is_not_good_is_refused_and_shown_nowhere() {
    let issuer = Issuer::new();
    let lab = Lab::start_with_tokens(&issuer);
    let (mailbox, other) = (lab.mailbox(Tls::Implicit), lab.mailbox(Tls::Starttls));
    let cases = [
        ("signed by somebody else", Issuer::new().issue(&mailbox.address, 0, 3600)),
        ("expired", issuer.issue(&mailbox.address, -7200, 3600)),
        ("somebody else's", issuer.issue(&other.address, 0, 3600)),
        ("no token", "ya29.not-a-jwt".to_owned()),
    ];
    // All at once: Dovecot thinks for half a second about each.
    thread::scope(|scope| {
        for protocol in Protocol::ALL {
            for (what, token) in &cases {
                for mechanism in BOTH {
                    let endpoint = lab.endpoint(protocol, Tls::Implicit, mailbox);
                    scope.spawn(move || assert_refused(&endpoint, protocol, mechanism, what, token));
                }
            }
        }
    });
    let answers = child::eventually("every refusal in the log", || {
        let answers = lab.dovecot.answers();
        (answers.refused >= 24).then_some(answers)
    });
    assert_eq!((answers.accepted, answers.refused), (0, 24));
}

fn assert_refused(endpoint: &Endpoint, protocol: Protocol, mechanism: Mechanism, what: &str, token: &str) {
    let word = match protocol {
        Protocol::Imap => "[AUTHENTICATIONFAILED]",
        Protocol::Pop3 => "[AUTH]",
        Protocol::Submission => "535 5.7.8",
    };
    let acknowledgement = if mechanism == Mechanism::Oauthbearer { "AQ==\r\n" } else { "\r\n" };
    let mut middle = Middle::default();
    let refused = log_in(endpoint, protocol, mechanism, token, &mut middle);
    let Err(ClientFailure::Refused(text)) = &refused else { panic!("{protocol} {mechanism:?}, {what}: {refused:?}") };
    assert!(text.contains(word), "{protocol} {mechanism:?}, {what}: {text}");
    assert!(!text.contains(token), "{text}");
    assert_eq!(middle.sent.last().unwrap(), acknowledgement, "the explanation was taken note of");
}
