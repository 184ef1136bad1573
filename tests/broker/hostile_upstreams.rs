//! Providers that are broken, or somebody else: the client is told to try again or to ask, the connections end, the audit
//! says where it went wrong, and not one byte of the credential leaves this house.

use std::time::Duration;

use futures::future::join_all;
use locum::model::{Protocol, Refusal};
use locum::sandbox::Start;

use crate::answers::refused;
use crate::support::{Fake, Identity, Plan, Step};

const APP_PASSWORD: &str = "zkvqxjwpbmfhygtd";

/// One provider that misbehaves.
struct Case {
    name: &'static str,
    start: Start,
    script: Vec<Step>,
    /// What the audit says of where it was.
    state: &'static str,
    /// What the audit says of why.
    reason: &'static str,
    refusal: Refusal,
}

/// The words of a protocol that the scripts are made of.
struct Words {
    greeting: &'static str,
    /// What Locum asks first, and how that is answered.
    question: &'static str,
    offers_starttls: &'static str,
    offers_nothing: &'static str,
    endless_offer: &'static str,
    starttls: &'static str,
    go_ahead: &'static str,
    go_ahead_and_more: &'static str,
    no_tls: &'static str,
    turned_away: &'static str,
    refused_question: &'static str,
}

const IMAP: Words = Words {
    greeting: "* OK ready\r\n",
    question: "CAPABILITY",
    offers_starttls: "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nL1 OK done\r\n",
    offers_nothing: "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nL1 OK done\r\n",
    endless_offer: "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    starttls: "STARTTLS",
    go_ahead: "L2 OK go\r\n",
    go_ahead_and_more: "L2 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    no_tls: "L2 NO not today\r\n",
    turned_away: "* BYE go away\r\n",
    refused_question: "L1 BAD what\r\n",
};

const POP3: Words = Words {
    greeting: "+OK ready\r\n",
    question: "CAPA",
    offers_starttls: "+OK\r\nSTLS\r\nUSER\r\n.\r\n",
    offers_nothing: "+OK\r\nTOP\r\n.\r\n",
    endless_offer: "+OK\r\nX-NOISE\r\nX-NOISE\r\n",
    starttls: "STLS",
    go_ahead: "+OK go\r\n",
    go_ahead_and_more: "+OK go\r\n+OK\r\nUSER\r\n.\r\n",
    no_tls: "-ERR not today\r\n",
    turned_away: "-ERR go away\r\n",
    refused_question: "+ what\r\n",
};

const SUBMISSION: Words = Words {
    greeting: "220 mx ready\r\n",
    question: "EHLO",
    offers_starttls: "250-mx\r\n250 STARTTLS\r\n",
    offers_nothing: "250-mx\r\n250 SIZE 5\r\n",
    endless_offer: "250-AUTH PLAIN LOGIN\r\n",
    starttls: "STARTTLS",
    go_ahead: "220 go\r\n",
    go_ahead_and_more: "220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n",
    no_tls: "454 4.7.0 not today\r\n",
    turned_away: "554 5.3.2 go away\r\n",
    refused_question: "502 5.5.1 what\r\n",
};

struct Identities {
    good: Identity,
    other_name: Identity,
    stranger: Identity,
    expired: Identity,
}

const LONG_LINE: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Providers with TLS from the first byte.
fn implicit_cases(words: &Words, ids: &Identities) -> Vec<Case> {
    use Step::{Drip, Flood, Hear, Say, Silence, Tls};
    let tls = |identity: &Identity| Tls(identity.server.clone());
    let good = || tls(&ids.good);
    let case = |name, script, state, reason| Case {
        name,
        start: Start::Implicit,
        script,
        state,
        reason,
        refusal: Refusal::Unavailable,
    };
    let timed_out = "timed out";
    let question = words.question;
    let asked = || vec![good(), Say(words.greeting), Hear(question)];
    let then = |mut script: Vec<Step>, step| {
        script.push(step);
        script
    };
    vec![
        case("silent", vec![Silence], "TLS handshake", "no answer within"),
        case("gone", vec![], "TLS handshake", "out of reach"),
        case("plain-on-tls", vec![Say(words.greeting), Silence], "TLS handshake", "out of reach"),
        case("other-name", vec![tls(&ids.other_name), Silence], "TLS handshake", "could not be verified"),
        case("stranger", vec![tls(&ids.stranger), Silence], "TLS handshake", "could not be verified"),
        case("expired", vec![tls(&ids.expired), Silence], "TLS handshake", "could not be verified"),
        case("mute", vec![good(), Silence], "greeting", timed_out),
        case("slow", vec![good(), Drip(LONG_LINE)], "greeting", timed_out),
        case("gone-before-greeting", vec![good()], "greeting", "it hung up"),
        case("turned-away", vec![good(), Say(words.turned_away)], "greeting", "turned away"),
        case("long-line", vec![good(), Flood(LONG_LINE)], "greeting", "too long"),
        case("http", vec![good(), Say("HTTP/1.1 400 Bad Request\r\n\r\n"), Silence], "greeting", "protocol error"),
        case("mute-when-asked", then(asked(), Silence), question, timed_out),
        case("gone-when-asked", asked(), question, "it hung up"),
        case("endless-offer", then(asked(), Flood(words.endless_offer)), question, "protocol error"),
        case("long-offer", then(asked(), Flood(LONG_LINE)), question, "too long"),
        case("garbled", then(asked(), Say(words.refused_question)), question, "out of reach"),
    ]
}

