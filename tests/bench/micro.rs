//! What a login and a relay cost in this process alone, without sockets: `cargo bench --bench micro`. It measures and judges
//! nothing; docs/benchmarks.md says what the figures mean. Arguments are divan's: a part of a name does that one alone.

#![expect(clippy::unwrap_used, reason = "what cannot be measured shall say where")]

#[path = "../support/openbao/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod openbao;
#[path = "../process/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "some of it is for tests")]
mod program;
#[path = "../support/stage.rs"]
#[expect(dead_code, reason = "some of it is for the other benchmarks")]
mod stage;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use locum::audit::{Audit, Origin};
use locum::broker::{Broker, tokens};
use locum::config::Config;
use locum::model::{Attempt, CredentialKind, Entrance, Mechanism, Protocol, Secret};
use locum::net::{HttpOptions, Https, RelayOptions, relay, tls};
use locum::proto::{
    self, ClientAction, ClientLimits, ClientOptions, Goal, ServerAction, ServerLimits, ServerOptions, ServerTls,
};
use locum::sasl::Credentials;
use locum::store;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use stage::{Stage, login};

/// Clients that the decision is about, one after the other.
const ACCOUNTS: usize = 100;

/// What passes through the relay, and what its ends hold.
const RELAYED_BYTES: usize = 16 << 20;
const PIPE_BYTES: usize = 128 << 10;

const PROTOCOLS: [&str; 3] = ["imap", "pop3", "submission"];

fn main() {
    divan::main();
}

fn protocol(name: &str) -> Protocol {
    Protocol::ALL.into_iter().find(|protocol| protocol.to_string() == name).unwrap()
}

/// What a client says, from the greeting to the password.
fn said_by_client(protocol: Protocol) -> Vec<u8> {
    let plain = BASE64.encode(b"\0scanner\0a-secret-of-some-length");
    match protocol {
        Protocol::Imap => b"a LOGIN scanner a-secret-of-some-length\r\n".to_vec(),
        Protocol::Pop3 => b"USER scanner\r\nPASS a-secret-of-some-length\r\n".to_vec(),
        Protocol::Submission => format!("EHLO scanner\r\nAUTH PLAIN {plain}\r\n").into_bytes(),
    }
}

/// What a provider says, from the greeting to its yes.
fn said_by_provider(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Imap => {
            b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\nL1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"
        }
        Protocol::Pop3 => b"+OK ready\r\n+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n+ \r\n+OK in\r\n",
        Protocol::Submission => b"220 ready\r\n250-mx\r\n250 AUTH PLAIN\r\n235 2.7.0 in\r\n",
    }
}

/// The dialogue with a client, to the moment at which it is to be decided about.
#[divan::bench(args = PROTOCOLS)]
fn client_dialogue(bencher: Bencher<'_, '_>, name: &str) {
    let protocol = protocol(name);
    let said = said_by_client(protocol);
    bencher.bench_local(|| {
        let options = ServerOptions {
            name: "mail.example.com".into(),
            tls: ServerTls::Active,
            plaintext_login: false,
            takes_xclient: false,
            recognises: false,
            keywords: Vec::new(),
            limits: ServerLimits::default(),
        };
        let mut dialogue = proto::server(protocol, options);
        let mut lines = said.split_inclusive(|byte| *byte == b'\n');
        loop {
            match dialogue.next_action() {
                ServerAction::Wait => dialogue.receive(lines.next().unwrap()),
                ServerAction::Send(bytes) => drop(black_box(bytes)),
                ServerAction::Authenticate(attempt) => break black_box(attempt),
                _ => panic!("a login was expected"),
            }
        }
    });
}

