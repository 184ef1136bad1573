//! Pitfalls 1 to 3: what comes in clear around a TLS handshake, and TLS that is talked away.

use locum::config::Config;
use locum::model::{Protocol, Refusal};
use locum::sandbox::Start;
use std::path::Path;

use crate::answers::refused;
use crate::hands::{APP_PASSWORD, Part, nothing_came_of_it, say, stage};
use crate::support::{Door, Identity, Lab, Plan, Step, Wire, plain};

/// STARTTLS by a protocol.
fn starttls(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Imap => "s STARTTLS",
        Protocol::Pop3 => "STLS",
        Protocol::Submission => "STARTTLS",
    }
}

/// A connection in clear to a listener with STARTTLS, greeted.
async fn in_clear(lab: &Lab, protocol: Protocol) -> Wire {
    let mut wire = Wire::connect(lab.address(&Door::StartTls.listener(protocol))).await;
    wire.line().await;
    if protocol == Protocol::Submission {
        wire.ehlo().await;
    }
    wire
}

/// CVE-2011-0411 and its kin: what came in clear behind STARTTLS must not be taken for what came under TLS, be it a whole
/// command, the beginning of one, a single byte, or the handshake itself, which is early for no good reason.
#[tokio::test]
async fn pitfall_01_commands_behind_starttls_never_run_inside_tls() {
    let lab = Lab::start().await;
    let (login, secret) = (&lab.alice.login, &lab.alice.secret);
    for protocol in Protocol::ALL {
        let command = match protocol {
            Protocol::Imap => format!("a LOGIN {login} {secret}\r\n"),
            Protocol::Pop3 => format!("USER {login}\r\nPASS {secret}\r\n"),
            Protocol::Submission => format!("EHLO x\r\nAUTH PLAIN {}\r\n", plain("", login, secret)),
        };
        let hello = "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0";
        for behind in [command.as_str(), &command[..command.len() - 2], " ", "\r", "\n", "\0", "x", hello] {
            for end in ["\r\n", "\n"] {
                let mut wire = in_clear(&lab, protocol).await;
                wire.write(format!("{}{end}{behind}", starttls(protocol))).await;
                let said = wire.rest().await;
                let goodbye = if protocol == Protocol::Imap { "* BYE Nothing may follow STARTTLS\r\n" } else { "" };
                assert_eq!(said, goodbye, "{protocol}, {behind:?} behind {end:?}");
            }
        }
    }
    nothing_came_of_it(&lab).await;
}

/// RFC 3207 section 4.2: what was said before TLS is forgotten, for anybody on the way could have said it.
#[tokio::test]
async fn pitfall_01b_what_was_said_in_clear_is_forgotten_under_tls() {
    let both = "[[listener]]\nname = \"both\"\nprotocol = \"pop3\"\nbind = \"127.0.0.1:0\"\ntls = \"starttls\"\n\
                plaintext-networks = \"127.0.0.1\"\n";
    let lab = Plan::new().toml(both).start().await;

    // EHLO.
    let mut wire = lab.connect(Protocol::Submission, Door::StartTls).await;
    let response = plain("", &lab.alice.login, &lab.alice.secret);
    assert_eq!(wire.ask(&format!("AUTH PLAIN {response}")).await, "503 5.5.1 Send EHLO first");

    // A name that waits for its password, where one may come in clear.
    let mut wire = Wire::connect(lab.address("both")).await;
    wire.line().await;
    assert_eq!(wire.ask(&format!("USER {}", lab.alice.login)).await, "+OK Send the password");
    assert_eq!(wire.ask("STLS").await, "+OK Begin TLS negotiation");
    let mut wire = wire.start_tls(&lab.client_tls).await;
    assert_eq!(wire.ask(&format!("PASS {}", lab.alice.secret)).await, "-ERR Send USER first");

    // Commands that nobody can use: nine of them in clear leave nine to the client.
    for protocol in Protocol::ALL {
        let mut wire = in_clear(&lab, protocol).await;
        for _ in 0..9 {
            wire.ask("z XYZZY").await;
        }
        wire.ask(starttls(protocol)).await;
        let mut wire = wire.start_tls(&lab.client_tls).await;
        for _ in 0..9 {
            wire.ask("z XYZZY").await;
        }
        let noop = wire.ask(if protocol == Protocol::Imap { "z NOOP" } else { "NOOP" }).await;
        assert!(noop.contains("OK"), "{protocol}: {noop}");
    }
    nothing_came_of_it(&lab).await;
}

/// What a provider says about STARTTLS, and what it asks for then.
struct Upgrade {
    protocol: Protocol,
    greeting: &'static str,
    question: &'static str,
    /// All that one could wish for.
    offers: &'static str,
    starttls: &'static str,
    go_ahead: &'static str,
    /// What nobody who holds a password can use.
    offers_nothing: &'static str,
    /// The lines that somebody would slip in.
    injected: &'static str,
}

