//! SASL, both sides: what a client sends, what a provider asks, and what becomes of our own credential.
//!
//! An input is: mechanism and kind (1 byte), then pieces (each behind its length), the messages of the other side; the rest is
//! a secret.

use locum::model::{CredentialKind, Mechanism, Secret};
use locum::sasl::{ClientExchange, ClientStep, Credentials, PART_BYTES_MAX, ServerExchange, ServerStep, Unsendable};

use super::{Input, bit};

/// Answers that any mechanism has, at the most.
const STEPS_MAX: usize = 4;

/// The longest token: a message of 12,288 octets of base64.
const MESSAGE_BYTES_MAX: usize = 9216;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let mechanism = Mechanism::ALL[usize::from(choice & 3)];
    let kind = if bit(choice, 2) { CredentialKind::OAuth2 } else { CredentialKind::AppPassword };
    let messages: Vec<&[u8]> = (0..choice >> 5).map(|_| input.piece()).collect();
    let secret = input.rest();
    ask(mechanism, bit(choice, 3), &messages, secret);
    answer(mechanism, kind, &messages, secret);
}

/// We ask, somebody answers.
fn ask(mechanism: Mechanism, waits: bool, messages: &[&[u8]], last: &[u8]) {
    let mut exchange = ServerExchange::new(mechanism, "test");
    let messages = messages.iter().copied().chain([last]).map(|message| Some(Secret::new(message)));
    for (at, message) in waits.then_some(None).into_iter().chain(messages).enumerate() {
        let length = message.as_ref().map_or(0, |message| message.expose().len());
        match exchange.step(message) {
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
            Ok(ServerStep::Challenge(challenge)) => {
                assert!(at < STEPS_MAX && challenge.len() <= 16, "it asks on and on");
            }
            Ok(ServerStep::Done(attempt)) => {
                let proof = attempt.proof.expose();
                assert!(!proof.is_empty() && proof.len() <= length, "it makes up a proof");
                let bound =
                    if mechanism.presents() == CredentialKind::OAuth2 { MESSAGE_BYTES_MAX } else { PART_BYTES_MAX };
                assert!(proof.len() <= bound && attempt.authcid.len() <= PART_BYTES_MAX);
                // A token names whom it is for by itself (RFC 7628 section 3.1).
                let is_token = mechanism.presents() == CredentialKind::OAuth2;
                assert!(is_token || !attempt.authcid.is_empty(), "nobody proves something");
                assert!(attempt.authzid.is_none_or(|name| !name.is_empty() && name.len() <= PART_BYTES_MAX));
                return;
            }
        }
    }
}

/// Somebody asks, we answer; and our own server understands us.
fn answer(mechanism: Mechanism, kind: CredentialKind, messages: &[&[u8]], secret: &[u8]) {
    let (name, challenges) = messages.split_first().map_or((&b"scan"[..], messages), |(name, rest)| (*name, rest));
    let identity = String::from_utf8_lossy(name).into_owned();
    let credentials = Credentials { identity: identity.clone(), secret: Secret::new(secret), kind };
    let mut exchange = match ClientExchange::new(mechanism, credentials.clone()) {
        Ok(exchange) => exchange,
        Err(why) => {
            assert_eq!(why == Unsendable::Kind, mechanism.presents() != kind);
            return;
        }
    };
    let first = exchange.initial_response();
    let mut told = usize::from(first.is_some());
    let mut sent = first.map_or(0, |message| message.expose().len());
    for challenge in challenges.iter().copied().chain([&b""[..]; STEPS_MAX]) {
        match exchange.respond(challenge) {
            ClientStep::Respond(response) => {
                told += 1;
                sent += response.expose().len();
                assert!(told <= 2, "it tells the credential again");
            }
            ClientStep::Acknowledge { answer, why } => {
                assert!(answer.expose().len() <= 1, "an acknowledgement says nothing");
                assert!(why.expose().len() <= challenge.len() + 64, "it explains more than it was told");
            }
            ClientStep::Cancel => break,
        }
    }
    // OAUTHBEARER writes two signs of a name in three letters each (RFC 5801 section 4).
    assert!(sent <= secret.len() + 3 * identity.len() + 64, "it sends more than there is");
    round_trip(mechanism, credentials);
}

/// What our client says is what our server hears.
fn round_trip(mechanism: Mechanism, credentials: Credentials) {
    let (identity, secret) = (credentials.identity.clone(), credentials.secret.clone());
    let mut client = ClientExchange::new(mechanism, credentials).expect("it was one a moment ago");
    let mut server = ServerExchange::new(mechanism, "test");
    let mut message = client.initial_response();
    for _ in 0..STEPS_MAX {
        match server.step(message.take()) {
            Ok(ServerStep::Done(attempt)) => {
                assert_eq!((attempt.authcid.as_slice(), attempt.authzid), (identity.as_bytes(), None));
                assert!(attempt.proof == secret, "another secret arrived");
                return;
            }
            Ok(ServerStep::Challenge(challenge)) => match client.respond(challenge) {
                ClientStep::Respond(response) => message = Some(response),
                ClientStep::Acknowledge { .. } | ClientStep::Cancel => panic!("our own question is no question to us"),
            },
            // Names and passwords that no server takes.
            Err(_) => return,
        }
    }
    panic!("no end of questions");
}
