//! Secrets that Locum makes. Each carries its id in clear, whatever its form, so that its verifier is found at once and the
//! audit can name it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{
    Busy, CLEAR_CHARS, ChooseError, NoRandomness, PREFIX, check_room, fast_verifier_of, random_bytes, random_id,
    slow_verifier_of,
};
use crate::model::{ClientSecret, Secret, SecretSource};

/// From so many random bits on, one salted fast hash is enough to store a secret: guessing it takes more than there is of
/// time and energy, however fast a guess is.
pub const BITS_ENOUGH: u32 = 112;

/// With fewer, no hash would help: this many at 20 ms a guess are some hundred core-years.
pub const BITS_MIN: u32 = 40;

/// 130 bits.
const RANDOM_CHARS: usize = 26;

/// Longer than the field of any device.
const LENGTH_MAX: usize = 128;

/// Ids that are drawn until there is one that the client does not have yet. Each is free by far more than one half.
const DRAWS_MAX: usize = 64;

/// The characters of a secret. Those that are easily taken for another are in none but where there would be too few.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// `lo_<id>_<random>`, in small letters and the digits 2 to 7.
    #[default]
    Default,
    /// Letters, small and capital.
    Letters,
    /// Digits alone.
    Digits,
    /// Letters, small and capital, and digits.
    Alphanumeric,
    /// Small letters alone.
    Lower,
}

impl Alphabet {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Default, Self::Letters, Self::Digits, Self::Alphanumeric, Self::Lower];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Letters => "letters",
            Self::Digits => "digits",
            Self::Alphanumeric => "alphanumeric",
            Self::Lower => "lower",
        }
    }

    fn characters(self) -> &'static [u8] {
        match self {
            Self::Default => b"abcdefghijklmnopqrstuvwxyz234567",
            Self::Letters => b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ",
            Self::Digits => b"0123456789",
            Self::Alphanumeric => b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
            Self::Lower => b"abcdefghijkmnpqrstuvwxyz",
        }
    }

    /// Characters in clear: some thousand ids for each client are enough, and they take up what is scarce.
    fn clear_chars(self) -> usize {
        match self {
            Self::Default => CLEAR_CHARS,
            Self::Letters | Self::Alphanumeric | Self::Lower => 3,
            Self::Digits => 4,
        }
    }

    fn random_bits(self, chars: usize) -> u32 {
        let (size, chars) = (self.characters().len() as f64, u32::try_from(chars).unwrap_or(u32::MAX));
        (size.log2() * f64::from(chars)).floor() as u32
    }

    /// The length that has so many random bits in it.
    fn length_of(self, bits: u32) -> usize {
        let mut chars = 0;
        while self.random_bits(chars) < bits {
            chars += 1;
        }
        self.clear_chars() + chars
    }
}

impl std::str::FromStr for Alphabet {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|alphabet| alphabet.name() == text);
        known.ok_or("expected \"default\", \"letters\", \"digits\", \"alphanumeric\" or \"lower\"")
    }
}

/// What a secret has to look like, for devices with short or picky fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Form {
    /// Its characters.
    pub alphabet: Alphabet,
    /// How many, with those of the id; `None` for as many as are needed.
    pub length: Option<usize>,
}

impl Form {
    /// All its characters.
    pub fn length(&self) -> usize {
        self.length.unwrap_or_else(|| match self.alphabet {
            Alphabet::Default => CLEAR_CHARS + RANDOM_CHARS,
            other => other.length_of(BITS_ENOUGH),
        })
    }

    /// How much of it nobody can know.
    pub fn random_bits(&self) -> u32 {
        self.alphabet.random_bits(self.length().saturating_sub(self.alphabet.clear_chars()))
    }

    /// The length from which on it is as good as any.
    pub fn length_enough(&self) -> usize {
        self.alphabet.length_of(BITS_ENOUGH)
    }
}

