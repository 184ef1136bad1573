//! What is fuzzed: for each place where bytes of others are read, a function that takes any bytes and asserts what must
//! hold of them. It must never do more than assert: no socket, no clock, no file but its own, and the same for the same
//! bytes, so that an input that was once found fails for ever until the fault is mended.
//!
//! The functions are called by `tests/fuzz/main.rs` (in each run of the tests) and by `tests/fuzz/libfuzzer` (for hours).
//! To add one: a file here, a line in [`TARGETS`], and seeds in `seeds.rs`.

mod api;
mod audit;
mod clients;
mod config;
mod cuts;
mod feed;
mod hook;
mod imports;
mod names;
mod pair;
mod proxy_header;
mod records;
mod sasl;
mod sealed;
mod sentences;
mod servers;
mod token_replies;
mod verifiers;
mod watch;

use locum::model::Protocol;

/// What is called with bytes of any kind.
pub(crate) struct Target {
    /// Its name, and that of its folder in `tests/fuzz/corpus`.
    pub(crate) name: &'static str,
    /// Panics if something does not hold.
    pub(crate) run: fn(&[u8]),
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    Target { name: "imap-server", run: |data| servers::run(Protocol::Imap, data) },
    Target { name: "pop3-server", run: |data| servers::run(Protocol::Pop3, data) },
    Target { name: "submission-server", run: |data| servers::run(Protocol::Submission, data) },
    Target { name: "imap-client", run: |data| clients::run(Protocol::Imap, data) },
    Target { name: "pop3-client", run: |data| clients::run(Protocol::Pop3, data) },
    Target { name: "submission-client", run: |data| clients::run(Protocol::Submission, data) },
    Target { name: "pair", run: pair::run },
    Target { name: "sasl", run: sasl::run },
    Target { name: "proxy-header", run: proxy_header::run },
    Target { name: "watch", run: watch::run },
    Target { name: "config", run: config::run },
    Target { name: "records", run: records::run },
    Target { name: "sealed", run: sealed::run },
    Target { name: "feed", run: feed::run },
    Target { name: "token-replies", run: token_replies::run },
    Target { name: "verifiers", run: verifiers::run },
    Target { name: "sentences", run: sentences::run },
    Target { name: "hook", run: hook::run },
    Target { name: "imports", run: imports::run },
    Target { name: "audit", run: audit::run },
    Target { name: "api", run: api::run },
    Target { name: "names", run: names::run },
];

/// The target of that name.
pub(crate) fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Takes an input apart: its first bytes choose, the rest is what is read.
pub(crate) struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    pub(crate) fn new(data: &'d [u8]) -> Self {
        Self(data)
    }

    /// The next byte; 0 where there is none.
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// As many bytes as the next one says, or as there are.
    pub(crate) fn piece(&mut self) -> &'d [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'d [u8] {
        self.0
    }
}

/// Whether the bit of that number is set.
pub(crate) fn bit(byte: u8, number: u32) -> bool {
    byte >> number & 1 == 1
}
