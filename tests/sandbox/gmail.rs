//! Gmail's own words.

use data_encoding::BASE64;
use locum::model::Protocol;
use locum::sandbox::{Behaviour, Face};

use crate::support::{ALICE, PASSWORD, Provider};

fn plain(password: &str) -> String {
    BASE64.encode(format!("\0{ALICE}\0{password}").as_bytes())
}

#[tokio::test]
async fn imap_greets_logs_in_and_refuses() {
    let provider = Provider::new(Face::Gmail);
    let (mut wire, greeting) = provider.wire(Protocol::Imap).await;
    assert!(greeting.starts_with("* OK Gimap ready for requests from 127.0.0.1 "), "{greeting}");
    let capability = wire.imap("CAPABILITY").await;
    assert_eq!(
        capability[0],
        "* CAPABILITY IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 XYZZY SASL-IR AUTH=XOAUTH2 AUTH=PLAIN AUTH=PLAIN-CLIENTTOKEN AUTH=OAUTHBEARER AUTH=XOAUTH"
    );
    assert!(capability[1].starts_with("T OK Thats all she wrote! "));
    let refused = wire.imap(&format!("AUTHENTICATE PLAIN {}", plain("wrong"))).await;
    assert_eq!(refused, ["T NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"]);
    assert_eq!(wire.ask("T AUTHENTICATE PLAIN").await, "+ ", "the blank must be there");
    assert_eq!(wire.ask("*").await, "T BAD Authentication canceled");
}

#[tokio::test]
async fn imap_tells_its_capabilities_with_the_login() {
    let provider = Provider::new(Face::Gmail);
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    wire.write(b"T AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(wire.line().await, "+ ");
    wire.write(format!("{}\r\n", plain(PASSWORD)).as_bytes()).await;
    let lines = wire.until(|line| line.starts_with("T ")).await;
    assert_eq!(
        lines,
        [
            "* CAPABILITY IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN UIDPLUS MOVE LITERAL- SPECIAL-USE",
            &format!("T OK {ALICE} authenticated (Success)")
        ]
    );
}

#[tokio::test]
async fn each_refusal_has_its_words() {
    let provider = Provider::new(Face::Gmail);
    let cases = [
        (
            Behaviour::ApplicationPasswordRequired,
            "T NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)",
            "-ERR [AUTH] Application-specific password required",
            "534-5.7.9 Application-specific password required. ",
        ),
        (
            Behaviour::WebLoginRequired,
            "* NO [WEBALERT https://accounts.google.com/signin/continue] Web login required.",
            "-ERR [AUTH] Please log in via your web browser: ",
            "534-5.7.14 ",
        ),
        (
            Behaviour::TooManyConnections,
            "T NO [ALERT] Too many simultaneous connections. (Failure)",
            "+OK Welcome.",
            "235 2.7.0 Accepted",
        ),
        (Behaviour::TooManyLoginAttempts, "* CAPABILITY ", "+OK Welcome.", "454-4.7.0 Too many login attempts"),
        (
            Behaviour::ServerUnavailable,
            "T NO [UNAVAILABLE] ",
            "-ERR [SYS/TEMP] ",
            "454 4.7.0 Cannot authenticate due to a temporary system problem",
        ),
    ];
    for (behaviour, imap, pop3, submission) in cases {
        provider.sandbox.set_behaviour(ALICE, behaviour);
        let (mut wire, _) = provider.wire(Protocol::Imap).await;
        let lines = wire.imap(&format!("LOGIN {ALICE} {PASSWORD}")).await;
        assert!(lines[0].starts_with(imap), "{behaviour:?}: {lines:?}");
        let (mut wire, _) = provider.wire(Protocol::Pop3).await;
        assert_eq!(wire.ask(&format!("USER {ALICE}")).await, "+OK");
        let line = wire.ask(&format!("PASS {PASSWORD}")).await;
        assert!(line.starts_with(pop3), "{behaviour:?}: {line}");
        let (mut wire, _) = provider.wire(Protocol::Submission).await;
        wire.smtp("EHLO x").await;
        let lines = wire.smtp(&format!("AUTH PLAIN {}", plain(PASSWORD))).await;
        assert!(lines[0].starts_with(submission), "{behaviour:?}: {lines:?}");
    }
}

#[tokio::test]
async fn a_bad_token_is_explained_before_it_is_refused() {
    let provider = Provider::new(Face::Gmail);
    let blob = BASE64.encode(format!("user={ALICE}\x01auth=Bearer t\x01\x01").as_bytes());
    let (mut wire, _) = provider.wire(Protocol::Imap).await;
    let challenge = wire.ask(&format!("T AUTHENTICATE XOAUTH2 {blob}")).await;
    let challenge = BASE64.decode(challenge.strip_prefix("+ ").unwrap().as_bytes()).unwrap();
    assert_eq!(challenge, br#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#);
    assert_eq!(wire.ask("").await, "T NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)");
    let (mut wire, _) = provider.wire(Protocol::Submission).await;
    wire.smtp("EHLO x").await;
    assert!(wire.ask(&format!("AUTH XOAUTH2 {blob}")).await.starts_with("334 eyJ"));
    assert!(wire.ask("").await.starts_with("535-5.7.8 Username and Password not accepted. "));
    wire.line().await;
    let long = "A".repeat(600);
    assert!(
        wire.ask(&format!("AUTH XOAUTH2 {long}")).await.starts_with("555-5.5.2 Syntax error, command line too long")
    );
}
