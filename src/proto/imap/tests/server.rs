//! What a transcript cannot show: limits, bytes across STARTTLS, states, and secrets.

use super::server_options;
use crate::model::Refusal;
use crate::proto::imap::Server;
use crate::proto::{Goodbye, Server as _, ServerAction, ServerLimits, ServerTls, UpstreamReady};

fn server(tls: ServerTls, limits: ServerLimits) -> Server {
    let mut server = Server::new(crate::proto::ServerOptions { limits, ..server_options(tls) });
    assert!(text(&mut server).starts_with("* OK [CAPABILITY IMAP4rev1 "));
    server
}

fn active() -> Server {
    server(ServerTls::Active, ServerLimits::default())
}

fn small() -> ServerLimits {
    ServerLimits {
        line_bytes_max: 64,
        literal_bytes_max: 16,
        total_bytes_max: 200,
        refusals_max: 3,
        bad_commands_max: 4,
    }
}

/// All that is sent until something else is to be done, which stays undone.
fn text(server: &mut Server) -> String {
    match server.next_action() {
        ServerAction::Send(bytes) => String::from_utf8(bytes.as_bytes().to_vec()).unwrap(),
        ServerAction::Wait => String::new(),
        other => panic!("{other:?}"),
    }
}

fn say(server: &mut Server, bytes: impl AsRef<[u8]>) -> String {
    server.receive(bytes.as_ref());
    text(server)
}

fn assert_closed(server: &mut Server) {
    for _ in 0..3 {
        assert!(matches!(server.next_action(), ServerAction::Close));
        server.receive(b"a NOOP\r\n");
    }
}

fn assert_authenticates(server: &mut Server) {
    assert!(matches!(server.next_action(), ServerAction::Authenticate(_)));
    assert!(matches!(server.next_action(), ServerAction::Wait), "nothing more until it is decided");
}

#[test]
fn bytes_behind_starttls_end_the_dialogue() {
    for behind in ["a2 LOGIN scan geheim\r\n", "x", "\r\n"] {
        let mut server = server(ServerTls::Offered, ServerLimits::default());
        assert_eq!(say(&mut server, format!("a1 STARTTLS\r\n{behind}")), "* BYE Nothing may follow STARTTLS\r\n");
        assert_closed(&mut server);
    }
}

#[test]
fn bytes_between_starttls_and_the_handshake_end_the_dialogue() {
    let mut server = server(ServerTls::Offered, ServerLimits::default());
    assert_eq!(say(&mut server, "a1 STARTTLS\r\n"), "a1 OK Begin TLS\r\n");
    assert!(matches!(server.next_action(), ServerAction::StartTls));
    server.receive(b"a2 NOOP\r\n");
    server.tls_started();
    assert_closed(&mut server);
}

#[test]
fn what_was_said_in_clear_does_not_count_under_tls() {
    let mut server = server(ServerTls::Offered, small());
    let bad = |server: &mut Server| assert_eq!(say(server, "a XYZZY\r\n"), "a BAD Unknown command\r\n");
    (0..3).for_each(|_| bad(&mut server));
    say(&mut server, "a STARTTLS\r\n");
    assert!(matches!(server.next_action(), ServerAction::StartTls));
    server.tls_started();
    (0..4).for_each(|_| bad(&mut server));
    assert_eq!(text(&mut server), "* BYE Too many bad commands\r\n");
    assert_closed(&mut server);
}

#[test]
fn lines_are_bounded_everywhere() {
    let long = "x".repeat(64);
    for before in ["", "a AUTHENTICATE PLAIN\r\n", "a LOGIN {1+}\r\nx", "a ID {0+}\r\n"] {
        let mut server = server(ServerTls::Active, small());
        server.receive(before.as_bytes());
        let mut sent = say(&mut server, &long);
        if sent == "+ \r\n" {
            sent = text(&mut server);
        }
        assert_eq!(sent, "* BYE Line is too long\r\n", "behind {before:?}");
        assert_closed(&mut server);
    }
}

#[test]
fn literals_are_bounded_and_never_asked_for_beyond_that() {
    for line in ["a LOGIN {17}", "a LOGIN scan {17}", "a ID (\"name\" {17}", "a LOGIN {99999999999999999999999}"] {
        let mut server = server(ServerTls::Active, small());
        let sent = say(&mut server, format!("{line}\r\n"));
        assert_eq!(sent, "a NO [TOOBIG] Literal is too long\r\n", "{line}");
        assert_eq!(say(&mut server, "b NOOP\r\n"), "b OK NOOP completed\r\n");
    }
    for line in ["a LOGIN {17+}", "a ID ({17+}", "a XYZZY {17+}", "{17+}", "a NOOP {99999999999999999999999+}"] {
        let mut server = server(ServerTls::Active, small());
        assert_eq!(say(&mut server, format!("{line}\r\n")), "* BYE Literal is too long\r\n", "{line}");
        assert_closed(&mut server);
    }
}

#[test]
fn all_bytes_before_login_are_bounded() {
    let mut server = server(ServerTls::Active, small());
    for _ in 0..25 {
        assert_eq!(say(&mut server, "a NOOP\r\n"), "a OK NOOP completed\r\n");
    }
    assert_eq!(say(&mut server, "a NOOP\r\n"), "* BYE Too much was sent before login\r\n");
    assert_closed(&mut server);
}

