//! OAUTHBEARER (RFC 7628): `n,a=` name `,` ^A `auth=Bearer ` token ^A ^A.
//!
//! `host` and `port` are for token types that sign them, which bearer tokens do not (section 3.1). A refusal may be
//! explained in a challenge, which wants a single ^A before the refusal itself comes (section 3.2.3).

use super::{Credentials, PART_BYTES_MAX, SaslError, Unsendable, bearer};
use crate::model::{Attempt, Secret};

/// The header is GS2's (RFC 5801 section 4): no channel binding, and perhaps a name.
pub(super) fn parse(response: &Secret, method: &'static str) -> Result<Attempt, SaslError> {
    let message = response.expose().strip_suffix(b"\x01\x01").ok_or(SaslError::Malformed)?;
    let end = message.iter().position(|&byte| byte == 1).ok_or(SaslError::Malformed)?;
    let (header, fields) = (&message[..end], &message[end + 1..]);
    let header = header.strip_prefix(b"n,").and_then(|header| header.strip_suffix(b",")).ok_or(SaslError::Malformed)?;
    let name = match header.strip_prefix(b"a=") {
        Some(name) => unescape(name).filter(|name| !name.is_empty()).ok_or(SaslError::Malformed)?,
        None if header.is_empty() => Vec::new(),
        None => return Err(SaslError::Malformed),
    };
    if name.len() > PART_BYTES_MAX {
        return Err(SaslError::TooLong);
    }
    Ok(Attempt { authcid: name, authzid: None, proof: bearer::token(fields)?, method })
}

/// The answer to a challenge that explains a refusal.
const ACKNOWLEDGEMENT: &[u8] = b"\x01";

pub(super) fn client(credentials: &Credentials) -> Result<bearer::Client, Unsendable> {
    bearer::Client::new(credentials, &[b"n,a=", escape(&credentials.identity).as_bytes(), b","], ACKNOWLEDGEMENT)
}

fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'=', [b'2', b'C', after @ ..]) => (b',', after),
            (b'=', [b'3', b'D', after @ ..]) => (b'=', after),
            (b'=' | b',', _) => return None,
            plain => plain,
        };
        plain.push(byte);
        rest = after;
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;
    use crate::model::CredentialKind;

    fn parsed(message: &[u8]) -> Result<Attempt, SaslError> {
        parse(&Secret::new(message), "test")
    }

    #[test]
    fn rfc_7628_section_4_1_is_read() {
        let example = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
        let attempt = parsed(&BASE64.decode(example.as_bytes()).unwrap()).unwrap();
        assert_eq!(attempt.authcid, b"user@example.com");
        assert_eq!(attempt.proof.expose(), b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    }

    #[test]
    fn commas_and_equals_signs_in_names_survive() {
        let (identity, secret) = ("a,b=c@x.test".to_owned(), Secret::new("t"));
        let credentials = Credentials { identity, secret, kind: CredentialKind::OAuth2 };
        let message = client(&credentials).unwrap().initial_response().unwrap();
        assert_eq!(message.expose(), b"n,a=a=2Cb=3Dc@x.test,\x01auth=Bearer t\x01\x01");
        assert_eq!(parsed(message.expose()).unwrap().authcid, b"a,b=c@x.test");
    }

    #[test]
    fn wrong_forms_are_malformed() {
        for message in [
            b"".as_slice(),
            b"n,a=u,\x01auth=Bearer t\x01",
            b"y,a=u,\x01auth=Bearer t\x01\x01",
            b"n,a=,\x01auth=Bearer t\x01\x01",
            b"n,a=u=,\x01auth=Bearer t\x01\x01",
            b"n,a=u,\x01host=h\x01\x01",
            b"n,a=u,\x01auth=Basic t\x01\x01",
        ] {
            assert_eq!(parsed(message).unwrap_err(), SaslError::Malformed, "{message:?}");
        }
    }
}