const UPGRADES: [Upgrade; 3] = [
    Upgrade {
        protocol: Protocol::Imap,
        greeting: "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] ready\r\n",
        question: "STARTTLS",
        offers: "",
        starttls: "",
        go_ahead: "L1 OK go\r\n",
        offers_nothing: "* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2\r\nL2 OK done\r\n",
        injected: "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nL2 OK done\r\n",
    },
    Upgrade {
        protocol: Protocol::Pop3,
        greeting: "+OK ready\r\n",
        question: "CAPA",
        offers: "+OK\r\nSTLS\r\nUSER\r\nSASL PLAIN\r\n.\r\n",
        starttls: "STLS",
        go_ahead: "+OK go\r\n",
        offers_nothing: "+OK\r\nSASL XOAUTH2\r\n.\r\n",
        injected: "+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n",
    },
    Upgrade {
        protocol: Protocol::Submission,
        greeting: "220 mx ready\r\n",
        question: "EHLO",
        offers: "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n",
        starttls: "STARTTLS",
        go_ahead: "220 go\r\n",
        offers_nothing: "250-mx\r\n250 AUTH XOAUTH2\r\n",
        injected: "250-mx\r\n250 AUTH PLAIN LOGIN\r\n",
    },
];

impl Upgrade {
    /// Up to where the provider says that TLS may begin.
    fn begun(&self) -> Vec<Step> {
        use Step::{Hear, Say};
        let mut script = vec![Say(self.greeting), Hear(self.question)];
        if !self.starttls.is_empty() {
            script.extend([Say(self.offers), Hear(self.starttls)]);
        }
        script
    }

    fn scripts(&self, identity: &Identity) -> Vec<(&'static str, Vec<Step>, &'static str)> {
        use Step::{Hear, Say, Silence, Tls};
        let tls = || Tls(identity.server.clone());
        let then = |steps: Vec<Step>| [self.begun(), steps].concat();
        let asked_again = if self.protocol == Protocol::Imap { "CAPABILITY" } else { self.question };
        vec![
            // In the same piece as the reply.
            ("lines", then(vec![say(format!("{}{}", self.go_ahead, self.injected)), tls(), Silence]), "protocol error"),
            ("half", then(vec![say(format!("{}{}", self.go_ahead, &self.injected[..3])), tls(), Silence]), "protocol"),
            ("blank", then(vec![say(format!("{} ", self.go_ahead)), tls(), Silence]), "protocol error"),
            ("nul", then(vec![say(format!("{}\0", self.go_ahead)), tls(), Silence]), "protocol error"),
            // What was offered in clear is worth nothing: it is asked for again, and the answer counts.
            (
                "forgotten",
                then(vec![Say(self.go_ahead), tls(), Hear(asked_again), Say(self.offers_nothing), Silence]),
                "no usable login mechanism",
            ),
        ]
    }
}

/// The same with the sides changed: what a provider, or somebody before it, says behind its reply to STARTTLS.
#[tokio::test]
async fn pitfall_02_replies_behind_starttls_upstream_are_an_error_and_no_offer_in_clear_survives() {
    let identity = Identity::of("localhost");
    let (mut parts, mut expected) = (Vec::new(), Vec::new());
    for upgrade in &UPGRADES {
        for (name, script, reason) in upgrade.scripts(&identity) {
            let name = format!("{}-{name}", upgrade.protocol);
            parts.push(Part::new(name, upgrade.protocol, Start::StartTls, script));
            expected.push((upgrade.protocol, reason));
        }
    }
    let (lab, fakes) = stage(Plan::new(), &identity, parts).await;
    for (fake, (protocol, reason)) in fakes.iter().zip(expected) {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
        let refusal = if fake.name.ends_with("forgotten") { Refusal::ContactAdmin } else { Refusal::Unavailable };
        assert_eq!(answer, refused(protocol, refusal), "{}", fake.name);
        let event = lab.last_event(protocol, &actor.login);
        assert!(event["reason"].as_str().unwrap().contains(reason), "{}: {event}", fake.name);
        fake.all_closed().await;
        assert!(!fake.has_heard(APP_PASSWORD) && !fake.has_heard(&actor.address), "{}", fake.name);
    }
}

