//! What a store keeps sealed, and the keys for it: nothing opens but what was sealed, as what it was.
//!
//! An input is: where and what is altered (3 bytes), a version (1 byte), a name behind its length, and the value; the value is
//! taken for a key, too, and for a wrapped one.

use locum::model::{RecordId, RecordKind, Secret};
use locum::store::fuzzing::{is_key, reopen, unwraps};

use super::Input;

/// A key in base64, which nobody has.
const KEY: &[u8] = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let at = usize::from(u16::from_le_bytes([input.byte(), input.byte()]));
    let (by, version) = (input.byte(), u64::from(input.byte()));
    let name = String::from_utf8_lossy(input.piece()).into_owned();
    let rest = input.rest();
    let value = Secret::new(rest);
    let id = RecordId::new(RecordKind::ALL[at % RecordKind::ALL.len()], &name);
    let opened = reopen(&id, version, &value, |sealed| {
        assert!(sealed.len() <= rest.len() + 41, "it grows");
        assert!(rest.len() < 8 || !sealed.windows(rest.len()).any(|it| it == rest), "it can be read");
        match by {
            0 => {}
            1..=127 => {
                let at = at % sealed.len();
                sealed[at] ^= by;
            }
            128..=191 => sealed.truncate(at % sealed.len()),
            192..=254 => sealed.push(by),
            255 => *sealed = rest.to_vec(),
        }
    });
    assert_eq!(opened, (by == 0).then_some(value), "a seal does not hold");
    assert!(!unwraps(rest, KEY), "a wrapped key was guessed");
    let is_of_32 = data_encoding::BASE64.decode(rest.trim_ascii()).is_ok_and(|key| key.len() == 32);
    assert_eq!(is_key(rest), is_of_32);
}
