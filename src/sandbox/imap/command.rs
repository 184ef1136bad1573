//! IMAP commands (RFC 3501 section 9) off the wire: lines with their literals, and the words in them. It must never
//! wait for a literal that it has not allowed.

use std::collections::VecDeque;
use std::io;

use zeroize::Zeroizing;

use super::Fault;
use crate::sandbox::connection::{Connection, LINE_BYTES_MAX};

/// A literal before login: names and passwords.
const LITERAL_BYTES_MAX_BEFORE_LOGIN: usize = 8 * 1024;
/// A literal that is no message.
const LITERAL_BYTES_MAX: usize = 64 * 1024;
/// A message: what the largest providers take.
const MESSAGE_BYTES_MAX: usize = 160 * 1024 * 1024;
/// Literals in one command.
const LITERALS_MAX: usize = 64;
/// A literal that comes unasked, where LITERAL- is the rule (RFC 7888 section 5).
const UNASKED_BYTES_MAX: usize = 4096;

/// What a session lets a client send.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) logged_in: bool,
    /// LITERAL+, or else LITERAL-.
    pub(super) literal_plus: bool,
}

/// What came.
pub(super) enum Received {
    Command(Args),
    /// A literal was announced that is too large, and was not let in. The tag of its command.
    TooLarge(String),
    /// A literal that is too large comes unasked: there is no way on.
    Hopeless,
}

/// Reads one command, and asks for its literals.
pub(super) async fn read(connection: &mut Connection, rules: Rules) -> io::Result<Received> {
    let mut args = Args { text: Zeroizing::new(Vec::new()), at: 0, literals: VecDeque::new() };
    loop {
        let line = connection.read_line().await?;
        if args.text.len() + line.len() > LINE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "command too long"));
        }
        args.text.extend_from_slice(&line);
        let Some(literal) = Literal::at_end(&line) else { return Ok(Received::Command(args)) };
        let allowed = literal.bytes <= bytes_max(&args.text, rules) && args.literals.len() < LITERALS_MAX;
        if literal.unasked {
            if !allowed || (!rules.literal_plus && literal.bytes > UNASKED_BYTES_MAX) {
                return Ok(Received::Hopeless);
            }
        } else if allowed {
            connection.send_line("+ Ready for additional command text.").await?;
        } else {
            return Ok(Received::TooLarge(args.atom().unwrap_or_default()));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(literal.bytes));
        connection.read_exactly(literal.bytes, &mut bytes).await?;
        args.literals.push_back(bytes);
        args.text.extend_from_slice(b"\r\n");
    }
}

fn bytes_max(text: &[u8], rules: Rules) -> usize {
    let name = text.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    match rules.logged_in {
        false => LITERAL_BYTES_MAX_BEFORE_LOGIN,
        true if name.eq_ignore_ascii_case(b"APPEND") => MESSAGE_BYTES_MAX,
        true => LITERAL_BYTES_MAX,
    }
}

/// `{n}` or `{n+}` at the end of a line.
struct Literal {
    bytes: usize,
    unasked: bool,
}

impl Literal {
    fn at_end(line: &[u8]) -> Option<Self> {
        let inner = line.strip_suffix(b"}")?;
        let open = inner.iter().rposition(|&byte| byte == b'{')?;
        let digits = std::str::from_utf8(&inner[open + 1..]).ok()?;
        let (digits, unasked) = digits.strip_suffix('+').map_or((digits, false), |digits| (digits, true));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // More digits than a number holds is larger than any limit.
        Some(Self { bytes: digits.parse().unwrap_or(usize::MAX), unasked })
    }
}

/// The text of a command that is not read yet. A literal stands in it as `{n}` CR LF; a line end is nowhere else.
pub(super) struct Args {
    text: Zeroizing<Vec<u8>>,
    at: usize,
    literals: VecDeque<Zeroizing<Vec<u8>>>,
}

