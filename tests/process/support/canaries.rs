//! The search for secrets: in the clear, and in every form in which bytes are written down by mistake.

use std::collections::HashMap;
use std::fmt::Write as _;

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// So many bytes of a secret in a row are a find: half a key in a log is half a key. Long enough that chance finds none.
const PIECE_BYTES: usize = 12;
/// Needles are found by their first bytes.
const START_BYTES: usize = 8;

/// Secrets to be found nowhere.
#[derive(Default)]
pub(crate) struct Canaries {
    needles: Vec<Needle>,
    by_start: HashMap<u64, Vec<usize>>,
}

struct Needle {
    what: String,
    bytes: Vec<u8>,
}

impl Canaries {
    /// A secret, by a name that may be shown.
    pub(crate) fn add(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() > PIECE_BYTES, "{name} is too short to be told from chance");
        for (form, bytes) in forms(secret) {
            // A piece of an encoding that has few symbols would be found by chance.
            let in_pieces = form == "clear" || form.starts_with("base64");
            let pieces = if in_pieces { bytes.windows(PIECE_BYTES).map(<[u8]>::to_vec).collect() } else { vec![bytes] };
            for bytes in pieces {
                let start = start_of(&bytes).unwrap();
                self.by_start.entry(start).or_default().push(self.needles.len());
                self.needles.push(Needle { what: format!("{name} ({form})"), bytes });
            }
        }
    }

    /// The first secret in there, and where.
    pub(crate) fn find(&self, haystack: &[u8]) -> Option<String> {
        let mut start = 0_u64;
        for (end, &byte) in haystack.iter().enumerate() {
            start = start << 8 | u64::from(byte);
            let Some(candidates) = (end + 1 >= START_BYTES).then(|| self.by_start.get(&start)).flatten() else {
                continue;
            };
            let at = end + 1 - START_BYTES;
            let rest = &haystack[at..];
            if let Some(&found) = candidates.iter().find(|&&it| rest.starts_with(&self.needles[it].bytes)) {
                let around = &haystack[at.saturating_sub(200)..haystack.len().min(at + 100)];
                return Some(format!("{} in: {}", self.needles[found].what, String::from_utf8_lossy(around)));
            }
        }
        None
    }

    #[track_caller]
    pub(crate) fn assert_absent(&self, place: &str, haystack: impl AsRef<[u8]>) {
        assert!(!self.needles.is_empty(), "nothing is looked for");
        if let Some(found) = self.find(haystack.as_ref()) {
            panic!("{place} shows {found}");
        }
    }
}

fn start_of(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<START_BYTES>().map(|start| u64::from_be_bytes(*start))
}

/// The ways in which bytes are written.
pub(crate) fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let percent = |is_clear: fn(u8) -> bool| {
        secret.iter().fold(String::new(), |mut text, &byte| {
            if is_clear(byte) {
                text.push(char::from(byte));
            } else {
                write!(text, "%{byte:02X}").unwrap();
            }
            text
        })
    };
    let list = |separator: &str| secret.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    let mut forms = vec![
        ("clear", secret.to_vec()),
        ("base32", BASE32_NOPAD.encode(secret).into_bytes()),
        ("hex", HEXLOWER.encode(secret).into_bytes()),
        ("HEX", HEXUPPER.encode(secret).into_bytes()),
        ("percent", percent(|byte| byte.is_ascii_alphanumeric()).into_bytes()),
        ("all percent", percent(|_| false).into_bytes()),
        ("Debug of bytes", list(", ").into_bytes()),
        ("JSON of bytes", list(",").into_bytes()),
        ("hex with blanks", secret.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ").into_bytes()),
    ];
    // Wherever it stands in what is encoded, as in PLAIN behind the name: what is the same whatever is around it.
    for (before, form) in ["base64", "base64 behind one byte", "base64 behind two bytes"].into_iter().enumerate() {
        let bytes = [&b"\0\0"[..before], secret].concat();
        let whole = [0, 2, 3][before]..(bytes.len() * 8) / 6;
        forms.push((form, BASE64.encode(&bytes).as_bytes()[whole.clone()].to_vec()));
        forms.push((form, BASE64URL_NOPAD.encode(&bytes).as_bytes()[whole].to_vec()));
    }
    forms
}

#[test]
fn every_form_of_a_secret_is_found_and_nothing_else() {
    const SECRET: &[u8] = b"mxwq~Tz5/Rk9+bVn?2L";
    let mut canaries = Canaries::default();
    canaries.add("the secret", SECRET);
    for (form, bytes) in forms(SECRET) {
        let log = [b"INFO something ", bytes.as_slice(), b" behind it"].concat();
        let found = canaries.find(&log).unwrap_or_else(|| panic!("{form} is not found"));
        assert!(found.starts_with("the secret ("), "{found}");
    }
    for (name, plain) in [("a", "\0a\0"), ("ab", "\0ab\0"), ("abc", "z\0abc\0")] {
        let plain = BASE64.encode(&[plain.as_bytes(), SECRET].concat());
        assert!(canaries.find(format!("AUTH PLAIN {plain}").as_bytes()).is_some(), "PLAIN of {name}");
    }
    assert!(canaries.find(format!("{SECRET:?}").as_bytes()).is_some());
    assert!(canaries.find(&SECRET[4..]).is_some(), "a part of it");
    for harmless in ["", "mxwq", "the secret is 19 bytes", "mxwq~Tz5/Rk****bVn?2L"] {
        assert_eq!(canaries.find(harmless.as_bytes()), None);
    }
}
