//! Replies of a submission server (RFC 5321 section 4.2), of one line or many, out of a bounded buffer. It must never
//! take an endless reply, nor one whose lines disagree.

use crate::proto::ClientLimits;
use crate::proto::input::{Input, LineTooLong};

/// A whole reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The text of each line, without code and separator. At least one, perhaps empty.
    pub(super) lines: Vec<Vec<u8>>,
}

/// Puts replies together line by line.
#[derive(Debug)]
pub(super) struct ReplyReader {
    lines_max: usize,
    begun: Option<Reply>,
}

impl ReplyReader {
    pub(super) fn new(limits: ClientLimits) -> Self {
        Self { lines_max: limits.reply_lines_max, begun: None }
    }

    /// The next whole reply; `None` while it is incomplete.
    ///
    /// # Errors
    /// With what is wrong, if this is not a reply.
    pub(super) fn next_reply(&mut self, input: &mut Input) -> Result<Option<Reply>, &'static str> {
        loop {
            let line = match input.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(LineTooLong) => return Err("a line of a reply is too long"),
            };
            let (code, last, text) = parse_line(&line).ok_or("a line is not a reply")?;
            let mut reply = self.begun.take().unwrap_or(Reply { code, lines: Vec::new() });
            if reply.code != code {
                return Err("the lines of a reply disagree");
            }
            if reply.lines.len() == self.lines_max {
                return Err("a reply has too many lines");
            }
            reply.lines.push(text.to_vec());
            if last {
                return Ok(Some(reply));
            }
            self.begun = Some(reply);
        }
    }
}

impl Reply {
    /// The reply on one line: the code once, then all that was said.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = self.code.to_string().into_bytes();
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            text.push(b' ');
            text.extend_from_slice(line);
        }
        text
    }

    /// Whether it says no, for now (4xx) or for good (5xx).
    pub(super) fn is_refusal(&self) -> bool {
        (400..600).contains(&self.code)
    }
}

/// Code, whether it is the last line, and text. A code alone is a last line: section 4.2 asks receivers to take it.
fn parse_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = code else { return None };
    let code = code.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    match rest {
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, &'static str> {
        let mut input = Input::new(64);
        input.push(bytes);
        ReplyReader::new(ClientLimits { line_bytes_max: 64, reply_lines_max: 3 }).next_reply(&mut input)
    }

    #[test]
    fn one_line_many_lines_and_no_text() {
        let reply = read(b"250-a\r\n250-\r\n250 c\r\n").unwrap().unwrap();
        assert_eq!((reply.code, reply.text()), (250, b"250 a c".to_vec()));
        assert_eq!(read(b"334\r\n").unwrap().unwrap().text(), b"334");
        assert_eq!(read(b"334 \n").unwrap().unwrap().lines, [b"".to_vec()]);
        assert_eq!(read(b"250-a\r\n250"), Ok(None));
    }

    #[test]
    fn anything_else_is_no_reply() {
        for bytes in
            [b"* OK IMAP\r\n".as_slice(), b"\r\n", b"25\r\n", b"2500\r\n", b"150 x\r\n", b"650 x\r\n", b"250_x\r\n"]
        {
            assert_eq!(read(bytes), Err("a line is not a reply"), "{bytes:?}");
        }
        assert_eq!(read(b"250-a\r\n251 b\r\n"), Err("the lines of a reply disagree"));
        assert_eq!(read(b"250-a\r\n250-b\r\n250-c\r\n250-d\r\n"), Err("a reply has too many lines"));
        assert_eq!(read(&[b'2'; 64]), Err("a line of a reply is too long"));
    }
}
