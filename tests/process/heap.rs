//! No secret of a login is in the memory of the program a moment after it: not in the clear, not encoded, not in part; not
//! in the heap, not on a stack, not in the buffers of the libraries. All that the process can write to is searched, while
//! sessions are open and after they are closed.
//!
//! What may be there, and is not looked for: the key of the TLS certificate, with which hands are shaken; the data key of the
//! store, which a test cannot know.
//!
//! Only root may look into a process that forbids core dumps. Where that is not permitted nothing is proven, and said so.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::{BASE32_NOPAD, BASE64};
use locum::model::{Protocol, Secret};
use locum::sandbox::{Application, ApplicationProof, Face, Mailboxes};
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, version};
use serde_json::{Value, json};

use crate::canary::{Ended, log_in, login_forms, present};
use crate::support::{Canaries, Home, Leak, Provider, Served, Wire, ask, leaks, trusted};

/// When all of it has to be gone, on a machine that has much else to do; it takes a second where it has not: so long a
/// connection to an authority is kept.
const GONE_WITHIN: Duration = Duration::from_secs(5);

const GOOD: &str = "good@x.test";
const ALICE: &str = "alice@contoso.test";
const BOB: &str = "bob@contoso.test";
const TENANT: &str = "contoso.onmicrosoft.com";
const DAEMON: &str = "7d3a2f60-0000-4000-8000-00000000dae0";
const DESKTOP: &str = "7d3a2f60-0000-4000-8000-00000000de5c";

/// A secret of its own for each purpose, which has nothing in common with any other.
fn canary(purpose: &str) -> String {
    let digest = digest::digest(&digest::SHA256, purpose.as_bytes());
    BASE32_NOPAD.encode(&digest.as_ref()[..20]).to_lowercase()
}

/// How a client reaches the listener.
#[derive(Debug, Clone, Copy)]
enum Way {
    Plain,
    StartTls,
    Tls12,
    Tls13,
}

impl Way {
    const ALL: [Self; 4] = [Self::Plain, Self::StartTls, Self::Tls12, Self::Tls13];

    fn connect(self, served: &Served, protocol: Protocol, trust: &Trust) -> Wire {
        match self {
            Self::Plain => Wire::plain(served.port(&format!("{protocol}-none"))),
            Self::Tls12 => Wire::tls(served.port(&format!("{protocol}-implicit")), &trust.tls12),
            Self::Tls13 => Wire::tls(served.port(&format!("{protocol}-implicit")), &trust.tls13),
            Self::StartTls => {
                let mut wire = Wire::plain(served.port(&format!("{protocol}-starttls")));
                let (greeting, ask, answer) = match protocol {
                    Protocol::Imap => ("* OK", "s STARTTLS", "s OK"),
                    Protocol::Pop3 => ("+OK", "STLS", "+OK"),
                    Protocol::Submission => ("220 ", "STARTTLS", "220 "),
                };
                wire.expect(greeting);
                if protocol == Protocol::Submission {
                    wire.ask("EHLO test", "250 ");
                }
                wire.ask(ask, answer);
                wire.start_tls(&trust.tls13)
            }
        }
    }
}

struct Trust {
    tls12: Arc<ClientConfig>,
    tls13: Arc<ClientConfig>,
}

impl Trust {
    fn of(home: &Home) -> Self {
        let any = home.trust();
        let only = |version| {
            let builder = ClientConfig::builder_with_provider(Arc::clone(any.crypto_provider()));
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(home.path("tls.crt")).unwrap()).unwrap();
            let config = builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots);
            Arc::new(config.with_no_client_auth())
        };
        Self { tls12: only(&version::TLS12), tls13: only(&version::TLS13) }
    }
}

fn config(upstreams: &str) -> String {
    let mut config = format!(
        "{upstreams}[admin]\nsocket = \"admin.sock\"\napi = true\n[limits]\nfailures-per-login-max = 1000\n\
         failures-per-address-max = 10000\n"
    );
    for protocol in Protocol::ALL {
        for (tls, more) in [
            ("none", "plaintext-networks = \"127.0.0.0/8\"\n"),
            ("implicit", ""),
            ("starttls", "plaintext-networks = []\n"),
        ] {
            config += &format!(
                "[[listener]]\nname = \"{protocol}-{tls}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n\
                 tls = \"{tls}\"\n{more}"
            );
        }
    }
    config
}

struct Scene {
    home: Home,
    provider: Provider,
    trust: Trust,
    canaries: Canaries,
}

/// What a client says, and whether it is to be let in.
struct Visit {
    login: String,
    secret: String,
    protocol: Protocol,
    way: Way,
    form: usize,
    ended: Ended,
}

