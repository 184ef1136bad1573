//! Whatever comes in, and however it is cut: the same actions, and no panic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{client_options, log_in, server_options};
use crate::model::{Mechanism, Refusal};
use crate::proto::imap::{Client, Server};
use crate::proto::{Client as _, ClientAction, Goal, Server as _, ServerAction, ServerTls, UpstreamReady};

/// Pieces that mean something to a server, so that most inputs get past the first line.
const COMMANDS: [&[u8]; 27] = [
    b"a ",
    b"LOGIN ",
    b"a LOGIN user pass\r\n",
    b"a LOGIN {4}\r\nuser {4+}\r\npass\r\n",
    b"a AUTHENTICATE PLAIN\r\n",
    b"a AUTHENTICATE PLAIN AHUAcA==\r\n",
    b"a AUTHENTICATE LOGIN dQ==\r\n",
    b"AHUAcA==\r\n",
    b"dQ==\r\n",
    b"=\r\n",
    b"*\r\n",
    b"a ID (\"name\" {3+}\r\n",
    b"a NOOP\r\n",
    b"a CAPABILITY\n",
    b"a LOGOUT\r\n",
    b"a SELECT {3+}\r\n",
    b"a XYZZY {5}\r\n",
    b"{0+}\r\n",
    b"{3}\r\n",
    b"{99999999999999999999}\r\n",
    b"{9000+}\r\n",
    b"\"",
    b"\\",
    b" ",
    b"\r\n",
    b"\0",
    b"\xff",
];

/// The same for a client.
const REPLIES: [&[u8]; 25] = [
    b"* OK hello\r\n",
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n",
    b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\r\n",
    b"* OK ready. [TQBP]\r\n",
    b"* CAPABILITY IMAP4rev1 AUTH=LOGIN\r\n",
    b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n",
    b"* CAPABILITY IMAP4rev1\r\n",
    b"L1 OK done\r\n",
    b"L2 OK done\r\n",
    b"L3 OK [CAPABILITY IMAP4rev1 IDLE] done\r\n",
    b"L1 NO no\r\n",
    b"L2 BAD bad\r\n",
    b"+ \r\n",
    b"+ VXNlcm5hbWU6\r\n",
    b"+\r\n",
    b"* BYE bye\r\n",
    b"* 1 FETCH (BODY {3}\r\n",
    b"{0}\r\n",
    b"* ",
    b"L1 ",
    b"((((((((",
    b"\r\n",
    b"[ALERT]\xc3\xa9",
    b"\0",
    b"\xff",
];

fn stream(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..12),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Cuts the stream into chunks of these lengths, over and over.
fn chunks<'a>(stream: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = stream;
    lengths.iter().cycle().map_while(move |&length| {
        let (chunk, behind) = rest.split_at(length.clamp(1, rest.len().max(1)).min(rest.len()));
        rest = behind;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// What a server does with that input; what it leaves to the relay counts with what it never saw.
fn server_actions(stream: &[u8], lengths: &[usize], tls: ServerTls) -> Vec<String> {
    let mut server = Server::new(server_options(tls));
    let mut chunks = chunks(stream, lengths);
    let mut done = Vec::new();
    let mut decisions = 0;
    loop {
        match server.next_action() {
            ServerAction::Wait => match chunks.next() {
                Some(chunk) => server.receive(chunk),
                None => return done,
            },
            ServerAction::Send(bytes) => done.push(String::from_utf8_lossy(bytes.as_bytes()).into_owned()),
            ServerAction::Authenticate(attempt) => {
                done.push(format!("{attempt:?} {:?}", attempt.proof.expose()));
                decisions += 1;
                match decisions {
                    1 => server.refuse(Refusal::WrongCredentials),
                    _ => server.accept(&UpstreamReady::default()),
                }
            }
            ServerAction::StartTls => panic!("TLS is not on offer"),
            ServerAction::Relay { mut early } => {
                chunks.for_each(|chunk| early.extend(chunk));
                done.push(format!("relay {early:?}"));
                assert!(matches!(server.next_action(), ServerAction::Close));
                return done;
            }
            ServerAction::Close => {
                assert!(matches!(server.next_action(), ServerAction::Close));
                done.push("close".into());
                return done;
            }
        }
    }
}

fn client_actions(stream: &[u8], lengths: &[usize], goal: Goal) -> Vec<String> {
    let mut client = Client::new(goal, client_options(false));
    let mut chunks = chunks(stream, lengths);
    let mut done = Vec::new();
    loop {
        match client.next_action() {
            ClientAction::Wait => match chunks.next() {
                Some(chunk) => client.receive(chunk),
                None => return done,
            },
            ClientAction::Send(bytes) => done.push(String::from_utf8_lossy(bytes.as_bytes()).into_owned()),
            ClientAction::StartTls => panic!("TLS is on already"),
            ClientAction::Ready(UpstreamReady { keywords, mut early }) => {
                // A probe leaves without looking; its bytes are nobody's.
                chunks.for_each(|chunk| early.extend(chunk));
                done.push(format!("ready {keywords:?} {early:?}"));
                return done;
            }
            ClientAction::Fail(failure) => {
                done.push(format!("fail {failure}"));
                return done;
            }
        }
    }
}

proptest! {
    #[test]
    fn a_server_does_the_same_however_the_stream_is_cut(
        stream in stream(&COMMANDS),
        lengths in vec(1_usize..40, 1..8),
        absent in any::<bool>(),
    ) {
        let tls = if absent { ServerTls::Absent } else { ServerTls::Active };
        let whole = server_actions(&stream, &[usize::MAX], tls);
        prop_assert_eq!(&server_actions(&stream, &[1], tls), &whole);
        prop_assert_eq!(&server_actions(&stream, &lengths, tls), &whole);
    }

    #[test]
    fn a_client_does_the_same_however_the_stream_is_cut(
        stream in stream(&REPLIES),
        lengths in vec(1_usize..40, 1..8),
        fallback in any::<bool>(),
    ) {
        let mechanisms: &[_] = if fallback { &[] } else { &[Mechanism::Login, Mechanism::Plain] };
        let goal = log_in("scan", "geh\u{e4}im".as_bytes(), mechanisms);
        let whole = client_actions(&stream, &[usize::MAX], goal.clone());
        prop_assert_eq!(&client_actions(&stream, &[1], goal.clone()), &whole);
        prop_assert_eq!(&client_actions(&stream, &lengths, goal), &whole);
    }

    #[test]
    fn no_stream_makes_a_dialogue_that_starts_tls_panic(
        client_says in stream(&COMMANDS),
        provider_says in stream(&REPLIES),
    ) {
        let mut server = Server::new(server_options(ServerTls::Offered));
        let mut client = Client::new(log_in("scan", b"geheim", &Mechanism::ALL), client_options(true));
        server.receive(&client_says);
        client.receive(&provider_says);
        for _ in 0..200 {
            if let ServerAction::StartTls = server.next_action() {
                server.tls_started();
            }
            match client.next_action() {
                ClientAction::StartTls => client.tls_started(),
                ClientAction::Send(bytes) => {
                    let sent = String::from_utf8_lossy(bytes.as_bytes()).into_owned();
                    prop_assert!(!sent.contains("geheim") && !sent.contains("Z2VoZWlt"), "a password before TLS");
                }
                _ => {}
            }
        }
    }
}
