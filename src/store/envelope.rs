//! How values are sealed at rest: XChaCha20-Poly1305 under a random data key, which is itself sealed ("wrapped") by the
//! operator's key. It must never hand out bytes whose seal does not hold.
//!
//! Everything sealed reads `format (1 byte) ‖ nonce (24) ‖ ciphertext ‖ tag (16)`. What a seal is bound to (the
//! associated data) begins with its purpose and the format, so that no seal can be passed off as another:
//!
//! | what | bound to |
//! |---|---|
//! | a value | `locum:record` 0, format, folder 0, hash 0, version (8 bytes, big-endian) |
//! | the data key | `locum:data-key` 0, format, id of the wrapping key |

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use zeroize::Zeroizing;

use super::{
    Version,
    key::{KEY_BYTES, Key, NoRandom, random_bytes},
};
use crate::model::{RecordId, Secret};

/// The first byte of everything sealed: the way it is sealed.
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 24;

/// The key under which the values of one store are sealed. Never leaves the process unwrapped.
pub(super) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// A new random one, for a new store.
    pub(super) fn generate() -> Result<Self, NoRandom> {
        random_bytes().map(Self)
    }

    /// The data key, sealed by the operator's key.
    pub(super) fn wrap(&self, key: &Key) -> Result<Vec<u8>, NoRandom> {
        seal(key.bytes(), &bound_to_key(key), self.0.as_slice())
    }

    /// The data key again; `None` if it was not wrapped by that key, or was altered.
    pub(super) fn unwrap(wrapped: &[u8], key: &Key) -> Option<Self> {
        let bytes = Zeroizing::new(open(key.bytes(), &bound_to_key(key), wrapped)?);
        bytes.as_slice().try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// A value, sealed as that version of that record.
    pub(super) fn seal(&self, id: &RecordId, version: Version, value: &Secret) -> Result<Vec<u8>, NoRandom> {
        seal(&self.0, &bound_to_record(id, version), value.expose())
    }

    /// The value again; `None` if it was not sealed as that version of that record, or was altered.
    pub(super) fn open(&self, id: &RecordId, version: Version, sealed: &[u8]) -> Option<Secret> {
        open(&self.0, &bound_to_record(id, version), sealed).map(Secret::new)
    }
}

fn bound_to_record(id: &RecordId, version: Version) -> Vec<u8> {
    // Neither a folder nor a hash holds a NUL, so no two records share these bytes.
    let mut bound = b"locum:record\0".to_vec();
    bound.push(FORMAT);
    for part in [id.kind().folder(), id.hash()] {
        bound.extend_from_slice(part.as_bytes());
        bound.push(0);
    }
    bound.extend_from_slice(&version.0.to_be_bytes());
    bound
}

fn bound_to_key(key: &Key) -> Vec<u8> {
    [b"locum:data-key\0".as_slice(), &[FORMAT], key.id().as_bytes()].concat()
}

fn seal(key: &[u8; KEY_BYTES], bound: &[u8], plain: &[u8]) -> Result<Vec<u8>, NoRandom> {
    // 192 random bits: no nonce comes twice under one key, however many values it seals.
    let nonce = *random_bytes::<NONCE_BYTES>()?;
    let ciphertext = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: bound })
        .expect("a value is far shorter than the 256 GiB that the cipher can seal");
    Ok([[FORMAT].as_slice(), &nonce, &ciphertext].concat())
}

fn open(key: &[u8; KEY_BYTES], bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let rest = sealed.strip_prefix(&[FORMAT])?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
    // The tag is verified before a byte is decrypted, and the bytes are decrypted where they lie: no copy stays behind.
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: bound }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RecordKind;

    fn id(name: &str) -> RecordId {
        RecordId::new(RecordKind::Account, name)
    }

    #[test]
    fn a_sealed_value_opens_as_what_it_is_and_as_nothing_else() {
        let data_key = DataKey::generate().unwrap();
        let sealed = data_key.seal(&id("a"), Version(7), &Secret::new("value")).unwrap();
        let open = |id: &RecordId, version| data_key.open(id, Version(version), &sealed);
        assert_eq!(open(&id("a"), 7), Some(Secret::new("value")));
        assert_eq!(open(&id("a"), 8), None);
        assert_eq!(open(&id("b"), 7), None);
        assert_eq!(open(&RecordId::new(RecordKind::Client, "a"), 7), None);
        assert_eq!(DataKey::generate().unwrap().open(&id("a"), Version(7), &sealed), None);
    }

    #[test]
    fn a_seal_with_any_byte_changed_or_missing_does_not_open() {
        let data_key = DataKey::generate().unwrap();
        let sealed = data_key.seal(&id("a"), Version(1), &Secret::new("value")).unwrap();
        assert_eq!(sealed.len(), 1 + 24 + 5 + 16);
        for position in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert_eq!(data_key.open(&id("a"), Version(1), &altered), None, "byte {position}");
            assert_eq!(data_key.open(&id("a"), Version(1), &sealed[..position]), None, "first {position} bytes");
        }
    }

    #[test]
    fn the_same_value_never_looks_the_same_twice() {
        let data_key = DataKey::generate().unwrap();
        let seal = || data_key.seal(&id("a"), Version(1), &Secret::new("value")).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_wrapped_data_key_opens_with_its_key_alone() {
        let data_key = DataKey::generate().unwrap();
        let wrapped = data_key.wrap(&Key::from([1; 32])).unwrap();
        assert!(!wrapped.windows(8).any(|window| window == &data_key.0[..8]));
        assert_eq!(DataKey::unwrap(&wrapped, &Key::from([1; 32])).unwrap().0, data_key.0);
        assert!(DataKey::unwrap(&wrapped, &Key::from([2; 32])).is_none());
    }

    #[test]
    fn the_format_is_stable() {
        // Stores hold such bytes for years: a change here needs a new format byte and a way to read the old one.
        // The bytes were computed by another program.
        let ciphertext = b"\xc8\x13\x8e\xff\x19\x48\x96\x88\x60\x83\xe5\x6a\x16\x65\x69\x16\x9e\x97\x80\xe4\x1f";
        let sealed = [[1].as_slice(), &[9; 24], ciphertext].concat();
        let data_key = DataKey(Zeroizing::new([7; 32]));
        assert_eq!(data_key.open(&id("alice@example.com"), Version(3), &sealed), Some(Secret::new("value")));
    }
}
