//! The mark at the end of a line that says that counted bytes follow: `{12}`, or `{12+}` from who does not wait for
//! permission (RFC 3501 section 4.3, RFC 7888).

/// A literal announced at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// How many bytes follow; `usize::MAX` for any number too large to hold.
    pub(super) bytes: usize,
    /// Whether the sender waits for a continuation before it sends them.
    pub(super) waits: bool,
}

/// Splits a line into its text and the mark at its end, if there is one.
pub(super) fn split_mark(line: &[u8]) -> (&[u8], Option<Mark>) {
    match find_mark(line) {
        Some((start, mark)) => (&line[..start], Some(mark)),
        None => (line, None),
    }
}

fn find_mark(line: &[u8]) -> Option<(usize, Mark)> {
    let inner = line.strip_suffix(b"}")?;
    let start = inner.iter().rposition(|&byte| byte == b'{')?;
    let count = &inner[start + 1..];
    let (digits, waits) = match count.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (count, true),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let bytes = digits.iter().fold(0_usize, |sum, digit| sum.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some((start, Mark { bytes, waits }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(line: &[u8]) -> Option<(usize, bool)> {
        split_mark(line).1.map(|mark| (mark.bytes, mark.waits))
    }

    #[test]
    fn marks_are_found_at_the_end_and_nowhere_else() {
        assert_eq!(split_mark(b"a LOGIN {11}"), (b"a LOGIN ".as_slice(), Some(Mark { bytes: 11, waits: true })));
        assert_eq!(mark(b"a LOGIN {11+}"), Some((11, false)));
        assert_eq!(mark(b"{0}"), Some((0, true)));
        for none in [b"".as_slice(), b"}", b"{}", b"{+}", b"{1-}", b"{1}x", b"{a}", b"1}", b"{1", b"{1} ", b"\"{1}\""] {
            assert_eq!(mark(none), None, "{none:?}");
        }
    }

    #[test]
    fn numbers_too_large_to_hold_are_too_large() {
        assert_eq!(mark(b"{99999999999999999999999999}"), Some((usize::MAX, true)));
    }
}
