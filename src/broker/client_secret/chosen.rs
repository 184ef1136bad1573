//! Slow hashes of secrets that people chose: ours, and those that operators bring from other systems. What one costs is
//! bounded, when it is brought and when it is computed: a record must not be able to stop a node. No error quotes a hash.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, PasswordVerifier, Version};
use data_encoding::BASE64;
use ring::digest;
use subtle::ConstantTimeEq;

use crate::model::Secret;

/// What ours cost: the first choice of OWASP's cheat sheet for passwords, some 20 ms.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// As much memory as the second choice of RFC 9106 section 4 and libsodium's interactive limit take, twice.
pub(super) const MEMORY_KIB_MAX: u32 = 128 * 1024;

/// Memory times passes: half a second.
const MEMORY_KIB_PASSES_MAX: u64 = 512 * 1024;

/// Lanes are computed one after the other here; so many have no use.
const LANES_MAX: u32 = 16;

/// 2^13 rounds take half a second; 12 is what PHP and others make today.
const BCRYPT_COST_MAX: u32 = 13;

/// The specification allows 999,999,999, which is minutes. Passlib makes 656,000: a third of a second.
const SHA_CRYPT_ROUNDS_MAX: u32 = 1_000_000;
/// The specification's least; writers turn less into this.
const SHA_CRYPT_ROUNDS_MIN: u32 = 1_000;

/// Salts behind the digest in RFC 2307: 4 bytes at Dovecot, 8 or 16 elsewhere.
const SALT_BYTES_MAX: usize = 64;

/// Longer than any of these, with the largest salts.
const TEXT_BYTES_MAX: usize = 512;

/// A secret that nobody knows: what is computed for who is not there. It costs what ours cost.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGtub3dzIGl0$\
                      OUuyDA7d1kbXiSaOBv3a2nMDFO+0wF8ZbLZqJHUmSvo";

/// Why a text is no hash that a secret could be checked with. It does not quote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashRefused {
    /// It is not one of those that are known.
    #[error(
        "it is no hash that can be checked here: take argon2id ($argon2id$), bcrypt ($2a$, $2b$, $2y$), SHA-crypt ($5$, $6$), \
         or {{SSHA}}, {{SSHA256}} or {{SSHA512}}"
    )]
    Unknown,
    /// It says that it is one of those, and has not its form.
    #[error("it begins as {0} and is damaged")]
    Damaged(&'static str),
    /// Whoever presents a secret would make the node work for too long.
    #[error("it costs too much to check: {what} is {found}, and no more than {max} is allowed; let a new one be made")]
    TooCostly {
        /// Of what there is too much.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is borne.
        max: u64,
    },
}

/// A hash, taken apart as far as is needed to know what it costs.
#[derive(Clone, PartialEq, Eq)]
pub struct ChosenHash {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argon2id { work: u64 },
    Bcrypt,
    ShaCrypt,
    Ssha(Digest),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The scheme of RFC 2307, and its kin.
    fn scheme(self) -> &'static str {
        match self {
            Self::Sha1 => "{SSHA}",
            Self::Sha256 => "{SSHA256}",
            Self::Sha512 => "{SSHA512}",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            // Not ours: what others stored has to be checked as it is.
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// It proves a secret, and is nobody's to see.
impl fmt::Debug for ChosenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChosenHash({:?}, [REDACTED])", self.kind)
    }
}

