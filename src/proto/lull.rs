//! Whether a session that is relayed can be ended now without harm: nothing is under way, and a word of ours to the client
//! would stand between two answers and not within one. It looks at the beginnings of lines and never holds more of them;
//! where it is not sure it says no.

use crate::model::Protocol;

/// The bytes of a line that are looked at: a tag and a word fit in. IMAP tags of clients have some 10 characters.
const HEAD_BYTES: usize = 40;

/// What a client is told that is logged in when the process stops; POP3 has no word for it.
const IMAP_BYE: &[u8] = b"* BYE [UNAVAILABLE] Server is being stopped, try again later\r\n";
const SUBMISSION_BYE: &[u8] = b"421 4.3.2 Shutting down, try again shortly\r\n";

/// Looks at what passes.
#[derive(Debug)]
pub struct Lull {
    protocol: Protocol,
    client: Lines,
    upstream: Lines,
    client_spoke_last: bool,
}

/// The lines of one side: the last whole one, and what there is of the next. Of each, its beginning.
#[derive(Debug, Default)]
struct Lines {
    last: Head,
    next: Head,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    bytes: [u8; HEAD_BYTES],
    length: u8,
}

impl Lull {
    /// For a session in which nothing was said yet after its login.
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, client: Lines::default(), upstream: Lines::default(), client_spoke_last: false }
    }

    /// The client said this.
    pub fn client_said(&mut self, bytes: &[u8]) {
        self.client.take(bytes);
        self.client_spoke_last |= !bytes.is_empty();
    }

    /// The upstream said this.
    pub fn upstream_said(&mut self, bytes: &[u8]) {
        self.upstream.take(bytes);
        self.client_spoke_last &= bytes.is_empty();
    }

    /// Whether nothing is under way.
    pub fn is_calm(&self) -> bool {
        if !self.client.next.is_empty() || !self.upstream.next.is_empty() || self.client_spoke_last {
            return false;
        }
        let (asked, answered) = (self.client.last.line(), self.upstream.last.line());
        match self.protocol {
            _ if asked.is_empty() => self.client.last.is_empty(),
            Protocol::Imap => imap_is_done(asked, answered),
            Protocol::Pop3 => pop3_is_done(asked, answered),
            Protocol::Submission => submission_is_done(asked, answered),
        }
    }

    /// What the client is told at the end.
    pub fn goodbye(&self) -> &'static [u8] {
        match self.protocol {
            Protocol::Imap => IMAP_BYE,
            Protocol::Submission => SUBMISSION_BYE,
            Protocol::Pop3 => b"",
        }
    }
}

/// The last command has its tagged answer, or is IDLE, which is there for being told something at any time. A literal that a
/// side is in the middle of has neither: what stands last in it is no answer to the client's last line.
fn imap_is_done(asked: &[u8], answered: &[u8]) -> bool {
    let mut words = asked.split(|&byte| byte == b' ');
    let (tag, command) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if command.eq_ignore_ascii_case(b"IDLE") && words.next().is_none() {
        return answered.starts_with(b"+") || answered.starts_with(b"* ") || is_tagged(answered, Some(tag));
    }
    // DONE ends an IDLE, whose tag it does not name.
    let tag = (!asked.eq_ignore_ascii_case(b"DONE")).then_some(tag);
    is_tagged(answered, tag)
}

fn is_tagged(line: &[u8], tag: Option<&[u8]>) -> bool {
    let mut words = line.split(|&byte| byte == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_tag = tag.map_or(!matches!(first, b"*" | b"+" | b""), |tag| tag == first);
    is_tag && [&b"OK"[..], b"NO", b"BAD"].iter().any(|word| second.eq_ignore_ascii_case(word))
}

/// The last command has its answer, of which some have many lines and end by a dot.
fn pop3_is_done(asked: &[u8], answered: &[u8]) -> bool {
    if answered == b"." || answered.starts_with(b"-ERR") {
        return true;
    }
    let mut words = asked.split(|&byte| byte == b' ');
    let command = words.next().unwrap_or_default().to_ascii_uppercase();
    let has_lines = match command.as_slice() {
        b"RETR" | b"TOP" | b"CAPA" => true,
        b"LIST" | b"UIDL" => words.next().is_none(),
        _ => false,
    };
    !has_lines && answered.starts_with(b"+OK")
}

/// There is no message under way: one that was begun is sent anew from its beginning where it is broken off.
fn submission_is_done(asked: &[u8], answered: &[u8]) -> bool {
    let is_last_line = matches!(answered, [b'2' | b'4' | b'5', _, _] | [b'2' | b'4' | b'5', _, _, b' ', ..]);
    let command = asked.split(|&byte| byte == b' ').next().unwrap_or_default().to_ascii_uppercase();
    is_last_line && matches!(command.as_slice(), b"." | b"EHLO" | b"HELO" | b"RSET" | b"NOOP" | b"VRFY" | b"HELP")
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        let newline = |bytes: &[u8]| bytes.iter().rposition(|&byte| byte == b'\n');
        let Some(end) = newline(bytes) else { return self.next.extend(bytes) };
        let (before, after) = (&bytes[..end], &bytes[end + 1..]);
        let line = match newline(before) {
            Some(start) => {
                self.next = Head::default();
                &before[start + 1..]
            }
            None => before,
        };
        self.next.extend(line);
        self.next.extend(b"\n"); // for an empty line to be one
        self.last = std::mem::take(&mut self.next);
        self.next.extend(after);
    }
}

impl Head {
    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn extend(&mut self, bytes: &[u8]) {
        let free = &mut self.bytes[usize::from(self.length)..];
        let fits = bytes.len().min(free.len());
        free[..fits].copy_from_slice(&bytes[..fits]);
        self.length += u8::try_from(fits).unwrap_or_default(); // it is no more than HEAD_BYTES
    }