#[test]
fn what_is_pipelined_behind_a_login_counts_for_nothing_and_is_kept() {
    let mut server = server(ServerTls::Active, small());
    let behind = "b APPEND INBOX {900+}\r\n".repeat(100);
    server.receive(format!("a LOGIN scan geheim\r\n{behind}").as_bytes());
    assert_authenticates(&mut server);
    server.accept(&UpstreamReady::default());
    assert_eq!(text(&mut server), "a OK Logged in\r\n");
    let ServerAction::Relay { early } = server.next_action() else { panic!("no relay") };
    assert_eq!(early, behind.as_bytes());
    assert_closed(&mut server);
}

#[test]
fn the_last_refusal_is_told_before_goodbye() {
    let mut server = server(ServerTls::Active, small());
    for left in (0..3).rev() {
        server.receive(b"a LOGIN scan geheim\r\n");
        assert_authenticates(&mut server);
        server.refuse(Refusal::WrongCredentials);
        assert_eq!(text(&mut server), "a NO [AUTHENTICATIONFAILED] Login or password is wrong\r\n");
        assert_eq!(server.state(), if left == 0 { "over" } else { "command" });
    }
    assert_eq!(text(&mut server), "* BYE Too many refused logins\r\n");
    assert_closed(&mut server);
}

#[test]
fn goodbye_is_said_in_every_state() {
    let states = [
        ("", "command"),
        ("a LOGIN scan {6+}\r\n", "LOGIN literal"),
        ("a ID ({6+}\r\n", "literal"),
        ("a AUTHENTICATE PLAIN\r\n", "AUTHENTICATE PLAIN"),
        ("a AUTHENTICATE LOGIN\r\n", "AUTHENTICATE LOGIN"),
        ("a LOGIN scan geheim\r\n", "deciding"),
    ];
    for (before, state) in states {
        let mut server = active();
        server.receive(before.as_bytes());
        while !matches!(server.next_action(), ServerAction::Wait) {}
        assert_eq!(server.state(), state);
        server.shut_down(Goodbye::Draining);
        assert_eq!(text(&mut server), "* BYE [UNAVAILABLE] Server is being stopped, try again later\r\n");
        server.accept(&UpstreamReady::default());
        server.refuse(Refusal::Unavailable);
        assert_closed(&mut server);
    }
}

#[test]
fn goodbye_before_the_greeting_is_the_greeting() {
    let mut server = Server::new(server_options(ServerTls::Active));
    assert_eq!(server.state(), "greeting");
    server.shut_down(Goodbye::Draining);
    assert_eq!(text(&mut server), "* BYE [UNAVAILABLE] Server is being stopped, try again later\r\n");
    assert_closed(&mut server);
}

#[test]
fn goodbye_takes_back_what_was_not_begun() {
    let mut server = active();
    server.receive(b"a LOGIN scan geheim\r\n");
    assert_authenticates(&mut server);
    server.accept(&UpstreamReady::default());
    server.shut_down(Goodbye::TimedOut);
    assert_eq!(text(&mut server), "a OK Logged in\r\n");
    assert_eq!(text(&mut server), "* BYE Login took too long\r\n");
    assert_closed(&mut server);
}

#[test]
fn there_are_no_words_half_way_into_tls() {
    let mut server = server(ServerTls::Offered, ServerLimits::default());
    say(&mut server, "a STARTTLS\r\n");
    server.shut_down(Goodbye::Draining);
    assert_closed(&mut server);
}

#[test]
fn decisions_that_nobody_waits_for_change_nothing() {
    let mut server = active();
    server.accept(&UpstreamReady::default());
    server.refuse(Refusal::WrongCredentials);
    server.tls_started();
    assert_closed(&mut server);
    let mut server = active();
    server.accept(&UpstreamReady::default());
    server.refuse(Refusal::WrongCredentials);
    assert_eq!(say(&mut server, "a NOOP\r\n"), "a OK NOOP completed\r\n");
}

#[test]
fn what_the_upstream_says_cannot_break_the_line() {
    let mut server = active();
    server.receive(b"a LOGIN scan geheim\r\n");
    assert_authenticates(&mut server);
    let keywords = ["IMAP4rev1", "X]Y", "", "A B", "A\r\n* BYE", "auth=xoauth2", "sasl-ir", "\u{e9}", "IDLE"];
    server.accept(&UpstreamReady { keywords: keywords.map(str::to_owned).to_vec(), early: Vec::new() });
    assert_eq!(text(&mut server), "a OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n");
}

#[test]
fn debug_shows_no_password_in_any_state() {
    for line in ["a LOGIN scan geheim", "a LOGIN scan {6+}\r\ngeheim", "a AUTHENTICATE PLAIN AHNjYW4AZ2VoZWlt\r\n"] {
        let mut server = active();
        server.receive(line.as_bytes());
        let before = format!("{server:?}");
        let action = format!("{:?}", server.next_action());
        let after = format!("{server:?} {action}");
        for shown in [before, after] {
            assert!(!shown.contains("geheim") && !shown.contains("Z2VoZWlt"), "{shown}");
            assert!(!shown.contains("103, 101, 104"), "{shown}");
        }
    }
}
