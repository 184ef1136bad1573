//! Where the text of a message ends (RFC 5321 section 4.1.1.4). It must never let a line of a single dot through that one
//! server takes for the end and another does not: what stands behind it would be a message to one of them, and commands
//! to the other (SMTP smuggling, CERT VU#302671).

/// What was found in the text of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It goes on.
    Text,
    /// CRLF, a dot, CRLF.
    End,
    /// A dot alone on a line that is begun or ended by anything else.
    DoubtfulDot,
}

/// Where in a line the text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line, and whether CRLF stands before it.
    Start {
        clean: bool,
    },
    /// Behind a dot there, which is held back.
    Dot {
        clean: bool,
    },
    /// Behind a dot and a CR there, both held back.
    DotCr,
    /// Behind a CR elsewhere.
    Cr,
    Within,
}

/// The text of one message, as far as it has come.
#[derive(Debug)]
pub(super) struct Content {
    place: Place,
}

impl Content {
    /// A text whose first line is begun by the end of the line that said DATA.
    pub(super) fn new(clean: bool) -> Self {
        Self { place: Place::Start { clean } }
    }

    /// Takes from `input` up to the end of the message, or all of it, and puts into `output` what may go on. Says how
    /// many bytes it took.
    pub(super) fn pass(&mut self, input: &[u8], output: &mut Vec<u8>) -> (usize, Found) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if self.place == Place::Within {
                let rest = &input[at..];
                let run = rest.iter().position(|&byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
                output.extend_from_slice(&rest[..run]);
                at += run;
                let Some(&end) = input.get(at) else { break };
                self.place = if end == b'\r' { Place::Cr } else { Place::Start { clean: false } };
                output.push(end);
                at += 1;
                continue;
            }
            at += 1;
            match (self.place, byte) {
                (Place::DotCr, b'\n') => {
                    output.extend_from_slice(b".\r\n");
                    return (at, Found::End);
                }
                (Place::Dot { clean: true }, b'\r') => self.place = Place::DotCr,
                // Some servers do not see a NUL at all.
                (Place::DotCr, _) | (Place::Dot { .. }, b'\r' | b'\n' | 0) => return (at, Found::DoubtfulDot),
                (Place::Dot { .. }, _) => {
                    output.extend_from_slice(&[b'.', byte]);
                    self.place = Place::Within;
                }
                (Place::Start { clean }, b'.') => self.place = Place::Dot { clean },
                (Place::Cr, b'.') => self.place = Place::Dot { clean: false },
                (place, byte) => {
                    output.push(byte);
                    self.place = match (place, byte) {
                        (Place::Cr, b'\n') => Place::Start { clean: true },
                        (_, b'\r') => Place::Cr,
                        (_, b'\n') | (Place::Start { .. } | Place::Cr, 0) => Place::Start { clean: false },
                        _ => Place::Within,
                    };
                }
            }
        }
        (at, Found::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes on, and what was found, whole and byte by byte.
    fn pass(text: &[u8]) -> (Vec<u8>, usize, Found) {
        let (mut whole, mut content) = (Vec::new(), Content::new(true));
        let (taken, found) = content.pass(text, &mut whole);
        let (mut bytewise, mut content, mut count) = (Vec::new(), Content::new(true), 0);
        let mut last = Found::Text;
        for byte in text {
            last = content.pass(&[*byte], &mut bytewise).1;
            count += 1;
            if last != Found::Text {
                break;
            }
        }
        assert_eq!((&whole, taken, found), (&bytewise, count, last), "{text:?}");
        (whole, taken, found)
    }

    #[test]
    fn only_a_dot_between_crlf_ends_it() {
        assert_eq!(pass(b".\r\nMAIL"), (b".\r\n".to_vec(), 3, Found::End));
        let text = b"a\r\n..\r\n.b\r\nc\nd\r\r\ne.\n.f\r\n\0x\r\n.\r\n";
        assert_eq!(pass(&[text, b"QUIT\r\n".as_slice()].concat()), (text.to_vec(), text.len(), Found::End));
        assert_eq!(pass(b"a\r\r\n.\r\n").2, Found::End);
    }

    #[test]
    fn no_other_dot_alone_on_a_line_goes_on() {
        for smuggled in [
            b"a\n.\n".as_slice(),
            b"a\n.\r\n",
            b"a\r\n.\n",
            b"a\r.\r",
            b"a\r.\r\n",
            b"a\r\n.\rx",
            b"a\r\n.\r.",
            b"a\n.\rx",
            b"a\r\n\0.\r\n",
            b"a\r\n.\0\r\n",
            b"a\n\n.\r\n",
            b"a\r\n\n.\r\n",
            b"a\r\n.\r\r\n",
            b"a\r\0.\r\n",
        ] {
            let (out, _, found) = pass(&[smuggled, b"MAIL FROM:<x@y>\r\n"].concat());
            assert_eq!(found, Found::DoubtfulDot, "{smuggled:?}");
            assert!(!out.contains(&b'.') && !out.ends_with(b"x"), "{smuggled:?} {out:?}");
        }
        let (mut out, mut content) = (Vec::new(), Content::new(false));
        assert_eq!(content.pass(b".\r\n", &mut out).1, Found::DoubtfulDot, "DATA was ended by a bare LF");
    }
}
