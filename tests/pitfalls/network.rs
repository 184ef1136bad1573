//! Pitfalls 23, 24, 25 and 27: names in a handshake, other protocols on the same port, oneself as an upstream, and clients that
//! take their time.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use locum::broker::client_secret;
use locum::config::Config;
use locum::model::{Binding, Client, Policy, Protocol, Refusal};
use locum::net::tls;
use locum::sandbox::Start;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::answers::{accepted, refused};
use crate::hands::{APP_PASSWORD, Part, WORDS, nothing_came_of_it, say, stage, until};
use crate::support::{Door, Identity, Lab, Plan, Step, Wire, present};

/// Believes every certificate, and keeps what it was shown.
#[derive(Debug)]
struct Curious {
    seen: Mutex<Vec<Vec<u8>>>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.seen.lock().unwrap().push(certificate.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn curious() -> (Arc<Curious>, Arc<ClientConfig>) {
    let provider = rustls::crypto::ring::default_provider();
    let verifier = Arc::new(Curious { seen: Mutex::default(), provider: provider.clone() });
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier) as _).with_no_client_auth();
    (verifier, Arc::new(config))
}

/// There is one certificate, whichever name a handshake asks for: nothing is looked up, made or kept by it.
#[tokio::test]
async fn pitfall_23_a_name_in_a_handshake_makes_nothing() {
    let lab = Lab::start().await;
    let (verifier, config) = curious();
    let address = lab.address(&Door::Implicit.listener(Protocol::Imap));
    let long = format!("{}.test", ["x".repeat(60), "y".repeat(60), "z".repeat(60), "w".repeat(60)].join("."));
    let names = (0..300).map(|number| match number {
        0 => long.clone(),
        1 => "127.0.0.1".to_owned(),
        2 => "xn--bcher-kva.test".to_owned(),
        number => format!("host-{number}.tenant-{number}.test"),
    });
    for names in names.collect::<Vec<_>>().chunks(50) {
        let each = names.iter().map(async |name| {
            let socket = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from(name.clone()).unwrap();
            TlsConnector::from(Arc::clone(&config)).connect(name, socket).await.unwrap();
        });
        join_all(each).await;
    }
    let seen = verifier.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 300);
    assert!(seen.iter().all(|certificate| *certificate == seen[0]));
    nothing_came_of_it(&lab).await;
}

/// The name of a protocol in ALPN. That of submission is registered nowhere, and the one that its clients would use.
fn alpn(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Imap => b"imap",
        Protocol::Pop3 => b"pop3",
        Protocol::Submission => b"smtp",
    }
}

/// Who is made to speak something else to a listener, as a browser is by ALPACA, gets no handshake; who asks for what is spoken
/// there, or for nothing, gets one.
#[tokio::test]
async fn pitfall_24_another_protocol_gets_no_handshake() {
    let lab = Lab::start().await;
    for protocol in Protocol::ALL {
        for door in [Door::Implicit, Door::StartTls] {
            let offers: [&[&[u8]]; 8] = [
                &[b"http/1.1"],
                &[b"h2", b"http/1.1"],
                &[b"ftp"],
                &[b"h2", b"imap"],
                &[b"pop3"],
                &[b"smtp"],
                &[b"IMAP", b"smtps", b"submission"],
                &[b"xmpp-client"],
            ];
            for offer in offers {
                let mut config = (*lab.client_tls).clone();
                config.alpn_protocols = offer.iter().map(|it| it.to_vec()).collect();
                let wire = begin(&lab, protocol, door).await.try_tls(&Arc::new(config)).await;
                let is_meant = offer.contains(&alpn(protocol));
                assert_eq!(wire.is_some(), is_meant, "{protocol}, {door:?}: {:?}", offer[0]);
            }
            let wire = begin(&lab, protocol, door).await.try_tls(&lab.client_tls).await;
            assert!(wire.is_some(), "{protocol}: most clients ask for nothing");
        }
    }
    nothing_came_of_it(&lab).await;
}

/// Servers that know other names than ours would have to refuse us (RFC 7301 section 3.2).
#[tokio::test]
async fn pitfall_24c_no_protocol_is_named_to_providers() {
    let lab = Lab::start().await;
    assert!(tls::client_config(&lab.config().tls).unwrap().alpn_protocols.is_empty());
}

/// A connection on which TLS is next.
async fn begin(lab: &Lab, protocol: Protocol, door: Door) -> Wire {
    let mut wire = Wire::connect(lab.address(&door.listener(protocol))).await;
    if door == Door::StartTls {
        wire.line().await;
        if protocol == Protocol::Submission {
            wire.ehlo().await;
        }
        wire.ask(match protocol {
            Protocol::Imap => "s STARTTLS",
            Protocol::Pop3 => "STLS",
            Protocol::Submission => "STARTTLS",
        })
        .await;
    }
    wire
}

