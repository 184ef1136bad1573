//! The look at what a client submits, between a hostile client and servers that read lines and dots in several ways: no
//! server is made to take a sender that the policy does not name, no byte is changed, and no more is held than should be.
//!
//! An input is: server and options (2 bytes), sizes of pieces (2 bytes), verdicts of the server (8 bytes), and what the client
//! sends.

use locum::proto::submission::watch::{Notice, Watch, WatchOptions};

use super::{Input, bit};

/// The one sender that is allowed.
const SENDER: &[u8] = b"scans@contoso.com";

/// What the watch may hold: both buffers, the input, and one read of either side.
const HELD_BYTES_MAX: usize = 3 * 32 * 1024;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, setup) = (input.byte(), input.byte());
    let sizes = [1 + usize::from(input.byte()), 1 + usize::from(input.byte())];
    let verdicts = std::array::from_fn(|_| input.byte());
    let client = input.rest();
    let server = Server::new(kind, bit(setup, 1), verdicts);
    let senders = vec!["scans@contoso.com".parse().expect("an address")];
    let options = WatchOptions { senders, paced: bit(setup, 0), chunking: bit(setup, 1) };
    Stage { watch: Watch::new(options), server, client, up: Vec::new(), sizes, setup, taken: 0 }.play();
}

/// A client, the watch, and a server.
struct Stage<'d> {
    watch: Watch,
    server: Server,
    client: &'d [u8],
    /// All that went to the server.
    up: Vec<u8>,
    sizes: [usize; 2],
    setup: u8,
    taken: u64,
}

impl Stage<'_> {
    fn play(mut self) {
        let (mut sent, mut down, mut turns) = (0, 0, 0_usize);
        // Each turn moves at least one byte or ends it.
        let turns_max = 64 + 16 * self.client.len();
        while self.watch.over().is_none() {
            turns += 1;
            assert!(turns <= turns_max, "it goes on and on");
            let before = (sent, self.up.len(), down, self.server.replies.len());
            if self.watch.client_may_send() && sent < self.client.len() {
                let count = self.sizes[turns % 2].min(self.client.len() - sent);
                self.watch.client_sent(&self.client[sent..sent + count]);
                sent += count;
            }
            self.heed(turns);
            let bytes = self.watch.for_upstream();
            assert!(bytes.len() <= HELD_BYTES_MAX, "{} bytes at once", bytes.len());
            self.server.read(&bytes);
            self.up.extend_from_slice(&bytes);
            if self.watch.upstream_may_send() {
                let count = self.sizes[(turns + 1) % 2].min(self.server.replies.len());
                let reply: Vec<u8> = self.server.replies.drain(..count).collect();
                self.watch.upstream_sent(&reply);
            }
            self.heed(turns);
            let bytes = self.watch.for_client();
            assert!(bytes.len() <= HELD_BYTES_MAX, "{} bytes at once", bytes.len());
            down += bytes.len();
            if before == (sent, self.up.len(), down, self.server.replies.len()) && sent == self.client.len() {
                break;
            }
        }
        if self.watch.over().is_some() {
            assert!(!self.watch.client_may_send() && !self.watch.upstream_may_send());
            assert!(self.watch.for_upstream().is_empty(), "it goes on after the end");
        }
        assert!(is_in_order(self.client, &self.up), "bytes were changed or put in another order");
        assert_eq!(self.watch.messages(), self.taken, "messages are miscounted");
        assert!(self.taken <= self.server.taken, "the server took {} messages, not {}", self.server.taken, self.taken);
        if self.watch.over().is_none() && self.server.replies.is_empty() {
            assert_eq!(self.taken, self.server.taken, "the server took a message that nobody knows of");
        }
    }

    fn heed(&mut self, turn: usize) {
        while let Some(notice) = self.watch.next_notice() {
            match notice {
                Notice::Turn if bit(self.setup, 2) && turn.is_multiple_of(3) => self.watch.turn_failed(),
                Notice::Turn => self.watch.turn_came(),
                Notice::Taken => self.taken += 1,
                Notice::PutOff(words) => assert!(words.len() <= 4096, "{} bytes", words.len()),
                Notice::Begun | Notice::Refused | Notice::Reset => {}
            }
        }
    }
}

