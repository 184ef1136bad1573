//! What a peer sent and no dialogue has read yet: lines and counted bytes out of a bounded buffer.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use zeroize::{Zeroize, Zeroizing};

use super::Outgoing;
use crate::model::Secret;

/// Bytes received and not yet consumed. Each is wiped when it is consumed, and the rest when this is dropped: a password may
/// be among them, and a dialogue go on after it.
pub(super) struct Input {
    bytes: Zeroizing<Vec<u8>>,
    start: usize,
    line_bytes_max: usize,
}

/// A line is longer than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineTooLong;

impl Input {
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::new()), start: 0, line_bytes_max }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let unread = self.len();
        if self.bytes.len() + bytes.len() > self.bytes.capacity() {
            // By hand, so that the outgrown buffer is wiped and what was read does not move along.
            let mut grown = Zeroizing::new(Vec::with_capacity((unread + bytes.len()).next_power_of_two()));
            grown.extend_from_slice(&self.bytes[self.start..]);
            (self.bytes, self.start) = (grown, 0);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line without its line end (CR LF, or a bare LF, which devices send); `None` while it is incomplete.
    ///
    /// # Errors
    /// If the line, complete or not, is over the limit. Nothing is consumed.
    pub(super) fn next_line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, LineTooLong> {
        let unread = &self.bytes[self.start..];
        match unread.iter().take(self.line_bytes_max).position(|&byte| byte == b'\n') {
            Some(end) => {
                let line = unread[..end].strip_suffix(b"\r").unwrap_or(&unread[..end]);
                let line = Zeroizing::new(line.to_vec());
                self.consume(end + 1);
                Ok(Some(line))
            }
            None if unread.len() >= self.line_bytes_max => Err(LineTooLong),
            None => Ok(None),
        }
    }

    /// Exactly `count` bytes, once they are all there.
    pub(super) fn take(&mut self, count: usize) -> Option<Zeroizing<Vec<u8>>> {
        let taken = Zeroizing::new(self.bytes.get(self.start..self.start + count)?.to_vec());
        self.consume(count);
        Some(taken)
    }

    /// Drops up to `count` bytes and says how many.
    pub(super) fn skip(&mut self, count: usize) -> usize {
        let skipped = count.min(self.len());
        self.consume(skipped);
        skipped
    }

    /// All that is left.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.bytes[self.start..].to_vec();
        self.consume(rest.len());
        rest
    }

    fn consume(&mut self, count: usize) {
        let end = self.start + count;
        self.bytes[self.start..end].zeroize();
        self.start = end;
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes unread", self.len())
    }
}

/// Base64 of a SASL message.
pub(super) fn encode_base64(message: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(BASE64.encode(message))
}

/// A SASL message from its base64. Trailing blanks are forgiven (devices pad their lines), nothing else is.
pub(super) fn decode_base64(text: &[u8]) -> Option<Secret> {
    BASE64.decode(text.trim_ascii_end()).ok().map(Secret::new)
}

/// A provider's text, safe for a log: one line, printable, bounded.
pub(super) fn printable(text: &[u8]) -> String {
    const CHARS_MAX: usize = 512;
    // The latter end a line to some readers, or turn its direction.
    let is_shown = |c: char| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    String::from_utf8_lossy(text).chars().take(CHARS_MAX).map(|c| if is_shown(c) { c } else { ' ' }).collect()
}

/// The longest piece of a secret that may be shown is one shorter than this.
const PIECE_BYTES: usize = 6;

/// What of a credential was sent to a provider, in the form in which it was: some servers quote the line that they did not
/// understand, and that line may have been a credential.
#[derive(Default)]
pub(super) struct Sent(Vec<Zeroizing<Vec<u8>>>);

impl Sent {
    /// Remembers a secret, or a form of one.
    pub(super) fn note(&mut self, secret: &[u8]) {
        self.0.push(Zeroizing::new(secret.to_vec()));
    }

    /// A line that ends in a secret, which is remembered. At its full length from the start, so that no half-grown copy
    /// stays behind.
    pub(super) fn line(&mut self, before: &str, secret: &[u8]) -> Outgoing {
        self.note(secret);
        let mut line = Vec::with_capacity(before.len() + secret.len() + 2);
        line.extend_from_slice(before.as_bytes());
        line.extend_from_slice(secret);
        line.extend_from_slice(b"\r\n");
        Outgoing::new(line)
    }

