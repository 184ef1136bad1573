//! The PROXY protocol header of a front end, from bytes that come in any pieces: what is behind it is never touched, and
//! no byte is asked for that could be behind it.
//!
//! An input is: cut (1 byte), and what comes.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use locum::net::{ProxyHeaderError, read_proxy_header};
use tokio::io::{AsyncRead, ReadBuf};

use super::Input;

/// A header with all its extensions.
const HEADER_BYTES_MAX: usize = 4096;

/// Bytes that come a few at a time, and are all there.
struct Trickle<'d> {
    bytes: &'d [u8],
    at: usize,
    piece: usize,
    /// The most that was asked for at once.
    reads: usize,
}

impl AsyncRead for Trickle<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.bytes[self.at..];
        let count = rest.len().min(self.piece).min(into.remaining());
        into.put_slice(&rest[..count]);
        self.at += count;
        self.reads += 1;
        Poll::Ready(Ok(()))
    }
}

/// What is read, and how far.
fn read(bytes: &[u8], piece: usize) -> (Option<Option<IpAddr>>, usize) {
    let mut stream = Trickle { bytes, at: 0, piece, reads: 0 };
    let found = read_proxy_header(&mut stream).now_or_never().expect("all bytes are there");
    assert!(stream.at <= HEADER_BYTES_MAX && stream.reads <= HEADER_BYTES_MAX + 1, "it reads on and on");
    if let Err(ProxyHeaderError::Ended) = found {
        assert_eq!(stream.at, bytes.len(), "there was more to read");
    }
    // Why there is none may depend on how much has come.
    (found.ok(), stream.at)
}

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let piece = 1 + usize::from(input.byte() & 31);
    let bytes = input.rest();
    let (found, length) = read(bytes, usize::MAX);
    let (again, at) = read(bytes, piece);
    assert_eq!(found, again, "the cut decides");
    let Some(client) = found else { return };
    assert_eq!(length, at, "the cut decides how much is taken");
    // No byte behind it had a say, and none of it was without.
    assert_eq!(read(&bytes[..length], 1), (Some(client), length), "what is behind it has a say");
    assert!(read(&bytes[..length - 1], usize::MAX).0.is_none(), "it is shorter than what was taken");
    let mut followed = bytes[..length].to_vec();
    followed.extend_from_slice(b"\x16\x03\x01PROXY ");
    assert_eq!(read(&followed, usize::MAX), (Some(client), length), "what is behind it has a say");
    assert!(client.is_none_or(|address| address == address.to_canonical()), "an address in two forms");
}
