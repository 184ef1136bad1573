//! Whatever the peer sends and however it is cut: the same acts, no panic, and an end within bounds.

use locum::model::{CredentialKind, Mechanism, Protocol, Refusal, Secret};
use locum::proto::{ClientLimits, Goal, ServerLimits, ServerTls};
use locum::sasl::Credentials;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::script::{Line, Setup, client_options, scripts, server_options};
use crate::wire::{Act, Cut, Wire};

/// Words that no transcript has, so that they can only come from the credential.
const IDENTITY: &str = "scan@example.com";
const PASSWORD: &str = "sesame sesame";
const TOKEN: &str = "sesame.sesame";

fn credentials(kind: CredentialKind) -> Credentials {
    let secret = match kind {
        CredentialKind::AppPassword => PASSWORD,
        CredentialKind::OAuth2 => TOKEN,
    };
    Credentials { identity: IDENTITY.into(), secret: Secret::new(secret), kind }
}

/// By whatever presents it.
fn log_in(kind: CredentialKind) -> Goal {
    Goal::LogIn { credentials: credentials(kind), mechanisms: Mechanism::ALL.to_vec() }
}

/// Everything that the side does with these bytes, as one text.
fn trace(setup: &Setup, protocol: Protocol, bytes: &[u8], cut: Cut) -> String {
    let mut wire = Wire::new(setup.side(protocol), cut);
    wire.put(bytes);
    let mut trace = String::new();
    loop {
        wire.drive();
        trace.push_str(&String::from_utf8_lossy(&wire.said));
        wire.said.clear();
        assert!(!wire.state().is_empty());
        let Some(mut act) = wire.take_act() else { return trace };
        if let (Setup::Client(Goal::Probe, _), Act::Ready(ready)) = (setup, &mut act) {
            // Nobody reads what comes behind a probe.
            ready.early.clear();
        }
        trace.push_str(&format!("! {}\n", act.words()));
        match act {
            Act::StartTls => wire.tls_started(),
            // Some are let in and some are not; by what they sent, so that it does not depend on the cut.
            Act::Authenticate(attempt) => match attempt.proof.expose().len() % 7 {
                of @ 0..=4 => wire.refuse(Refusal::ALL[of]),
                _ => wire.accept(vec!["IMAP4rev1".to_owned()]),
            },
            // The same by what was said and heard so far, which does not depend on it either.
            Act::Recognise => match trace.len() % 7 {
                of @ 0..=4 => wire.refuse(Refusal::ALL[of]),
                _ => wire.accept(Vec::new()),
            },
            Act::ChangePeer(_) => match trace.len() % 5 {
                0 => wire.refuse(Refusal::LimitReached),
                rest => wire.peer_changed(rest % 2 == 0),
            },
            Act::BrokenTls | Act::Relay { .. } | Act::Close | Act::Ready(_) | Act::Fail(_) => return trace,
        }
    }
}

/// The trace is the same however the bytes are cut. One thing depends on it by design: bytes behind STARTTLS end the
/// dialogue where they are seen with it, and run into the handshake where they are not. The words just before that end
/// may differ.
fn the_cut_does_not_matter(setup: &Setup, protocol: Protocol, bytes: &[u8], lengths: Vec<usize>) {
    let whole = trace(setup, protocol, bytes, Cut::Glued);
    for cut in [Cut::Bytes, Cut::Lengths(lengths)] {
        let cut_up = trace(setup, protocol, bytes, cut.clone());
        match cut_up.strip_suffix("! starttls with bytes behind it\n") {
            Some(before) if cut_up != whole => {
                let server = matches!(setup, Setup::Server(_));
                let said_last =
                    if server { before.trim_end().rfind('\n').map_or(0, |at| at + 1) } else { before.len() };
                assert!(whole.starts_with(&before[..said_last]), "{cut:?}\n{cut_up}\nagainst\n{whole}");
                let end = whole.lines().last().unwrap_or_default();
                assert!(end == "! close" || end.starts_with("! fail Protocol"), "{cut:?}\n{cut_up}\nagainst\n{whole}");
            }
            _ => assert_eq!(cut_up, whole, "{cut:?}"),
        }
    }
}

/// Sides of all kinds, some of them with bounds so tight that the inputs of these tests reach them.
fn setups() -> impl Strategy<Value = Setup> {
    let tls = prop::sample::select(vec![ServerTls::Active, ServerTls::Offered, ServerTls::Absent]);
    let server = (tls, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(tls, plaintext_login, tight, front)| {
        let mut options = server_options(tls);
        options.plaintext_login = plaintext_login;
        (options.takes_xclient, options.recognises) = (front, front);
        if tight {
            tighten(&mut options.limits);
        }
        Setup::Server(options)
    });
    let mechanisms = prop::sample::subsequence(Mechanism::ALL.to_vec(), 0..=4).prop_shuffle();
    let kind = prop::sample::select(CredentialKind::ALL.to_vec());
    let client = (any::<bool>(), prop::option::weighted(0.9, (mechanisms, kind)), any::<bool>());
    let client = client.prop_map(|(starttls, wanted, tight)| {
        let log_in = |(mechanisms, kind)| Goal::LogIn { credentials: credentials(kind), mechanisms };
        let goal = wanted.map_or(Goal::Probe, log_in);
        let mut options = client_options(starttls);
        if tight {
            options.limits = ClientLimits { line_bytes_max: 48, reply_lines_max: 3 };
        }
        Setup::Client(goal, options)
    });
    prop_oneof![server, client]
}