    /// Without its end, if that is there.
    fn line(&self) -> &[u8] {
        let line = &self.bytes[..usize::from(self.length)];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

impl Default for Head {
    fn default() -> Self {
        Self { bytes: [0; HEAD_BYTES], length: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a dialogue, `C:` and `S:`, and says whether it is calm at its end; in one piece and byte by byte.
    fn calm_after(protocol: Protocol, said: &[&str]) -> bool {
        let play = |piece: usize| {
            let mut lull = Lull::new(protocol);
            for words in said {
                let (who, words) = words.split_at(2);
                for bytes in words.as_bytes().chunks(piece) {
                    match who {
                        "C:" => lull.client_said(bytes),
                        _ => lull.upstream_said(bytes),
                    }
                }
            }
            lull.is_calm()
        };
        let whole = play(usize::MAX);
        assert_eq!(whole, play(1), "{said:?}");
        whole
    }

    #[test]
    fn imap_between_commands() {
        for said in [
            &[][..],
            &["C:a NOOP\r\n", "S:a OK done\r\n"],
            &["C:a FETCH 1 BODY[]\r\n", "S:* 1 FETCH (BODY[] {5}\r\nhello)\r\na OK done\r\n"],
            &["C:a IDLE\r\n", "S:+ idling\r\n"],
            &["C:a IDLE\r\n", "S:+ idling\r\n* 5 EXISTS\r\n"],
            &["C:a IDLE\r\n", "S:+ idling\r\n", "C:DONE\r\n", "S:a OK done\r\n"],
            &["C:a NOOP\r\nb NOOP\r\n", "S:a OK done\r\nb OK done\r\n"],
            &["C:a SELECT x\r\n", "S:* 1 EXISTS\r\na bad such\r\n"],
        ] {
            assert!(calm_after(Protocol::Imap, said), "{said:?}");
        }
    }

    #[test]
    fn imap_with_something_under_way() {
        for said in [
            &["C:a NO"][..],
            &["C:a NOOP\r\n"],
            &["C:a NOOP\r\n", "S:a OK"],
            &["C:a FETCH 1 BODY[]\r\n", "S:* 1 FETCH (BODY[] {5000}\r\nhello\r\n"],
            &["C:a FETCH 1 BODY[]\r\n", "S:* 1 FETCH (BODY[] {5000}\r\nThat's OK\r\n"],
            &["C:a APPEND x {5000}\r\n", "S:+ go on\r\n"],
            &["C:a APPEND x {5000}\r\n", "S:+ go on\r\n", "C:hello\r\n"],
            &["C:a APPEND x {5000}\r\n", "S:+ go on\r\n", "C:hello\r\n", "S:* 5 EXISTS\r\n"],
            &["C:a APPEND x {5000}\r\n", "S:+ go on\r\n", "C:x IDLE y\r\n", "S:* 5 EXISTS\r\n"],
            &["C:a IDLE\r\n", "S:+ idling\r\n", "C:DONE\r\n"],
            &["C:a IDLE\r\n", "S:+ idling\r\n* 5 EXI"],
            &["C:a NOOP\r\nb NOOP\r\n", "S:a OK done\r\n"],
            &["C:a NOOP\r\n", "S:a OK done\r\n", "C:\r\n"],
        ] {
            assert!(!calm_after(Protocol::Imap, said), "{said:?}");
        }
    }

    #[test]
    fn pop3() {
        for (said, is_calm) in [
            (&["C:STAT\r\n", "S:+OK 1 2\r\n"][..], true),
            (&["C:LIST 1\r\n", "S:+OK 1 2\r\n"], true),
            (&["C:LIST\r\n", "S:+OK\r\n1 2\r\n.\r\n"], true),
            (&["C:RETR 9\r\n", "S:-ERR none\r\n"], true),
            (&["C:RETR 1\r\n", "S:+OK\r\nhello\r\n"], false),
            (&["C:RETR 1\r\n", "S:+OK\r\n"], false),
            (&["C:list\r\n", "S:+OK\r\n"], false),
            (&["C:DELE 1\r\n"], false),
        ] {
            assert_eq!(calm_after(Protocol::Pop3, said), is_calm, "{said:?}");
        }
    }

    #[test]
    fn submission() {
        for (said, is_calm) in [
            (&[][..], true),
            (&["C:EHLO x\r\n", "S:250-y\r\n250 HELP\r\n"], true),
            (&["C:DATA\r\n", "S:354 go\r\n", "C:hello\r\n.\r\n", "S:250 taken\r\n"], true),
            (&["C:MAIL FROM:<a@b>\r\n", "S:250 ok\r\n", "C:RSET\r\n", "S:250 ok\r\n"], true),
            (&["C:EHLO x\r\n", "S:250-y\r\n"], false),
            (&["C:MAIL FROM:<a@b>\r\n", "S:250 ok\r\n"], false),
            (&["C:DATA\r\n", "S:354 go\r\n"], false),
            (&["C:DATA\r\n", "S:354 go\r\n", "C:hello\r\n"], false),
            (&["C:DATA\r\n", "S:354 go\r\n", "C:hello\r\n.\r\n"], false),
        ] {
            assert_eq!(calm_after(Protocol::Submission, said), is_calm, "{said:?}");
        }
    }

    #[test]
    fn a_long_line_is_no_answer() {
        let line = format!("C:{} IDLE\r\n", "a".repeat(HEAD_BYTES));
        assert!(!calm_after(Protocol::Imap, &[&line, "S:+ idling\r\n"]));
    }
}