/// A browser that gets as far as to speak, where there is no TLS: its request is no login, whatever is in its body.
#[tokio::test]
async fn pitfall_24b_a_request_of_a_browser_is_no_login() {
    let lab = Lab::start().await;
    for protocol in Protocol::ALL {
        let login = match protocol {
            Protocol::Imap => format!("a LOGIN {} wrong", lab.alice.login),
            Protocol::Pop3 => format!("USER {}\r\nPASS wrong", lab.alice.login),
            Protocol::Submission => "EHLO x\r\nMAIL FROM:<a@b.test>".to_owned(),
        };
        let headers = "Host: x\r\nUser-Agent: x\r\nAccept: */*\r\nAccept-Language: x\r\nAccept-Encoding: x\r\nReferer: x\r\n\
                       Content-Type: text/plain\r\nOrigin: x\r\nConnection: x\r\nContent-Length: 99\r\n";
        let mut wire = Wire::connect(lab.address(&Door::Plain.listener(protocol))).await;
        wire.write(format!("POST / HTTP/1.1\r\n{headers}\r\n{login}\r\n")).await;
        let rest = wire.rest().await;
        assert!(!rest.contains("250-") && !rest.contains("Send the password") && !rest.contains("AUTHENT"), "{rest}");
    }
    nothing_came_of_it(&lab).await;
}

/// A client that takes nothing, says nothing, or half of something, costs a bounded time, and nobody else anything; nor may
/// one take all the places that a mailbox has from another mailbox.
#[tokio::test]
async fn pitfall_27_slow_and_half_open_clients_end_and_others_are_served() {
    let lab = Plan::new()
        .tune(|config| {
            config.session.tls_handshake_timeout = Duration::from_millis(300);
            config.session.login_timeout = Duration::from_millis(1000);
            config.upstream.gate_timeout = Duration::from_millis(50);
        })
        .start()
        .await;
    let mut waiting = Vec::new();
    for protocol in Protocol::ALL {
        let implicit = lab.address(&Door::Implicit.listener(protocol));
        // Nothing at all; half a handshake; a handshake and nothing; a command and no end of it.
        waiting.push(Wire::connect(implicit).await);
        let mut wire = Wire::connect(implicit).await;
        wire.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
        waiting.push(wire);
        waiting.push(Wire::connect(implicit).await.start_tls(&lab.client_tls).await);
        let mut wire = lab.open(protocol).await;
        wire.write("a LOG").await;
        waiting.push(wire);
        // TLS that is begun and not gone on with.
        waiting.push(begin(&lab, protocol, Door::StartTls).await);
    }
    // While they are there, others are served.
    for protocol in Protocol::ALL {
        let mut wire = lab.open(protocol).await;
        let answer = present(&mut wire, protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, accepted(protocol));
    }
    join_all(waiting.into_iter().map(Wire::rest)).await;
    assert!(lab.audit().iter().all(|event| event["outcome"] != "deny"));
}

/// A session whose client takes nothing of what its provider sends ends, and so does one that has lasted for as long as it may;
/// the provider's side with it.
#[tokio::test]
async fn pitfall_27b_a_session_that_takes_nothing_or_lasts_too_long_ends_on_both_sides() {
    let identity = Identity::of("localhost");
    let words = WORDS[0];
    let news = format!("* OK [ALERT] {}\r\n", "x".repeat(16 * 1024));
    let script = |then| [words.until_login(&identity), vec![say(words.welcome), then]].concat();
    let parts = vec![
        Part::new("flooding", Protocol::Imap, Start::Implicit, script(Step::Flood(news.leak()))),
        Part::new("quiet", Protocol::Imap, Start::Implicit, script(Step::Silence)),
    ];
    let plan = Plan::new().tune(|config| {
        config.session.stall_timeout = Duration::from_millis(500);
        config.session.session_max_time = Some(Duration::from_millis(1500));
    });
    let (lab, fakes) = stage(plan, &identity, parts).await;
    let mut wires = Vec::new();
    for fake in &fakes {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        // Held, and not read from.
        wires.push(lab.log_in(Protocol::Imap, &actor).await);
    }
    for fake in &fakes {
        fake.all_closed().await;
    }
    until("the ends of both", async || lab.audit().iter().filter(|event| event["event"] == "end").count() == 2).await;
    let lasting = |login: &str| lab.last_event(Protocol::Imap, login)["duration_ms"].as_u64().unwrap();
    assert!(lasting("quiet") >= 1500 && lasting("flooding") < 1500, "each for its own reason");
}

