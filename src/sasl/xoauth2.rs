//! XOAUTH2: `user=` name ^A `auth=Bearer ` token ^A ^A (Google, "OAuth 2.0 Mechanism"; Microsoft, "Authenticate an IMAP,
//! POP or SMTP connection using OAuth").
//!
//! A refused token may be answered with a challenge that says why. It wants an empty line before the refusal itself comes.

use super::{Credentials, PART_BYTES_MAX, SaslError, Unsendable, bearer};
use crate::model::{Attempt, Secret};

const USER: &[u8] = b"user=";

pub(super) fn parse(response: &Secret, method: &'static str) -> Result<Attempt, SaslError> {
    let fields = response.expose().strip_suffix(b"\x01\x01").ok_or(SaslError::Malformed)?;
    let name = bearer::field(fields, USER).ok_or(SaslError::Malformed)?;
    if name.len() > PART_BYTES_MAX {
        return Err(SaslError::TooLong);
    }
    Ok(Attempt { authcid: name.to_vec(), authzid: None, proof: bearer::token(fields)?, method })
}

/// The answer to a challenge that explains a refusal.
const ACKNOWLEDGEMENT: &[u8] = b"";

pub(super) fn client(credentials: &Credentials) -> Result<bearer::Client, Unsendable> {
    bearer::Client::new(credentials, &[USER, credentials.identity.as_bytes()], ACKNOWLEDGEMENT)
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;
    use crate::model::CredentialKind;

    /// The example of both documents.
    const EXAMPLE: &str = "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==";

    #[test]
    fn the_documents_example_is_what_we_send_and_read() {
        let credentials = Credentials {
            identity: "someuser@example.com".into(),
            secret: Secret::new("ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"),
            kind: CredentialKind::OAuth2,
        };
        assert_eq!(BASE64.encode(client(&credentials).unwrap().initial_response().unwrap().expose()), EXAMPLE);
        let attempt = parse(&Secret::new(BASE64.decode(EXAMPLE.as_bytes()).unwrap()), "test").unwrap();
        assert_eq!((attempt.authcid.as_slice(), attempt.proof), (credentials.identity.as_bytes(), credentials.secret));
    }

    #[test]
    fn wrong_forms_are_malformed() {
        for bytes in [
            b"".as_slice(),
            b"user=a\x01auth=Bearer t",
            b"user=\x01auth=Bearer t\x01\x01",
            b"auth=Bearer t\x01\x01",
            b"user=a\x01auth=Bearer \x01\x01",
        ] {
            assert_eq!(parse(&Secret::new(bytes), "test").unwrap_err(), SaslError::Malformed, "{bytes:?}");
        }
    }
}