/// Whom a MAIL command names, in the ways in which servers read one: what stands in the first brackets or the last, or the
/// word behind the colon.
fn senders(line: &[u8]) -> Vec<Vec<u8>> {
    let plain = |address: &[u8]| -> Vec<u8> {
        let address = address.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        address.iter().filter(|byte| !b"\"\\ ".contains(byte)).map(u8::to_ascii_lowercase).collect()
    };
    let parameters = |line: &[u8]| -> Vec<u8> {
        // The one parameter with brackets of its own (RFC 4954 section 5).
        let upper = line.to_ascii_uppercase();
        let at = upper.windows(8).position(|it| it == b" AUTH=<>");
        at.map_or(line.to_vec(), |at| line[..at].to_vec())
    };
    let line = parameters(line);
    let open = line.iter().position(|byte| *byte == b'<');
    let close = |from: usize| line[from..].iter().position(|byte| *byte == b'>').map(|at| from + at);
    let Some(open) = open else {
        let behind = line.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default().trim_ascii_start();
        return vec![plain(behind.split(|byte| *byte == b' ').next().unwrap_or_default())];
    };
    let last = line.iter().rposition(|byte| *byte == b'<').unwrap_or(open);
    [open, last].map(|at| plain(&line[at + 1..close(at).unwrap_or(line.len())])).to_vec()
}

/// Whether all of one stands in the other, in its order.
fn is_in_order(whole: &[u8], part: &[u8]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|byte| whole.any(|it| it == byte))
}

/// A mail server as there are several: what ends a line, and what ends a message.
struct Server {
    /// Whether a bare LF ends a command.
    lenient_lines: bool,
    /// Whether a dot between bare LFs, or between one and CRLF, ends a message.
    lenient_dots: bool,
    /// Whether a bare CR ends a line, too.
    takes_cr: bool,
    chunking: bool,
    verdicts: [u8; 8],
    asked: usize,
    input: Vec<u8>,
    state: Hears,
    has_sender: bool,
    recipients: usize,
    /// What it says and nobody has read yet.
    replies: Vec<u8>,
    /// Messages that it took.
    taken: u64,
}

/// What a server takes the next bytes for.
enum Hears {
    Commands,
    Text,
    Chunk { left: usize, last: bool, is_good: bool },
}

