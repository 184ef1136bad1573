//! Pitfalls 11 and 12: exchanges that are broken off, malformed or not of this world, at every step; and that nothing of one
//! attempt is left for the next.

use std::time::Duration;

use futures::future::join_all;
use locum::model::{Protocol, Refusal};
use locum::sandbox::Behaviour;

use crate::answers::{accepted, refused};
use crate::hands::{APP_PASSWORD, by_plain, is_in, nothing_came_of_it};
use crate::support::{Lab, Plan, Wire, base64, plain, present};

/// The words of exchanges in a protocol.
struct Sasl {
    protocol: Protocol,
    command: &'static str,
    /// Before a challenge.
    asks: &'static str,
    cancelled: &'static str,
    not_base64: &'static str,
    malformed: &'static str,
    unknown: &'static str,
}

const SASL: [Sasl; 3] = [
    Sasl {
        protocol: Protocol::Imap,
        command: "a AUTHENTICATE",
        asks: "+ ",
        cancelled: "a BAD AUTHENTICATE cancelled",
        not_base64: "a BAD Response is not base64",
        malformed: "a BAD Response is not what the mechanism asks for",
        unknown: "a NO Mechanism is not supported",
    },
    Sasl {
        protocol: Protocol::Pop3,
        command: "AUTH",
        asks: "+ ",
        cancelled: "-ERR Authentication cancelled",
        not_base64: "-ERR Cannot decode base64",
        malformed: "-ERR Malformed authentication response",
        unknown: "-ERR Unrecognized authentication type",
    },
    Sasl {
        protocol: Protocol::Submission,
        command: "AUTH",
        asks: "334 ",
        cancelled: "501 5.7.0 Authentication cancelled",
        not_base64: "501 5.5.2 Cannot decode base64",
        malformed: "501 5.5.2 Malformed authentication response",
        unknown: "504 5.5.4 Unrecognized authentication type",
    },
];

impl Sasl {
    /// Each step of each exchange: what is said up to a challenge, in the order in which it is said.
    fn steps(&self, login: &str) -> Vec<Vec<String>> {
        let Self { command, .. } = self;
        vec![
            vec![format!("{command} PLAIN")],
            vec![format!("{command} LOGIN")],
            vec![format!("{command} LOGIN"), base64(login)],
            vec![format!("{command} LOGIN {}", base64(login))],
        ]
    }

    /// Goes that far.
    async fn reach(&self, wire: &mut Wire, steps: &[String]) {
        for said in steps {
            let answer = wire.ask(said).await;
            assert!(answer.starts_with(self.asks), "{}, {said}: {answer}", self.protocol);
        }
    }
}

/// At each step one may break off, say nonsense, or hang up; and log in afterwards, on the same connection, as if nothing had
/// been said.
#[tokio::test]
async fn pitfall_11_an_exchange_may_be_broken_off_at_every_step() {
    let lab = Lab::start().await;
    let (login, secret) = (&lab.alice.login, &lab.alice.secret);
    let long = base64("x".repeat(1025));
    for sasl in &SASL {
        for steps in sasl.steps(login) {
            for (said, expected) in [
                ("*", sasl.cancelled),
                ("!!!", sasl.not_base64),
                ("YQ", sasl.not_base64),
                ("Y=Q=", sasl.not_base64),
                ("\u{e4}\u{f6}", sasl.not_base64),
                (long.as_str(), sasl.malformed),
            ] {
                let mut wire = lab.open(sasl.protocol).await;
                sasl.reach(&mut wire, &steps).await;
                assert_eq!(wire.ask(said).await, expected, "{steps:?}, {said:?}");
                let answer = by_plain(&mut wire, sasl.protocol, &plain("", login, secret)).await;
                assert_eq!(answer, accepted(sasl.protocol), "{steps:?}, {said:?}");
            }
            // Gone, with and without half a line behind.
            for half in ["", "YWxp", "*"] {
                let mut wire = lab.open(sasl.protocol).await;
                sasl.reach(&mut wire, &steps).await;
                wire.write(half).await;
                drop(wire);
            }
        }
    }
    assert!(lab.gmail.logins().iter().all(|login| login.identity == lab.alice.address));
    assert!(lab.audit().iter().all(|event| event["outcome"] != "deny"), "no proof was looked at that was not given");
}

