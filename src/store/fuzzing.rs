//! Doors to what only this room sees, for the fuzz targets (`tests/fuzz`). A release has none of them. It must hold nothing
//! but doors.

use super::envelope::DataKey;
use super::key::{Key, KeySource};
use super::notice;
use super::{Position, Version};
use crate::model::{RecordId, Secret};

/// Whether that text, found in some place, is a key.
pub fn is_key(text: &[u8]) -> bool {
    Key::parse(text, &KeySource::Environment("KEY".to_owned())).is_ok()
}

/// Whether these bytes are a data key that was wrapped by the key in that text.
pub fn unwraps(wrapped: &[u8], key: &[u8]) -> bool {
    let key = Key::parse(key, &KeySource::Environment("KEY".to_owned()));
    key.is_ok_and(|key| DataKey::unwrap(wrapped, &key).is_some())
}

/// A new data key: seals that value as that version, lets `alter` change the bytes, and opens them.
pub fn reopen(id: &RecordId, version: u64, value: &Secret, alter: impl FnOnce(&mut Vec<u8>)) -> Option<Secret> {
    let key = DataKey::generate().ok()?;
    let mut sealed = key.seal(id, Version(version), value).ok()?;
    alter(&mut sealed);
    key.open(id, Version(version), &sealed)
}

/// A notice that says how far the feed of that epoch has come.
pub fn notice(epoch: &str, sequence: u64) -> Vec<u8> {
    notice::seal(&Position { epoch: epoch.to_owned(), sequence })
}

/// The sequence in a datagram that a reader of that epoch made.
pub fn heard(datagram: &[u8], epoch: &str) -> Option<u64> {
    notice::open(datagram, &Position { epoch: epoch.to_owned(), sequence: 0 }).ok()
}
