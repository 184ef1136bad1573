//! Devices that cannot log in: let in for where they stand or for the certificate they show, and by nothing else.

use std::net::{IpAddr, Ipv4Addr};

use locum::model::{AddressPattern, Policy, Protocol, Refusal};
use serde_json::{Value, json};

use crate::answers::{accepted, refused};
use crate::support::{Identity, Lab, Plan, Wire, present};

/// Where the scanner stands, and where something else does; and a front end.
const SCANNER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));
const FRONT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

const NO_LOGIN: &str = "530 5.7.0 Authentication required";
const MAIL: &str = "MAIL FROM:<scans@contoso.test>";

const BY_NETWORK: &str = r#"
[[listener]]
name = "devices"
protocol = "submission"
bind = "127.0.0.1:0"
tls = "none"
plaintext-networks = "127.0.0.0/8"
xclient-from = "127.0.0.2"
[[listener.recognise]]
client = "scanner-3f"
network = "127.0.0.3"
[[listener.recognise]]
client = "nobody"
network = "127.0.0.5"
"#;

fn by_certificate(plotter: &Identity, over: &Identity) -> String {
    format!(
        "[[listener]]\nname = \"plotters\"\nprotocol = \"submission\"\nbind = \"127.0.0.1:0\"\nxclient-from = \"127.0.0.2\"\n\
         [[listener.recognise]]\nclient = \"scanner-3f\"\ncertificate = \"{}\"\n\
         [[listener.recognise]]\nclient = \"scanner-3f\"\ncertificate = \"{}\"\n\
         [[listener.recognise]]\nclient = \"alice\"\nnetwork = \"127.0.0.6\"\n",
        plotter.fingerprint(),
        over.fingerprint()
    )
}

fn pinned() -> Policy {
    let senders: Vec<AddressPattern> = vec!["scans@contoso.test".parse().unwrap()];
    Policy { senders, ..Policy::default() }
}

/// The lab with the scanner pinned to its sender.
async fn stage(toml: &str) -> Lab {
    let lab = Plan::new().toml(toml).start().await;
    lab.alter(&lab.scanner, |client| client.policy = pinned()).await;
    lab
}

/// A greeted connection without TLS.
async fn plainly(lab: &Lab, source: IpAddr) -> Wire {
    let mut wire = Wire::connect_from(source, lab.address("devices")).await;
    wire.line().await;
    wire.ehlo().await;
    wire
}

/// The decisions about logins so far.
fn decisions(lab: &Lab) -> Vec<Value> {
    lab.audit().into_iter().filter(|event| event["event"] == "decision").collect()
}

/// Sends a message, all commands at once.
async fn send(wire: &mut Wire) {
    wire.write(format!("{MAIL}\r\nRCPT TO:<boss@contoso.test>\r\nDATA\r\n")).await;
    for code in ["250 ", "250 ", "354 "] {
        let line = wire.line().await;
        assert!(line.starts_with(code), "{line}");
    }
    let answer = wire.ask("Subject: scan\r\n\r\n..\r\n.").await;
    assert!(answer.starts_with("250 "), "{answer}");
}

#[tokio::test]
async fn a_device_sends_from_where_it_stands() {
    let lab = stage(BY_NETWORK).await;
    let mut wire = plainly(&lab, SCANNER).await;
    send(&mut wire).await;
    let sent = lab.exchange.sandbox.sent();
    assert_eq!((sent[0].account.as_str(), sent[0].from.as_str()), (&*lab.scanner.address, "scans@contoso.test"));
    assert_eq!(**sent[0].message, *b"Subject: scan\r\n\r\n.\r\n");
    let decision = &decisions(&lab)[0];
    assert_eq!((&decision["outcome"], &decision["method"]), (&json!("allow"), &json!("source network")));
    assert_eq!((&decision["login"], &decision["peer"]), (&json!("scanner-3f"), &json!("127.0.0.3")));
    assert_eq!((&decision["account"], &decision["client_secret"]), (&json!(lab.scanner.address), &Value::Null));
}

#[tokio::test]
async fn a_device_sends_as_itself_alone() {
    let lab = stage(BY_NETWORK).await;
    let mut wire = plainly(&lab, SCANNER).await;
    // The first came before the relay, and is looked at as any other.
    for sender in ["MAIL FROM:<boss@contoso.test>", "MAIL FROM:<>", "mail from: boss@contoso.test SIZE=10"] {
        assert_eq!(wire.ask(sender).await, "550 5.7.1 This login may not send as that address", "{sender}");
    }
    send(&mut wire).await;
    let sent = lab.exchange.sandbox.sent();
    assert_eq!(sent.iter().map(|it| it.from.as_str()).collect::<Vec<_>>(), ["scans@contoso.test"]);
}

