//! Secrets that are kept for later: access tokens while they live, records that are remembered of a Vault. They lie in memory
//! sealed, under a key that is drawn by lot for the process, and are opened for the moment in which they are used. A piece of
//! that memory, by whatever way it gets out, shows none of them. Who has all of it has the key, too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::Secret;

/// The key, and how many secrets it has sealed. Clones are one.
#[derive(Clone)]
pub struct Shield(Arc<Inner>);

struct Inner {
    key: LessSafeKey,
    /// The next nonce: none comes twice.
    next: AtomicU64,
}

impl Shield {
    /// Bytes of a key.
    pub const KEY_BYTES: usize = 32;

    /// With a key that nobody else has, of random bytes.
    pub fn new(key: &Zeroizing<[u8; Self::KEY_BYTES]>) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("a key of this cipher has 32 bytes");
        Self(Arc::new(Inner { key: LessSafeKey::new(key), next: AtomicU64::new(0) }))
    }

    /// The secret, sealed. That which was handed in is the caller's to drop.
    pub fn over(&self, secret: &Secret) -> Shielded {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let plain = secret.expose();
        // With room for the tag from the start, so that it is not moved, and leaves no copy.
        let mut sealed = Zeroizing::new(Vec::with_capacity(plain.len() + CHACHA20_POLY1305.tag_len()));
        sealed.extend_from_slice(plain);
        self.0
            .key
            .seal_in_place_append_tag(nonce(number), Aad::empty(), &mut *sealed)
            .expect("a secret is far shorter than the 256 GiB that the cipher can seal");
        Shielded { shield: self.clone(), number, sealed: std::mem::take(&mut *sealed) }
    }
}

impl fmt::Debug for Shield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// A [`Secret`] that is kept for later.
#[derive(Clone)]
pub struct Shielded {
    shield: Shield,
    number: u64,
    sealed: Vec<u8>,
}

impl Shielded {
    /// The secret, for as long as it is needed.
    pub fn open(&self) -> Secret {
        let mut bytes = Zeroizing::new(self.sealed.clone());
        let opened = self.shield.0.key.open_in_place(nonce(self.number), Aad::empty(), &mut bytes);
        let length = opened.expect("it was sealed by this key, and nobody changes it").len();
        bytes.truncate(length);
        Secret::new(std::mem::take(&mut *bytes))
    }
}

impl fmt::Debug for Shielded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Compares what is sealed.
impl PartialEq for Shielded {
    fn eq(&self, other: &Self) -> bool {
        self.open() == other.open()
    }
}

impl Eq for Shielded {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_shows_nothing() {
        let shield = Shield::new(&Zeroizing::new([7; 32]));
        for text in ["", "s", "a secret of several words"] {
            let secret = Secret::new(text);
            let (first, second) = (shield.over(&secret), shield.over(&secret));
            assert_eq!((first.open(), second.open()), (secret.clone(), secret));
            assert_eq!(first, second);
            assert_ne!(first.sealed, second.sealed, "no nonce comes twice");
            assert!(text.is_empty() || !first.sealed.windows(text.len()).any(|part| part == text.as_bytes()));
            assert_eq!(first.sealed.capacity(), text.len() + 16, "it was not moved");
        }
        assert_ne!(shield.over(&Secret::new("a")), shield.over(&Secret::new("b")));
        assert_eq!(format!("{shield:?} {:?}", shield.over(&Secret::new("canary"))), "[REDACTED] [REDACTED]");
    }
}
