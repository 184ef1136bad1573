//! RSA keys and the certificates that show them: what can be used, and what to do about what cannot. It must never repeat a
//! byte of a key.

use jiff::Timestamp;
use ring::rsa;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::credential::CredentialError;
use crate::model::Secret;

const KEY_FORM: &str = "-----BEGIN PRIVATE KEY-----";

/// The key in a PEM text, in either of its forms: PKCS#8 (RFC 5958) or PKCS#1 (RFC 8017 appendix A.1.2).
pub(super) fn key(pem: &Secret) -> Result<rsa::KeyPair, CredentialError> {
    let text = pem.expose();
    if contains(text, b"ENCRYPTED") {
        return unusable(
            "the private key is encrypted; take its password off with `openssl pkey -in KEY -out PLAIN` and remove PLAIN \
             when it is stored",
        );
    }
    let Ok(der) = PrivateKeyDer::from_pem_slice(text).map(Zeroizing::new) else {
        return unusable(&format!("there is no private key in PEM form ({KEY_FORM})"));
    };
    let pair = match &*der {
        PrivateKeyDer::Pkcs8(der) => rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der()),
        _ => return unusable(NOT_RSA),
    };
    pair.or_else(|rejected| match rejected.to_string().as_str() {
        "WrongAlgorithm" => unusable(NOT_RSA),
        "TooSmall" => unusable("the private key has under 2048 bits; make one of 3072 and a certificate for it"),
        "TooLarge" => unusable("the private key has more than 4096 bits; make one of 3072 and a certificate for it"),
        _ => unusable("the private key is damaged; take it from where it was made"),
    })
}

const NOT_RSA: &str = "the private key is not an RSA key; make one with `openssl req -x509 -newkey rsa:3072`, with a \
                       certificate for it";

/// A certificate as far as it matters here.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) der: CertificateDer<'static>,
    not_before: Timestamp,
    pub(super) not_after: Timestamp,
    key: Vec<u8>,
}

impl Certificate {
    /// The first one in a PEM text: of a chain, the leaf.
    pub(super) fn read(pem: &str) -> Result<Self, CredentialError> {
        let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else {
            return unusable("there is no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
        };
        let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
            return unusable("the certificate is damaged; take it from where it was made");
        };
        let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX);
        let (not_before, not_after) = (at(parsed.validity().not_before), at(parsed.validity().not_after));
        let key = parsed.public_key().subject_public_key.data.to_vec();
        Ok(Self { der, not_before, not_after, key })
    }

    /// Whether it can be used with this key, now.
    pub(super) fn check(&self, key: &rsa::KeyPair, now: Timestamp) -> Result<(), CredentialError> {
        if self.key != key.public().as_ref() {
            return unusable("the private key is not the one of the certificate; give both from the same issue");
        }
        if now > self.not_after {
            let ended = self.not_after;
            return unusable(&format!("the certificate expired on {ended}; make another and upload it in the portal"));
        }
        if now < self.not_before {
            let begins = self.not_before;
            return unusable(&format!(
                "the certificate is not valid before {begins}; wait, or set this machine's clock"
            ));
        }
        Ok(())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn unusable<T>(why: &str) -> Result<T, CredentialError> {
    Err(CredentialError::Unusable(why.to_owned()))
}
