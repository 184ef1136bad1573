//! What a transcript cannot show: limits, bytes across STARTTLS, states, and secrets.

use super::{client_options, log_in};
use crate::model::Mechanism;
use crate::proto::imap::Client;
use crate::proto::{Client as _, ClientAction, ClientFailure, Goal};

const PLAIN: &[Mechanism] = &[Mechanism::Plain];

fn client(starttls: bool) -> Client {
    Client::new(log_in("scan", b"geheim", PLAIN), client_options(starttls))
}

/// Everything it does until it waits or ends, in one line each.
fn after(client: &mut Client, bytes: impl AsRef<[u8]>) -> Vec<String> {
    client.receive(bytes.as_ref());
    let mut done = Vec::new();
    loop {
        match client.next_action() {
            ClientAction::Wait => return done,
            ClientAction::Send(bytes) => {
                done.push(String::from_utf8_lossy(bytes.as_bytes()).trim_ascii_end().to_owned());
            }
            ClientAction::StartTls => {
                done.push("starttls".into());
                return done;
            }
            ClientAction::Ready(ready) => {
                done.push(format!("ready {}", ready.keywords.join(" ")));
                return done;
            }
            ClientAction::Fail(failure) => {
                done.push(failure.to_string());
                return done;
            }
        }
    }
}

