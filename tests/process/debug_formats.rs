//! `Debug` of whatever holds a secret, in both forms, shows none: a `dbg!` in haste or a field of a log line must not be
//! the leak. Dialogues are looked at after each byte.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use jiff::Timestamp;
use locum::audit::{Audit, Origin};
use locum::broker::{self, Broker, Directory, client_secret};
use locum::config::Config;
use locum::credential;
use locum::credential::oauth2::TokenOptions;
use locum::model::{
    Account, AppPasswordFormat, Attempt, Binding, Client, CredentialKind, Entrance, Identity, Mechanism, Policy,
    Preference, Protocol, Secret, Slots, presets::preset,
};
use locum::net::{HttpOptions, Https, TlsOptions, tls};
use locum::proto::{
    self, ClientAction, ClientLimits, ClientOptions, Goal, Outgoing, ServerAction, ServerLimits, ServerOptions,
    ServerTls,
};
use locum::sandbox;
use locum::sasl::{ClientExchange, Credentials, ServerExchange};
use locum::store::{self, Expected, KeySource};
use locum::upstream::Upstreams;

use crate::canary::private_part;
use crate::support::Canaries;

const CANARY: &str = "cAn4ry-q8Zw2LkX7vTj";

fn canaries() -> Canaries {
    let mut canaries = Canaries::default();
    canaries.add("the canary", CANARY);
    canaries
}

#[track_caller]
fn assert_silent(what: &str, value: &dyn Debug) {
    canaries().assert_absent(what, both_forms(value));
}

/// With one blank where `{:#?}` has line ends and depth, so that a list of bytes is found in either form.
fn both_forms(value: &dyn Debug) -> String {
    format!("{value:?} {value:#?}").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn credentials(kind: CredentialKind) -> Credentials {
    Credentials { identity: "scan".to_owned(), secret: Secret::new(CANARY), kind }
}

fn attempt() -> Attempt {
    Attempt { authcid: b"scan".to_vec(), authzid: Some(b"boss".to_vec()), proof: Secret::new(CANARY), method: "test" }
}

fn account() -> Account {
    let pasted = Secret::new(CANARY);
    let made = credential::new_app_password(&pasted, AppPasswordFormat::Verbatim, "c1".into(), "l", Timestamp::now());
    Account {
        name: "alice@gmail.test".into(),
        upstream: "gmail".into(),
        identity: Identity::default(),
        credentials: BTreeMap::from([(CredentialKind::AppPassword, Slots::of(made.unwrap()))]),
        preference: Preference::default(),
        class: None,
    }
}

#[test]
fn a_derived_debug_would_be_found() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only its Debug is used")]
    struct Careless {
        bytes: Vec<u8>,
    }
    let careless = Careless { bytes: CANARY.as_bytes().to_vec() };
    let found = |text: String| canaries().find(text.as_bytes()).is_some();
    assert!(found(format!("{careless:?}")));
    let (plain, both) = (format!("{:?}", Some(&careless)), both_forms(&Some(&careless)));
    assert!(found(both.strip_prefix(&plain).unwrap().to_owned()), "the alternate form alone");
}

#[test]
fn nouns_and_records() {
    assert_silent("Secret", &Some(Secret::new(CANARY)));
    assert_silent("Attempt", &attempt());
    assert_silent("Credentials", &credentials(CredentialKind::OAuth2));
    assert_silent("Outgoing", &Outgoing::new(CANARY));
    assert_silent("Account", &account());
    let (record, secret) = client_secret::issue("label", None, Timestamp::now()).unwrap();
    let issued = secret.expose_text().unwrap().rsplit('_').next().unwrap().to_owned();
    let client =
        Client { login: "scan".into(), secrets: vec![record], bindings: Vec::new(), policy: Policy::default() };
    let mut canaries = Canaries::default();
    canaries.add("the issued secret", issued);
    let stored = serde_json::to_value(&client).unwrap();
    let verifier = &stored["secrets"][0]["verifier"];
    canaries.add("the salt", verifier["salt"].as_str().unwrap());
    canaries.add("the digest", verifier["digest"].as_str().unwrap());
    canaries.assert_absent("Client", both_forms(&(&client, &secret)));
}