impl ChosenHash {
    /// Reads one, as it stands in a record, in a passdb of Dovecot (`{BLF-CRYPT}$2y$…`) or in a directory (`{CRYPT}$6$…`).
    ///
    /// # Errors
    /// If it cannot be used, or should not be.
    pub fn parse(text: &str) -> Result<Self, HashRefused> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HashRefused::Unknown);
        }
        for digest in Digest::ALL {
            if let Some(rest) = strip_scheme(text, digest.scheme()) {
                split_salted(digest, rest).ok_or(HashRefused::Damaged(digest.scheme()))?;
                return Ok(Self { text: format!("{}{rest}", digest.scheme()), kind: Kind::Ssha(digest) });
            }
        }
        // What a scheme announces has to follow; {CRYPT} is whatever crypt(3) knows.
        for (scheme, begins) in [
            ("{ARGON2ID}", &["$argon2id$"][..]),
            ("{ARGON2}", &["$argon2id$"]),
            ("{BLF-CRYPT}", &["$2"]),
            ("{SHA256-CRYPT}", &["$5$"]),
            ("{SHA512-CRYPT}", &["$6$"]),
            ("{CRYPT}", &["$2", "$5$", "$6$"]),
        ] {
            if let Some(rest) = strip_scheme(text, scheme) {
                let fits = begins.iter().any(|begin| rest.starts_with(begin));
                return if fits { Self::parse_crypt(rest) } else { Err(HashRefused::Unknown) };
            }
        }
        Self::parse_crypt(text)
    }

    fn parse_crypt(text: &str) -> Result<Self, HashRefused> {
        let (_, rest) = text.split_once('$').filter(|(before, _)| before.is_empty()).ok_or(HashRefused::Unknown)?;
        let kind = match rest.split('$').next().unwrap_or_default() {
            "argon2id" => argon2id(text)?,
            "2a" | "2b" | "2y" => bcrypt(text)?,
            "5" => sha_crypt(rest, "SHA-256-crypt", 43)?,
            "6" => sha_crypt(rest, "SHA-512-crypt", 86)?,
            _ => return Err(HashRefused::Unknown),
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// As it stands in a record.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which it is, for people.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Argon2id { .. } => "argon2id",
            Kind::Bcrypt => "bcrypt",
            Kind::ShaCrypt if self.text.starts_with("$5$") => "SHA-256-crypt",
            Kind::ShaCrypt => "SHA-512-crypt",
            Kind::Ssha(digest) => digest.scheme(),
        }
    }

    /// What nobody's secret fits.
    pub(super) fn nobody() -> Self {
        let work = u64::from(MEMORY_KIB) * u64::from(PASSES);
        Self { text: NOBODY.to_owned(), kind: Kind::Argon2id { work } }
    }

    /// Whether checking it takes as long as checking nobody's, at the least.
    pub(super) fn costs_enough(&self) -> bool {
        matches!(self.kind, Kind::Argon2id { work } if work >= u64::from(MEMORY_KIB) * u64::from(PASSES))
    }

    /// Whether it is made of that. It takes its time; not for a thread of the runtime.
    pub(in crate::broker) fn proves(&self, proof: &Secret) -> bool {
        match self.kind {
            Kind::Argon2id { .. } => argon2id_proves(&self.text, proof).unwrap_or(false),
            Kind::Bcrypt => bcrypt::verify(proof.expose(), &self.text).unwrap_or(false),
            Kind::ShaCrypt => {
                sha_crypt::ShaCrypt::default().verify_password(proof.expose(), self.text.as_str()).is_ok()
            }
            Kind::Ssha(digest) => {
                let rest = &self.text[digest.scheme().len()..];
                let Some((expected, salt)) = split_salted(digest, rest) else { return false };
                let mut context = digest::Context::new(digest.algorithm());
                context.update(proof.expose());
                context.update(&salt);
                context.finish().as_ref().ct_eq(&expected).into()
            }
        }
    }

    /// Ours. It takes its time; not for a thread of the runtime.
    pub(super) fn make(secret: &Secret, salt: &[u8; super::SALT_BYTES]) -> String {
        const INVARIANT: &str = "these parameters are in their ranges, and so is the salt's length";
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).expect(INVARIANT);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let mut room = room(&params);
        argon2.hash_password_into_with_memory(secret.expose(), salt, &mut output, &mut room).expect(INVARIANT);
        let hash = PasswordHash {
            algorithm: argon2::ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&params).expect(INVARIANT),
            salt: Some(phc::Salt::new(salt).expect(INVARIANT)),
            hash: Some(phc::Output::new(&output).expect(INVARIANT)),
        };
        hash.to_string()
    }
}