/// A provider, or somebody before it, that does without TLS, offers a login all the same, or has logins switched off.
#[tokio::test]
async fn pitfall_03_no_credential_goes_upstream_without_verified_tls_or_where_logins_are_off() {
    use Step::{Hear, Say, Silence, Tls};
    let (identity, stranger) = (Identity::of("localhost"), Identity::of("localhost"));
    let mut parts = Vec::new();
    for (protocol, greeting, question, bare, off) in [
        (
            Protocol::Imap,
            "* OK ready\r\n",
            "CAPABILITY",
            "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nL1 OK done\r\n",
            "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nL1 OK done\r\n",
        ),
        (Protocol::Pop3, "+OK ready\r\n", "CAPA", "+OK\r\nUSER\r\n.\r\n", "+OK\r\nTOP\r\n.\r\n"),
        (Protocol::Submission, "220 mx\r\n", "EHLO", "250-mx\r\n250 AUTH PLAIN LOGIN\r\n", "250-mx\r\n250 SIZE 1\r\n"),
    ] {
        let part = |name: &str, start, script| Part::new(format!("{protocol}-{name}"), protocol, start, script);
        let tls = |identity: &Identity| Tls(identity.server.clone());
        parts.extend([
            part("stripped", Start::StartTls, vec![Say(greeting), Hear(question), Say(bare), Silence]),
            part("clear", Start::Implicit, vec![Say(greeting), Hear(question), Say(bare), Silence]),
            part("stranger", Start::Implicit, vec![tls(&stranger), Say(greeting), Hear(question), Say(bare), Silence]),
            part("off", Start::Implicit, vec![tls(&identity), Say(greeting), Hear(question), Say(off), Silence]),
        ]);
    }
    // Who offers everything but TLS before anybody asks.
    let eager = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n";
    parts.push(Part::new("imap-eager", Protocol::Imap, Start::StartTls, vec![Say(eager), Silence]));
    let protocols: Vec<_> = parts.iter().map(|part| part.protocol).collect();
    let plan = Plan::new().tune(|config| config.upstream.tls_handshake_timeout = std::time::Duration::from_millis(500));
    let (lab, fakes) = stage(plan, &identity, parts).await;
    for (fake, protocol) in fakes.iter().zip(protocols) {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        let (_wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
        let refusal = if fake.name.ends_with("off") { Refusal::ContactAdmin } else { Refusal::Unavailable };
        assert_eq!(answer, refused(protocol, refusal), "{}", fake.name);
        for part in [&actor.address, &actor.app_password, &actor.login, &actor.secret] {
            assert!(!fake.has_heard(part), "{} has heard {part}", fake.name);
        }
    }
}

/// No setting turns TLS or its verification off towards providers, whatever it might be called.
#[test]
fn pitfall_03b_no_setting_does_without_tls_upstream() {
    let read = |lines: &str| {
        let text = format!("[store]\nkey-file = \"k\"\n[upstream.own.imap]\nhost = \"mail.example.com\"\n{lines}\n");
        Config::parse(&text, Path::new("locum.toml"))
    };
    assert!(read("tls = \"starttls\"").is_ok());
    for line in [
        "tls = \"none\"",
        "tls = \"any-cert\"",
        "tls = \"opportunistic\"",
        "tls = false",
        "verify = false",
        "insecure = true",
        "verify-name = false",
        "any-cert = true",
        "certificate-fingerprint = \"sha256:00\"",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

/// A client is not asked for its secret in clear, and one that it tells all the same is not looked at, but where the
/// listener names its network.
#[tokio::test]
async fn pitfall_03c_no_secret_of_a_client_is_taken_in_clear_unless_the_listener_says_so() {
    let elsewhere = |protocol| {
        format!(
            "[[listener]]\nname = \"far-{protocol}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\ntls = \"none\"\n\
             plaintext-networks = \"192.0.2.0/24\"\n"
        )
    };
    let lab = Plan::new().toml(&Protocol::ALL.map(elsewhere).concat()).start().await;
    let (login, secret) = (&lab.alice.login, &lab.alice.secret);
    let response = plain("", login, secret);
    for protocol in Protocol::ALL {
        for listener in [Door::StartTls.listener(protocol), format!("far-{protocol}")] {
            let mut wire = Wire::connect(lab.address(&listener)).await;
            let greeting = wire.line().await;
            assert!(!greeting.contains("AUTH="), "{greeting}");
            let attempts = match protocol {
                Protocol::Imap => vec![
                    format!("a LOGIN {login} {secret}"),
                    format!("a login \"{login}\" \"{secret}\""),
                    format!("a LOGIN {{{}}}", login.len()),
                    "a AUTHENTICATE PLAIN".to_owned(),
                    format!("a AUTHENTICATE PLAIN {response}"),
                    "a AUTHENTICATE LOGIN".to_owned(),
                ],
                Protocol::Pop3 => vec![
                    format!("USER {login}"),
                    format!("PASS {secret}"),
                    "AUTH PLAIN".to_owned(),
                    format!("AUTH PLAIN {response}"),
                    "AUTH LOGIN".to_owned(),
                ],
                Protocol::Submission => {
                    assert!(wire.ehlo().await.iter().all(|keyword| !keyword.starts_with("AUTH")));
                    vec!["AUTH PLAIN".to_owned(), format!("AUTH PLAIN {response}"), "AUTH LOGIN".to_owned()]
                }
            };
            for attempt in attempts {
                let expected = match protocol {
                    Protocol::Imap => "a NO [PRIVACYREQUIRED] Login needs TLS",
                    Protocol::Pop3 => "-ERR [SYS/PERM] TLS is required before login",
                    Protocol::Submission => "538 5.7.11 Encryption required for requested authentication mechanism",
                };
                assert_eq!(wire.ask(&attempt).await, expected, "{listener}: {attempt}");
            }
        }
    }
    let mut wire = in_clear(&lab, Protocol::Submission).await;
    assert_eq!(wire.ask("MAIL FROM:<a@b>").await, "530 5.7.0 Must issue a STARTTLS command first");
    nothing_came_of_it(&lab).await;
}
