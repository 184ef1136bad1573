//! The one type that holds secret bytes. It must never gain `Display`, `Serialize`, or a `Debug` that shows anything.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::stack::touch;

/// Secret bytes: a password, a token, a sealed document. Wiped from memory when dropped; `Debug` prints `[REDACTED]`.
///
/// [`Secret::expose`] is the only way in, so that every use can be found by its name.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        touch();
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes. Name the reason at the call if it is not plain.
    pub fn expose(&self) -> &[u8] {
        touch();
        &self.0
    }

    /// The bytes as text, where they are UTF-8.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any byte is an ASCII control character (C0 or DEL). Such a secret must never be put on a wire: it could
    /// end the line it stands in and begin a command of its own.
    pub fn has_control_characters(&self) -> bool {
        self.0.iter().any(u8::is_ascii_control)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Compares in time that depends on the lengths alone.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Secret {}

/// Writes and reads a [`Secret`] as a plain JSON string, for documents that go to a store and nowhere else.
///
/// A field opts in by name (`#[serde(with = "secret::in_record")]`); nothing else can serialize a [`Secret`].
pub mod in_record {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    use super::Secret;

    /// Writes the secret as a string.
    ///
    /// # Errors
    /// If the bytes are not UTF-8.
    pub fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        let text = secret.expose_text().ok_or_else(|| ser::Error::custom("a secret in a record must be UTF-8"))?;
        to.serialize_str(text)
    }

    /// Reads the secret from a string.
    ///
    /// # Errors
    /// If the value is not a string; the error does not quote it.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new).map_err(|_| de::Error::custom("a secret must be a string"))
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_never_shows_the_bytes() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some([REDACTED])");
    }

    #[test]
    fn equality_is_of_bytes() {
        assert_eq!(Secret::new("a"), Secret::new("a"));
        assert_ne!(Secret::new("a"), Secret::new("b"));
        assert_ne!(Secret::new("a"), Secret::new("aa"));
    }

    #[test]
    fn control_characters_are_found() {
        assert!(Secret::new("pass\r\nA1 LOGOUT").has_control_characters());
        assert!(Secret::new("nul\0").has_control_characters());
        assert!(!Secret::new("pässwörd !~").has_control_characters());
    }
}