/// Providers with STARTTLS.
fn starttls_cases(words: &Words, ids: &Identities) -> Vec<Case> {
    use Step::{Hear, Say, Silence, Tls};
    let tls = |identity: &Identity| Tls(identity.server.clone());
    let case = |name, script, state, reason| Case {
        name,
        start: Start::StartTls,
        script,
        state,
        reason,
        refusal: Refusal::Unavailable,
    };
    let (question, starttls) = (words.question, words.starttls);
    let offered = |steps: &[Step]| {
        let mut script = vec![Say(words.greeting), Hear(question), Say(words.offers_starttls), Hear(starttls)];
        script.extend_from_slice(steps);
        script
    };
    let unverified = "could not be verified";
    vec![
        case("tls-on-plain", vec![tls(&ids.good), Silence], "greeting", "timed out"),
        case(
            "not-offered",
            vec![Say(words.greeting), Hear(question), Say(words.offers_nothing), Silence],
            question,
            "no STARTTLS: not offered",
        ),
        case("not-today", offered(&[Say(words.no_tls), Silence]), starttls, "not today"),
        case("injected", offered(&[Say(words.go_ahead_and_more), tls(&ids.good), Silence]), starttls, "protocol error"),
        case("gone-at-starttls", offered(&[]), starttls, "it hung up"),
        case("mute-at-starttls", offered(&[Silence]), starttls, "timed out"),
        case("mute-at-handshake", offered(&[Say(words.go_ahead), Silence]), starttls, "no answer within"),
        case("gone-at-handshake", offered(&[Say(words.go_ahead)]), starttls, "out of reach"),
        case("no-handshake", offered(&[Say(words.go_ahead), Say(words.greeting), Silence]), starttls, "out of reach"),
        case("other-name-later", offered(&[Say(words.go_ahead), tls(&ids.other_name), Silence]), starttls, unverified),
        case("stranger-later", offered(&[Say(words.go_ahead), tls(&ids.stranger), Silence]), starttls, unverified),
        case("mute-under-tls", offered(&[Say(words.go_ahead), tls(&ids.good), Silence]), question, "timed out"),
    ]
}

async fn assert_nothing_leaks(protocol: Protocol, words: &Words, more: impl FnOnce(&Identities) -> Vec<Case>) {
    let ids = Identities {
        good: Identity::of("localhost"),
        other_name: Identity::of("mail.example.com"),
        stranger: Identity::of("localhost"),
        expired: Identity::expired("localhost"),
    };
    let mut cases = implicit_cases(words, &ids);
    cases.extend(starttls_cases(words, &ids));
    cases.extend(more(&ids));
    let mut plan = Plan::new().trust(&ids.good).trust(&ids.other_name).trust(&ids.expired).tune(|config| {
        config.upstream.tls_handshake_timeout = Duration::from_secs(1);
        config.upstream.login_timeout = Duration::from_millis(1200);
    });
    let mut fakes = Vec::new();
    for case in &cases {
        let fake = Fake::play(case.name, protocol, case.start, &case.script).await;
        plan = plan.fake(&fake);
        fakes.push(fake);
    }
    let lab = plan.start().await;
    let checks = cases.iter().zip(&fakes).map(|(case, fake)| {
        let lab = &lab;
        async move {
            let actor = lab.enrol(case.name, case.name, APP_PASSWORD).await;
            let (mut wire, answer) = lab.present(protocol, &actor.login, &actor.secret).await;
            assert_eq!(answer, refused(protocol, case.refusal), "{}", case.name);
            // The client may go on: it is asked for nothing but patience.
            let noop = wire.ask(if protocol == Protocol::Imap { "b NOOP" } else { "NOOP" }).await;
            assert!(noop.contains("OK"), "{}: {noop}", case.name);
            assert!(fake.connections() > 0, "{}", case.name);
            fake.all_closed().await;
            for part in [&actor.address, &actor.app_password, &actor.login, &actor.secret] {
                assert!(!fake.has_heard(part), "{}: the provider has heard {part}", case.name);
            }
        }
    });
    join_all(checks).await;

    let audit = lab.audit();
    for case in &cases {
        let event = audit.iter().find(|event| event["event"] == "upstream" && event["login"] == case.name).unwrap();
        assert_eq!(event["outcome"], "failed");
        let reason = event["reason"].as_str().unwrap();
        let state = format!("state=\"{}\"", case.state);
        assert!(reason.contains(&state) && reason.contains(case.reason), "{}: {reason}", case.name);
    }
    lab.log_in(protocol, &lab.alice).await;
}

