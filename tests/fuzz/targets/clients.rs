//! The dialogue with a provider, of each protocol, with whatever a hostile one says.
//!
//! An input is: set-up (2 bytes), cut (1 byte), and what the provider says; `\x1c` stands for a handshake.

use std::fmt::Write;

use locum::model::{CredentialKind, Mechanism, Protocol, Secret};
use locum::proto::{self, ClientAction, ClientFailure, ClientLimits, ClientOptions, Goal};
use locum::sasl::Credentials;

use super::cuts::{BROKEN, Cut, Wire, compare, is_part, unread};
use super::{Input, bit};

/// Words that come from the credential alone: no input has them but to quote them.
const PASSWORD: &str = "sesame sesame";
const TOKEN: &str = "sesame.sesame";

/// Lines that a login takes, with all that can be asked for on its way.
const SENDS_MAX: usize = 24;

/// The longest text of a failure: what a provider said, and what it explained.
const TEXT_CHARS_MAX: usize = 2048;

pub(crate) fn run(protocol: Protocol, data: &[u8]) {
    let mut input = Input::new(data);
    let (setup, wanted, plan) = (input.byte(), input.byte(), input.byte());
    let goal = goal(setup, wanted);
    let limits = match bit(setup, 1) {
        true => ClientLimits { line_bytes_max: 48, reply_lines_max: 3 },
        false => ClientLimits::default(),
    };
    let options = ClientOptions { starttls: bit(setup, 0), name: "locum.example.com".into(), limits };
    let provider = input.rest();
    let [whole, others @ ..] = Cut::all(plan);
    let trace = play(protocol, &goal, &options, provider, whole);
    for cut in others {
        compare(false, &trace, &play(protocol, &goal, &options, provider, cut), cut);
    }
}

fn goal(setup: u8, wanted: u8) -> Goal {
    if bit(setup, 2) {
        return Goal::Probe;
    }
    let (kind, secret) = match bit(setup, 3) {
        true => (CredentialKind::OAuth2, TOKEN),
        false => (CredentialKind::AppPassword, PASSWORD),
    };
    let mut mechanisms: Vec<Mechanism> = Mechanism::ALL.to_vec();
    mechanisms.rotate_left(usize::from(wanted & 3));
    mechanisms.truncate(usize::from(wanted >> 2) % 5);
    if wanted == 0 {
        mechanisms = Mechanism::ALL.to_vec();
    }
    let identity = if bit(setup, 4) { "m\u{fc}ller@example.com" } else { "scan@example.com" };
    Goal::LogIn {
        credentials: Credentials { identity: identity.into(), secret: Secret::new(secret), kind },
        mechanisms,
    }
}

/// All that the client does, as one text.
fn play(protocol: Protocol, goal: &Goal, options: &ClientOptions, provider: &[u8], cut: Cut) -> String {
    let mut client = proto::client(protocol, goal.clone(), options.clone());
    let mut wire = Wire::new(provider, cut);
    let (mut trace, mut said, mut sends) = (String::new(), Vec::new(), 0);
    let mut is_private = !options.starttls;
    for _ in 0..64 + 8 * provider.len() {
        assert!(!client.state().is_empty());
        match client.next_action() {
            ClientAction::Wait => {
                let held = unread(&format!("{client:?}"));
                assert!(held <= options.limits.line_bytes_max, "it holds {held} bytes");
                match wire.next() {
                    Some(piece) => client.receive(piece),
                    None if wire.turn().is_none() => return trace,
                    None => {}
                }
            }
            ClientAction::Send(bytes) => {
                sends += 1;
                assert!(sends <= SENDS_MAX, "it talks on and on:\n{trace}");
                said.extend_from_slice(bytes.as_bytes());
                assert!(is_private || !tells(&said), "the credential leaves in clear:\n{trace}");
                trace.push_str(&String::from_utf8_lossy(bytes.as_bytes()));
            }
            ClientAction::StartTls => {
                assert!(options.starttls && !is_private, "nobody wants TLS twice");
                if !wire.rest().is_empty() {
                    trace.push_str(BROKEN);
                    return trace;
                }
                trace.push_str("! starttls\n");
                wire.turn();
                is_private = true;
                client.tls_started();
            }
            ClientAction::Ready(ready) => {
                assert!(is_private, "it is done without TLS");
                assert!(matches!(goal, Goal::Probe) || tells(&said), "it is logged in, and sent nothing:\n{trace}");
                assert!(!matches!(goal, Goal::Probe) || !tells(&said), "a probe has no credential");
                let told: usize = ready.keywords.iter().map(String::len).sum();
                assert!(told <= wire.read, "it learnt more than was said");
                let mut early = ready.early;
                early.extend_from_slice(wire.rest());
                if matches!(goal, Goal::Probe) {
                    // Nobody reads what comes behind a probe.
                    early.clear();
                }
                assert!(is_part(provider, &early), "not the provider's");
                let _ = writeln!(trace, "! ready {:?} early={}", ready.keywords, early.escape_ascii());
                return trace;
            }
            ClientAction::Fail(failure) => {
                check_text(&failure, tells(&said), &trace);
                let _ = writeln!(trace, "! fail {failure:?}");
                return trace;
            }
        }
    }
    panic!("it goes on and on: {client:?}\n{trace}");
}

/// What goes into logs: bounded, printable, and without a credential that was sent.
fn check_text(failure: &ClientFailure, is_sent: bool, trace: &str) {
    let text = failure.to_string();
    assert!(text.chars().count() <= TEXT_CHARS_MAX, "{} characters", text.chars().count());
    assert!(!text.chars().any(char::is_control), "{text:?}");
    if is_sent {
        let text = text.to_ascii_lowercase();
        assert!(!text.contains("sesame"), "it quotes the credential: {text}\n{trace}");
    }
}

/// Whether the credential is in it: as it is, or in base64 at each of the three offsets that its first letters can have.
fn tells(said: &[u8]) -> bool {
    ["sesame", "c2VzYW1l", "Nlc2Ft", "zZXNhbW"].iter().any(|form| is_part(said, form.as_bytes()))
}
