//! Providers that are who they should be, and go wrong at the login itself: that is no verdict on the credential, and
//! what they make of it must not end up in the audit.

use std::fs;
use std::time::Duration;

use futures::future::join_all;
use locum::model::{Protocol, Refusal};
use locum::sandbox::Start;

use crate::answers::refused;
use crate::support::{Fake, Identity, Lab, Plan, Step, reveals};

const APP_PASSWORD: &str = "zkvqxjwpbmfhygtd";

/// A way of a protocol to log in, up to the line that holds the credential.
struct Way {
    name: &'static str,
    protocol: Protocol,
    before: Vec<Step>,
    state: &'static str,
    goodbye: &'static str,
    challenge: &'static str,
    quote: &'static str,
    /// What a quote means for the client: some protocols cannot tell it from a refusal.
    quoted: Refusal,
}

fn ways() -> Vec<Way> {
    use Step::{Hear, Say};
    vec![
        Way {
            name: "imap-sasl",
            protocol: Protocol::Imap,
            before: vec![Say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n"), Hear("AUTHENTICATE PLAIN")],
            state: "AUTHENTICATE PLAIN",
            goodbye: "* BYE so long\r\n",
            challenge: "+ YWdhaW4=\r\n",
            quote: "L1 BAD unknown: ",
            quoted: Refusal::Unavailable,
        },
        Way {
            name: "imap-login",
            protocol: Protocol::Imap,
            before: vec![Say("* OK [CAPABILITY IMAP4rev1] ready\r\n"), Hear("LOGIN")],
            state: "LOGIN command",
            goodbye: "* BYE so long\r\n",
            challenge: "+ again\r\n",
            quote: "L1 NO [CANNOT] unknown: ",
            quoted: Refusal::ContactAdmin,
        },
        Way {
            name: "pop3-pass",
            protocol: Protocol::Pop3,
            before: vec![
                Say("+OK ready\r\n"),
                Hear("CAPA"),
                Say("+OK\r\nUSER\r\n.\r\n"),
                Hear("USER"),
                Say("+OK\r\n"),
                Hear("PASS"),
            ],
            state: "USER/PASS",
            goodbye: "",
            challenge: "+ YWdhaW4=\r\n",
            quote: "-ERR unknown: ",
            quoted: Refusal::ContactAdmin,
        },
        Way {
            name: "pop3-sasl",
            protocol: Protocol::Pop3,
            before: vec![
                Say("+OK ready\r\n"),
                Hear("CAPA"),
                Say("+OK\r\nSASL PLAIN\r\n.\r\n"),
                Hear("AUTH PLAIN"),
                Say("+ \r\n"),
                Hear(""),
            ],
            state: "AUTH PLAIN",
            goodbye: "",
            challenge: "+ YWdhaW4=\r\n",
            quote: "-ERR unknown: ",
            quoted: Refusal::ContactAdmin,
        },
        Way {
            name: "submission",
            protocol: Protocol::Submission,
            before: vec![Say("220 ready\r\n"), Hear("EHLO"), Say("250-mx\r\n250 AUTH PLAIN\r\n"), Hear("AUTH PLAIN")],
            state: "AUTH PLAIN",
            goodbye: "421 4.3.2 so long\r\n",
            challenge: "334 YWdhaW4=\r\n",
            quote: "500 5.5.2 unknown: ",
            quoted: Refusal::ContactAdmin,
        },
    ]
}

/// A lab with one fake for each way, each of which goes on like this.
async fn lab(then: impl Fn(&Way) -> Step) -> (Lab, Vec<(Way, Fake)>) {
    let identity = Identity::of("localhost");
    let mut plan = Plan::new().trust(&identity).tune(|config| {
        config.upstream.login_timeout = Duration::from_millis(800);
    });
    let mut fakes = Vec::new();
    for way in ways() {
        let mut script = vec![Step::Tls(identity.server.clone())];
        script.extend_from_slice(&way.before);
        script.push(then(&way));
        let fake = Fake::play(way.name, way.protocol, Start::Implicit, &script).await;
        plan = plan.fake(&fake);
        fakes.push((way, fake));
    }
    (plan.start().await, fakes)
}

/// Three logins: each reaches the provider, for none was a verdict on the credential.
async fn assert_passing(then: impl Fn(&Way) -> Step, reason: &str) {
    let (lab, fakes) = lab(then).await;
    let checks = fakes.iter().map(|(way, fake)| assert_passing_by(&lab, way, fake, reason));
    join_all(checks).await;
}

async fn assert_passing_by(lab: &Lab, way: &Way, fake: &Fake, reason: &str) {
    let actor = lab.enrol(way.name, way.name, APP_PASSWORD).await;
    for _ in 0..3 {
        let (_wire, answer) = lab.present(way.protocol, &actor.login, &actor.secret).await;
        assert_eq!(answer, refused(way.protocol, Refusal::Unavailable), "{}", way.name);
        let event = lab.last_event(way.protocol, &actor.login);
        let said = event["reason"].as_str().unwrap();
        assert!(said.contains(&format!("state=\"{}\"", way.state)) && said.contains(reason), "{said}");
    }
    // What IMAP offers need not be known before login, so it is not probed.
    let probes = usize::from(way.protocol != Protocol::Imap);
    assert_eq!(fake.connections(), probes + 3, "{}", way.name);
    assert!(fake.has_heard(APP_PASSWORD), "{}: or else the case proves nothing", way.name);
    fake.all_closed().await;
}

#[tokio::test]
async fn hanging_up_at_the_login() {
    assert_passing(|_| Step::Say(""), "it hung up").await;
}

#[tokio::test]
async fn saying_goodbye_at_the_login() {
    assert_passing(|way| Step::Say(way.goodbye), "").await;
}

#[tokio::test]
async fn silence_at_the_login() {
    assert_passing(|_| Step::Silence, "timed out").await;
}

#[tokio::test]
async fn a_line_without_end_at_the_login() {
    assert_passing(|_| Step::Flood("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), "too long").await;
}

#[tokio::test]
async fn challenges_without_end_at_the_login() {
    let (lab, fakes) = lab(|way| Step::Flood(way.challenge)).await;
    for (way, fake) in &fakes {
        let actor = lab.enrol(way.name, way.name, APP_PASSWORD).await;
        let (_wire, answer) = lab.present(way.protocol, &actor.login, &actor.secret).await;
        assert_eq!(answer, refused(way.protocol, Refusal::Unavailable), "{}", way.name);
        fake.all_closed().await;
    }
}

#[tokio::test]
async fn a_provider_that_quotes_the_credential_is_not_quoted() {
    let (lab, fakes) = lab(|way| Step::Quote(way.quote)).await;
    for (way, fake) in &fakes {
        let actor = lab.enrol(way.name, way.name, APP_PASSWORD).await;
        let (_wire, answer) = lab.present(way.protocol, &actor.login, &actor.secret).await;
        assert_eq!(answer, refused(way.protocol, way.quoted), "{}", way.name);
        assert!(fake.has_heard(APP_PASSWORD), "{}: or else the case proves nothing", way.name);
        let event = lab.audit().pop().unwrap();
        let said = event["reason"].as_str().unwrap();
        assert!(said.contains("unknown: "), "the rest of its words is there: {said}");
        assert!(!reveals(said.as_bytes(), APP_PASSWORD), "{}: {said}", way.name);
    }
    let audit = fs::read(lab.path("audit.jsonl")).unwrap();
    assert!(!reveals(&audit, APP_PASSWORD));
}
