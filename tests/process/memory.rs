//! A large message goes up and down through the process byte for byte, and the process does not grow with it.

use std::fs;
use std::sync::{Arc, Mutex};

use locum::sandbox::Face;
use ring::digest::{Context, SHA256};

use crate::support::{Home, Provider, Served, Wire, trusted};

const ADDRESS: &str = "alice@contoso.test";
const APP_PASSWORD: &str = "abcdefghijklmnop";

/// What a message of 64 MiB may cost over one of 1 MiB. Each way of a session has one buffer of 32 KiB, what rustls holds
/// back of a slow peer is bounded by 64 KiB, and the allocator keeps what it once had: some hundred KiB were measured.
/// Whatever held even a tenth of the message would be over it.
const GROWTH_BYTES_MAX: u64 = 4 << 20;

const SMALL: usize = 1 << 20;
const LARGE: usize = 64 << 20;

/// One after the other: together they would measure one another's load.
static ALONE: Mutex<()> = Mutex::new(());

struct Bench {
    home: Home,
    provider: Provider,
    secret: String,
    block: Block,
}

/// A message is blocks of the same bytes, each behind a line that counts: fast to make, and no loss and no exchange of
/// blocks goes unseen.
struct Block {
    raw: Vec<u8>,
    /// The same with the dots of the wire.
    stuffed: Vec<u8>,
}

const HEADER: &[u8] = b"From: alice@contoso.test\r\nTo: alice@contoso.test\r\nSubject: large\r\n\r\n";

impl Bench {
    fn new() -> Self {
        let home = Home::made();
        // Gmail takes 35 MB; Exchange, where it takes passwords, 150.
        let provider = Provider::new(Face::ExchangeWithPasswords, &trusted(&home));
        provider.add(ADDRESS, APP_PASSWORD);
        let upstream = provider.serve();
        home.configure(&format!(
            "[upstream.exchange]\n{upstream}\n{}{}{}",
            listener("imap"),
            listener("pop3"),
            listener("submission")
        ));
        let add = ["account", "add", ADDRESS, "--upstream", "exchange", "--secret-stdin"];
        home.run_with(&add, APP_PASSWORD).succeeded();
        let secret = home.run(&["client", "issue", "scan", "--account", ADDRESS]).succeeded().stdout.trim().to_owned();
        Self { home, provider, secret, block: Block::new() }
    }

    /// The most memory that a fresh process ever had, with one session that does this.
    fn peak_of(&self, listener: &str, session: impl FnOnce(&mut Wire)) -> u64 {
        let served = self.home.serve();
        let mut wire = Wire::tls(served.port(listener), &self.home.trust());
        self.log_in(&mut wire, listener);
        session(&mut wire);
        drop(wire);
        let peak = peak_bytes(&served);
        served.stop().succeeded();
        peak
    }

    fn log_in(&self, wire: &mut Wire, listener: &str) {
        match listener {
            "imap" => drop(wire.ask(&format!("a LOGIN scan {}", self.secret), "a OK")),
            "pop3" => {
                wire.expect("+OK"); // the greeting
                wire.ask("USER scan", "+OK");
                wire.ask(&format!("PASS {}", self.secret), "+OK");
            }
            _ => {
                wire.ask("EHLO test", "250 ");
                let plain = data_encoding::BASE64.encode(format!("\0scan\0{}", self.secret).as_bytes());
                wire.ask(&format!("AUTH PLAIN {plain}"), "235");
            }
        }
    }

    #[track_caller]
    fn assert_flat(&self, listener: &str, session: impl Fn(&mut Wire, usize)) {
        let _alone = ALONE.lock();
        let small = self.peak_of(listener, |wire| session(wire, SMALL));
        let large = self.peak_of(listener, |wire| session(wire, LARGE));
        let growth = large.saturating_sub(small);
        assert!(growth < GROWTH_BYTES_MAX, "{listener}: {small} bytes with 1 MiB, {growth} more with 64 MiB");
    }

    /// Puts a message into the mailbox.
    fn deliver(&self, bytes: usize) {
        let mut message = Vec::with_capacity(bytes);
        self.block.message(bytes, &self.block.raw, |piece| message.extend_from_slice(piece));
        assert!(self.provider.sandbox.deliver(ADDRESS, &message));
    }

    /// The hash of the newest message in the mailbox, or in the list of what was sent.
    fn newest(&self) -> String {
        let sent = self.provider.sandbox.sent().pop().map(|sent| sent.message);
        let message = sent.unwrap_or_else(|| Arc::new(self.provider.sandbox.messages(ADDRESS, "INBOX").pop().unwrap()));
        hash(|update| update(&message))
    }
}

