//! What a provider says of a refusal: whatever it is, it means something, and what hangs up condemns no credential.
//!
//! An input is: protocol and kind (1 byte), and the words.

use locum::model::{CredentialKind, Protocol};
use locum::upstream::Cause;
use locum::upstream::fuzzing::{asked_for, causes};

use super::{Input, bit};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let protocol = Protocol::ALL[usize::from(choice) % 3];
    let kind = if bit(choice, 7) { CredentialKind::OAuth2 } else { CredentialKind::AppPassword };
    let words = String::from_utf8_lossy(input.rest());
    let [refused, farewell] = causes(&words, protocol, kind);
    assert!(kind != CredentialKind::OAuth2 || refused != Cause::AuthBad, "an access token is made anew");
    assert!(!matches!(farewell, Cause::AuthBad | Cause::Refused), "who hangs up says nothing about the credential");
    assert!(!refused.name().is_empty() && !refused.to_string().is_empty());
    let time = asked_for(&words);
    assert_eq!(time, asked_for(&words.to_ascii_uppercase()), "case decides");
}
