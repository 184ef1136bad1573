//! What lies below TLS, which decrypts where it reads: what was decrypted stays in that buffer until something else is
//! read over it, and in a session where nothing moves that is the login. It must never touch what is not read yet.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that wipes the room into which it would read, when there is nothing to read: what lies there has been read
/// before. It costs a few hundred nanoseconds each time that a peer falls silent.
#[derive(Debug)]
pub struct Wiping<S>(S);

impl<S> Wiping<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(stream)
    }

    /// What it stands before.
    pub(super) fn inner(&self) -> &S {
        &self.0
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wiping<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.get_mut().0).poll_read(cx, buf);
        if polled.is_pending() {
            buf.initialize_unfilled().fill(0);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wiping<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_buffer_is_wiped_when_nothing_comes_and_not_before() {
        let (mut peer, ours) = duplex(64);
        let mut ours = Wiping::new(ours);
        let mut buffer = *b"first.. secret";
        peer.write_all(b"second").await.unwrap();
        assert_eq!(ours.read(&mut buffer).await.unwrap(), 6);
        assert_eq!(&buffer, b"second. secret", "there was something to read");
        let silent = tokio::time::timeout(std::time::Duration::ZERO, ours.read(&mut buffer[6..]));
        assert!(silent.await.is_err());
        assert_eq!(&buffer, b"second\0\0\0\0\0\0\0\0", "what is before was not in its hands");
    }
}