#[test]
fn bytes_behind_the_reply_to_starttls_end_the_dialogue() {
    let mut injected = client(true);
    let greeting = "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n";
    assert_eq!(after(&mut injected, greeting), ["L1 STARTTLS"]);
    let sent = after(&mut injected, "L1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
    assert_eq!(sent, ["protocol error: bytes behind the reply to STARTTLS"]);

    let mut late = client(true);
    after(&mut late, greeting);
    assert_eq!(after(&mut late, "L1 OK go\r\n"), ["starttls"]);
    late.receive(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n");
    late.tls_started();
    assert_eq!(after(&mut late, ""), ["protocol error: bytes behind the reply to STARTTLS"]);
}

#[test]
fn nothing_learnt_before_tls_is_believed_under_it() {
    let mut client = client(true);
    after(&mut client, "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] hi\r\n");
    assert_eq!(after(&mut client, "* CAPABILITY AUTH=PLAIN SASL-IR\r\nL1 OK go\r\n"), ["starttls"]);
    client.tls_started();
    assert_eq!(after(&mut client, ""), ["L2 CAPABILITY"]);
    let sent = after(&mut client, "* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2\r\nL2 OK\r\n");
    assert_eq!(sent, ["no usable login mechanism: offers LOGINDISABLED AUTH=XOAUTH2"]);
}

#[test]
fn control_characters_of_our_own_are_never_sent() {
    for (identity, password) in [("scan", "x\r\nL9 DELETE INBOX"), ("a\nb", "x"), ("scan", "nul\0"), ("a\x7f", "x")] {
        for mechanisms in [PLAIN, &[Mechanism::Login], &[]] {
            let goal = log_in(identity, password.as_bytes(), mechanisms);
            let mut client = Client::new(goal, client_options(false));
            let sent = after(&mut client, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN SASL-IR] hi\r\n");
            assert_eq!(sent, ["protocol error: our own credential has control characters"]);
        }
    }
}

#[test]
fn no_credential_goes_out_before_capabilities_are_known() {
    let mut client = client(false);
    assert_eq!(after(&mut client, "* OK hi\r\n"), ["L1 CAPABILITY"]);
    assert_eq!(after(&mut client, "L1 OK done\r\n"), ["protocol error: CAPABILITY has no answer"]);
}

#[test]
fn replies_are_bounded() {
    let mut talkative = client(false);
    after(&mut talkative, "* OK hi\r\n");
    assert!(after(&mut talkative, "* 1 EXISTS\r\n".repeat(128)).is_empty());
    assert_eq!(after(&mut talkative, "* 1 EXISTS\r\n"), ["protocol error: a reply has too many lines"]);

    let mut long = client(false);
    assert!(after(&mut long, [b'x'; 16 * 1024 - 1]).is_empty());
    assert_eq!(after(&mut long, "x"), ["protocol error: a line is too long"]);

    let mut literal = client(false);
    after(&mut literal, "* OK hi\r\n");
    assert_eq!(after(&mut literal, "* LIST () NIL {16385}\r\n"), ["protocol error: a literal is too long"]);
}

#[test]
fn the_lines_of_each_reply_are_counted_anew() {
    let mut client = client(false);
    after(&mut client, "* OK hi\r\n");
    let many = "* 1 EXISTS\r\n".repeat(100);
    after(&mut client, format!("{many}* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nL1 OK\r\n"));
    after(&mut client, format!("{many}L2 OK\r\n"));
    assert_eq!(after(&mut client, format!("{many}* CAPABILITY IMAP4rev1\r\nL3 OK\r\n")), ["ready IMAP4rev1"]);
}

#[test]
fn what_is_in_a_literal_is_no_reply() {
    let mut client = client(false);
    after(&mut client, "* OK hi\r\n");
    let sneaky = "* BYE x\r\nL1 OK\r\n";
    let sent = after(&mut client, format!("* LIST () NIL {{{}}}\r\n{sneaky} {{0}}\r\nL1 NO x\r\n", sneaky.len()));
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(client.state(), "CAPABILITY");
    let sent = after(&mut client, "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nL1 OK\r\n");
    assert_eq!(sent, ["no usable login mechanism: offers LOGINDISABLED"]);
}

#[test]
fn what_is_not_imap_is_a_protocol_error() {
    for greeting in ["HTTP/1.1 400 Bad Request", "220 mail ESMTP", "+OK POP3 ready", "* NO go away", "L0 OK hi", ""] {
        let sent = after(&mut client(false), format!("{greeting}\r\n"));
        assert_eq!(sent, ["protocol error: the greeting is not IMAP"], "{greeting}");
    }
    let mut stranger = client(false);
    after(&mut stranger, "* OK hi\r\n");
    assert_eq!(after(&mut stranger, "A7 OK done\r\n"), ["protocol error: a reply to no command of ours"]);
    for line in ["%$ )*( no protocol", "HTTP/1.1 400 Bad Request", "L1 OKAY done", "-ERR what"] {
        let mut broken = client(false);
        after(&mut broken, "* OK hi\r\n");
        // News of any kind, and blank lines, are passed over.
        assert!(after(&mut broken, "\r\n* 5 EXISTS\r\n* X-NEWS (\"a\")\r\n").is_empty());
        // What is none would be waited behind until the time for a login is over.
        assert_eq!(after(&mut broken, format!("{line}\r\n")), ["protocol error: a line that is not IMAP"], "{line}");
    }
}

#[test]
fn challenges_without_end_are_not_answered_for_ever() {
    let mut client = client(false);
    after(&mut client, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n");
    assert_eq!(after(&mut client, "+ \r\n"), ["AHNjYW4AZ2VoZWlt"]);
    assert_eq!(after(&mut client, "+ \r\n"), ["*"]);
    assert_eq!(client.state(), "AUTHENTICATE cancelled");
    assert_eq!(after(&mut client, "+ \r\n"), ["protocol error: a continuation that nothing asked for"]);
}

#[test]
fn states_have_names() {
    let mut plain = client(false);
    assert_eq!(plain.state(), "greeting");
    after(&mut plain, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n");
    assert_eq!(plain.state(), "AUTHENTICATE PLAIN");
    after(&mut plain, "L1 OK\r\n");
    assert_eq!(plain.state(), "CAPABILITY after login");
    after(&mut plain, "* CAPABILITY IMAP4rev1\r\nL2 OK\r\n");
    assert_eq!(plain.state(), "over");
    assert!(matches!(plain.next_action(), ClientAction::Fail(ClientFailure::Protocol("the dialogue is over"))));

    let mut fallback = Client::new(log_in("scan", b"geheim", &[]), client_options(true));
    after(&mut fallback, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    assert_eq!(fallback.state(), "STARTTLS");
    after(&mut fallback, "L1 OK\r\n");
    fallback.tls_started();
    assert_eq!(after(&mut fallback, ""), ["L2 CAPABILITY"]);
    after(&mut fallback, "* CAPABILITY IMAP4rev1\r\nL2 OK\r\n");
    assert_eq!(fallback.state(), "LOGIN command");
}

#[test]
fn a_probe_needs_no_credential() {
    let mut client = Client::new(Goal::Probe, client_options(false));
    let sent = after(&mut client, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n");
    assert_eq!(sent, ["L1 LOGOUT", "ready IMAP4rev1 AUTH=PLAIN"]);
}

#[test]
fn debug_shows_no_password_in_any_state() {
    let greetings = [
        "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n",
        "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n",
        "* OK [CAPABILITY IMAP4rev1] hi\r\n",
    ];
    for greeting in greetings {
        let mut client = client(false);
        let before = format!("{client:?}");
        client.receive(greeting.as_bytes());
        let action = format!("{:?}", client.next_action());
        for shown in [before, action, format!("{client:?}")] {
            assert!(!shown.contains("geheim") && !shown.contains("Z2VoZWlt"), "{shown}");
            assert!(!shown.contains("103, 101, 104"), "{shown}");
        }
    }
}

#[test]
fn a_quoted_credential_is_masked() {
    let quoting = |capabilities: &str, secret: &[u8], reply: &str| {
        let mut client = Client::new(log_in("scan", secret, PLAIN), client_options(false));
        let sent = after(&mut client, format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] hi\r\n")).pop().unwrap();
        let said = after(&mut client, format!("L1 {reply} {sent}\r\n")).pop().unwrap();
        (sent, said)
    };
    let (_, said) = quoting("AUTH=PLAIN SASL-IR", b"geheim12", "NO what?");
    assert_eq!(said, format!("refused: NO what? L1 AUTHENTICATE PLAIN {}", "*".repeat(20)));
    let (sent, said) = quoting("X", b"ge\"h\\m1", "BAD what?");
    assert_eq!(sent, r#"L1 LOGIN "scan" "ge\"h\\m1""#);
    assert_eq!(said, format!("refused: BAD what? L1 LOGIN \"scan\" {}", "*".repeat(11)));
}