    /// Like [`printable`], with whatever the text repeats of it masked. Pieces count too, as quotes are cut short, in any
    /// case.
    pub(super) fn masked(&self, text: &[u8]) -> String {
        // Far more than is shown; it bounds the work below.
        const TEXT_BYTES_MAX: usize = 4096;
        let text = &text[..text.len().min(TEXT_BYTES_MAX)];
        // Where each piece stands, so that the pieces of a token, thousands, are not held against all of the text each.
        let mut places: BTreeMap<[u8; PIECE_BYTES], Vec<usize>> = BTreeMap::new();
        for (at, piece) in text.windows(PIECE_BYTES).enumerate() {
            places.entry(in_lower_case(piece)).or_default().push(at);
        }
        let mut masked = text.to_vec();
        for secret in self.0.iter().filter(|secret| !secret.is_empty()) {
            if secret.len() < PIECE_BYTES {
                for (at, found) in text.windows(secret.len()).enumerate() {
                    if found.eq_ignore_ascii_case(secret) {
                        masked[at..at + secret.len()].fill(b'*');
                    }
                }
            }
            for piece in secret.windows(PIECE_BYTES) {
                // What is masked once is masked: each place is visited no second time.
                for at in places.remove(&in_lower_case(piece)).unwrap_or_default() {
                    masked[at..at + PIECE_BYTES].fill(b'*');
                }
            }
        }
        printable(&masked)
    }
}

fn in_lower_case(piece: &[u8]) -> [u8; PIECE_BYTES] {
    std::array::from_fn(|at| piece[at].to_ascii_lowercase())
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} parts of a credential", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_came_in() {
        let mut input = Input::new(64);
        for byte in b"a b\r\nc\n\r\nrest" {
            input.push(&[*byte]);
        }
        let mut lines = Vec::new();
        while let Some(line) = input.next_line().unwrap() {
            lines.push(line.to_vec());
        }
        assert_eq!(lines, [b"a b".to_vec(), b"c".to_vec(), b"".to_vec()]);
        assert_eq!(input.take_rest(), b"rest");
        assert!(input.is_empty());
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let mut input = Input::new(8);
        input.push(b"123456\r\n");
        assert_eq!(input.next_line().unwrap().unwrap().as_slice(), b"123456");
        input.push(b"1234567\r\n");
        assert_eq!(input.next_line().unwrap_err(), LineTooLong);
    }

    #[test]
    fn what_was_read_is_there_no_more() {
        let mut input = Input::new(64);
        input.push(b"PASS geheim\r\ngeheim, too.");
        assert_eq!(input.next_line().unwrap().unwrap().as_slice(), b"PASS geheim");
        assert_eq!(input.take(6).unwrap().as_slice(), b"geheim");
        assert_eq!(input.bytes.as_slice(), [[0; 13].as_slice(), &[0; 6], b", too."].concat());
        assert_eq!(input.skip(5), 5);
        assert_eq!(input.take_rest(), b".");
        assert_eq!((input.len(), input.start), (0, 0), "what comes begins where that was");
        input.push(b"x");
        assert_eq!(input.take_rest(), b"x");
    }

    #[test]
    fn counted_bytes_wait_until_they_are_all_there() {
        let mut input = Input::new(8);
        input.push(b"ab");
        assert!(input.take(3).is_none());
        input.push(b"cd");
        assert_eq!(input.take(3).unwrap().as_slice(), b"abc");
        assert_eq!(input.skip(9), 1);
    }

    #[test]
    fn provider_texts_are_made_printable() {
        assert_eq!(printable(b"NO bad\r\n\x1b[31mred\xff"), "NO bad   [31mred\u{fffd}");
        assert_eq!(printable(&[b'x'; 9000]).len(), 512);
    }

    #[test]
    fn what_we_sent_is_masked_where_a_server_quotes_it() {
        let mut sent = Sent::default();
        assert_eq!(sent.line("AUTH PLAIN ", b"AHNjYW4AZ2VoZWlt").as_bytes(), b"AUTH PLAIN AHNjYW4AZ2VoZWlt\r\n");
        sent.note(b"pw");
        assert_eq!(format!("{sent:?}"), "2 parts of a credential");
        assert_eq!(sent.masked(b"unknown \"AHNJYW4AZ2VOZWLT\""), "unknown \"****************\"");
        assert_eq!(sent.masked(b"unknown AHNjYW4A..."), "unknown ********...");
        assert_eq!(sent.masked(b"bad pw!"), "bad **!");
        assert_eq!(sent.masked(b"535 wrong"), "535 wrong");
    }

    #[test]
    fn long_secrets_are_masked_without_long_work() {
        let token: Vec<u8> = (0..8192_u32).map(|at| b'a' + u8::try_from(at * at % 23).unwrap()).collect();
        let mut sent = Sent::default();
        sent.note(&token);
        sent.note(&[b'z'; 8192]);
        // Each with each would be some 10^10 comparisons in all, which no test lives to see.
        for _ in 0..100 {
            assert_eq!(sent.masked(&[b"no ".as_slice(), &token[4000..]].concat()), format!("no {}", "*".repeat(509)));
            assert_eq!(sent.masked(&[b'Z'; 8192]), "*".repeat(512));
        }
    }
}
