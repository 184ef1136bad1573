//! Secrets for clients: how they are made, and how they are proven.
//!
//! There are two kinds, by what stands in the store:
//! - A secret that Locum issued with enough randomness in it is stored as one salted fast hash. It carries its id in clear
//!   ([`Form`]), which finds the verifier at once and names the secret in the audit.
//! - Whatever people chose, or is too short, is stored as a slow hash ([`ChosenHash`]).
//!
//! What a proof costs depends on its form alone, and never on who there is: text in the form of [`issue`] costs one fast
//! hash, any other the same and a slow one (`Prover`).

mod chosen;
mod issue;
mod mask;
mod pool;
mod prover;
mod remembered;

use data_encoding::{BASE32_NOPAD, BASE64};
use jiff::Timestamp;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::model::{ClientSecret, Secret, SecretSource, Verifier};

pub use chosen::{ChosenHash, HashRefused};
pub use issue::{Alphabet, BITS_ENOUGH, BITS_MIN, Form, IssueError, issue, issue_as};
pub use pool::Busy;
pub(super) use pool::Rank;

pub(super) use issue::names;
pub(super) use mask::mask;
pub(super) use prover::Prover;

/// Secrets of one client that are stored as slow hashes: each may have to be tried, where the proof does not say which it is.
pub const CHOSEN_MAX: usize = 8;

/// Longer than what any client can be made to keep, and short enough for hashes whose cost grows with it.
const CHOSEN_BYTES_MAX: usize = 256;

const PREFIX: &str = "lo";
const SALT_BYTES: usize = 16;
/// 8 characters of base32.
const ID_BYTES: usize = 5;
/// The id of a secret in the form of [`issue`].
const ID_CHARS: usize = 8;
/// `lo_<id>_`: what stands in clear.
const CLEAR_CHARS: usize = PREFIX.len() + 1 + ID_CHARS + 1;

/// The operating system has no random bytes to give.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// Why what somebody chose cannot be a client's secret.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum ChooseError {
    /// It is empty, or longer than a secret can be, or has control characters in it.
    #[error("a secret must have 1 to {CHOSEN_BYTES_MAX} bytes and no control characters")]
    Unfit,
    /// The client has as many as it may have.
    #[error("the client has {CHOSEN_MAX} chosen secrets already; revoke one with `locum client revoke`")]
    TooMany,
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// The record for a secret that somebody chose, stored as a slow hash.
///
/// # Errors
/// If it cannot be one, or there is no randomness to be had, or no time.
pub async fn choose(
    label: &str,
    source: SecretSource,
    proof: &Secret,
    now: Timestamp,
) -> Result<ClientSecret, ChooseError> {
    if !is_fit(proof) {
        return Err(ChooseError::Unfit);
    }
    let verifier = slow_verifier_of(proof).await?;
    Ok(ClientSecret { id: random_id()?, label: label.to_owned(), verifier, created: now, expires: None, source })
}

/// Whether a client with these may have another secret that is stored as a slow hash.
///
/// # Errors
/// [`ChooseError::TooMany`] if not.
pub fn check_room(secrets: &[ClientSecret]) -> Result<(), ChooseError> {
    let chosen = secrets.iter().filter(|secret| matches!(secret.verifier, Verifier::Chosen { .. })).count();
    if chosen < CHOSEN_MAX { Ok(()) } else { Err(ChooseError::TooMany) }
}

/// The id of the secret among these that somebody chose and that is this one, if one is. Each is tried: no more of them than a
/// client may have.
///
/// # Errors
/// If there is no time.
pub async fn chosen_one(secrets: &[ClientSecret], proof: &Secret) -> Result<Option<String>, Busy> {
    for secret in secrets {
        let Verifier::Chosen { hash } = &secret.verifier else { continue };
        let Ok(hash) = ChosenHash::parse(hash) else { continue };
        let proof = proof.clone();
        if pool::run(Rank::Known, move || hash.proves(&proof)).await? {
            return Ok(Some(secret.id.clone()));
        }
    }
    Ok(None)
}

