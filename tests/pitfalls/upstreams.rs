//! Pitfalls 13 and 22: providers that say what they like. It costs a bounded time and a bounded memory, brings nothing down,
//! and is told to no client.

use std::time::Duration;

use futures::future::join_all;
use locum::model::{Protocol, Refusal};
use locum::sandbox::Start;

use crate::answers::refused;
use crate::hands::{APP_PASSWORD, Part, WORDS, Words, say, stage};
use crate::support::{Identity, Plan, Step};

/// Where a provider begins to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Greeting,
    Offer,
    Login,
}

/// What it says there: nonsense in any protocol, then each one's own.
fn nonsense(protocol: Protocol, at: At) -> Vec<Step> {
    let mut all = vec![
        // Short lines, empty ones, and lines of nothing that could be shown.
        say("\r\n"),
        say("\n\n\n\n"),
        say("2\r\n"),
        say("25\r\n"),
        say("+\r\n+\r\n+\r\n"),
        say("*\r\n"),
        say("* \r\n"),
        say("L\r\n"),
        say("\0\0\0\0\r\n"),
        say("\u{1b}[2J\u{7}\r\n"),
        say("\u{e9}\u{202e}\u{feff}\r\n"),
        say("HTTP/1.1 400 Bad Request\r\n\r\n"),
        say("SSH-2.0-OpenSSH_9.2\r\n"),
        // Endless replies of short lines, and a line that does not end.
        Step::Flood("\r\n"),
        Step::Flood("\0"),
        Step::Flood("x"),
    ];
    all.extend(match protocol {
        Protocol::Imap => vec![
            say("* OK\r\nL9 OK done\r\n"),
            say("L1 OK\r\nL1 OK\r\nL3 OK\r\n"),
            say("* {5}\r\n"),
            say("* LIST {16000}\r\n"),
            say("* LIST {99999999999999999999}\r\n"),
            say("* CAPABILITY\r\nL3 OK\r\nL1 NO\r\n"),
            say("* PREAUTH [CAPABILITY IMAP4rev1]\r\n"),
            Step::Flood("* OK [ALERT] news\r\n"),
            Step::Flood("* LIST {1}\r\nx\r\n"),
            Step::Flood("+ YWdhaW4=\r\n"),
            Step::Flood("* CAPABILITY A B C\r\n"),
        ],
        // To say so at the login is to take it.
        Protocol::Pop3 if at != At::Login => {
            vec![say("+OK\r\n+OK\r\n-ERR\r\n+OK\r\n"), Step::Flood("+OK news\r\n"), Step::Flood("..\r\n")]
        }
        Protocol::Pop3 => vec![
            say("+OKAY\r\n"),
            say("+ERR\r\n"),
            say(".\r\n.\r\n.\r\n"),
            Step::Flood("+ YWdhaW4=\r\n"),
            Step::Flood("..\r\n"),
        ],
        Protocol::Submission => vec![
            // Codes that disagree within one reply, and such as there are none.
            say("250-one\r\n220 other\r\n"),
            say("220-one\r\n550 other\r\n"),
            say("235-one\r\n535 other\r\n"),
            say("999 what\r\n"),
            say("199 what\r\n"),
            say("250_x\r\n"),
            say("2 50 x\r\n"),
            say("-1 x\r\n"),
            say("65816 x\r\n"),
            say("354 go ahead\r\n"),
            Step::Flood("220-more\r\n"),
            Step::Flood("250-more\r\n"),
            Step::Flood("535-more\r\n"),
            Step::Flood("334 YWdhaW4=\r\n"),
        ],
    });
    all
}

fn script(words: &Words, identity: &Identity, at: At, said: Step) -> Vec<Step> {
    let until_login = words.until_login(identity);
    let before = match at {
        At::Greeting => &until_login[..1],
        At::Offer => &until_login[..3],
        At::Login => &until_login[..],
    };
    [before, &[said, Step::Silence]].concat()
}

