//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`.

use super::{Credentials, PART_BYTES_MAX, SaslError};
use crate::model::{Attempt, Secret};

/// Exactly two NULs, and neither name nor password may be empty (RFC 4616 section 2).
pub(super) fn parse(response: &Secret, method: &'static str) -> Result<Attempt, SaslError> {
    let mut parts = response.expose().split(|&byte| byte == 0);
    let (Some(authzid), Some(authcid), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslError::Malformed);
    };
    if authcid.is_empty() || password.is_empty() {
        return Err(SaslError::Malformed);
    }
    if [authzid, authcid, password].iter().any(|part| part.len() > PART_BYTES_MAX) {
        return Err(SaslError::TooLong);
    }
    Ok(Attempt {
        authcid: authcid.to_vec(),
        authzid: (!authzid.is_empty()).then(|| authzid.to_vec()),
        proof: Secret::new(password),
        method,
    })
}

#[derive(Debug)]
pub(super) struct Client {
    credentials: Option<Credentials>,
}

impl Client {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials: Some(credentials) }
    }

    /// The whole of PLAIN; there is nothing after it.
    pub(super) fn initial_response(&mut self) -> Option<Secret> {
        let credentials = self.credentials.take()?;
        // Built at its full length, so that no half-grown copy of the secret stays behind.
        let mut message = Vec::with_capacity(credentials.identity.len() + credentials.secret.expose().len() + 2);
        message.push(0);
        message.extend_from_slice(credentials.identity.as_bytes());
        message.push(0);
        message.extend_from_slice(credentials.secret.expose());
        Some(Secret::new(message))
    }

    pub(super) fn has_told(&self) -> bool {
        self.credentials.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CredentialKind;

    fn parsed(bytes: &[u8]) -> Result<Attempt, SaslError> {
        parse(&Secret::new(bytes), "test")
    }

    #[test]
    fn rfc_4616_section_4_examples() {
        let tim = parsed(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((tim.authcid.as_slice(), tim.authzid), (b"tim".as_slice(), None));
        assert_eq!(tim.proof.expose(), b"tanstaaftanstaaf");
        let kurt = parsed(b"Ursel\0Kurt\0xipj3plmq").unwrap();
        assert_eq!(kurt.authzid.as_deref(), Some(b"Ursel".as_slice()));
        assert_eq!(kurt.authcid, b"Kurt");
    }

    #[test]
    fn wrong_forms_are_malformed() {
        for bytes in [b"".as_slice(), b"tim", b"tim\0pass", b"\0\0pass", b"\0tim\0", b"\0tim\0pa\0ss", b"\0\0\0"] {
            assert_eq!(parsed(bytes).unwrap_err(), SaslError::Malformed, "{bytes:?}");
        }
    }

    #[test]
    fn long_parts_are_refused() {
        let long = [b"\0tim\0".as_slice(), &[b'x'; PART_BYTES_MAX + 1]].concat();
        assert_eq!(parsed(&long).unwrap_err(), SaslError::TooLong);
    }

    #[test]
    fn our_client_speaks_to_our_server() {
        let (identity, secret) = ("tïm".to_owned(), Secret::new("p w"));
        let mut client = Client::new(Credentials { identity, secret, kind: CredentialKind::AppPassword });
        let attempt = parse(&client.initial_response().unwrap(), "test").unwrap();
        assert_eq!((attempt.authcid.as_slice(), attempt.proof.expose()), ("tïm".as_bytes(), b"p w".as_slice()));
        assert!(client.initial_response().is_none(), "PLAIN has one message");
    }
}
