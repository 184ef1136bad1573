//! Secrets for clients: how they are made, and how they are proven.
//!
//! An issued secret is `lo_<id>_<random>`: the id, in clear, finds the verifier at once and names the secret in the audit;
//! the random part has 130 bits, so that one salted fast hash is enough to store it.

use data_encoding::{BASE32_NOPAD, BASE64};
use jiff::Timestamp;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::model::{ClientSecret, Secret, SecretSource, Verifier};

const PREFIX: &str = "lo";
const SALT_BYTES: usize = 16;
/// 8 characters of base32.
const ID_BYTES: usize = 5;
/// 26 characters of base32: 130 bits.
const RANDOM_CHARS: usize = 26;
/// `lo_<id>_`: what stands in clear.
const CLEAR_CHARS: usize = 12;

/// The operating system has no random bytes to give.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// A new secret: its record, and the secret itself, to be shown once.
///
/// # Errors
/// If there is no randomness to be had.
pub fn issue(label: &str, expires: Option<Timestamp>, now: Timestamp) -> Result<(ClientSecret, Secret), NoRandomness> {
    let id = random_id()?;
    let bytes = Zeroizing::new(random_bytes::<17>()?);
    let random = Zeroizing::new(BASE32_NOPAD.encode(&*bytes).to_ascii_lowercase());
    let secret = Secret::new(format!("{PREFIX}_{id}_{}", &random[..RANDOM_CHARS]));
    let verifier = verifier_of(&secret, &random_bytes::<SALT_BYTES>()?);
    let (label, source) = (label.to_owned(), SecretSource::Issued);
    Ok((ClientSecret { id, label, verifier, created: now, expires, source }, secret))
}

/// A new public id: random, short, and good to read out.
///
/// # Errors
/// If there is no randomness to be had.
pub fn random_id() -> Result<String, NoRandomness> {
    Ok(BASE32_NOPAD.encode(&random_bytes::<ID_BYTES>()?).to_ascii_lowercase())
}

/// The secret among these that `proof` is. One hash is computed, whichever way it goes.
pub(super) fn find<'a>(secrets: &'a [ClientSecret], proof: &Secret) -> Option<&'a ClientSecret> {
    let id = id_of(proof);
    match secrets.iter().find(|secret| Some(secret.id.as_str()) == id) {
        Some(secret) => proves(&secret.verifier, proof).then_some(secret),
        None => {
            proves(&Verifier::SaltedSha256 { salt: String::new(), digest: String::new() }, proof);
            None
        }
    }
}

/// A login name with the random part of any issued secret in it masked: people type the password where the name goes,
/// and what they typed must not stand in the audit.
pub(super) fn mask(name: &[u8]) -> Vec<u8> {
    let is_base32 = |byte: &u8| matches!(byte.to_ascii_lowercase(), b'a'..=b'z' | b'2'..=b'7');
    let mut masked = name.to_vec();
    for at in 0..name.len() {
        let Some((clear, random)) = name[at..].split_at_checked(CLEAR_CHARS) else { break };
        let [b'l', b'o', b'_', id @ .., b'_'] = clear else { continue };
        if id.iter().all(is_base32) {
            let length = random.iter().take_while(|byte| is_base32(byte)).count();
            masked[at + CLEAR_CHARS..][..length].fill(b'*');
        }
    }
    masked
}

fn id_of(proof: &Secret) -> Option<&str> {
    let mut parts = proof.expose_text()?.splitn(3, '_');
    (parts.next() == Some(PREFIX)).then(|| parts.next()).flatten()
}

fn proves(verifier: &Verifier, proof: &Secret) -> bool {
    match verifier {
        Verifier::SaltedSha256 { salt, digest } => {
            let salt = BASE64.decode(salt.as_bytes()).unwrap_or_default();
            let expected = BASE64.decode(digest.as_bytes()).unwrap_or_default();
            salted_digest(&salt, proof).as_ref().ct_eq(&expected).into()
        }
        Verifier::Chosen { .. } => false,
    }
}

fn verifier_of(secret: &Secret, salt: &[u8]) -> Verifier {
    Verifier::SaltedSha256 { salt: BASE64.encode(salt), digest: BASE64.encode(salted_digest(salt, secret).as_ref()) }
}

fn salted_digest(salt: &[u8], secret: &Secret) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(salt);
    context.update(secret.expose());
    context.finish()
}

fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued() -> (ClientSecret, Secret) {
        issue("", None, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn an_issued_secret_carries_its_id_and_enough_randomness() {
        let (record, secret) = issued();
        let parts: Vec<&str> = secret.expose_text().unwrap().split('_').collect();
        assert_eq!((parts[0], parts[1]), ("lo", record.id.as_str()));
        assert_eq!(parts[2].len(), RANDOM_CHARS);
        assert_ne!(issued().1, secret);
    }

    #[test]
    fn the_right_one_of_many_is_found_and_no_other() {
        let all: Vec<_> = (0..3).map(|_| issued()).collect();
        let records: Vec<_> = all.iter().map(|(record, _)| record.clone()).collect();
        for (record, secret) in &all {
            assert_eq!(find(&records, secret).unwrap().id, record.id);
        }
        let altered = format!("{}x", all[0].1.expose_text().unwrap());
        for wrong in [altered.as_str(), "", "lo", "lo_", "hunter2", &format!("lo_{}_", records[0].id)] {
            assert!(find(&records, &Secret::new(wrong)).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_in_a_login_name_is_masked_whole_or_in_part() {
        let (record, secret) = issued();
        let secret = secret.expose_text().unwrap();
        let shown = |name: &str| String::from_utf8(mask(name.as_bytes())).unwrap();
        let (clear, masked) = (format!("lo_{}_", record.id), format!("lo_{}_{}", record.id, "*".repeat(RANDOM_CHARS)));
        assert_eq!(shown(secret), masked);
        assert_eq!(shown(&format!("scan {secret}@x.test")), format!("scan {masked}@x.test"));
        assert_eq!(shown(&secret[..20]), format!("{clear}{}", "*".repeat(20 - clear.len())));
        for harmless in ["", "lo", "lo_", "lo_abc_def", "hello_kitty_@x.test", "scänner-3f@x.test"] {
            assert_eq!(shown(harmless), harmless);
        }
    }

    #[test]
    fn an_emptied_verifier_proves_nothing() {
        let (mut record, secret) = issued();
        record.verifier = Verifier::SaltedSha256 { salt: String::new(), digest: String::new() };
        assert!(find(&[record], &secret).is_none());
    }
}