#[tokio::test]
async fn the_same_words_from_elsewhere_are_refused() {
    let lab = stage(BY_NETWORK).await;
    let mut wire = plainly(&lab, ELSEWHERE).await;
    assert_eq!(wire.ask(MAIL).await, NO_LOGIN);
    assert_eq!(wire.ask("RCPT TO:<boss@contoso.test>").await, NO_LOGIN);
    assert_eq!(decisions(&lab), Vec::<Value>::new(), "nothing was claimed");
    assert_eq!(lab.exchange.logins(), []);
    // It may log in, as anybody.
    let answer = present(&mut wire, Protocol::Submission, "scanner-3f", &lab.scanner.secret).await;
    assert_eq!(answer, accepted(Protocol::Submission));
    // Where nobody is recognised, nobody is, wherever it stands.
    let mut wire = Wire::connect_from(SCANNER, lab.address("submission-plain")).await;
    wire.line().await;
    wire.ehlo().await;
    assert_eq!(wire.ask(MAIL).await, NO_LOGIN);
}

#[tokio::test]
async fn a_device_that_logs_in_is_taken_at_its_word() {
    let lab = stage(BY_NETWORK).await;
    let mut wire = plainly(&lab, SCANNER).await;
    let wrong = present(&mut wire, Protocol::Submission, "scanner-3f", "wrong").await;
    assert_eq!(wrong, refused(Protocol::Submission, Refusal::WrongCredentials));
    assert_eq!(lab.exchange.logins(), []);
    let answer = present(&mut wire, Protocol::Submission, "alice", &lab.alice.secret).await;
    assert_eq!(answer, accepted(Protocol::Submission));
    assert_eq!(lab.gmail.logins().len(), 1);
}

#[tokio::test]
async fn a_device_has_to_be_known_and_its_senders_named() {
    let lab = stage(BY_NETWORK).await;
    let unpinned =
        "a client that is recognised without a password needs senders; name them with `locum client set --sender`";
    let network = "the client's policy does not include the network of its address";
    let protocol = "the client's policy does not include submission";
    let listener = "the client's policy does not include the listener devices";
    for (policy, reason) in [
        (Policy::default(), unpinned),
        (Policy { networks: vec!["127.0.0.4/32".parse().unwrap()], ..pinned() }, network),
        (Policy { protocols: vec![Protocol::Imap], ..pinned() }, protocol),
        (Policy { listeners: vec!["submission".into()], ..pinned() }, listener),
    ] {
        lab.alter(&lab.scanner, |client| client.policy = policy).await;
        assert_eq!(plainly(&lab, SCANNER).await.ask(MAIL).await, NO_LOGIN);
        let decision = decisions(&lab).pop().unwrap();
        assert_eq!((&decision["outcome"], &decision["reason"]), (&json!("deny"), &json!(reason)));
        assert_eq!((&decision["login"], &decision["method"]), (&json!("scanner-3f"), &json!("source network")));
    }
    let ghost = IpAddr::from([127, 0, 0, 5]);
    assert_eq!(plainly(&lab, ghost).await.ask(MAIL).await, NO_LOGIN);
    assert_eq!(decisions(&lab).pop().unwrap()["reason"], "unknown login");
    assert_eq!(lab.exchange.logins(), []);
}

#[tokio::test]
async fn a_device_whose_provider_is_away_keeps_its_mail() {
    let lab = stage(BY_NETWORK).await;
    lab.alter_account(&lab.scanner, |account| account.credentials.clear()).await;
    let answer = plainly(&lab, SCANNER).await.ask(MAIL).await;
    assert_eq!(answer, refused(Protocol::Submission, Refusal::ContactAdmin));
}

#[tokio::test]
async fn a_device_is_found_behind_a_front_end_and_the_front_end_is_none() {
    let lab = stage(BY_NETWORK).await;
    let mut wire = plainly(&lab, FRONT).await;
    assert_eq!(wire.ask(MAIL).await, NO_LOGIN);
    for (client, answer) in [("127.0.0.4", NO_LOGIN), ("127.0.0.3", "250 ")] {
        assert!(wire.ask(&format!("XCLIENT ADDR={client}")).await.starts_with("220 "));
        wire.ehlo().await;
        let said = wire.ask(MAIL).await;
        assert!(said.starts_with(answer), "{said}");
    }
    assert_eq!(decisions(&lab)[0]["via"], json!(["127.0.0.2"]));
}

