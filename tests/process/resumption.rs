//! TLS sessions are resumed: by clients at any node that has the keys, whatever certificate it shows by then; with upstreams as
//! long as the same are trusted. What is not resumed is shaken hands for in full, and no login is refused for it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use locum::model::{RecordId, RecordKind, Secret, TicketKeys};
use locum::net::tls;
use locum::sandbox::Face;
use locum::store::{self, Expected, KeySource};
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};

use crate::support::{Home, Provider, Served, Wire, trusted};

const ADDRESS: &str = "alice@gmail.test";
const APP_PASSWORD: &str = "abcdefghijklmnop";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
const RESUMED: HandshakeKind = HandshakeKind::Resumed;
const FULL: HandshakeKind = HandshakeKind::Full;

const ADMIN: &str = "[admin]\nsocket = \"admin.sock\"\n";
const LISTENERS: &str = "[[listener]]\nname = \"imaps\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n\
                         [[listener]]\nname = \"pop3s\"\nprotocol = \"pop3\"\nbind = \"127.0.0.1:0\"\n";

/// Locum in front of a provider, and a certificate that it will show later.
struct Stage {
    home: Home,
    secret: String,
    renewed: tls::Pems,
    _provider: Provider,
}

impl Stage {
    fn new(more: &str) -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::Gmail, &trusted(&home));
        provider.add(ADDRESS, APP_PASSWORD);
        home.configure(&format!("[upstream.gmail]\n{}\n{more}{LISTENERS}", provider.serve()));
        let add = ["account", "add", ADDRESS, "--upstream", "gmail", "--secret-stdin"];
        home.run_with(&add, APP_PASSWORD).succeeded();
        let issued = home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded();
        let renewed = tls::self_signed(&["localhost".to_owned()]).unwrap();
        Self { home, secret: issued.stdout.trim().to_owned(), renewed, _provider: provider }
    }

    /// A client of that version, which keeps what it needs to resume.
    fn client(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for pem in [&self.home.read("tls.crt"), &self.renewed.certificate] {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// Logs in, and says what kind of handshake that took.
    fn log_in(&self, node: &Served, client: &Arc<ClientConfig>) -> HandshakeKind {
        let mut wire = Wire::tls(node.port("imaps"), client);
        wire.expect("* OK");
        wire.ask(&format!("a LOGIN scan {}", self.secret), "a OK");
        wire.ask("b LOGOUT", "b OK");
        wire.handshake()
    }

    /// How often hands were shaken with the upstream in that way.
    fn upstream_handshakes(&self, handshake: &str) -> u64 {
        let mut socket = UnixStream::connect(self.home.path("admin.sock")).unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let mut lines = answer.lines().filter(|line| line.starts_with("locum_upstream_tls_handshakes_total{"));
        let line = lines.find(|line| line.contains("\"imap\"") && line.contains(&format!("\"{handshake}\"")));
        line.unwrap_or_else(|| panic!("{answer}")).rsplit(' ').next().unwrap().parse().unwrap()
    }
}

#[test]
fn a_client_resumes_after_a_reload_with_another_certificate_at_another_node_and_after_a_restart() {
    let stage = Stage::new("");
    let (first, second) = (stage.home.serve(), stage.home.serve());
    let clients = VERSIONS.map(|version| stage.client(version));
    for client in &clients {
        assert_eq!(stage.log_in(&first, client), FULL);
        assert_eq!(stage.log_in(&first, client), RESUMED);
        assert_eq!(stage.log_in(&second, client), RESUMED, "at another node");
    }
    stage.home.write("tls.crt", &stage.renewed.certificate);
    stage.home.write("tls.key", stage.renewed.key.as_bytes());
    first.signal(Signal::HUP);
    first.wait_for_lines(1, "certificate until");
    for client in &clients {
        assert_eq!(stage.log_in(&first, client), RESUMED, "under another certificate");
    }
    drop((first, second));
    let restarted = stage.home.serve();
    for client in &clients {
        assert_eq!(stage.log_in(&restarted, client), RESUMED, "the keys outlive the process");
    }
    let mut other = Wire::tls(restarted.port("pop3s"), &clients[1]);
    other.expect("+OK");
    assert_eq!(other.handshake(), FULL, "at another listener");
}

#[test]
fn without_the_keys_hands_are_shaken_in_full_and_clients_log_in() {
    let stage = Stage::new("");
    let clients = VERSIONS.map(|version| stage.client(version));
    let served = stage.home.serve();
    clients.iter().for_each(|client| assert_eq!(stage.log_in(&served, client), FULL));
    drop(served);
    let key = KeySource::File(stage.home.path("locum.key"));
    let options = store::sqlite::Options { path: stage.home.path("locum.db"), key };
    let id = RecordId::new(RecordKind::Tickets, TicketKeys::NAME);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for damaged in [true, false] {
        runtime.block_on(async {
            let store = store::open(&store::Options::Sqlite(options.clone())).await.unwrap();
            let version = store.read(&id).await.unwrap().unwrap().version;
            match damaged {
                true => drop(store.write(&id, &Secret::new("{"), Expected::Version(version)).await.unwrap()),
                false => store.delete(&id, version).await.unwrap(),
            }
        });
        let served = stage.home.serve();
        if damaged {
            served.wait_for_log("the record of the keys of TLS tickets was damaged, and is replaced");
        }
        for client in &clients {
            assert_eq!(stage.log_in(&served, client), FULL, "damaged: {damaged}");
            assert_eq!(stage.log_in(&served, client), RESUMED, "damaged: {damaged}");
        }
    }
}

#[test]
fn sessions_with_upstreams_outlive_a_reload_unless_others_are_trusted() {
    let stage = Stage::new(ADMIN);
    let served = stage.home.serve();
    let client = stage.client(&rustls::version::TLS13);
    let seen = || ["full", "resumed"].map(|handshake| stage.upstream_handshakes(handshake));
    assert_eq!(seen(), [0, 0]);
    stage.log_in(&served, &client);
    assert_eq!(seen(), [0, 1], "the look at what that server offers by other protocols was the first");
    served.signal(Signal::HUP);
    served.wait_for_lines(1, "nothing is other than before");
    stage.log_in(&served, &client);
    assert_eq!(seen(), [0, 2]);
    let both = stage.home.read("upstream.crt") + &stage.renewed.certificate;
    stage.home.write("upstream.crt", both);
    served.signal(Signal::HUP);
    served.wait_for_lines(1, "other authorities are in them");
    stage.log_in(&served, &client);
    assert_eq!(seen(), [1, 2], "whom others vouch for is verified anew");
}