/// Whether an Argon2id hash is made of that; `None` if it is damaged.
fn argon2id_proves(text: &str, proof: &Secret) -> Option<bool> {
    let hash = PasswordHash::new(text).ok()?;
    let (salt, expected) = (hash.salt?, hash.hash?);
    let params = Params::try_from(&hash).ok()?;
    let mut room = room(&params);
    let mut output = vec![0; expected.as_bytes().len()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(proof.expose(), salt.as_ref(), &mut output, &mut room).ok()?;
    Some(output.ct_eq(expected.as_bytes()).into())
}

/// The memory that Argon2 computes in.
fn room(params: &Params) -> Vec<Block> {
    vec![Block::new(); params.block_count()]
}

fn strip_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn at_most(what: &'static str, found: impl Into<u64>, max: impl Into<u64>) -> Result<(), HashRefused> {
    let (found, max) = (found.into(), max.into());
    if found > max { Err(HashRefused::TooCostly { what, found, max }) } else { Ok(()) }
}

fn argon2id(text: &str) -> Result<Kind, HashRefused> {
    let damaged = HashRefused::Damaged("argon2id");
    let hash = PasswordHash::new(text).map_err(|_| damaged.clone())?;
    let params = Params::try_from(&hash).map_err(|_| damaged.clone())?;
    let is_whole = hash.salt.is_some_and(|salt| salt.as_ref().len() >= argon2::MIN_SALT_LEN)
        && hash.hash.is_some_and(|output| output.as_bytes().len() >= 16)
        // Others are not of Argon2 as it was standardised (RFC 9106).
        && hash.version == Some(Version::V0x13.into());
    if !is_whole {
        return Err(damaged);
    }
    at_most("its memory in KiB", params.m_cost(), MEMORY_KIB_MAX)?;
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    at_most("its memory in KiB times its passes", work, MEMORY_KIB_PASSES_MAX)?;
    at_most("its number of lanes", params.p_cost(), LANES_MAX)?;
    Ok(Kind::Argon2id { work })
}

fn bcrypt(text: &str) -> Result<Kind, HashRefused> {
    let damaged = HashRefused::Damaged("bcrypt");
    let cost = text.get(4..6).filter(|cost| cost.bytes().all(|byte| byte.is_ascii_digit()));
    let cost = cost.and_then(|cost| cost.parse::<u32>().ok()).filter(|cost| (4..=31).contains(cost));
    let (Some(cost), Ok(_)) = (cost, text.parse::<bcrypt::HashParts>()) else { return Err(damaged) };
    at_most("its cost", cost, BCRYPT_COST_MAX)?;
    Ok(Kind::Bcrypt)
}

/// `5$rounds=10000$salt$hash`: the specification of SHA-crypt, 0.6.
fn sha_crypt(rest: &str, name: &'static str, hash_chars: usize) -> Result<Kind, HashRefused> {
    let damaged = HashRefused::Damaged(name);
    let fields: Vec<&str> = rest.split('$').skip(1).collect();
    let (rounds, salt, hash) = match fields[..] {
        [salt, hash] => (None, salt, hash),
        [rounds, salt, hash] => (Some(rounds.strip_prefix("rounds=").ok_or(damaged.clone())?), salt, hash),
        _ => return Err(damaged),
    };
    let is_crypt64 = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    if salt.is_empty() || !is_crypt64(salt) || salt.len() > 16 || hash.len() != hash_chars || !is_crypt64(hash) {
        return Err(damaged);
    }
    if let Some(rounds) = rounds {
        let is_number = !rounds.is_empty() && rounds.bytes().all(|byte| byte.is_ascii_digit());
        let rounds = is_number.then(|| rounds.parse::<u64>().unwrap_or(u64::MAX)).ok_or(damaged.clone())?;
        at_most("its number of rounds", rounds, SHA_CRYPT_ROUNDS_MAX)?;
        if rounds < u64::from(SHA_CRYPT_ROUNDS_MIN) {
            return Err(damaged);
        }
    }
    Ok(Kind::ShaCrypt)
}

/// The digest, and the salt behind it (RFC 2307 section 5.3).
fn split_salted(digest: Digest, rest: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut bytes = BASE64.decode(rest.as_bytes()).ok()?;
    let length = digest.algorithm().output_len();
    if bytes.len() <= length || bytes.len() > length + SALT_BYTES_MAX {
        return None;
    }
    let salt = bytes.split_off(length);
    Some((bytes, salt))
}

#[cfg(test)]
mod tests;
