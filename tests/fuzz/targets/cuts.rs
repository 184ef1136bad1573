//! How a peer's bytes arrive, and what may depend on it: nothing, but for what is said last before a handshake that comes
//! to grief. It must never let a cut decide what a dialogue does.

/// Between what a peer says before a handshake and what it says after: a byte that no protocol has.
pub(crate) const HANDSHAKE: u8 = 0x1c;

/// Where Locum ends the dialogue on its own.
pub(crate) const SHUT_DOWN: u8 = 0x1d;

/// Written where a handshake would have choked on bytes in clear.
pub(crate) const BROKEN: &str = "! starttls with bytes behind it\n";

/// How many bytes arrive at once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// All that there are.
    Glued,
    /// One by one.
    Bytes,
    /// In turn so many and so many.
    Lengths(usize, usize),
}

impl Cut {
    /// Those that one input is tried with.
    pub(crate) fn all(plan: u8) -> [Self; 3] {
        [Self::Glued, Self::Bytes, Self::Lengths(1 + usize::from(plan & 15), 2 + usize::from(plan >> 4) * 3)]
    }

    fn length(self, piece: usize, left: usize) -> usize {
        match self {
            Self::Glued => left,
            Self::Bytes => 1,
            Self::Lengths(even, odd) => {
                if piece.is_multiple_of(2) {
                    even
                } else {
                    odd
                }
            }
        }
    }
}

/// What a peer says, on its way.
pub(crate) struct Wire<'d> {
    segments: Vec<(&'d [u8], u8)>,
    /// The segment that is read, and how far.
    at: (usize, usize),
    cut: Cut,
    pieces: usize,
    /// All bytes that were read.
    pub(crate) read: usize,
}

impl<'d> Wire<'d> {
    pub(crate) fn new(peer: &'d [u8], cut: Cut) -> Self {
        let mut segments = Vec::new();
        let mut rest = peer;
        while let Some(end) = rest.iter().position(|byte| matches!(*byte, HANDSHAKE | SHUT_DOWN)) {
            segments.push((&rest[..end], rest[end]));
            rest = &rest[end + 1..];
        }
        segments.push((rest, HANDSHAKE));
        Self { segments, at: (0, 0), cut, pieces: 0, read: 0 }
    }

    /// The next piece of this segment.
    pub(crate) fn next(&mut self) -> Option<&'d [u8]> {
        let rest = self.rest();
        if rest.is_empty() {
            return None;
        }
        let length = self.cut.length(self.pieces, rest.len()).min(rest.len());
        self.pieces += 1;
        self.at.1 += length;
        self.read += length;
        Some(&rest[..length])
    }

    /// What of this segment is not read yet.
    pub(crate) fn rest(&self) -> &'d [u8] {
        self.segments.get(self.at.0).map_or(&[], |(segment, _)| &segment[self.at.1..])
    }

    /// Goes on to the next segment: with what the last one ended, or `None` if it was the last.
    pub(crate) fn turn(&mut self) -> Option<u8> {
        let (_, end) = self.segments.get(self.at.0)?;
        self.at = (self.at.0 + 1, 0);
        (self.at.0 < self.segments.len()).then_some(*end)
    }
}

/// The trace is the same however the bytes were cut. One thing depends on it by design: bytes behind STARTTLS end the
/// dialogue where they are seen with it, and run into the handshake where they are not.
pub(crate) fn compare(is_server: bool, whole: &str, cut_up: &str, cut: Cut) {
    match cut_up.strip_suffix(BROKEN) {
        Some(before) if cut_up != whole => {
            let said_last = match is_server {
                true => before.trim_end().rfind('\n').map_or(0, |at| at + 1),
                false => before.len(),
            };
            assert!(whole.starts_with(&before[..said_last]), "{cut:?}\n{cut_up}\nagainst\n{whole}");
            let end = whole.lines().last().unwrap_or_default();
            assert!(end == "! close" || end.starts_with("! fail Protocol"), "{cut:?}\n{cut_up}\nagainst\n{whole}");
        }
        _ => assert_eq!(cut_up, whole, "{cut:?}"),
    }
}

/// The bytes that a dialogue says that it holds, of what it shows of itself.
pub(crate) fn unread(debug: &str) -> usize {
    let before = debug.split(" bytes unread").next().unwrap_or_default();
    let digits = before.bytes().rev().take_while(u8::is_ascii_digit).count();
    before[before.len() - digits..].parse().expect("a dialogue shows how much it holds")
}

/// Whether one stands in the other as it is.
pub(crate) fn is_part(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|it| it == part)
}