#[test]
fn actions_and_goals() {
    assert_silent("ServerAction::Authenticate", &ServerAction::Authenticate(attempt()));
    assert_silent("ServerAction::Send", &ServerAction::Send(Outgoing::new(CANARY)));
    assert_silent("ClientAction::Send", &ClientAction::Send(Outgoing::new(CANARY)));
    for kind in CredentialKind::ALL {
        assert_silent("Goal", &Goal::LogIn { credentials: credentials(kind), mechanisms: Mechanism::ALL.to_vec() });
    }
}

#[test]
fn exchanges_at_every_step() {
    for mechanism in Mechanism::ALL {
        let mut client = ClientExchange::new(mechanism, credentials(mechanism.presents())).unwrap();
        assert_silent("ClientExchange, new", &client);
        assert_silent("the initial response", &client.initial_response());
        for _ in 0..3 {
            assert_silent("the response", &client.respond(b"Password:"));
            assert_silent("ClientExchange", &client);
        }
        let mut server = ServerExchange::new(mechanism, "test");
        for response in [format!("\0scan\0{CANARY}"), "scan".to_owned(), CANARY.to_owned()] {
            assert_silent("the step", &server.step(Some(Secret::new(response))));
            assert_silent("ServerExchange", &server);
        }
    }
}

#[test]
fn server_dialogues_after_each_byte() {
    let plain = BASE64.encode(format!("\0scan\0{CANARY}").as_bytes());
    let password = BASE64.encode(CANARY.as_bytes());
    let length = CANARY.len();
    let imap = [
        format!("a LOGIN scan {CANARY}\r\n"),
        format!("a LOGIN \"scan\" \"{CANARY}\"\r\n"),
        format!("a LOGIN scan {{{length}+}}\r\n{CANARY}\r\n"),
        format!("a AUTHENTICATE PLAIN {plain}\r\n"),
        format!("a AUTHENTICATE PLAIN\r\n{plain}\r\n"),
        format!("a AUTHENTICATE LOGIN\r\nc2Nhbg==\r\n{password}\r\n"),
        format!("a LOGIN scan {CANARY} too much\r\n"),
        format!("a {CANARY}\r\n"),
    ];
    let pop3 = [
        format!("USER scan\r\nPASS {CANARY}\r\n"),
        format!("AUTH PLAIN {plain}\r\n"),
        format!("AUTH LOGIN\r\nc2Nhbg==\r\n{password}\r\n"),
        format!("{CANARY}\r\n"),
    ];
    let submission = [
        format!("EHLO x\r\nAUTH PLAIN {plain}\r\n"),
        format!("EHLO x\r\nAUTH LOGIN\r\nc2Nhbg==\r\n{password}\r\n"),
        format!("EHLO x\r\nAUTH LOGIN c2Nhbg==\r\n{password}\r\n"),
        format!("EHLO {CANARY}\r\n"),
    ];
    for (protocol, inputs) in
        [(Protocol::Imap, &imap[..]), (Protocol::Pop3, &pop3), (Protocol::Submission, &submission)]
    {
        for input in inputs {
            let options = ServerOptions {
                name: "locum.test".into(),
                tls: ServerTls::Active,
                plaintext_login: false,
                takes_xclient: false,
                recognises: false,
                keywords: Vec::new(),
                limits: ServerLimits::default(),
            };
            let mut server = proto::server(protocol, options);
            for byte in input.bytes() {
                server.receive(&[byte]);
                assert_silent(input, &server);
                loop {
                    let action = server.next_action();
                    assert_silent(input, &(&server, &action));
                    match action {
                        ServerAction::Wait | ServerAction::Close => break,
                        ServerAction::Authenticate(_) => server.refuse(locum::model::Refusal::WrongCredentials),
                        _ => {}
                    }
                }
            }
        }
    }
}