async fn misbehave(words: Words) {
    let identity = Identity::of("localhost");
    let mut parts = Vec::new();
    for at in [At::Greeting, At::Offer, At::Login] {
        for (number, said) in nonsense(words.protocol, at).into_iter().enumerate() {
            let script = script(&words, &identity, at, said);
            let name = format!("{at:?}-{number}").to_lowercase();
            parts.push((at, Part::new(name, words.protocol, Start::Implicit, script)));
        }
    }
    let (places, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let plan = Plan::new().tune(|config| {
        config.upstream.login_timeout = Duration::from_millis(1500);
        (config.session.sessions_max, config.session.unproven_per_address_max) = (4000, 2000);
    });
    let (lab, fakes) = stage(plan, &identity, parts).await;
    let each = fakes.iter().zip(places).map(|(fake, at)| {
        let lab = &lab;
        async move {
            let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
            let (_wire, answer) = lab.present(words.protocol, &actor.login, &actor.secret).await;
            // Some of it reads as a refusal of the login; none of it as anything else.
            let is_told = answer == refused(words.protocol, Refusal::Unavailable)
                || (at == At::Login && answer == refused(words.protocol, Refusal::ContactAdmin));
            assert!(is_told, "{}: {answer}", fake.name);
            if at != At::Login {
                assert!(!fake.has_heard(APP_PASSWORD), "{}", fake.name);
            }
            fake.all_closed().await;
        }
    });
    join_all(each).await;
    for event in lab.audit().iter().filter(|event| event["event"] == "upstream") {
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.len() < 1500 && !reason.contains(char::is_control), "{reason:?}");
    }
    // Nothing is down, and nobody else is served worse.
    lab.log_in(words.protocol, &lab.alice).await;
}

#[tokio::test]
async fn pitfall_13_a_malicious_upstream_costs_a_bounded_time_imap() {
    misbehave(WORDS[0]).await;
}

#[tokio::test]
async fn pitfall_13b_a_malicious_upstream_costs_a_bounded_time_pop3() {
    misbehave(WORDS[1]).await;
}

#[tokio::test]
async fn pitfall_13c_a_malicious_upstream_costs_a_bounded_time_submission() {
    misbehave(WORDS[2]).await;
}

/// A provider's words to people, wherever it says them: none of them is told to a client, whose user would believe them, and
/// all of them to the operator.
#[tokio::test]
async fn pitfall_22_no_text_of_an_upstream_reaches_a_client() {
    const TEXT: &str = "Zugangssperre, see https://evil.test/reset";
    let identity = Identity::of("localhost");
    let mut parts = Vec::new();
    for words in &WORDS {
        let protocol = words.protocol;
        let refusals: &[(&str, &str)] = match protocol {
            Protocol::Imap => &[
                ("bye", "* BYE [ALERT] {}\r\n"),
                ("no", "L2 NO [AUTHENTICATIONFAILED] {}\r\n"),
                ("bad", "L2 BAD {}\r\n"),
                ("alert", "* OK [ALERT] {}\r\nL2 NO [ALERT] {}\r\n"),
                ("limit", "L2 NO [LIMIT] {}\r\n"),
            ],
            Protocol::Pop3 => {
                &[("err", "-ERR {}\r\n"), ("auth", "-ERR [AUTH] {}\r\n"), ("use", "-ERR [IN-USE] {}\r\n")]
            }
            Protocol::Submission => &[
                ("535", "535 5.7.8 {}\r\n"),
                ("535-lines", "535-5.7.3 {}\r\n535-{}\r\n535 5.7.3 {}\r\n"),
                ("454", "454 4.7.0 {}\r\n"),
                ("421", "421 4.3.2 {}\r\n"),
                ("534", "534-5.7.9 {}\r\n534 5.7.9 {}\r\n"),
            ],
        };
        for (name, refusal) in refusals {
            let script = script(words, &identity, At::Login, say(refusal.replace("{}", TEXT)));
            parts.push((protocol, Part::new(format!("{protocol}-{name}"), protocol, Start::Implicit, script)));
        }
        let greeting = match protocol {
            Protocol::Imap => "* BYE {}\r\n",
            Protocol::Pop3 => "-ERR {}\r\n",
            Protocol::Submission => "554 5.3.2 {}\r\n",
        };
        let script = script(words, &identity, At::Greeting, say(greeting.replace("{}", TEXT)));
        parts.push((protocol, Part::new(format!("{protocol}-greeting"), protocol, Start::Implicit, script)));
    }
    let (protocols, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let (lab, fakes) = stage(Plan::new(), &identity, parts).await;
    for (fake, protocol) in fakes.iter().zip(protocols) {
        let actor = lab.enrol(&fake.name, &fake.name, APP_PASSWORD).await;
        let mut wire = lab.open(protocol).await;
        let answer = crate::support::present(&mut wire, protocol, &actor.login, &actor.secret).await;
        let ours = [Refusal::Unavailable, Refusal::ContactAdmin, Refusal::LimitReached].map(|it| refused(protocol, it));
        assert!(ours.contains(&answer.as_str()), "{}: {answer}", fake.name);
        let reason = lab.last_event(protocol, &actor.login)["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("evil.test/reset"), "{}: the operator is told: {reason}", fake.name);
        // Nor does it come later, in any other answer.
        let goodbye = if protocol == Protocol::Imap { "z LOGOUT" } else { "QUIT" };
        wire.write(format!("{goodbye}\r\n")).await;
        let rest = wire.rest().await;
        assert!(!rest.contains("evil") && !rest.contains("Zugang"), "{}: {rest}", fake.name);
    }
}