impl Scene {
    fn set() -> Self {
        let home = Home::made();
        let pems = trusted(&home);
        let provider = Provider::new(Face::ExchangeWithPasswords, &pems);
        home.configure(&config(&format!(
            "[upstream.passwords]\n{}\n[upstream.exchange]\npreset = \"exchange-online\"\n{}\n{}\n",
            provider.serve().replace("\"implicit\" }", "\"implicit\", sessions-max = 100 }"),
            provider.serve(),
            provider.serve_authority(),
        )));
        let trust = Trust::of(&home);
        let mut canaries = Canaries::default();
        let key = home.read("locum.key");
        canaries.add("the key of the store", key.trim());
        canaries.add("the bytes of the key of the store", BASE64.decode(key.trim().as_bytes()).unwrap());
        Self { home, provider, trust, canaries }
    }

    /// A secret that nobody else has, and that must not be found.
    fn canary(&mut self, purpose: &str) -> String {
        let secret = canary(purpose);
        self.canaries.add(purpose, &secret);
        secret
    }

    fn api(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = ask(&self.home, "POST", path, Some(body));
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// An account with an app password.
    fn add_account(&mut self, name: &str) {
        let password = self.canary(&format!("the app password of {name}"));
        self.provider.add(name, &password);
        self.api("/v1/accounts", &json!({ "name": name, "upstream": "passwords", "app_password": password }));
    }

    fn issue(&mut self, login: &str, account: &str) -> String {
        let wish = json!({ "accounts": [account] });
        let secret = self.api(&format!("/v1/clients/{login}/secrets"), &wish)["secret"].as_str().unwrap().to_owned();
        self.canaries.add(&format!("the secret of {login}"), secret.rsplit('_').next().unwrap());
        secret
    }

    /// A client with a secret that somebody chose.
    fn import(&mut self, login: &str, account: &str) -> String {
        let secret = self.canary(&format!("the chosen secret of {login}"));
        self.api(
            "/v1/clients:import",
            &json!({ "clients": [{ "login": login, "secret": secret, "accounts": [account] }] }),
        );
        secret
    }

    /// One client for each way to say a password, by each of these ways to the listener.
    fn visits(
        &mut self,
        name: &str,
        ways: &[Way],
        mut secret: impl FnMut(&mut Self, &str) -> (String, Ended),
    ) -> Vec<Visit> {
        let mut visits = Vec::new();
        for protocol in Protocol::ALL {
            for form in 0..login_forms(protocol, "", "").len() {
                for &way in ways {
                    let login = format!("{name}-{protocol}-{way:?}-{form}").to_lowercase();
                    let (secret, ended) = secret(self, &login);
                    visits.push(Visit { login, secret, protocol, way, form, ended });
                }
            }
        }
        visits
    }

    /// All of them at once; the connections, as long as they are open.
    fn receive(&self, served: &Served, visits: &[Visit]) -> Vec<Wire> {
        const AT_ONCE: usize = 8;
        thread::scope(|scope| {
            let visitors: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let own = visits.iter().skip(number).step_by(AT_ONCE);
                    scope.spawn(move || own.map(|visit| self.visit(served, visit)).collect::<Vec<_>>())
                })
                .collect();
            visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect()
        })
    }

    fn visit(&self, served: &Served, visit: &Visit) -> Wire {
        let Visit { login, secret, protocol, way, form, ended } = visit;
        let mut wire = way.connect(served, *protocol, &self.trust);
        let form = &login_forms(*protocol, login, secret)[*form];
        let log_in = if matches!(way, Way::StartTls) { present } else { log_in };
        assert_eq!(log_in(&mut wire, *protocol, form), *ended, "{login}");
        wire
    }

    /// Waits until nothing of all that is there any more.
    #[track_caller]
    fn assert_gone(&self, served: &Served, when: &str) {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            let last = Instant::now() > deadline;
            let found =
                leaks(served.pid(), &self.canaries).expect("this is for root: nobody else may read /proc/<pid>/mem");
            if found.is_empty() {
                return;
            }
            assert!(!last, "{when}: {} secrets are in memory still\n{}", found.len(), lines(&found));
            thread::sleep(Duration::from_millis(50)); // between two looks
        }
    }
}

fn lines(found: &[Leak]) -> String {
    const SHOWN_MAX: usize = 60;
    found.iter().take(SHOWN_MAX).map(|leak| format!("  {leak:?}\n")).collect()
}

