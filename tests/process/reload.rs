//! SIGHUP: what is read again holds at once or not at all, and nobody who is in notices.

use std::thread;
use std::time::Instant;

use locum::net::tls;
use locum::sandbox::Face;
use rustix::process::Signal;

use crate::support::{DEADLINE, Home, Provider, Served, Wire, trusted};

const ADDRESS: &str = "alice@gmail.test";
const APP_PASSWORD: &str = "abcdefghijklmnop";

/// Locum in front of a provider, and the secret of the client `scan`.
struct Stage {
    home: Home,
    secret: String,
    upstream: String,
    _provider: Provider,
}

const IMAP: &str = "[[listener]]\nname = \"imap\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
                    plaintext-networks = \"127.0.0.0/8\"\n";
const IMAPS: &str = "[[listener]]\nname = \"imaps\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\n";

impl Stage {
    fn new() -> Self {
        let home = Home::made();
        let provider = Provider::new(Face::Gmail, &trusted(&home));
        provider.add(ADDRESS, APP_PASSWORD);
        let upstream = provider.serve();
        let mut stage = Self { home, secret: String::new(), upstream, _provider: provider };
        stage.configure(&format!("{IMAP}{IMAPS}"));
        let add = ["account", "add", ADDRESS, "--upstream", "gmail", "--secret-stdin"];
        stage.home.run_with(&add, APP_PASSWORD).succeeded();
        let issued = stage.home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded();
        stage.secret = issued.stdout.trim().to_owned();
        stage
    }

    fn configure(&self, listeners: &str) {
        self.home
            .configure(&format!("[upstream.gmail]\n{}\n[audit]\npath = \"audit.jsonl\"\n{listeners}", self.upstream));
    }

    fn log_in(&self, mut wire: Wire) -> Wire {
        wire.ask(&format!("a LOGIN scan {}", self.secret), "a OK");
        wire
    }

    fn plain(&self, served: &Served) -> Wire {
        self.log_in(Wire::plain(served.port("imap")))
    }

    /// The audit events of reloads.
    fn reloads(&self) -> Vec<serde_json::Value> {
        let audit = self.home.read("audit.jsonl");
        let events = audit.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.filter(|event| event["event"] == "reload").collect()
    }
}

#[test]
fn a_bad_reload_is_refused_whole_with_all_reasons() {
    let stage = Stage::new();
    let served = stage.home.serve();
    let mut session = stage.plain(&served);
    let config = stage.home.read("locum.toml");
    let key = stage.home.read("tls.key");
    let other = tls::self_signed(&["localhost".to_owned()]).unwrap();
    let bad = [
        (format!("{config}\n[limits\n"), key.as_str(), "not TOML"),
        (config.replace("upstream.crt", "gone.crt"), &key, "gone.crt"),
        (config.clone(), other.key.as_str(), "is not the key of the certificate"),
        (
            config.replace("tls = \"none\"", "upstream = \"nowhere\"\ntls = \"none\""),
            &key,
            "there is no upstream of this name",
        ),
        (config.replacen("127.0.0.1:0", "192.0.2.1:993", 1), &key, "192.0.2.1:993 is not an address of this machine"),
        (config.replace("audit.jsonl", "no/such/folder/audit.jsonl"), &key, "no/such/folder"),
    ];
    for (number, (config, key, reason)) in bad.iter().enumerate() {
        stage.home.write("locum.toml", format!("{config}\n"));
        stage.home.write("tls.key", key);
        served.signal(Signal::HUP);
        // Each has one reason, which is said where it was asked for and put down in the audit.
        let line = served.wait_for_lines(number + 1, "not reloaded, all is as it was");
        assert!(line.contains(reason), "{line}");
        session.ask("b NOOP", "b OK");
        drop(stage.plain(&served));
    }
    stage.home.write(
        "locum.toml",
        format!(
            "{}\n",
            config.replace("upstream.crt", "gone.crt").replacen("127.0.0.1:0", "192.0.2.1:1", 1).replacen(
                "127.0.0.1:0",
                "192.0.2.1:2",
                1
            )
        ),
    );
    served.signal(Signal::HUP);
    served.wait_for_lines(bad.len() + 3, "not reloaded, all is as it was");
    stage.home.write("locum.toml", &config);
    stage.home.write("tls.key", &key);
    drop(stage.log_in(Wire::tls(served.port("imaps"), &stage.home.trust())));
    served.signal(Signal::HUP);
    served.wait_for_lines(1, "reloaded: nothing is other than before");
    session.ask("c NOOP", "c OK");
    drop(session);
    served.stop().succeeded();
    let reloads = stage.reloads();
    let outcomes: Vec<_> = reloads.iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, [vec!["refused"; bad.len() + 1], vec!["done"]].concat());
    assert!(reloads.iter().all(|it| it["actor"] == "SIGHUP"));
    assert_eq!(reloads[bad.len()]["problems"].as_array().unwrap().len(), 3, "{reloads:?}");
}