fn tighten(limits: &mut ServerLimits) {
    limits.line_bytes_max = 48;
    limits.literal_bytes_max = 8;
    limits.total_bytes_max = 160;
    limits.bad_commands_max = 5;
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(1_usize..40, 1..6)
}

/// Bytes that mean something in one protocol or another, and bytes that do not.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop_oneof![vec(any::<u8>(), 0..200), "[ -~\r\n]{0,200}".prop_map(String::into_bytes)];
    vec(prop_oneof![3 => token(), 1 => noise], 0..30).prop_map(|pieces| pieces.concat())
}

fn token() -> impl Strategy<Value = Vec<u8>> {
    const TOKENS: [&str; 50] = [
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "*\r\n",
        "=",
        "AUTH PLAIN",
        "AUTH LOGIN\r\n",
        "AUTH LOGIN c2Nhbg==\r\n",
        "AHNjYW4AZ2VoZWlt\r\n",
        "c2Nhbg==\r\n",
        "EHLO x\r\n",
        "HELO\r\n",
        "STARTTLS\r\n",
        "STLS\r\n",
        "QUIT\r\n",
        "MAIL FROM:<a@b>\r\n",
        "BDAT 9\r\n",
        "XCLIENT ADDR=192.0.2.7\r\n",
        "XCLIENT NAME=a LOGIN=b\r\n",
        "USER a\r\n",
        "PASS b \r\n",
        "CAPA\r\n",
        "220 mx\r\n",
        "250-mx\r\n",
        "250-STARTTLS\r\n",
        "250 AUTH PLAIN LOGIN\r\n",
        "250 AUTH=LOGIN\r\n",
        "334 \r\n",
        "334 UGFzc3dvcmQ6\r\n",
        "235 2.7.0 ok\r\n",
        "535 no\r\n",
        "421 bye\r\n",
        "+OK\r\n",
        "-ERR no\r\n",
        "+ \r\n",
        "SASL LOGIN\r\n",
        "USER\r\nSTLS\r\n.\r\n",
        "a LOGIN {1}\r\n",
        "a AUTHENTICATE PLAIN\r\n",
        "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n",
        "* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] x\r\n",
        "* OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER] x\r\n",
        "250 AUTH XOAUTH2 OAUTHBEARER\r\n",
        "+OK\r\nSASL XOAUTH2\r\n.\r\n",
        "+ eyJzdGF0dXMiOiI0MDAifQ==\r\n",
        "334 eyJzdGF0dXMiOiI0MDAifQ==\r\n",
        "L1 OK\r\n",
        "L1 NO\r\n",
    ];
    prop::sample::select(TOKENS.to_vec()).prop_map(|token| token.as_bytes().to_vec())
}

/// What the peer says in some transcript, between two TLS handshakes, and the set-up that it was said to.
fn spoken(protocol: Protocol) -> Vec<(Setup, Vec<u8>)> {
    let mut spoken = Vec::new();
    for script in scripts(protocol) {
        let mut setup = script.setup;
        let mut bytes = Vec::new();
        let mut greeting = Vec::new();
        for (_, line) in script.lines {
            match line {
                Line::Peer(more) => {
                    if greeting.is_empty() {
                        greeting.clone_from(&more);
                    }
                    bytes.extend(more);
                }
                Line::TlsStarted => {
                    spoken.push((setup.clone(), std::mem::take(&mut bytes)));
                    match &mut setup {
                        Setup::Server(options) => options.tls = ServerTls::Active,
                        Setup::Client(_, options) => {
                            options.starttls = false;
                            bytes.clone_from(&greeting);
                        }
                    }
                }
                Line::Ours(_)
                | Line::Expect(_)
                | Line::Accept(_)
                | Line::Refuse(_)
                | Line::PeerChanged(_)
                | Line::ShutDown(_) => {}
            }
        }
        spoken.push((setup, bytes));
    }
    spoken
}

#[derive(Debug, Clone)]
enum Edit {
    Insert(Vec<u8>),
    Overwrite(u8),
    Remove(usize),
    Repeat(usize),
}

fn edits() -> impl Strategy<Value = Vec<(Index, Edit)>> {
    let edit = prop_oneof![
        token().prop_map(Edit::Insert),
        any::<u8>().prop_map(Edit::Overwrite),
        (1_usize..20).prop_map(Edit::Remove),
        (1_usize..60).prop_map(Edit::Repeat),
    ];
    vec((any::<Index>(), edit), 0..6)
}

