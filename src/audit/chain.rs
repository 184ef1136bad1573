//! The chain: each line of the audit bears its number and the hash of the line before it, so that no line can be changed,
//! taken out or moved without the next one telling. Pure.
//!
//! The whole rule: `seq` counts from 1. `prev` is the SHA-256, in lower-case hexadecimal, of the exact bytes of the line
//! before, without its line feed; 64 zeros where `seq` is 1. The first line of a file goes on from the last one of the file
//! before. What the chain cannot show is that lines are missing at its very end, or that somebody who may write the file
//! made all of it anew: an anchor that is kept elsewhere (`seq:hash`, see `locum audit verify --anchor`) does.

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256, digest};
use serde::Deserialize;

/// What stands as `prev` in the first line of all.
const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The longest line. Names are cut at 256 characters and texts of providers at 512; a line is a few hundred bytes.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;

/// A line's place in the chain: what the next one refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Its number; 0 before the first.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: String,
}

/// What a line says of its place.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    pub(super) seq: u64,
    pub(super) prev: String,
}

impl Link {
    /// Before the first line of all.
    pub(super) fn origin() -> Self {
        Self { seq: 0, hash: NOTHING_BEFORE.to_owned() }
    }

    /// The line, without its line feed, that holds this event behind the last one. `event` is a JSON object that is not empty.
    pub(super) fn next_line(&self, run: &str, event: &str) -> (String, Self) {
        let (seq, prev) = (self.seq + 1, &self.hash);
        let fields = event.strip_prefix('{').unwrap_or(event);
        let line = format!("{{\"seq\":{seq},\"prev\":\"{prev}\",\"run\":\"{run}\",{fields}");
        let hash = hash(line.as_bytes());
        (line, Self { seq, hash })
    }

    /// The place of that line, if it bears one.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        Some(Self { seq: Place::of(line)?.seq, hash: hash(line) })
    }
}

impl Place {
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().filter(|place: &Self| place.seq > 0)
    }
}

/// The hash of a line, without its line feed.
pub(super) fn hash(line: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, line).as_ref())
}

/// The same of a line that comes in parts.
pub(super) struct Hasher(Context);

impl Hasher {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> String {
        HEXLOWER.encode(self.0.finish().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_hash_of_the_one_before() {
        let (first, link) = Link::origin().next_line("r", r#"{"event":"end"}"#);
        assert_eq!(first, format!(r#"{{"seq":1,"prev":"{NOTHING_BEFORE}","run":"r","event":"end"}}"#));
        assert_eq!(Link::of(first.as_bytes()), Some(link.clone()));
        let (second, _) = link.next_line("r", r#"{"event":"end"}"#);
        assert_eq!(Place::of(second.as_bytes()).unwrap().prev, hash(first.as_bytes()));
    }

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash(b"abc"), of_abc);
        let mut parts = Hasher::new();
        parts.add(b"a");
        parts.add(b"bc");
        assert_eq!(parts.finish(), of_abc);
    }

    #[test]
    fn a_line_without_a_place_is_none_of_the_chain() {
        for line in [&b"{}"[..], b"", b"{\"seq\":1}", b"{\"seq\":0,\"prev\":\"\"}", b"{\"seq\":1,\"prev\":\"\"", b"[]"]
        {
            assert!(Place::of(line).is_none());
        }
    }
}