/// A message that is not what the mechanism asks for is none, whatever is missing, empty, or too much.
#[tokio::test]
async fn pitfall_11b_a_malformed_message_is_no_login() {
    let lab = Lab::start().await;
    for sasl in &SASL {
        let message = |text: &str| base64(text);
        for (said, expected) in [
            ("PLAIN !!!".to_owned(), sasl.not_base64),
            ("PLAIN =".to_owned(), sasl.malformed),
            ("PLAIN YQ==".to_owned(), sasl.malformed),
            (format!("PLAIN {}", message("\0\0")), sasl.malformed),
            (format!("PLAIN {}", message("\0alice\0")), sasl.malformed),
            (format!("PLAIN {}", message("\0\0secret")), sasl.malformed),
            (format!("PLAIN {}", message("alice\0secret")), sasl.malformed),
            (format!("PLAIN {}", message("\0alice\0secret\0")), sasl.malformed),
            (format!("PLAIN {}", message("\0\0alice\0secret")), sasl.malformed),
            (format!("PLAIN {}", message(&"\0".repeat(700))), sasl.malformed),
            (format!("PLAIN {}", message(&format!("\0{}\0secret", "x".repeat(1025)))), sasl.malformed),
            (format!("PLAIN {}", message(&format!("{}\0alice\0secret", "x".repeat(1025)))), sasl.malformed),
            (format!("PLAIN {}", message(&format!("\0alice\0{}", "x".repeat(1025)))), sasl.malformed),
            ("LOGIN =".to_owned(), sasl.malformed),
            ("GSSAPI".to_owned(), sasl.unknown),
            ("plain\0".to_owned(), ""),
            (format!("SCRAM-SHA-256 {}", message("n,,n=alice,r=x")), sasl.unknown),
            (format!("ANONYMOUS {}", message("x")), sasl.unknown),
            (format!("EXTERNAL {}", message("alice")), sasl.unknown),
        ] {
            let mut wire = lab.open(sasl.protocol).await;
            let answer = wire.ask(&format!("{} {said}", sasl.command)).await;
            assert!(answer == expected || (expected.is_empty() && answer.contains("NUL")), "{said:?}: {answer}");
        }
    }
    nothing_came_of_it(&lab).await;
}

/// What is no UTF-8 is a name or a secret like others, and wrong.
#[tokio::test]
async fn pitfall_11c_what_is_no_text_is_data() {
    let lab = Plan::new().tune(|config| config.broker.failures_per_login_max = 1000).start().await;
    let odd: [&[u8]; 6] =
        [b"\xff\xfe", b"\xc3\x28", b"alice\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xaealice"];
    let each = odd.iter().map(async |name| {
        let each = SASL.iter().map(async |sasl| {
            for (authzid, authcid, secret) in
                [(b"".as_slice(), *name, b"x".as_slice()), (b"", b"alice", name), (name, b"alice", b"x")]
            {
                let mut wire = lab.open(sasl.protocol).await;
                let message = base64([authzid, b"\0", authcid, b"\0", secret].concat());
                let answer = by_plain(&mut wire, sasl.protocol, &message).await;
                assert_eq!(answer, refused(sasl.protocol, Refusal::WrongCredentials), "{name:?}");
            }
        });
        join_all(each).await;
        let mut wire = lab.open(Protocol::Imap).await;
        wire.write([b"a LOGIN \"", *name, b"\" \"", *name, b"\"\r\n"].concat()).await;
        assert_eq!(wire.line().await, refused(Protocol::Imap, Refusal::WrongCredentials), "{name:?}");
        let mut wire = lab.open(Protocol::Pop3).await;
        wire.write([b"USER ", *name, b"\r\nPASS ", *name, b"\r\n"].concat()).await;
        wire.line().await;
        assert_eq!(wire.line().await, refused(Protocol::Pop3, Refusal::WrongCredentials), "{name:?}");
    });
    join_all(each).await;
    assert_eq!(lab.gmail.logins(), []);
    // With the right secret, a name that is no text is still nobody's to act as.
    let mut wire = lab.open(Protocol::Imap).await;
    let message = base64([b"\xff\0alice\0".as_slice(), lab.alice.secret.as_bytes()].concat());
    assert_eq!(by_plain(&mut wire, Protocol::Imap, &message).await, refused(Protocol::Imap, Refusal::NotPermitted));
}

