//! Dialogues with providers that wait for a credential before they go on, in all three protocols alike. For tests.

use super::*;
use crate::model::CredentialKind;

/// A provider that offers PLAIN: what it says, and what it is asked until then.
const PROVIDERS: [(Protocol, &str, &str); 3] = [
    (Protocol::Imap, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n", ""),
    (Protocol::Pop3, "+OK hi\r\n+OK\r\nSASL PLAIN\r\n.\r\n", "CAPA\r\n"),
    (Protocol::Submission, "220 hi\r\n250-mx\r\n250 AUTH PLAIN\r\n", "EHLO locum.example.com\r\n"),
];

/// What the dialogue sends before it does something else, and that.
fn until_another(dialogue: &mut dyn Client) -> (String, ClientAction) {
    let mut sent = String::new();
    loop {
        match dialogue.next_action() {
            ClientAction::Send(bytes) => sent += std::str::from_utf8(bytes.as_bytes()).unwrap(),
            other => return (sent, other),
        }
    }
}

/// One that waits, behind what the provider says.
fn waiting((protocol, said, asked): (Protocol, &str, &str)) -> Box<dyn Client> {
    let options =
        ClientOptions { starttls: false, name: "locum.example.com".to_owned(), limits: ClientLimits::default() };
    let mut dialogue = client(protocol, Goal::Wait, options);
    dialogue.receive(said.as_bytes());
    let (sent, then) = until_another(dialogue.as_mut());
    assert_eq!(sent, asked);
    assert!(matches!(then, ClientAction::Ready(_)), "{then:?}");
    assert!(matches!(dialogue.next_action(), ClientAction::Wait));
    dialogue
}

fn log_in(identity: &str) -> Goal {
    let (identity, secret) = (identity.to_owned(), Secret::new("app-password"));
    let credentials = Credentials { identity, secret, kind: CredentialKind::AppPassword };
    Goal::LogIn { credentials, mechanisms: vec![Mechanism::Plain] }
}

#[test]
fn a_login_goes_on_from_where_it_waited() {
    let ends = ["L1 OK [CAPABILITY IMAP4rev1] in\r\n", "+ \r\n+OK in\r\n", "235 2.7.0 in\r\n"];
    for (provider, end) in PROVIDERS.into_iter().zip(ends) {
        let mut dialogue = waiting(provider);
        assert!(dialogue.go_on(log_in("scan")));
        let (sent, then) = until_another(dialogue.as_mut());
        assert!(sent.contains("AUTH") && matches!(then, ClientAction::Wait), "{sent} {then:?}");
        dialogue.receive(end.as_bytes());
        let (_, then) = until_another(dialogue.as_mut());
        assert!(matches!(then, ClientAction::Ready(_)), "{then:?}");
    }
}

#[test]
fn it_waits_behind_starttls_and_not_before() {
    let clear = [
        "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\nL1 OK go\r\n",
        "+OK hi\r\n+OK\r\nSTLS\r\nSASL PLAIN\r\n.\r\n+OK go\r\n",
        "220 hi\r\n250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n220 go\r\n",
    ];
    let secured = [
        "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nL2 OK\r\n",
        "+OK\r\nSASL PLAIN\r\n.\r\n",
        "250-mx\r\n250 AUTH PLAIN\r\n",
    ];
    for (protocol, (clear, secured)) in Protocol::ALL.into_iter().zip(clear.into_iter().zip(secured)) {
        let options = ClientOptions { starttls: true, name: "locum".to_owned(), limits: ClientLimits::default() };
        let mut dialogue = client(protocol, Goal::Wait, options);
        dialogue.receive(clear.as_bytes());
        let (_, then) = until_another(dialogue.as_mut());
        assert!(matches!(then, ClientAction::StartTls), "{protocol}: {then:?}");
        dialogue.tls_started();
        dialogue.receive(secured.as_bytes());
        let (_, then) = until_another(dialogue.as_mut());
        assert!(matches!(then, ClientAction::Ready(_)), "{protocol}: {then:?}");
        assert!(dialogue.go_on(log_in("scan")));
        assert!(until_another(dialogue.as_mut()).0.contains("AUTH"), "{protocol}");
    }
}

#[test]
fn one_that_nobody_needs_says_goodbye() {
    for (provider, goodbye) in PROVIDERS.into_iter().zip(["L1 LOGOUT\r\n", "QUIT\r\n", "QUIT\r\n"]) {
        let mut dialogue = waiting(provider);
        assert!(dialogue.go_on(Goal::Probe));
        let (sent, then) = until_another(dialogue.as_mut());
        assert_eq!(sent, goodbye);
        assert!(matches!(then, ClientAction::Ready(_)), "{then:?}");
    }
}

#[test]
fn nothing_is_sent_behind_what_was_said_meanwhile_nor_out_of_place() {
    for provider in PROVIDERS {
        let mut told = waiting(provider);
        told.receive(b"* BYE\r\n");
        assert!(!told.go_on(log_in("scan")));

        let mut twice = waiting(provider);
        assert!(twice.go_on(log_in("scan")));
        let _ = until_another(twice.as_mut());
        assert!(!twice.go_on(log_in("scan")));

        let mut hostile = waiting(provider);
        assert!(hostile.go_on(log_in("scan\r\nQUIT")));

        for mut dialogue in [told, twice, hostile] {
            let (sent, then) = until_another(dialogue.as_mut());
            assert_eq!(sent, "");
            assert!(matches!(then, ClientAction::Fail(ClientFailure::Protocol(_))), "{then:?}");
        }
    }
}