fn edited(mut bytes: Vec<u8>, edits: Vec<(Index, Edit)>) -> Vec<u8> {
    for (index, edit) in edits {
        let at = index.index(bytes.len() + 1);
        let until = |length: usize, bytes: &[u8]| (at + length).min(bytes.len());
        match edit {
            Edit::Insert(piece) => drop(bytes.splice(at..at, piece)),
            Edit::Overwrite(byte) => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            Edit::Remove(length) => drop(bytes.drain(at..until(length, &bytes))),
            Edit::Repeat(length) => {
                let piece = bytes[at..until(length, &bytes)].to_vec();
                drop(bytes.splice(at..at, piece));
            }
        }
    }
    bytes
}

fn any_bytes_do(protocol: Protocol) {
    proptest!(|(setup in setups(), bytes in any_bytes(), lengths in cuts())| {
        the_cut_does_not_matter(&setup, protocol, &bytes, lengths);
    });
}

fn nearly_valid_dialogues_do(protocol: Protocol) {
    let spoken = spoken(protocol);
    if spoken.is_empty() {
        return;
    }
    proptest!(|(which in any::<Index>(), edits in edits(), lengths in cuts(), tight in any::<bool>())| {
        let (mut setup, bytes) = which.get(&spoken).clone();
        if let (true, Setup::Server(options)) = (tight, &mut setup) {
            tighten(&mut options.limits);
        }
        the_cut_does_not_matter(&setup, protocol, &edited(bytes, edits), lengths);
    });
}

/// A peer that never stops gets to hear the end, however it fills the time.
fn the_talkative_are_cut_off(protocol: Protocol) {
    let limits = ServerLimits::default();
    for filler in [
        "x",
        "\r\n",
        "NOOP\r\n",
        "a NOOP\r\n",
        "CAPA\r\n",
        "a CAPABILITY\r\n",
        "EHLO x\r\n",
        "x NOOP {5+}\r\nabcde\r\n",
    ] {
        let bytes = filler.repeat(2 * limits.total_bytes_max / filler.len());
        let trace = trace(&Setup::Server(server_options(ServerTls::Active)), protocol, bytes.as_bytes(), Cut::Glued);
        assert!(trace.ends_with("! close\n"), "{protocol}: {filler:?} goes on");
    }
    for filler in
        ["x", "220-x\r\n", "+OK\r\n", "* OK x\r\n", "* 1 EXISTS\r\n", "+OK\r\n+OK\r\nX\r\nX\r\nX\r\nX\r\n", "\r\n"]
    {
        let bytes = filler.repeat(1024 * 1024 / filler.len());
        for kind in CredentialKind::ALL {
            let setup = Setup::Client(log_in(kind), client_options(false));
            let trace = trace(&setup, protocol, bytes.as_bytes(), Cut::Glued);
            assert!(
                trace.lines().last().is_some_and(|end| end.starts_with("! fail")),
                "{protocol}: {filler:?} goes on"
            );
            assert!(!trace.contains("sesame"), "{protocol}: {filler:?} gets the {kind}");
        }
    }
}

/// Until TLS is on, no provider gets the password or token: not one that says all that a provider under TLS says, nor one that
/// says nearly that.
fn no_secret_without_tls(protocol: Protocol) {
    let setups = CredentialKind::ALL.map(|kind| Setup::Client(log_in(kind), client_options(true)));
    let stays_home = |bytes: &[u8]| {
        for setup in &setups {
            let trace = trace(setup, protocol, bytes, Cut::Bytes);
            let in_clear = trace.split("! starttls\n").next().unwrap_or_default();
            // As it is, and in base64 at each of the three offsets that its first letters can have.
            for form in ["sesame", "c2VzYW1l", "Nlc2Ft", "zZXNhbW"] {
                assert!(!in_clear.contains(form), "{in_clear}");
            }
        }
    };
    let mut spoken = spoken(protocol);
    spoken.retain(|(setup, _)| matches!(setup, Setup::Client(..)));
    for (_, bytes) in &spoken {
        stays_home(bytes);
    }
    if !spoken.is_empty() {
        proptest!(|(which in any::<Index>(), edits in edits())| {
            stays_home(&edited(which.get(&spoken).1.clone(), edits));
        });
    }
}

macro_rules! for_every_protocol {
    ($($name:ident: $protocol:expr),* $(,)?) => { $(
        mod $name {
            use locum::model::Protocol;

            #[test]
            fn any_bytes_do_the_same_however_they_are_cut() {
                super::any_bytes_do($protocol);
            }

            #[test]
            fn nearly_valid_dialogues_do_the_same_however_they_are_cut() {
                super::nearly_valid_dialogues_do($protocol);
            }

            #[test]
            fn the_talkative_are_cut_off() {
                super::the_talkative_are_cut_off($protocol);
            }

            #[test]
            fn no_secret_leaves_before_tls() {
                super::no_secret_without_tls($protocol);
            }
        }
    )* };
}

for_every_protocol! {
    imap: Protocol::Imap,
    pop3: Protocol::Pop3,
    submission: Protocol::Submission,
}