#[test]
fn client_dialogues_after_each_reply() {
    let imap: &[&[&str]] = &[
        &["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi", "L1 NO bad"],
        &["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi", "+", "L1 NO bad"],
        &["* OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] hi", "+", "+", "L1 NO bad"],
        &["* OK [CAPABILITY IMAP4rev1] hi", "L1 NO bad"],
        &["* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hi", "+ eyJzdGF0dXMiOiI0MDAifQ==", "L1 NO bad"],
        &["* OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER] hi", "+", "+ eyJzdGF0dXMiOiI0MDAifQ==", "+", "L1 NO bad"],
    ];
    let pop3: &[&[&str]] = &[
        &["+OK hi", "+OK\r\nSASL PLAIN\r\n.", "+ ", "-ERR bad"],
        &["+OK hi", "+OK\r\nSASL LOGIN\r\n.", "+ ", "+ ", "-ERR bad"],
        &["+OK hi", "+OK\r\nUSER\r\n.", "+OK", "-ERR bad"],
        &["+OK hi", "+OK\r\nSASL XOAUTH2\r\n.", "+ ", "-ERR bad"],
    ];
    let submission: &[&[&str]] = &[
        &["220 hi", "250-hi\r\n250 AUTH PLAIN", "535 bad"],
        &["220 hi", "250-hi\r\n250 AUTH LOGIN", "334 ", "334 ", "535 bad"],
        &["220 hi", "250-hi\r\n250 AUTH XOAUTH2", "334 ", "334 eyJzdGF0dXMiOiI0MDAifQ==", "535 bad"],
    ];
    let mut sent = 0;
    for (protocol, dialogues) in [(Protocol::Imap, imap), (Protocol::Pop3, pop3), (Protocol::Submission, submission)] {
        for replies in dialogues {
            let for_tokens = replies.iter().any(|reply| reply.contains("XOAUTH2") || reply.contains("OAUTHBEARER"));
            let kind = if for_tokens { CredentialKind::OAuth2 } else { CredentialKind::AppPassword };
            let goal = Goal::LogIn { credentials: credentials(kind), mechanisms: Mechanism::ALL.to_vec() };
            let options = ClientOptions { starttls: false, name: "l".into(), limits: ClientLimits::default() };
            let mut client = proto::client(protocol, goal, options);
            for reply in *replies {
                client.receive(format!("{reply}\r\n").as_bytes());
                loop {
                    let action = client.next_action();
                    assert_silent(reply, &(&client, &action));
                    match action {
                        ClientAction::Send(bytes) => sent += usize::from(canaries().find(bytes.as_bytes()).is_some()),
                        ClientAction::Wait | ClientAction::Ready(_) | ClientAction::Fail(_) => break,
                        ClientAction::StartTls => {}
                    }
                }
            }
        }
    }
    assert_eq!(sent, imap.len() + pop3.len() + submission.len(), "each sent the secret once, or nothing is proven");
}

#[tokio::test]
async fn what_runs() {
    let store = store::open(&store::Options::Memory).await.unwrap();
    let directory = Directory::new(Arc::clone(&store));
    let written = directory.put_account(&account(), None).await.unwrap();
    assert_silent("the version", &written);
    let found = directory.account("alice@gmail.test").await.unwrap().unwrap();
    assert_silent("Versioned<Account>", &found);
    let (record, secret) = client_secret::issue("", None, Timestamp::now()).unwrap();
    let bindings = vec![Binding::Account("alice@gmail.test".into())];
    let client = Client { login: "scan".into(), secrets: vec![record], bindings, policy: Policy::default() };
    directory.put_client(&client, None).await.unwrap();

    let upstreams = BTreeMap::from([("gmail".to_owned(), Arc::new(preset("gmail").unwrap()))]);
    let https = Https::new(&tls::client_config(&TlsOptions::default()).unwrap(), HttpOptions::default()).unwrap();
    let tokens = Arc::new(broker::tokens(directory.clone(), https, TokenOptions::default()));
    let broker = Broker::new(directory.clone(), tokens, upstreams, Audit::default(), broker::Options::default());
    let origin = Origin {
        session: 1,
        listener: "imap".into(),
        protocol: Protocol::Imap,
        peer: IpAddr::from([127, 0, 0, 1]),
        via: Vec::new(),
        tls: true,
        tls_version: None,
    };
    let entrance = Entrance { upstreams: vec!["gmail".to_owned()], ..Entrance::default() };
    let attempt = Attempt { authcid: b"scan".to_vec(), authzid: None, proof: secret, method: "test" };
    let lease = broker.decide(&attempt, &origin, &entrance).await.unwrap();
    assert_eq!(lease.credentials().secret, Secret::new(CANARY), "or nothing is proven");
    assert_silent("Lease", &lease);
    assert_silent("Broker", &broker);
    assert_silent("Directory", &directory);
    assert_silent("the store", &store);
    let wrong = Attempt { proof: Secret::new(CANARY), ..attempt };
    assert_silent("Reason", &broker.decide(&wrong, &origin, &entrance).await.unwrap_err());

    let id = locum::model::RecordId::new(locum::model::RecordKind::Client, "other");
    store.write(&id, &Secret::new(CANARY), Expected::Absent).await.unwrap();
    assert_silent("Record", &store.read(&id).await.unwrap());
    assert_silent("a conflict", &store.write(&id, &Secret::new(CANARY), Expected::Absent).await.unwrap_err());
    let error = directory.client("other").await.unwrap_err();
    assert_silent("a record of no form", &error);
    canaries().assert_absent("a record of no form", error.to_string());
}