impl Args {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Takes this byte if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(Fault::Malformed) }
    }

    pub(super) fn space(&mut self) -> Result<(), Fault> {
        self.expect(b' ')
    }

    /// Nothing may follow but blanks.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.text[self.at..].trim_ascii().is_empty() { Ok(()) } else { Err(Fault::Malformed) }
    }

    /// Bytes while they please; at least one.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> Result<String, Fault> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|&byte| !wanted(byte)).unwrap_or(rest.len());
        let word = std::str::from_utf8(&rest[..length]).map_err(|_| Fault::Malformed)?.to_owned();
        self.at += length;
        if word.is_empty() { Err(Fault::Malformed) } else { Ok(word) }
    }

    /// An atom, as lenient as servers are: up to a blank, a parenthesis or a quotation mark.
    pub(super) fn atom(&mut self) -> Result<String, Fault> {
        self.take_while(|byte| byte > b' ' && byte != 0x7F && !matches!(byte, b'(' | b')' | b'{' | b'"'))
    }

    /// A flag, or a word such as `RFC822.SIZE`, in upper case where it is no flag of the client's own.
    pub(super) fn keyword(&mut self) -> Result<String, Fault> {
        self.atom().map(|word| word.to_ascii_uppercase())
    }

    pub(super) fn number(&mut self) -> Result<usize, Fault> {
        self.take_while(|byte| byte.is_ascii_digit())?.parse().map_err(|_| Fault::Malformed)
    }

    /// An atom, a quoted string or a literal.
    pub(super) fn string(&mut self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => self.atom().map(|atom| Zeroizing::new(atom.into_bytes())),
        }
    }

    /// A string that must be text: a mailbox's name, a pattern.
    pub(super) fn text(&mut self) -> Result<String, Fault> {
        let string = self.string()?;
        std::str::from_utf8(&string).map(str::to_owned).map_err(|_| Fault::Malformed)
    }

    pub(super) fn literal(&mut self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.expect(b'{')?;
        self.number()?;
        self.take(b'+');
        self.expect(b'}')?;
        self.expect(b'\r')?;
        self.expect(b'\n')?;
        self.literals.pop_front().ok_or(Fault::Malformed)
    }

    fn quoted(&mut self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.expect(b'"')?;
        let mut string = Zeroizing::new(Vec::with_capacity(self.text.len() - self.at));
        loop {
            let mut byte = self.peek().ok_or(Fault::Malformed)?;
            self.at += 1;
            match byte {
                b'"' => return Ok(string),
                b'\\' => {
                    byte = self.peek().ok_or(Fault::Malformed)?;
                    self.at += 1;
                }
                b'\r' | b'\n' | 0 => return Err(Fault::Malformed),
                _ => {}
            }
            string.push(byte);
        }
    }

    /// Words between parentheses, or one without.
    pub(super) fn words(&mut self) -> Result<Vec<String>, Fault> {
        if !self.take(b'(') {
            return self.atom().map(|word| vec![word]);
        }
        let mut words = Vec::new();
        while !self.take(b')') {
            if !words.is_empty() {
                self.space()?;
            }
            words.push(self.atom()?);
        }
        Ok(words)
    }

    pub(super) fn set(&mut self) -> Result<SequenceSet, Fault> {
        let text = self.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b',' | b'*'))?;
        SequenceSet::parse(&text).ok_or(Fault::Malformed)
    }
}

/// Numbers or ids of messages (RFC 3501 section 9, sequence-set). `None` stands for `*`, the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SequenceSet(Vec<(Option<u32>, Option<u32>)>);

impl SequenceSet {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| match text {
            "*" => Some(None),
            digits => digits.parse().ok().filter(|&number: &u32| number > 0).map(Some),
        };
        let range = |text: &str| match text.split_once(':') {
            Some((first, last)) => Some((number(first)?, number(last)?)),
            None => number(text).map(|number| (number, number)),
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self)
    }

    pub(super) fn contains(&self, number: u32, last: u32) -> bool {
        self.0.iter().any(|&(first, second)| {
            let (first, second) = (first.unwrap_or(last), second.unwrap_or(last));
            (first.min(second)..=first.max(second)).contains(&number)
        })
    }

    /// Whether it names only messages up to this number.
    pub(super) fn within(&self, last: u32) -> bool {
        self.0.iter().all(|&(first, second)| last > 0 && first.unwrap_or(last).max(second.unwrap_or(last)) <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &[u8], literals: &[&[u8]]) -> Args {
        let literals = literals.iter().map(|literal| Zeroizing::new(literal.to_vec())).collect();
        Args { text: Zeroizing::new(text.to_vec()), at: 0, literals }
    }

    #[test]
    fn strings_come_in_three_forms() {
        let mut args = args(b"user \"p \\\"w\\\\\" {3}\r\n x", &[b"a\r\n"]);
        assert_eq!(args.string().ok().unwrap().as_slice(), b"user");
        args.space().ok().unwrap();
        assert_eq!(args.string().ok().unwrap().as_slice(), b"p \"w\\");
        args.space().ok().unwrap();
        assert_eq!(args.string().ok().unwrap().as_slice(), b"a\r\n");
        assert!(args.end().is_err());
    }

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        let found = |line: &[u8]| Literal::at_end(line).map(|literal| (literal.bytes, literal.unasked));
        assert_eq!(found(b"A1 LOGIN {5}"), Some((5, false)));
        assert_eq!(found(b"A1 LOGIN {5+}"), Some((5, true)));
        assert_eq!(found(b"A1 LOGIN {99999999999999999999999+}"), Some((usize::MAX, true)));
        for line in [b"A1 NOOP".as_slice(), b"A1 LOGIN {}", b"A1 LOGIN {-1}", b"A1 LOGIN {5} "] {
            assert_eq!(found(line), None);
        }
    }

    #[test]
    fn sets_reach_to_the_last() {
        let set = SequenceSet::parse("2,4:5,9:*").unwrap();
        let contained: Vec<u32> = (1..=10).filter(|&number| set.contains(number, 10)).collect();
        assert_eq!(contained, [2, 4, 5, 9, 10]);
        assert!(set.contains(7, 7), "9:* always holds the last one");
        assert!(set.within(10) && !set.within(8));
        for bad in ["", "0", "1,", "a", "1:2:3", ":"] {
            assert_eq!(SequenceSet::parse(bad), None, "{bad}");
        }
    }
}
