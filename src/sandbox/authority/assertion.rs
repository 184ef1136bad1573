//! Signed assertions (RFC 7523): an application's proof at Entra, a service account's wish at Google. Nothing in one is
//! believed before its signature is checked, but for whom to ask for the certificate.

use data_encoding::BASE64URL_NOPAD as BASE64URL;
use jiff::Timestamp;
use ring::digest;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::denial::Denial;

/// How far a clock may be off.
const SKEW_SECONDS: i64 = 300;
/// The longest life that Google allows.
const GOOGLE_LIFE_SECONDS: i64 = 3600;

/// A JWT that has the form of one.
pub(super) struct Assertion<'a> {
    header: Value,
    claims: Value,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Assertion<'a> {
    pub(super) fn parse(jwt: &'a str) -> Result<Self, Denial> {
        let parts = || {
            let (signed, signature) = jwt.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            let json = |part: &str| serde_json::from_slice(&BASE64URL.decode(part.as_bytes()).ok()?).ok();
            let signature = BASE64URL.decode(signature.as_bytes()).ok()?;
            Some(Self { header: json(header)?, claims: json(claims)?, signed: signed.as_bytes(), signature })
        };
        parts().ok_or(Denial::AssertionMalformed)
    }

    pub(super) fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// Entra's checks.
    pub(super) fn prove_application(
        &self,
        certificate: &str,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<(), Denial> {
        let der = certificate_der(certificate)?;
        let names = |header: &str, algorithm| {
            let named = self.header.get(header)?.as_str()?;
            Some(BASE64URL.decode(named.as_bytes()).ok()? == digest::digest(algorithm, &der).as_ref())
        };
        let named = names("x5t#S256", &digest::SHA256).or_else(|| names("x5t", &digest::SHA1_FOR_LEGACY_USE_ONLY));
        if named != Some(true) {
            return Err(Denial::AssertionKey);
        }
        self.check_signature(&der)?;
        if self.claim("aud") != Some(audience) {
            return Err(Denial::AssertionAudience);
        }
        if self.claim("iss") != Some(client_id) || self.claim("sub") != Some(client_id) {
            return Err(Denial::AssertionSubject);
        }
        if self.claim("jti").is_none() {
            return Err(Denial::AssertionMalformed);
        }
        let (expires, not_before) = (self.time("exp"), self.time("nbf").or_else(|| self.time("iat")));
        let (Some(expires), Some(not_before)) = (expires, not_before) else { return Err(Denial::AssertionMalformed) };
        let now = now.as_second();
        if now > expires + SKEW_SECONDS || now < not_before - SKEW_SECONDS {
            return Err(Denial::AssertionTime);
        }
        Ok(())
    }

    /// Google's checks.
    pub(super) fn prove_service_account(
        &self,
        certificate: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<(), Denial> {
        self.check_signature(&certificate_der(certificate)?)?;
        if self.claim("aud") != Some(audience) {
            return Err(Denial::AssertionAudience);
        }
        let (Some(issued), Some(expires)) = (self.time("iat"), self.time("exp")) else {
            return Err(Denial::AssertionTime);
        };
        let now = now.as_second();
        let is_near = now <= expires + SKEW_SECONDS && now >= issued - SKEW_SECONDS;
        if !is_near || expires <= issued || expires - issued > GOOGLE_LIFE_SECONDS {
            return Err(Denial::AssertionTime);
        }
        Ok(())
    }

    fn check_signature(&self, certificate: &[u8]) -> Result<(), Denial> {
        let algorithm: &dyn VerificationAlgorithm = match self.header.get("alg").and_then(Value::as_str) {
            Some("PS256") => &RSA_PSS_2048_8192_SHA256,
            Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(Denial::AssertionMalformed),
        };
        let (_, certificate) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| Denial::AssertionSignature)?;
        let key = UnparsedPublicKey::new(algorithm, &certificate.public_key().subject_public_key.data);
        key.verify(self.signed, &self.signature).map_err(|_| Denial::AssertionSignature)
    }

    fn time(&self, name: &str) -> Option<i64> {
        self.claims.get(name)?.as_i64()
    }
}

fn certificate_der(pem: &str) -> Result<CertificateDer<'static>, Denial> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Denial::AssertionKey)
}