fn listener(protocol: &str) -> String {
    format!("[[listener]]\nname = \"{protocol}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n")
}

impl Block {
    fn new() -> Self {
        let mut raw = Vec::new();
        for number in 0_u32.. {
            match number % 8 {
                0 => raw.extend_from_slice(b"."),
                1 => raw.extend_from_slice(b".."),
                2 => raw.extend_from_slice(b".a dot and more"),
                3 => raw.extend(0x80..=0xFF_u8),
                4 => raw.extend(std::iter::repeat_n(b'x', 998)),
                5 => raw.extend(std::iter::repeat_n(b'y', 20_000)),
                6 => {
                    raw.extend_from_slice(format!("line {number} {:08x}", number.wrapping_mul(0x9E37_79B9)).as_bytes())
                }
                _ => {}
            }
            raw.extend_from_slice(b"\r\n");
            if raw.len() > 60_000 {
                break;
            }
        }
        let lines = raw.split_inclusive(|&byte| byte == b'\n');
        let stuffed = lines.flat_map(|line| [&b"."[..usize::from(line.starts_with(b"."))], line].concat()).collect();
        Self { raw, stuffed }
    }

    fn blocks(&self, bytes: usize) -> usize {
        (bytes - HEADER.len()) / (COUNT_BYTES + self.raw.len())
    }

    /// The bytes of a message of about so many.
    fn size(&self, bytes: usize) -> usize {
        HEADER.len() + self.blocks(bytes) * (COUNT_BYTES + self.raw.len())
    }

    /// Gives the message out, piece by piece.
    fn message(&self, bytes: usize, block: &[u8], mut take: impl FnMut(&[u8])) {
        take(HEADER);
        for number in 0..self.blocks(bytes) {
            take(count(number).as_bytes());
            take(block);
        }
    }

    fn hash(&self, bytes: usize) -> String {
        hash(|update| self.message(bytes, &self.raw, |piece| update(piece)))
    }
}

const COUNT_BYTES: usize = "block 00000\r\n".len();

fn count(number: usize) -> String {
    format!("block {number:05}\r\n")
}

fn hash(message: impl FnOnce(&mut dyn FnMut(&[u8]))) -> String {
    let mut context = Context::new(&SHA256);
    message(&mut |piece| context.update(piece));
    format!("{:?}", context.finish())
}

/// `VmHWM`, the high water mark of resident memory.
fn peak_bytes(served: &Served) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn up_by_append() {
    let bench = Bench::new();
    bench.assert_flat("imap", |wire, bytes| {
        wire.ask(&format!("b APPEND INBOX {{{}}}", bench.block.size(bytes)), "+");
        bench.block.message(bytes, &bench.block.raw, |piece| wire.write(piece));
        wire.ask("", "b OK");
        assert_eq!(bench.newest(), bench.block.hash(bytes));
    });
}

#[test]
fn up_by_data() {
    let bench = Bench::new();
    bench.assert_flat("submission", |wire, bytes| {
        wire.ask(&format!("MAIL FROM:<{ADDRESS}> SIZE={}", bench.block.size(bytes)), "250");
        wire.ask(&format!("RCPT TO:<{ADDRESS}>"), "250");
        wire.ask("DATA", "354");
        bench.block.message(bytes, &bench.block.stuffed, |piece| wire.write(piece));
        wire.ask(".", "250");
        assert_eq!(bench.newest(), bench.block.hash(bytes));
    });
}

#[test]
fn down_by_fetch() {
    let bench = Bench::new();
    bench.assert_flat("imap", |wire, bytes| {
        bench.deliver(bytes);
        wire.ask("b SELECT INBOX", "b OK");
        let said = wire.ask("c FETCH * BODY[]", "* ");
        assert!(said.ends_with(&format!("BODY[] {{{}}}", bench.block.size(bytes))), "{said}");
        let came = hash(|update| wire.bytes(bench.block.size(bytes), |piece| update(piece)));
        wire.expect("c OK");
        assert_eq!(came, bench.block.hash(bytes));
    });
}

#[test]
fn down_by_retr() {
    let bench = Bench::new();
    // Ahead: POP3 shows the mailbox as it was at the login.
    bench.deliver(SMALL);
    bench.deliver(LARGE);
    bench.assert_flat("pop3", |wire, bytes| {
        wire.ask(&format!("RETR {}", if bytes == SMALL { 1 } else { 2 }), "+OK");
        let mut line = Vec::new();
        let came = hash(|update| {
            loop {
                wire.raw_line(&mut line);
                match line.as_slice() {
                    b".\r\n" => return,
                    [b'.', rest @ ..] => update(rest),
                    line => update(line),
                }
            }
        });
        assert_eq!(came, bench.block.hash(bytes));
    });
}