#[test]
fn listeners_come_and_go_and_limits_change() {
    let stage = Stage::new();
    let served = stage.home.serve();
    let mut session = stage.log_in(Wire::tls(served.port("imaps"), &stage.home.trust()));
    let more = "[[listener]]\nname = \"more\"\nprotocol = \"imap\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
                plaintext-networks = \"127.0.0.0/8\"\n[limits]\nsessions-max = 2\n[telemetry]\nlog-format = \"json\"\n";
    stage.configure(&format!("{IMAP}{more}"));
    let before = served.port("imaps");
    served.signal(Signal::HUP);
    served.wait_for_lines(1, "listener more: added");
    for line in ["listener imaps: removed", "limits.sessions-max: not set -> 2"] {
        served.wait_for_lines(1, line);
    }
    served.wait_for_lines(1, "not before a restart: telemetry.log-format");
    assert!(std::net::TcpStream::connect(("127.0.0.1", before)).is_err(), "nobody listens there any more");
    session.ask("b NOOP", "b OK"); // who came in by it stays, and takes one of the two places
    let other = stage.log_in(Wire::plain(served.port("more")));
    assert!(Wire::plain(served.port("imap")).line().starts_with("* BYE"), "both are taken");
    drop(session);
    let began = Instant::now();
    let next = loop {
        let mut next = Wire::plain(served.port("imap"));
        if next.line().starts_with("* OK") {
            break next;
        }
        assert!(began.elapsed() < DEADLINE, "the place that was given up is nobody's");
    };
    drop((next, other));
    stage.configure(&format!("{IMAP}{IMAPS}"));
    served.signal(Signal::HUP);
    served.wait_for_lines(1, "listener imaps: added");
    drop(stage.plain(&served));
    served.stop().succeeded();
}

#[test]
fn who_was_recognised_is_out_when_the_recognition_is() {
    let stage = Stage::new();
    let run = ["client", "set", "scan", "--sender", ADDRESS];
    stage.home.run(&run).succeeded();
    let smtp = "[[listener]]\nname = \"smtp\"\nprotocol = \"submission\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
                plaintext-networks = \"127.0.0.0/8\"\n";
    let known = |client: &str| {
        format!("{IMAP}{smtp}[[listener.recognise]]\nclient = \"{client}\"\nnetwork = \"127.0.0.1/32\"\n")
    };
    stage.configure(&known("scan"));
    let served = stage.home.serve();
    let mut device = Wire::plain(served.port("smtp"));
    device.ask("EHLO device", "250 ");
    device.ask(&format!("MAIL FROM:<{ADDRESS}>"), "250");
    let mut client = stage.plain(&served);
    stage.configure(&known("another"));
    served.signal(Signal::HUP);
    assert!(device.drain().is_empty());
    client.ask("b NOOP", "b OK");
    drop((client, device));
    served.stop().succeeded();
    let audit = stage.home.read("audit.jsonl");
    assert!(audit.contains("its listener does not let it in without a secret any more"), "{audit}");
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    let stage = Stage::new();
    let served = stage.home.serve();
    drop(stage.plain(&served));
    while !stage.home.read("audit.jsonl").contains("\"event\":\"decision\"") {
        thread::yield_now(); // it is written soon, and where the path leads then
    }
    std::fs::rename(stage.home.path("audit.jsonl"), stage.home.path("audit.1")).unwrap();
    served.signal(Signal::HUP);
    served.wait_for_lines(1, "reloaded: nothing");
    drop(stage.plain(&served));
    served.stop().succeeded();
    assert!(stage.home.read("audit.1").contains("\"event\":\"decision\""));
    assert!(stage.home.read("audit.jsonl").contains("\"event\":\"decision\""));
}
