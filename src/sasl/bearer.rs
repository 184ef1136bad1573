//! What XOAUTH2 and OAUTHBEARER have in common: fields that end in ^A, one of them with the token (RFC 6750 section 2.1);
//! and a refusal that may be explained in a challenge, which must never be taken for a question.

use serde_json::Value;

use super::{ClientStep, Credentials, SaslError, Unsendable};
use crate::model::Secret;

/// What 12,288 octets of base64 hold, which is what servers take in a line (RFC 4954 section 4).
pub(super) const MESSAGE_BYTES_MAX: usize = 9216;

const AUTH: &[u8] = b"auth=";
const SCHEME: &[u8] = b"Bearer ";

/// The value of a field that is there and not empty.
pub(super) fn field<'a>(fields: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut values = fields.split(|&byte| byte == 1).filter_map(|field| field.strip_prefix(name));
    values.next().filter(|value| !value.is_empty())
}

/// The token. The scheme's name is in any case (RFC 7628 section 3.1).
pub(super) fn token(fields: &[u8]) -> Result<Secret, SaslError> {
    let value = field(fields, AUTH).ok_or(SaslError::Malformed)?;
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty() => match token.len() {
            0..=MESSAGE_BYTES_MAX => Ok(Secret::new(token)),
            _ => Err(SaslError::TooLong),
        },
        _ => Err(SaslError::Malformed),
    }
}

/// The client's side: one message, and an acknowledgement if its refusal is explained.
#[derive(Debug)]
pub(super) struct Client {
    message: Option<Secret>,
    acknowledgement: Option<&'static [u8]>,
}

impl Client {
    /// `first` is what stands before the token, the name among it.
    pub(super) fn new(
        credentials: &Credentials,
        first: &[&[u8]],
        acknowledgement: &'static [u8],
    ) -> Result<Self, Unsendable> {
        // A ^A would end its field, and begin one of its own.
        if credentials.identity.is_empty() || credentials.identity.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Unsendable::Name);
        }
        if !is_token(credentials.secret.expose()) {
            return Err(Unsendable::Token);
        }
        let parts = [first, &[b"\x01", AUTH, SCHEME, credentials.secret.expose(), b"\x01\x01"]].concat();
        let length = parts.iter().map(|part| part.len()).sum();
        if length > MESSAGE_BYTES_MAX {
            return Err(Unsendable::TooLong);
        }
        // Built at its full length, so that no half-grown copy of the token stays behind.
        let mut message = Vec::with_capacity(length);
        parts.iter().for_each(|part| message.extend_from_slice(part));
        Ok(Self { message: Some(Secret::new(message)), acknowledgement: Some(acknowledgement) })
    }

    pub(super) fn initial_response(&mut self) -> Option<Secret> {
        self.message.take()
    }

    /// The first challenge asks for the message, whatever it says, unless that is sent. Any other tells of a refusal.
    pub(super) fn respond(&mut self, challenge: &[u8]) -> ClientStep {
        match (self.message.take(), self.acknowledgement) {
            (Some(message), _) => ClientStep::Respond(message),
            (None, Some(acknowledgement)) => {
                self.acknowledgement = None;
                ClientStep::Acknowledge { answer: Secret::new(acknowledgement), why: explain(challenge) }
            }
            (None, None) => ClientStep::Cancel,
        }
    }

    pub(super) fn has_told(&self) -> bool {
        self.message.is_none()
    }
}

/// RFC 6750 section 2.1, `b64token`.
fn is_token(bytes: &[u8]) -> bool {
    let letters = bytes.iter().take_while(|&byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte)).count();
    letters > 0 && bytes[letters..].iter().all(|&byte| byte == b'=')
}

/// What in the explanation helps an operator: status and scope (RFC 7628 section 3.2.2), and what Google adds, the schemes
/// it would take, where they are others than ours.
fn explain(challenge: &[u8]) -> Secret {
    let explanation: Value = serde_json::from_slice(challenge).unwrap_or_default();
    let told = |name: &str| match explanation.get(name)? {
        Value::String(text) if !text.is_empty() => Some(format!("{name} {text}")),
        Value::Number(number) => Some(format!("{name} {number}")),
        _ => None,
    };
    let schemes = told("schemes").filter(|schemes| !schemes.eq_ignore_ascii_case("schemes bearer"));
    Secret::new([told("status"), told("scope"), schemes].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CredentialKind;

    fn client(identity: &str, token: impl Into<Vec<u8>>) -> Result<Client, Unsendable> {
        let (identity, secret) = (identity.to_owned(), Secret::new(token));
        Client::new(&Credentials { identity, secret, kind: CredentialKind::OAuth2 }, &[b"x"], b"ack")
    }

    #[test]
    fn the_first_challenge_asks_and_the_second_explains() {
        let mut client = client("a", "t").unwrap();
        let ClientStep::Respond(message) = client.respond(b"{\"status\":\"400\"}") else { panic!("no message") };
        assert_eq!(message.expose(), b"x\x01auth=Bearer t\x01\x01");
        let ClientStep::Acknowledge { answer, why } = client.respond(b"{\"status\":\"400\"}") else { panic!("no end") };
        assert_eq!((answer.expose(), why.expose()), (b"ack".as_slice(), b"status 400".as_slice()));
        assert!(matches!(client.respond(b""), ClientStep::Cancel));
    }

    #[test]
    fn behind_an_initial_response_there_is_nothing_to_ask() {
        let mut client = client("a", "t").unwrap();
        assert!(client.initial_response().is_some());
        assert!(matches!(client.respond(b""), ClientStep::Acknowledge { .. }));
    }

    #[test]
    fn only_tokens_are_sent() {
        for token in ["t", "ya29.a0_-~", "aB+/9=="] {
            assert!(client("a", token).is_ok(), "{token}");
        }
        for token in ["", "=", "a=b", "two words", " t", "t\r\n", "t\x01", "t\0", "t\x7f", "t,", "t\u{fc}"] {
            assert_eq!(client("a", token).unwrap_err(), Unsendable::Token, "{token:?}");
        }
        for name in ["", "a\x01auth=Bearer t", "a\r\n", "a\0"] {
            assert_eq!(client(name, "t").unwrap_err(), Unsendable::Name, "{name:?}");
        }
        let around = b"x\x01auth=Bearer \x01\x01".len();
        assert!(client("a", vec![b't'; MESSAGE_BYTES_MAX - around]).is_ok());
        assert_eq!(client("a", vec![b't'; MESSAGE_BYTES_MAX - around + 1]).unwrap_err(), Unsendable::TooLong);
    }

    #[test]
    fn explanations_are_short() {
        let cases = [
            (
                r#"{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}"#,
                "status 400, scope https://mail.google.com/",
            ),
            (r#"{"status":401,"schemes":"Basic Bearer","more":["x"]}"#, "status 401, schemes Basic Bearer"),
            (r#"{"status":["a"],"scope":""}"#, ""),
            ("[1]", ""),
            ("null", ""),
            ("", ""),
            ("no json", ""),
        ];
        for (challenge, text) in cases {
            assert_eq!(explain(challenge.as_bytes()).expose_text(), Some(text), "{challenge}");
        }
        assert!(explain("[".repeat(16_000).as_bytes()).is_empty(), "deep nesting is no explanation");
    }
}
