//! The search for secrets: in the clear, and in every form in which bytes are written down by mistake.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

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
    /// The first two bytes of all of them: most of what is searched is passed over by these.
    begins: Vec<bool>,
}

/// A secret that is where it should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Which it is, and in what form.
    pub(crate) what: String,
    /// How much of what was searched it takes.
    pub(crate) place: Range<usize>,
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
                self.begins.resize(1 << 16, false);
                self.begins[usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))] = true;
                self.by_start.entry(start).or_default().push(self.needles.len());
                self.needles.push(Needle { what: format!("{name} ({form})"), bytes });
            }
        }
    }

    /// The first secret in there, and where.
    pub(crate) fn find(&self, haystack: &[u8]) -> Option<String> {
        let Found { what, place } = self.find_from(0, haystack)?;
        let around = &haystack[place.start.saturating_sub(200)..haystack.len().min(place.start + 100)];
        Some(format!("{what} in: {}", String::from_utf8_lossy(around)))
    }

    /// All of them; pieces of one that follow each other are one.
    pub(crate) fn find_all(&self, haystack: &[u8]) -> Vec<Found> {
        let mut all: Vec<Found> = Vec::new();
        let mut from = 0;
        while let Some(found) = self.find_from(from, haystack) {
            from = found.place.start + 1;
            match all.last_mut() {
                Some(last) if last.what == found.what && found.place.start <= last.place.end => {
                    last.place.end = found.place.end.max(last.place.end);
                }
                _ => all.push(found),
            }
        }
        all
    }

    fn find_from(&self, from: usize, haystack: &[u8]) -> Option<Found> {
        let candidates = haystack[from..].windows(START_BYTES).enumerate().filter(|(_, start)| {
            self.begins.get(usize::from(start[0]) << 8 | usize::from(start[1])).is_some_and(|begins| *begins)
        });
        for (at, start) in candidates {
            let rest = &haystack[from + at..];
            let known = start_of(start).and_then(|start| self.by_start.get(&start)).into_iter().flatten();
            if let Some(needle) = known.map(|it| &self.needles[*it]).find(|needle| rest.starts_with(&needle.bytes)) {
                let place = from + at..from + at + needle.bytes.len();
                return Some(Found { what: needle.what.clone(), place });
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
        ("UTF-16", secret.iter().flat_map(|byte| [*byte, 0]).collect()),
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
    let twice = [b"....", SECRET, b"....", &SECRET[3..], b"...."].concat();
    let places: Vec<_> = canaries.find_all(&twice).into_iter().map(|found| found.place).collect();
    assert_eq!(places, [4..23, 27..43]);
    for harmless in ["", "mxwq", "the secret is 19 bytes", "mxwq~Tz5/Rk****bVn?2L"] {
        assert_eq!(canaries.find(harmless.as_bytes()), None);
    }
}