/// Why no secret is issued.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum IssueError {
    /// It would be guessed.
    #[error(
        "{length} characters have {bits} random bits in them beside the id, and fewer than {BITS_MIN} are guessed; {least} \
         would do, and {enough} make it as good as any"
    )]
    TooShort {
        /// What was asked for.
        length: usize,
        /// What is in it.
        bits: u32,
        /// The least that would do.
        least: usize,
        /// From here on, longer is not better.
        enough: usize,
    },
    /// Nothing would be gained.
    #[error("a secret has no more than {LENGTH_MAX} characters")]
    TooLong,
    /// All ids of that form that were drawn are taken.
    #[error("the client has too many secrets of that form; revoke some, or use another login")]
    NoIdLeft,
    /// See [`ChooseError::TooMany`].
    #[error(transparent)]
    Chosen(#[from] ChooseError),
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// See [`Busy`].
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// A new secret `lo_<id>_<random>`: its record, and the secret itself, to be shown once.
///
/// # Errors
/// If there is no randomness to be had.
pub fn issue(label: &str, expires: Option<Timestamp>, now: Timestamp) -> Result<(ClientSecret, Secret), NoRandomness> {
    let id = random_id()?;
    let random = random_text(Alphabet::Default, RANDOM_CHARS)?;
    let secret = Secret::new(format!("{PREFIX}_{id}_{}", *random));
    let verifier = fast_verifier_of(&secret)?;
    let (label, source) = (label.to_owned(), SecretSource::Issued);
    Ok((ClientSecret { id, label, verifier, created: now, expires, source }, secret))
}

/// As many random characters as a secret of [`issue`] has, behind what stands in clear.
pub(super) fn random_behind(clear: &str) -> Result<Secret, NoRandomness> {
    let random = random_text(Alphabet::Default, RANDOM_CHARS)?;
    Ok(Secret::new(format!("{clear}{}", *random)))
}

/// A new secret of that form, beside those that the client has.
///
/// # Errors
/// If it would be too weak, or there is no randomness to be had, or no time.
pub async fn issue_as(
    form: Form,
    label: &str,
    expires: Option<Timestamp>,
    others: &[ClientSecret],
    now: Timestamp,
) -> Result<(ClientSecret, Secret), IssueError> {
    let (alphabet, length, bits) = (form.alphabet, form.length(), form.random_bits());
    if bits < BITS_MIN {
        let (least, enough) = (alphabet.length_of(BITS_MIN), form.length_enough());
        return Err(IssueError::TooShort { length, bits, least, enough });
    }
    if length > LENGTH_MAX {
        return Err(IssueError::TooLong);
    }
    let is_enough = bits >= BITS_ENOUGH;
    if !is_enough {
        check_room(others)?;
    }
    let id = free_id(alphabet, others)?;
    let random = random_text(alphabet, length - alphabet.clear_chars())?;
    let secret = Secret::new(match alphabet {
        Alphabet::Default => format!("{PREFIX}_{id}_{}", *random),
        _ => format!("{id}{}", *random),
    });
    let verifier = if is_enough { fast_verifier_of(&secret)? } else { slow_verifier_of(&secret).await? };
    let (label, source) = (label.to_owned(), SecretSource::Issued);
    Ok((ClientSecret { id, label, verifier, created: now, expires, source }, secret))
}

/// Whether that text is in the form of [`issue`], by itself: nothing else is told apart from what people choose.
pub(super) fn is_of_form(proof: &Secret) -> bool {
    let Some(id) = clear_id(proof) else { return false };
    let random = &proof.expose()[CLEAR_CHARS..];
    let is_base32 = |bytes: &[u8]| bytes.iter().all(|byte| Alphabet::Default.characters().contains(byte));
    is_base32(id.as_bytes())
        && is_base32(random)
        && Alphabet::Default.random_bits(random.len()) >= BITS_ENOUGH
        && proof.expose().len() <= LENGTH_MAX
}

/// Whether that text says of itself that it is that secret.
pub(in crate::broker) fn names(secret: &ClientSecret, proof: &Secret) -> bool {
    if !is_issued(secret) {
        return false;
    }
    match clear_id(proof) {
        Some(id) if id == secret.id => true,
        // Shorter ones stand at the very beginning.
        _ => secret.id.len() < super::ID_CHARS && proof.expose().starts_with(secret.id.as_bytes()),
    }
}

/// Whether it is one that carries its id.
pub(super) fn is_issued(secret: &ClientSecret) -> bool {
    secret.source == SecretSource::Issued
}

/// The id in `lo_<id>_…`.
fn clear_id(proof: &Secret) -> Option<&str> {
    let clear = proof.expose_text()?.get(..CLEAR_CHARS)?;
    clear.strip_prefix(PREFIX)?.strip_prefix('_')?.strip_suffix('_')
}

fn free_id(alphabet: Alphabet, others: &[ClientSecret]) -> Result<String, IssueError> {
    for _ in 0..DRAWS_MAX {
        let id = match alphabet {
            Alphabet::Default => random_id()?,
            _ => random_text(alphabet, alphabet.clear_chars())?.to_string(),
        };
        if others.iter().all(|other| other.id != id) {
            return Ok(id);
        }
    }
    Err(IssueError::NoIdLeft)
}

/// Characters of that alphabet, each as likely as any other.
fn random_text(alphabet: Alphabet, chars: usize) -> Result<Zeroizing<String>, NoRandomness> {
    let characters = alphabet.characters();
    // What is over the last whole multiple would make the first characters likelier.
    let fair = 256 / characters.len() * characters.len();
    let mut text = Zeroizing::new(String::with_capacity(chars));
    while text.len() < chars {
        let bytes = Zeroizing::new(random_bytes::<64>()?);
        let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
        let missing = chars - text.len();
        text.extend(fair.take(missing).map(|byte| char::from(characters[byte % characters.len()])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Verifier;

    fn form(alphabet: Alphabet, length: usize) -> Form {
        Form { alphabet, length: Some(length) }
    }

    async fn issued(form: Form) -> Result<(ClientSecret, Secret), IssueError> {
        issue_as(form, "", None, &[], Timestamp::UNIX_EPOCH).await
    }

    #[test]
    fn an_issued_secret_carries_its_id_and_enough_randomness() {
        let (record, secret) = issue("", None, Timestamp::UNIX_EPOCH).unwrap();
        let parts: Vec<&str> = secret.expose_text().unwrap().split('_').collect();
        assert_eq!((parts[0], parts[1]), ("lo", record.id.as_str()));
        assert_eq!(parts[2].len(), RANDOM_CHARS);
        assert!(is_of_form(&secret) && names(&record, &secret));
        assert_ne!(issue("", None, Timestamp::UNIX_EPOCH).unwrap().1, secret);
    }

    #[tokio::test]
    async fn each_form_has_its_characters_its_length_and_its_id() {
        for alphabet in Alphabet::ALL {
            let whole = Form { alphabet, length: None };
            assert!(whole.random_bits() >= BITS_ENOUGH, "{alphabet:?}");
            for form in [whole, form(alphabet, alphabet.length_of(BITS_MIN)), form(alphabet, LENGTH_MAX)] {
                let (record, secret) = issued(form).await.unwrap();
                let text = secret.expose_text().unwrap();
                assert_eq!(text.len(), form.length(), "{alphabet:?}");
                let random = text.strip_prefix("lo_").unwrap_or(text);
                assert!(random.bytes().all(|it| it == b'_' || alphabet.characters().contains(&it)), "{text}");
                assert!(names(&record, &secret), "{text}");
                let is_fast = matches!(record.verifier, Verifier::SaltedSha256 { .. });
                assert_eq!(is_fast, form.random_bits() >= BITS_ENOUGH, "{alphabet:?}");
                let of_form = alphabet == Alphabet::Default && is_fast;
                assert_eq!(is_of_form(&secret), of_form, "{text}");
            }
        }
    }

    #[tokio::test]
    async fn what_would_be_guessed_is_refused_with_what_would_do() {
        let error = issued(form(Alphabet::Digits, 8)).await.unwrap_err().to_string();
        let expected = "8 characters have 13 random bits in them beside the id, and fewer than 40 are guessed; 17 would do, \
                        and 38 make it as good as any";
        assert_eq!(error, expected);
        for alphabet in Alphabet::ALL {
            let least = alphabet.length_of(BITS_MIN);
            assert!(issued(form(alphabet, least)).await.is_ok(), "{alphabet:?}");
            for short in [0, 1, least - 1] {
                assert!(
                    matches!(issued(form(alphabet, short)).await, Err(IssueError::TooShort { .. })),
                    "{alphabet:?}"
                );
            }
            let long = issued(form(alphabet, LENGTH_MAX + 1)).await;
            assert!(matches!(long, Err(IssueError::TooLong)), "{alphabet:?}");
        }
    }

    #[tokio::test]
    async fn no_two_secrets_of_a_client_have_one_id() {
        let mut all = Vec::new();
        let whole = Form { alphabet: Alphabet::Digits, length: None };
        for _ in 0..500 {
            all.push(issue_as(whole, "", None, &all, Timestamp::UNIX_EPOCH).await.unwrap().0);
        }
        let ids: std::collections::BTreeSet<_> = all.iter().map(|secret| secret.id.as_str()).collect();
        assert_eq!(ids.len(), all.len());
    }

    #[test]
    fn all_characters_are_drawn() {
        for alphabet in Alphabet::ALL {
            let text = random_text(alphabet, 5_000).unwrap();
            assert!(alphabet.characters().iter().all(|it| text.as_bytes().contains(it)), "{alphabet:?}");
        }
    }
}
