//! An RSA key that is made here, and a certificate for it that it signs itself: the authority is shown the certificate, and
//! nobody the key. It must never write either of them anywhere.
//!
//! ring makes no RSA keys, so `rsa` does, and nothing else (`docs/decisions/0019-rsa-keys-made-here.md`).

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
};
use ring::rand::{SecureRandom, SystemRandom};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::rand_core::{self, CryptoRng, RngCore};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::Authentication;
use super::keys::Certificate;
use crate::credential::CredentialError;
use crate::model::Secret;

/// The lengths of keys that are made, in bits: the shortest that authorities take, and one that will do for longer.
pub const KEY_BITS: [usize; 2] = [2048, 3072];

/// Clocks differ: a certificate is good from so long before it was made.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// The longest name of a subject (RFC 5280 appendix A.1, ub-common-name).
const NAME_CHARS_MAX: usize = 64;

/// Makes a key of so many bits and a certificate for it that is good for so many days. `name` is what portals show it by.
///
/// # Errors
/// If the system gives no random bytes.
pub fn new_key(name: &str, bits: usize, days: u16, now: Timestamp) -> Result<Authentication, CredentialError> {
    let unusable = |why: &str| CredentialError::Unusable(why.to_owned());
    let mut random = Random::new().ok_or_else(|| unusable("the system gives no random bytes"))?;
    let key = RsaPrivateKey::new(&mut random, bits).map_err(|_| unusable("no RSA key of that length can be made"))?;
    let der = key.to_pkcs8_der().map_err(|_| unusable("the key that was made cannot be written down"))?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| unusable("the key that was made cannot be written down"))?;

    let unsigned = |_| unusable("no certificate can be made for the key");
    let signer = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der.as_bytes()), &PKCS_RSA_SHA256);
    let certificate = params(name, days, now).self_signed(&signer.map_err(unsigned)?).map_err(unsigned)?.pem();
    Ok(Authentication::Certificate { certificate, key: Secret::new(pem.as_bytes()) })
}

/// The name that portals list a certificate by: its SHA-1 digest, in hexadecimal digits.
pub fn thumbprint(certificate: &str) -> Option<String> {
    let certificate = Certificate::read(certificate).ok()?;
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate.der);
    Some(data_encoding::HEXUPPER.encode(digest.as_ref()))
}

fn params(name: &str, days: u16, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name.chars().take(NAME_CHARS_MAX).collect::<String>());
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    // To the second, as certificates have it.
    let at = |time: Timestamp| {
        let date = TimeZone::UTC.to_datetime(time);
        let [month, day] = [date.month(), date.day()].map(|it| u8::try_from(it).unwrap_or(1)); // they are 1 to 31
        let seconds = u64::try_from(time.as_second().rem_euclid(24 * 60 * 60)).unwrap_or(0); // it is not negative
        rcgen::date_time_ymd(date.year().into(), month, day) + Duration::from_secs(seconds)
    };
    params.not_before = at(now - BEFORE);
    params.not_after = at(now + SignedDuration::from_hours(24 * i64::from(days)));
    params
}

/// What the system gives, by way of ring: there is one source of chance here.
struct Random(SystemRandom);

impl Random {
    /// `None` if the system gives none.
    fn new() -> Option<Self> {
        let random = SystemRandom::new();
        random.fill(&mut [0; 32]).ok().map(|()| Self(random))
    }
}

impl CryptoRng for Random {}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes).expect("a system that gave random bytes once goes on");
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grant, OAuth2};
    use super::*;

    #[test]
    fn a_key_that_is_made_can_be_stored_and_used() {
        let now = Timestamp::now();
        let authentication = new_key("locum contoso.com", 2048, 730, now).unwrap();
        let Authentication::Certificate { certificate, key } = authentication.clone() else { panic!("no certificate") };
        assert!(key.expose().starts_with(b"-----BEGIN PRIVATE KEY-----"));
        assert_eq!(thumbprint(&certificate).unwrap().len(), 40);
        let (tenant, client_id) = (Some("contoso.com".to_owned()), "app".to_owned());
        let oauth2 = OAuth2 { tenant, client_id, authentication, grant: Grant::ClientCredentials };
        let left = oauth2.expires().unwrap().duration_since(now);
        assert_eq!(left.as_hours(), 730 * 24 - 1, "to the second, rounded down");
        oauth2.into_stored("c1".into(), "", now).unwrap();
    }
}