/// One that goes wrong in the words of one protocol.
fn odd(
    identity: &Identity,
    name: &'static str,
    script: &[Step],
    (state, reason): (&'static str, &'static str),
) -> Case {
    let mut steps = vec![Step::Tls(identity.server.clone())];
    steps.extend_from_slice(script);
    Case { name, start: Start::Implicit, script: steps, state, reason, refusal: Refusal::Unavailable }
}

#[tokio::test]
async fn imap() {
    use Step::{Flood, Hear, Say, Silence};
    assert_nothing_leaks(Protocol::Imap, &IMAP, |ids| {
        let talkative = [Flood("* OK again\r\n")];
        let literal = [Say("* OK ready\r\n"), Hear("CAPABILITY"), Say("* X {99999999}\r\n"), Silence];
        let oauth_only = [Say("* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED] ready\r\n"), Silence];
        vec![
            odd(&ids.good, "pop3-here", &[Say("+OK ready\r\n"), Silence], ("greeting", "not IMAP")),
            odd(&ids.good, "preauth", &[Say("* PREAUTH welcome\r\n"), Silence], ("greeting", "PREAUTH")),
            odd(&ids.good, "talkative", &talkative, ("CAPABILITY", "")),
            odd(&ids.good, "huge-literal", &literal, ("CAPABILITY", "a literal is too long")),
            Case {
                refusal: Refusal::ContactAdmin,
                ..odd(&ids.good, "oauth-only", &oauth_only, ("greeting", "no usable login mechanism"))
            },
        ]
    })
    .await;
}

#[tokio::test]
async fn pop3() {
    use Step::{Flood, Hear, Say, Silence};
    assert_nothing_leaks(Protocol::Pop3, &POP3, |ids| {
        let oauth_only = [Say("+OK ready\r\n"), Hear("CAPA"), Say("+OK\r\nSASL XOAUTH2\r\n.\r\n"), Silence];
        vec![
            odd(&ids.good, "imap-here", &[Say("* OK ready\r\n"), Silence], ("greeting", "protocol error")),
            odd(&ids.good, "talkative", &[Flood("+OK ready\r\n")], ("CAPA", "")),
            Case {
                refusal: Refusal::ContactAdmin,
                ..odd(&ids.good, "oauth-only", &oauth_only, ("CAPA", "no usable login mechanism"))
            },
        ]
    })
    .await;
}

#[tokio::test]
async fn submission() {
    use Step::{Flood, Hear, Say, Silence};
    assert_nothing_leaks(Protocol::Submission, &SUBMISSION, |ids| {
        let oauth_only = [Say("220 mx\r\n"), Hear("EHLO"), Say("250-mx\r\n250 AUTH XOAUTH2\r\n"), Silence];
        vec![
            odd(&ids.good, "imap-here", &[Say("* OK ready\r\n"), Silence], ("greeting", "protocol error")),
            odd(&ids.good, "talkative", &[Flood("220-mx ready\r\n")], ("greeting", "protocol error")),
            odd(&ids.good, "closing", &[Say("421 4.3.2 closing\r\n"), Silence], ("greeting", "turned away")),
            Case {
                refusal: Refusal::ContactAdmin,
                ..odd(&ids.good, "oauth-only", &oauth_only, ("EHLO", "no usable login mechanism"))
            },
        ]
    })
    .await;
}