#[tokio::test]
async fn options_and_their_errors() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("locum.key");
    store::generate_key_file(&key).unwrap();
    let text = std::fs::read_to_string(&key).unwrap();
    let mut canaries = Canaries::default();
    canaries.add("the store key", text.trim());
    canaries.add("the bytes of the store key", BASE64.decode(text.trim().as_bytes()).unwrap());
    let pems = tls::self_signed(&["localhost".to_owned()]).unwrap();
    canaries.add("the TLS key", private_part(&pems.key));
    std::fs::write(dir.path().join("tls.key"), pems.key.as_bytes()).unwrap();
    std::fs::write(dir.path().join("tls.crt"), &pems.certificate).unwrap();

    let config = "[store]\nkey-file = \"locum.key\"\n[tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n\
                  [upstream.gmail]\npreset = \"gmail\"\n";
    let config = Config::parse(config, &dir.path().join("locum.toml")).unwrap();
    canaries.assert_absent("Config", both_forms(&config));
    let opened = store::create(&config.store).await.unwrap();
    canaries.assert_absent("Sqlite", both_forms(&opened));
    drop(opened);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir.path().join("tls.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = tls::server_config(&config.tls, Timestamp::now()).unwrap();
    canaries.assert_absent("ServerConfig", both_forms(&server));
    let upstreams = Upstreams::new(tls::client_config(&config.tls).unwrap(), config.upstream.clone());
    canaries.assert_absent("Upstreams", both_forms(&upstreams));

    // A TLS key in place of the store's, and the other way round.
    let store::Options::Sqlite(mut sqlite) = config.store.clone() else { panic!("not sqlite") };
    sqlite.key = KeySource::File(dir.path().join("tls.key"));
    let error = store::open(&store::Options::Sqlite(sqlite)).await.unwrap_err();
    canaries.assert_absent("OpenError", format!("{error} {}", both_forms(&error)));
    let swapped = TlsOptions { key: Some(key), ..config.tls.clone() };
    let errors = tls::server_config(&swapped, Timestamp::now()).map(|_| ()).unwrap_err();
    canaries.assert_absent("TlsError", both_forms(&errors));

    let account =
        sandbox::Account { address: "a".into(), password: Secret::new(CANARY), behaviour: sandbox::Behaviour::Normal };
    assert_silent("the sandbox's account", &account);
    let options = sandbox::Options {
        face: sandbox::Face::Gmail,
        host: "h".into(),
        tls: tls::server_config_from_pems(&pems).unwrap(),
        junk_delay: std::time::Duration::ZERO,
    };
    canaries.assert_absent("the sandbox's options", both_forms(&options));
    let sandbox = sandbox::Sandbox::new(options);
    sandbox.add_account(account);
    assert_silent("the sandbox", &sandbox);
    assert!(Config::load(Path::new("/nonexistent")).is_err());
}