#[tokio::test]
async fn a_device_shows_a_certificate_and_has_its_key() {
    let (plotter, over, other) = (Identity::of("plotter"), Identity::expired("over"), Identity::of("other"));
    let lab = stage(&by_certificate(&plotter, &over)).await;
    let open = async |source: IpAddr, tls| {
        let mut wire = Wire::connect_from(source, lab.address("plotters")).await.start_tls(&tls).await;
        wire.line().await;
        wire.ehlo().await;
        wire
    };
    let mut wire = open(ELSEWHERE, plotter.shown_by(&lab.client_tls, &plotter)).await;
    send(&mut wire).await;
    assert_eq!(lab.exchange.sandbox.sent()[0].account, lab.scanner.address);
    let decision = &decisions(&lab)[0];
    assert_eq!((&decision["outcome"], &decision["method"]), (&json!("allow"), &json!("client certificate")));
    let logins = lab.exchange.logins().len();

    // One whose time is over, one that nobody knows, none at all; the latter two where a network would do.
    let mut wire = open(ELSEWHERE, over.shown_by(&lab.client_tls, &over)).await;
    assert_eq!(wire.ask(MAIL).await, NO_LOGIN);
    let reason = decisions(&lab).pop().unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("2020-01-01T00:00:00Z to 2021-01-01T00:00:00Z"), "{reason}");
    let alice = IpAddr::from([127, 0, 0, 6]);
    let mut wire = open(alice, other.shown_by(&lab.client_tls, &other)).await;
    assert_eq!(wire.ask(MAIL).await, NO_LOGIN);
    let decision = decisions(&lab).pop().unwrap();
    let reason = format!("the listener recognises no device by the certificate {}", other.fingerprint());
    assert_eq!((&decision["reason"], &decision["login"]), (&json!(reason), &json!("")));
    assert_eq!(open(ELSEWHERE, lab.client_tls.clone()).await.ask(MAIL).await, NO_LOGIN);

    // The right one without its key does not get through the handshake.
    let wire = Wire::connect_from(ELSEWHERE, lab.address("plotters")).await;
    let wire = wire.try_tls(&plotter.shown_by(&lab.client_tls, &other)).await;
    // In TLS 1.3 the client learns of it with its first read.
    assert_eq!(
        match wire {
            Some(wire) => wire.rest().await,
            None => String::new(),
        },
        ""
    );

    // Where none is asked for, none counts.
    let mut wire = Wire::connect_from(ELSEWHERE, lab.address("submissions")).await;
    wire = wire.start_tls(&plotter.shown_by(&lab.client_tls, &plotter)).await;
    wire.line().await;
    wire.ehlo().await;
    assert_eq!(wire.ask(MAIL).await, NO_LOGIN);
    assert_eq!((lab.exchange.logins().len(), lab.gmail.logins().len()), (logins, 0));
}

#[tokio::test]
async fn the_certificate_of_a_front_end_is_not_its_clients() {
    let (plotter, over) = (Identity::of("plotter"), Identity::expired("over"));
    let lab = stage(&by_certificate(&plotter, &over)).await;
    let tls = plotter.shown_by(&lab.client_tls, &plotter);
    for said in ["XCLIENT ADDR=192.0.2.7", "XCLIENT NAME=scanner"] {
        let mut wire = Wire::connect_from(FRONT, lab.address("plotters")).await.start_tls(&tls).await;
        wire.line().await;
        assert!(wire.ask(said).await.starts_with("220 "));
        wire.ehlo().await;
        assert_eq!(wire.ask(MAIL).await, NO_LOGIN, "{said}");
    }
    assert_eq!(lab.exchange.logins(), []);
}

#[tokio::test]
async fn certificates_that_nobody_knows_are_looked_at_so_often_and_no_more() {
    let (plotter, over, other) = (Identity::of("plotter"), Identity::expired("over"), Identity::of("other"));
    let toml = by_certificate(&plotter, &over);
    let lab = Plan::new().toml(&toml).tune(|config| config.broker.failures_per_address_max = 2).start().await;
    let tls = other.shown_by(&lab.client_tls, &other);
    let mut answers = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::connect_from(ELSEWHERE, lab.address("plotters")).await.start_tls(&tls).await;
        wire.line().await;
        wire.ehlo().await;
        answers.push(wire.ask(MAIL).await);
    }
    let limit = refused(Protocol::Submission, Refusal::LimitReached);
    assert_eq!(answers, [NO_LOGIN, NO_LOGIN, limit, limit]);
    assert_eq!(decisions(&lab).len(), 3, "the first that was held back is told, the others are not");
}