/// A new public id: random, short, and good to read out.
///
/// # Errors
/// If there is no randomness to be had.
pub fn random_id() -> Result<String, NoRandomness> {
    Ok(BASE32_NOPAD.encode(&random_bytes::<ID_BYTES>()?).to_ascii_lowercase())
}

/// A new secret with at least [`BITS_ENOUGH`] random bits behind what stands in clear, and its stored form.
///
/// # Errors
/// If there is no randomness to be had.
pub fn random_behind(clear: &str) -> Result<(Secret, Verifier), NoRandomness> {
    let secret = issue::random_behind(clear)?;
    let verifier = fast_verifier_of(&secret)?;
    Ok((secret, verifier))
}

/// Whether that is the secret of [`random_behind`] with that stored form. It takes the same time without one, and says no.
pub fn proves_random(verifier: Option<&Verifier>, proof: &Secret) -> bool {
    /// In the form of one, of a digest that nothing has.
    const NONE: (&str, &str) = ("AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    match verifier {
        Some(Verifier::SaltedSha256 { salt, digest }) => proves_fast(salt, digest, proof),
        Some(Verifier::Chosen { .. }) | None => {
            let _ = proves_fast(NONE.0, NONE.1, proof);
            false
        }
    }
}

/// Whether that may prove anything at all. A control character, of C1 too, is in no secret that somebody typed.
pub(super) fn is_fit(proof: &Secret) -> bool {
    let bytes = proof.expose();
    let has_c1 = || proof.expose_text().is_some_and(|text| text.chars().any(char::is_control));
    (1..=CHOSEN_BYTES_MAX).contains(&bytes.len()) && !proof.has_control_characters() && !has_c1()
}

async fn slow_verifier_of(secret: &Secret) -> Result<Verifier, ChooseError> {
    let (secret, salt) = (secret.clone(), random_bytes::<SALT_BYTES>()?);
    let hash = pool::run(Rank::Known, move || ChosenHash::make(&secret, &salt)).await?;
    Ok(Verifier::Chosen { hash })
}

fn fast_verifier_of(secret: &Secret) -> Result<Verifier, NoRandomness> {
    let salt = random_bytes::<SALT_BYTES>()?;
    let digest = BASE64.encode(salted_digest(&salt, secret).as_ref());
    Ok(Verifier::SaltedSha256 { salt: BASE64.encode(&salt), digest })
}

/// One fast hash, whichever way it goes.
fn proves_fast(salt: &str, digest: &str, proof: &Secret) -> bool {
    let salt = BASE64.decode(salt.as_bytes()).unwrap_or_default();
    let expected = BASE64.decode(digest.as_bytes()).unwrap_or_default();
    salted_digest(&salt, proof).as_ref().ct_eq(&expected).into()
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

    #[tokio::test]
    async fn what_cannot_be_typed_is_no_secret() {
        let long = "x".repeat(CHOSEN_BYTES_MAX + 1);
        for unfit in ["", "a\0b", "a\r\n", "\x7f", "a\u{85}b", &long] {
            let chosen = choose("", SecretSource::Learnt, &Secret::new(unfit), Timestamp::UNIX_EPOCH).await;
            assert!(matches!(chosen, Err(ChooseError::Unfit)), "{unfit:?}");
        }
        assert!(is_fit(&Secret::new("pässwörd")) && is_fit(&Secret::new(*b"p\xe4ss")), "in whatever encoding");
    }

    #[tokio::test]
    async fn a_chosen_secret_is_stored_as_a_slow_hash_and_a_client_has_room_for_some() {
        let source = SecretSource::FirstLogin;
        let secret = choose("door", source, &Secret::new("hunter2"), Timestamp::UNIX_EPOCH).await.unwrap();
        let Verifier::Chosen { hash } = &secret.verifier else { panic!("{secret:?}") };
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!((secret.label.as_str(), secret.source), ("door", source));
        let fast = issue("", None, Timestamp::UNIX_EPOCH).unwrap().0;
        let mut all = vec![fast; 20];
        all.extend(vec![secret.clone(); CHOSEN_MAX - 1]);
        assert!(check_room(&all).is_ok());
        all.push(secret);
        assert!(matches!(check_room(&all), Err(ChooseError::TooMany)));
    }
}