/// The dialogue with a provider, to its yes.
#[divan::bench(args = PROTOCOLS)]
fn provider_dialogue(bencher: Bencher<'_, '_>, name: &str) {
    let protocol = protocol(name);
    let said = said_by_provider(protocol);
    bencher.bench_local(|| {
        let secret = Secret::new("wvxgeyajcdzxnqlw");
        let credentials =
            Credentials { identity: "scanner@example.com".to_owned(), secret, kind: CredentialKind::AppPassword };
        let goal = Goal::LogIn { credentials, mechanisms: vec![Mechanism::Plain] };
        let options =
            ClientOptions { starttls: false, name: "locum.example.com".into(), limits: ClientLimits::default() };
        let mut dialogue = proto::client(protocol, goal, options);
        let mut said = said.split_inclusive(|byte| *byte == b'\n');
        loop {
            match dialogue.next_action() {
                ClientAction::Wait => dialogue.receive(said.next().unwrap()),
                ClientAction::Send(bytes) => drop(black_box(bytes)),
                ClientAction::Ready(ready) => break drop(black_box(ready)),
                ClientAction::Fail(failure) => panic!("a yes was expected: {failure:?}"),
                ClientAction::StartTls => panic!("nobody offered that"),
            }
        }
    });
}

/// From the password to the credential for the provider: of clients that the node knows, with secrets that were issued.
#[divan::bench]
fn decision(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let mut stage = Stage::on_sqlite();
    runtime.block_on(stage.enrol(ACCOUNTS, 32));
    let Config { store, upstreams, broker: options, tls: tls_options, tokens: bounds, .. } = stage.config();
    let served = runtime.block_on(store::serve(&store)).unwrap();
    let entrance = Entrance { upstreams: upstreams.keys().cloned().collect(), ..Entrance::default() };
    let directory = locum::broker::Directory::new(served.store);
    let https = Https::new(&tls::client_config(&tls_options).unwrap(), HttpOptions::default()).unwrap();
    let tokens = Arc::new(tokens(directory.clone(), https, bounds));
    let broker = Broker::new(directory, tokens, upstreams, Audit::default(), options);
    let origin = Origin {
        session: 1,
        listener: "imaps".into(),
        protocol: Protocol::Imap,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        via: vec![],
        tls: true,
        tls_version: None,
    };
    let mut numbers = (0..ACCOUNTS).cycle();
    bencher
        .with_inputs(|| {
            let number = numbers.next().unwrap();
            let (authcid, proof) = (login(number).into_bytes(), stage.secret(number).clone());
            Attempt { authcid, authzid: None, proof, method: "LOGIN" }
        })
        .bench_local_refs(|attempt| runtime.block_on(broker.decide(attempt, &origin, &entrance)).unwrap());
}

/// 16 MiB from the provider to the client, without TLS and sockets.
#[divan::bench]
fn relayed(bencher: Bencher<'_, '_>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let chunk = vec![b'x'; 64 << 10];
    bencher.counter(BytesCount::new(RELAYED_BYTES)).bench_local(|| {
        runtime.block_on(async {
            let (mut client, mut downstream) = duplex(PIPE_BYTES);
            let (mut provider, mut upstream) = duplex(PIPE_BYTES);
            let options = RelayOptions {
                idle_timeout: Duration::from_secs(60),
                stall_timeout: Duration::from_secs(60),
                session_max_time: None,
                tally: None,
                traffic: None,
            };
            let stop = CancellationToken::new();
            let sending = async {
                for _ in 0..RELAYED_BYTES / chunk.len() {
                    provider.write_all(&chunk).await.unwrap();
                }
                provider.shutdown().await.unwrap();
            };
            let receiving = async {
                let mut buffer = vec![0; 64 << 10];
                let mut count = 0;
                while count < RELAYED_BYTES {
                    count += client.read(&mut buffer).await.unwrap();
                }
                client.shutdown().await.unwrap();
            };
            let relaying = relay(&mut downstream, &mut upstream, Vec::new(), Vec::new(), options, &stop);
            let (done, (), ()) = tokio::join!(relaying, sending, receiving);
            assert_eq!(done.bytes_down, RELAYED_BYTES as u64);
        });
    });
}