/// A second attempt on the same connection knows nothing of the first: no name, no half of an exchange, nobody to act as, no
/// credential.
#[tokio::test]
async fn pitfall_12_nothing_of_one_attempt_is_left_for_the_next() {
    let lab = Lab::start().await;
    let eve = lab.enrol("eve", "gmail", APP_PASSWORD).await;
    lab.gmail.add_mailbox(&eve.address, APP_PASSWORD, Behaviour::Normal);
    let alice = &lab.alice;
    let entered = || lab.gmail.logins().pop().unwrap().identity;

    // The name of USER is for the next line alone.
    for between in ["NOOP", "CAPA", "XYZZY", "AUTH LOGIN", "USER"] {
        let mut wire = lab.open(Protocol::Pop3).await;
        wire.ask(&format!("USER {}", alice.login)).await;
        wire.write(format!("{between}\r\n")).await;
        match between {
            "CAPA" => drop(wire.until(".").await),
            "AUTH LOGIN" => assert_eq!((wire.line().await, wire.ask("*").await).1, "-ERR Authentication cancelled"),
            _ => drop(wire.line().await),
        }
        assert_eq!(wire.ask(&format!("PASS {}", alice.secret)).await, "-ERR Send USER first", "{between}");
    }
    for sasl in &SASL {
        let mut wire = lab.open(sasl.protocol).await;
        // A name from an exchange that was broken off is not that of the next.
        sasl.reach(&mut wire, &[format!("{} LOGIN", sasl.command), base64(&alice.login)]).await;
        assert_eq!(wire.ask("*").await, sasl.cancelled);
        sasl.reach(&mut wire, &[format!("{} LOGIN", sasl.command), base64("nobody")]).await;
        let answer = wire.ask(&base64(&alice.secret)).await;
        assert_eq!(answer, refused(sasl.protocol, Refusal::WrongCredentials));
        // Nor is it whom to act as.
        let message = plain(&eve.address, &alice.login, &alice.secret);
        let answer = by_plain(&mut wire, sasl.protocol, &message).await;
        assert_eq!(answer, refused(sasl.protocol, Refusal::NotPermitted));
        let answer = by_plain(&mut wire, sasl.protocol, &plain("", &alice.login, &alice.secret)).await;
        assert!(is_in(&answer), "{answer}");
        assert_eq!(entered(), alice.address);
    }
    // The right secret of another: whose login it comes with is who it must be.
    for protocol in Protocol::ALL {
        let mut wire = lab.open(protocol).await;
        let answer = present(&mut wire, protocol, &alice.login, &eve.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::WrongCredentials));
        let answer = present(&mut wire, protocol, &eve.login, &alice.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::WrongCredentials));
        let answer = present(&mut wire, protocol, &eve.login, &eve.secret).await;
        assert!(is_in(&answer), "{answer}");
        assert_eq!(entered(), eve.address);
    }
}

/// The same where the first attempt got as far as the provider and was refused there: the next one is made with its own
/// credential, on a connection of its own.
#[tokio::test]
async fn pitfall_12b_a_refused_credential_is_not_the_next_ones() {
    let lab = Plan::new().tune(|config| config.upstream.login_timeout = Duration::from_secs(5)).start().await;
    for protocol in Protocol::ALL {
        let stale = lab.enrol(&format!("stale-{protocol}"), "gmail", "wrong-by-now-aaaa").await;
        lab.gmail.add_mailbox(&stale.address, "another-one", Behaviour::Normal);
        let mut wire = lab.open(protocol).await;
        let answer = present(&mut wire, protocol, &stale.login, &stale.secret).await;
        assert_eq!(answer, refused(protocol, Refusal::ContactAdmin));
        let answer = present(&mut wire, protocol, &lab.alice.login, &lab.alice.secret).await;
        assert_eq!(answer, accepted(protocol));
        let logins = lab.gmail.logins();
        let last: Vec<_> = logins.iter().rev().take(2).map(|login| login.identity.as_str()).collect();
        assert_eq!(last, [lab.alice.address.as_str(), stale.address.as_str()]);
    }
}
