//! The upstream's replies as they pass: where each ends, and with which code. It must never keep one back, nor take what
//! is no reply for one: from then on nobody could say what is answered by what.

/// The longest line of a reply, eight times what RFC 5321 section 4.5.3.1.5 allows.
const LINE_BYTES_MAX: usize = 4096;

/// One line of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// All of it, with its end.
    pub(super) bytes: Vec<u8>,
    pub(super) code: u16,
    pub(super) is_last: bool,
}

/// What the upstream says is no reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Follows replies line by line.
#[derive(Debug, Default)]
pub(super) struct Replies {
    line: Vec<u8>,
    /// The code of a reply that has begun.
    begun: Option<u16>,
}

impl Replies {
    /// Takes from `input` up to the end of a line; `None` if that has not come.
    ///
    /// # Errors
    /// If it is no line of a reply, or not of the one that has begun.
    pub(super) fn next_line(&mut self, input: &mut &[u8]) -> Result<Option<Line>, Unreadable> {
        let end = input.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let (taken, rest) = input.split_at(end.unwrap_or(input.len()));
        *input = rest;
        if self.line.len() + taken.len() > LINE_BYTES_MAX {
            return Err(Unreadable);
        }
        self.line.extend_from_slice(taken);
        if end.is_none() {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.line);
        let (code, is_last) = parse(bytes.trim_ascii_end()).ok_or(Unreadable)?;
        if self.begun.is_some_and(|begun| begun != code) {
            return Err(Unreadable);
        }
        self.begun = (!is_last).then_some(code);
        Ok(Some(Line { bytes, code, is_last }))
    }

    /// Half a line, where no more comes.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.line)
    }
}

/// A code alone is a last line, too (RFC 5321 section 4.2).
fn parse(line: &[u8]) -> Option<(u16, bool)> {
    let (code, rest) = line.split_at_checked(3)?;
    let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = code else { return None };
    let code = code.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    match rest.first() {
        None | Some(b' ') => Some((code, true)),
        Some(b'-') => Some((code, false)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut input: &[u8]) -> Result<Vec<(u16, bool)>, Unreadable> {
        let (mut replies, mut lines) = (Replies::default(), Vec::new());
        while let Some(line) = replies.next_line(&mut input)? {
            lines.push((line.code, line.is_last));
        }
        Ok(lines)
    }

    #[test]
    fn lines_of_replies() {
        assert_eq!(
            read(b"250-a\r\n250 b\r\n354\r\n250 \n25"),
            Ok(vec![(250, false), (250, true), (354, true), (250, true)])
        );
        for wrong in
            [b"* OK\r\n".as_slice(), b"\r\n", b"2500 x\r\n", b"150 x\r\n", b"250-a\r\n354 b\r\n", &[b'2'; 5000]]
        {
            assert_eq!(read(wrong), Err(Unreadable), "{wrong:?}");
        }
    }
}