#[test]
fn the_search_finds_what_is_there() {
    let mut canaries = Canaries::default();
    let secret = canary("found");
    canaries.add("found", &secret);
    let held = BASE64.encode(format!("x{secret}").as_bytes());
    if let Some(found) = leaks(std::process::id(), &canaries) {
        for form in ["found (clear)", "found (base64 behind one byte)"] {
            assert!(found.iter().any(|leak| leak.what == form), "{form}: {found:?}");
        }
    }
    drop((secret, held));
}

#[test]
fn nothing_of_a_login_by_app_password_stays() {
    let mut scene = Scene::set();
    let served = scene.home.serve();
    scene.add_account(GOOD);
    scene.assert_gone(&served, "when an account was added");
    let mut right = scene.visits("right", &Way::ALL, |scene, login| (scene.issue(login, GOOD), Ended::In));
    for (protocol, way) in Protocol::ALL.into_iter().zip([Way::Tls13, Way::StartTls, Way::Tls12]) {
        let login = format!("chosen-{protocol}");
        let secret = scene.import(&login, GOOD);
        right.push(Visit { login, secret, protocol, way, form: 0, ended: Ended::In });
    }
    scene.assert_gone(&served, "when secrets were issued");
    let wrong = scene.visits("wrong", &[Way::Plain, Way::Tls13], |scene, login| {
        (scene.canary(&format!("the wrong secret of {login}")), Ended::Out)
    });
    let open = scene.receive(&served, &right);
    let refused = scene.receive(&served, &wrong);
    scene.assert_gone(&served, "while sessions are open");
    drop((open, refused));
    scene.assert_gone(&served, "after they were closed");
    served.stop().succeeded();
}

#[test]
fn nothing_of_a_login_by_token_stays() {
    let mut scene = Scene::set();
    let secret = scene.canary("the secret of an application");
    for (client_id, proof) in
        [(DAEMON, ApplicationProof::Secret(Secret::new(secret.as_str()))), (DESKTOP, ApplicationProof::Public)]
    {
        scene.provider.sandbox.register(Application {
            client_id: client_id.to_owned(),
            tenant: TENANT.to_owned(),
            authentication: proof,
            may_act_as: Mailboxes::All,
            consented: true,
        });
    }
    for address in [ALICE, BOB] {
        scene.provider.add(address, "unused");
    }
    scene.provider.sandbox.set_device_interval(1);
    scene.home.write("application.secret", &secret);
    let of = ["--upstream", "exchange", "--tenant", TENANT, "--client-id"];
    let tenant = [&["oauth", "add-tenant", "contoso.test"], &of[..], &[DAEMON, "--secret-file", "application.secret"]];
    scene.home.run(&tenant.concat()).succeeded();
    scene.home.run(&["account", "add", ALICE, "--upstream", "exchange", "--oauth2-only"]).succeeded();
    let login = Served::start(scene.home.command(&[&["oauth", "login", BOB], &of[..], &[DESKTOP]].concat()));
    assert!(scene.provider.sandbox.approve_device(&login.wait_for_line("  enter  "), BOB));
    login.wait().succeeded();

    let served = scene.home.serve();
    let mut visits = Vec::new();
    for (account, way) in [(ALICE, Way::Tls13), (BOB, Way::Plain)] {
        for protocol in Protocol::ALL {
            let login = format!("{}-{protocol}", account.split('@').next().unwrap());
            let secret = scene.issue(&login, account);
            visits.push(Visit { login, secret, protocol, way, form: 0, ended: Ended::In });
        }
    }
    let open = scene.receive(&served, &visits);
    for (number, token) in scene.provider.sandbox.tokens_made().iter().enumerate() {
        scene.canaries.add(&format!("token {number}"), token.expose());
    }
    scene.assert_gone(&served, "while sessions are open");
    drop(open);
    scene.assert_gone(&served, "after they were closed");
    served.stop().succeeded();
}

/// An operator's program may keep its connection for the next thing that it has to say.
#[test]
fn nothing_stays_in_a_connection_to_the_api_that_is_kept() {
    let mut scene = Scene::set();
    let served = scene.home.serve();
    let mut kept = UnixStream::connect(scene.home.path("admin.sock")).unwrap();
    let password = scene.canary("an app password over a connection that is kept");
    let body = json!({ "name": GOOD, "upstream": "passwords", "app_password": password }).to_string();
    write!(
        kept,
        "POST /v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = [0; 4096];
    let count = kept.read(&mut answer).unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 201 "), "{}", answer[..count].escape_ascii());
    scene.assert_gone(&served, "while the connection is open");
    drop(kept);
    served.stop().succeeded();
}
