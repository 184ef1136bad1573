//! Messages that are hard to carry. All of them are in wire form: lines end with CRLF, none is longer than RFC 5322
//! allows. Never a secret, never anything but printable test text and 8-bit bytes.

/// A short message with header and body in plain ASCII.
pub(crate) fn simple(subject: &str) -> Vec<u8> {
    let mut message = header(subject);
    message.extend_from_slice(b"The quick brown fox.\r\n\r\nSecond paragraph.\r\n");
    message
}

/// What breaks a careless relay: lines that begin with dots or consist of them, every 8-bit byte, white space at line
/// ends, a line of 998 bytes, text that looks like protocol, and empty lines at the end.
pub(crate) fn awkward(subject: &str) -> Vec<u8> {
    let mut message = header(subject);
    message.extend_from_slice(b".\r\n..\r\n...\r\n.leading dot\r\n..two dots\r\n");
    message.extend_from_slice(b"trailing blanks  \t \r\n\t indented\r\n");
    message.extend_from_slice(b"From here on\r\nQUIT\r\na1 OK {3}\r\n+OK\r\n)\r\n250 ok\r\n");
    for line in (0x80_u8..=0xff).collect::<Vec<_>>().chunks(16) {
        message.extend_from_slice(line);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice("Grüße, 世界\r\n".as_bytes());
    message.extend_from_slice(&[b'x'; 998]);
    message.extend_from_slice(b"\r\n.\r\n\r\n\r\n");
    message
}

/// About 5 MiB of lines that all differ, every seventh of them beginning with a dot.
pub(crate) fn large(subject: &str) -> Vec<u8> {
    const SIZE: usize = 5 << 20;
    let mut message = header(subject);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for number in 0_u32.. {
        if message.len() >= SIZE {
            break;
        }
        // xorshift: the same bytes on every run, and nothing that compresses or repeats.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let dot = if number % 7 == 0 { "." } else { "" };
        message
            .extend_from_slice(format!("{dot}{number:08} {state:016x} {:016x}\r\n", state.rotate_left(29)).as_bytes());
    }
    message
}

fn header(subject: &str) -> Vec<u8> {
    format!(
        "From: Sender <sender@example.test>\r\nTo: Reader <reader@example.test>\r\nSubject: {subject}\r\n\
         Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{}@example.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        subject.replace(' ', "-")
    )
    .into_bytes()
}

/// Panics unless both are the same bytes; names the first place where they differ instead of printing megabytes.
#[track_caller]
pub(crate) fn assert_same(found: &[u8], expected: &[u8], what: &str) {
    if found == expected {
        return;
    }
    let place = found.iter().zip(expected).take_while(|(left, right)| left == right).count();
    let around = |bytes: &[u8]| {
        let end = bytes.len().min(place + 40);
        bytes[place.saturating_sub(20).min(end)..end].escape_ascii().to_string()
    };
    panic!(
        "{what}: differs at byte {place}\n  found ({} bytes):    {}\n  expected ({} bytes): {}",
        found.len(),
        around(found),
        expected.len(),
        around(expected)
    );
}

/// Panics unless `found` is `sent` with nothing but header fields of the servers before it.
#[track_caller]
pub(crate) fn assert_delivered(found: &[u8], sent: &[u8], what: &str) {
    let added = found.len().saturating_sub(sent.len());
    assert_same(&found[added..], sent, what);
    let trace = String::from_utf8_lossy(&found[..added]);
    for line in trace.lines() {
        let folded = line.starts_with([' ', '\t']);
        let known = ["Return-Path:", "Delivered-To:", "Received:"].iter().any(|field| line.starts_with(field));
        assert!(folded || known, "{what}: an unexpected line before the message: {line:?}");
    }
}

/// Lines with CRLF, as a client hands them over that works with bare LF on its own disk.
pub(crate) fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + text.len() / 32);
    for (place, byte) in text.iter().enumerate() {
        if *byte == b'\n' && (place == 0 || text[place - 1] != b'\r') {
            wire.push(b'\r');
        }
        wire.push(*byte);
    }
    wire
}

/// Lines with bare LF, as clients expect a message in a file.
pub(crate) fn with_lf(wire: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(wire.len());
    let mut bytes = wire.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\r' && bytes.peek() == Some(&b'\n') {
            continue;
        }
        text.push(byte);
    }
    text
}