impl Server {
    fn new(kind: u8, chunking: bool, verdicts: [u8; 8]) -> Self {
        Self {
            lenient_lines: bit(kind, 0),
            lenient_dots: bit(kind, 1),
            takes_cr: bit(kind, 2),
            chunking,
            verdicts,
            asked: 0,
            input: Vec::new(),
            state: Hears::Commands,
            has_sender: false,
            recipients: 0,
            replies: Vec::new(),
            taken: 0,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        loop {
            let consumed = match self.state {
                Hears::Commands => self.command(),
                Hears::Text => self.text(),
                Hears::Chunk { left, last, is_good } => self.chunk(left, last, is_good),
            };
            match consumed {
                Some(count) => drop(self.input.drain(..count)),
                None => return,
            }
        }
    }

    /// The end of the first line, as this server sees it: where its text ends, and where the next begins.
    fn line(&self) -> Option<(usize, usize)> {
        (0..self.input.len()).find_map(|at| match (self.input[at], self.input.get(at + 1)) {
            (b'\r', Some(b'\n')) => Some((at, at + 2)),
            (b'\r', Some(_)) if self.takes_cr => Some((at, at + 1)),
            (b'\n', _) if self.lenient_lines => Some((at, at + 1)),
            _ => None,
        })
    }

    fn command(&mut self) -> Option<usize> {
        let (end, next) = self.line()?;
        let line = self.input[..end].to_vec();
        let verb: Vec<u8> =
            line.iter().take_while(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_uppercase).collect();
        match verb.as_slice() {
            b"MAIL" => {
                assert!(senders(&line).iter().all(|it| it == SENDER), "the server hears {}", line.escape_ascii());
                let is_good = self.verdict() && !self.has_sender;
                self.has_sender |= is_good;
                self.say(is_good);
            }
            b"RCPT" => {
                let is_good = self.has_sender && self.verdict();
                self.recipients += usize::from(is_good);
                self.say(is_good);
            }
            b"DATA" if self.recipients > 0 && self.verdict() => {
                self.replies.extend_from_slice(b"354 go on\r\n");
                self.state = Hears::Text;
            }
            b"BDAT" if self.chunking => {
                let mut words = line[4..].split(|byte| *byte == b' ').filter(|word| !word.is_empty());
                let size = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
                let left = size.unwrap_or_else(|| panic!("the server hears {}", line.escape_ascii()));
                let is_good = self.recipients > 0 && self.verdict();
                self.state = Hears::Chunk { left, last: words.next().is_some(), is_good };
            }
            b"RSET" | b"EHLO" | b"HELO" => {
                (self.has_sender, self.recipients) = (false, 0);
                self.say(true);
            }
            _ => {
                let is_good = self.verdict();
                self.say(is_good);
            }
        }
        Some(next)
    }

    /// The text of a message, to a dot that this server takes for its end.
    fn text(&mut self) -> Option<usize> {
        let ends: &[&[u8]] = match (self.lenient_dots, self.takes_cr) {
            (false, _) => &[b"\r\n.\r\n"],
            (true, false) => &[b"\r\n.\r\n", b"\n.\n", b"\n.\r\n", b"\r\n.\n"],
            (true, true) => &[b"\r\n.\r\n", b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\n.\r", b"\r.\n"],
        };
        // The line that said DATA ended with a line end.
        let first: &[&[u8]] = if self.lenient_dots { &[b".\r\n", b".\n"] } else { &[b".\r\n"] };
        let at_once = first.iter().find(|end| self.input.starts_with(end)).map(|end| end.len());
        let found = at_once.or_else(|| {
            (0..self.input.len()).find_map(|at| {
                let end = ends.iter().find(|end| self.input[at..].starts_with(end))?;
                Some(at + end.len())
            })
        })?;
        self.end_of_message();
        Some(found)
    }

    fn chunk(&mut self, left: usize, last: bool, is_good: bool) -> Option<usize> {
        if self.input.len() < left {
            return None;
        }
        self.state = Hears::Commands;
        match last && is_good {
            true => self.end_of_message(),
            false => {
                if last {
                    (self.has_sender, self.recipients) = (false, 0);
                }
                self.say(is_good);
            }
        }
        Some(left)
    }

    fn end_of_message(&mut self) {
        self.state = Hears::Commands;
        (self.has_sender, self.recipients) = (false, 0);
        let is_good = self.verdict();
        self.taken += u64::from(is_good);
        self.say(is_good);
    }

    /// What it thinks of the next thing; yes, mostly.
    fn verdict(&mut self) -> bool {
        let at = self.asked;
        self.asked += 1;
        !bit(self.verdicts[at / 8 % 8], (at % 8) as u32)
    }

    fn say(&mut self, is_good: bool) {
        let reply: &[u8] = match (is_good, self.asked % 3) {
            (true, 0) => b"250-yes\r\n250 yes\r\n",
            (true, _) => b"250 yes\r\n",
            (false, 0) => b"451 4.3.0 later\r\n",
            (false, _) => b"550 5.0.0 no\r\n",
        };
        self.replies.extend_from_slice(reply);
    }
}