/// One client takes neither all places of a mailbox nor all of the process: not by its sessions, not by its connections.
#[tokio::test]
async fn pitfall_27c_one_client_leaves_places_to_others() {
    let lab = Plan::new()
        .tune(|config| {
            for endpoint in Arc::make_mut(config.upstreams.get_mut("gmail").unwrap()).endpoints.values_mut() {
                endpoint.sessions_max = 3;
            }
            config.session.connections_per_address_max = Some(6);
            config.upstream.gate_timeout = Duration::from_millis(50);
        })
        .start()
        .await;
    let (record, secret) = client_secret::issue("", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Account(lab.alice.address.clone())];
    let client = Client { login: "second".into(), secrets: vec![record], bindings, policy: Policy::default() };
    lab.directory.put_client(&client, None).await.unwrap();
    lab.alter(&lab.alice, |client| client.policy.sessions_max = Some(2)).await;
    let (first, second) = (lab.log_in(Protocol::Imap, &lab.alice).await, lab.log_in(Protocol::Imap, &lab.alice).await);
    let (third, answer) = lab.present(Protocol::Imap, &lab.alice.login, &lab.alice.secret).await;
    assert_eq!(answer, refused(Protocol::Imap, Refusal::LimitReached), "two are its own");
    let (fourth, answer) = lab.present(Protocol::Imap, "second", secret.expose_text().unwrap()).await;
    assert_eq!(answer, accepted(Protocol::Imap), "and the third place of the mailbox is another's");
    assert_eq!(lab.gmail.logins().len(), 3, "the provider has not seen more than it bears");
    let more = [lab.open(Protocol::Pop3).await, lab.open(Protocol::Pop3).await];
    let address = lab.address(&Door::Plain.listener(Protocol::Pop3));
    let mut seventh = Wire::connect(address).await;
    let said = seventh.try_line().await;
    assert!(said.as_ref().is_none_or(|said| said.starts_with("-ERR")), "{said:?}");
    let mut elsewhere = Wire::connect_from([127, 0, 0, 66].into(), address).await;
    assert!(elsewhere.line().await.starts_with("+OK"), "others find a place");
    drop((first, second, third, fourth, more));
}

/// A lab whose Gmail is at that host, on ports where Locum itself listens at all addresses.
async fn looping(host: &'static str) -> Lab {
    let free = [(); 2].map(|()| TcpListener::bind("0.0.0.0:0").unwrap());
    let [imap, submission] = free.map(|socket| socket.local_addr().unwrap().port());
    let tune = move |config: &mut Config| {
        for listener in &mut config.listeners {
            let own =
                [("imaps", imap), ("submissions", submission)].into_iter().find(|(name, _)| *name == listener.name);
            listener.bind.extend(own.map(|(_, port)| SocketAddr::from(([0, 0, 0, 0], port))));
        }
        let gmail = Arc::make_mut(config.upstreams.get_mut("gmail").unwrap());
        for (protocol, endpoint) in &mut gmail.endpoints {
            endpoint.host = host.to_owned();
            endpoint.port = if *protocol == Protocol::Submission { submission } else { imap };
        }
    };
    Plan::new().tune(tune).start().await
}

/// An upstream that is Locum itself is refused when it is dialled, or one login would take all places by logging in to itself.
#[tokio::test]
async fn pitfall_25_a_login_is_never_sent_round_to_oneself() {
    let lab = looping("localhost").await;
    for protocol in [Protocol::Imap, Protocol::Submission] {
        let (_wire, answer) = lab.present(protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::ContactAdmin));
        let event = lab.last_event(protocol, &lab.alice.login);
        assert_eq!((event["event"].as_str(), event["outcome"].as_str()), (Some("upstream"), Some("failed")));
        let reason = event["reason"].as_str().unwrap();
        for part in ["state=\"dial\"", "where this process listens itself", "correct host and port of the upstream"] {
            assert!(reason.contains(part), "{reason}");
        }
    }
    let sessions = lab.audit().iter().filter(|event| event["outcome"] == "allow").count();
    assert_eq!(sessions, 2, "nothing came back to us");
    // Other upstreams at loopback are none of ours.
    lab.log_in(Protocol::Submission, &lab.scanner).await;
}

/// What the file shows is refused as it is read.
#[test]
fn pitfall_25b_an_upstream_that_is_a_listener_is_no_configuration() {
    let read = |host: &str, port: u16| {
        let text = format!(
            "[store]\nkey-file = \"k\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n\
             [upstream.itself.imap]\nhost = \"{host}\"\nport = {port}\n\
             [[listener]]\nname = \"round\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:1993\"\n"
        );
        Config::parse(&text, Path::new("locum.toml"))
    };
    assert!(read("localhost", 993).is_ok());
    let error = read("localhost", 1993).unwrap_err().to_string();
    assert!(error.contains("Locum would log in to itself"), "{error}");
}
