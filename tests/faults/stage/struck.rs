//! The end of a connection to Locum that a tap strikes, and the socket under it, which may be slow.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::Act;

/// Between two bytes of one that is slow.
const SLOWNESS: Duration = Duration::from_millis(20);

/// What is no TLS and no mail protocol.
const GARBAGE: &[u8] = b"%$\0\xff\xfe )*( not a protocol\r\n";

/// The end of a connection in one of the ways.
pub(super) async fn befall(mut stream: impl Struck, act: Act) -> io::Result<()> {
    match act {
        Act::Reset => {
            stream.socket().set_zero_linger()?;
            return Ok(());
        }
        Act::Close => stream.shutdown().await?,
        Act::Garbage => {
            stream.write_all(GARBAGE).await?;
            stream.flush().await?;
        }
        Act::Say(words) => {
            stream.write_all(words.as_bytes()).await?;
            stream.flush().await?;
        }
        Act::Alert => stream.socket_mut().write_all(&[21, 3, 3, 0, 2, 2, 40]).await?,
        Act::Silence => {}
        other => panic!("{other:?} is no end"),
    }
    // What is not read when it is closed would reset it. One that is silent does not read either, but for its end.
    let mut heard = [0; 1024];
    while stream.read(&mut heard).await? > 0 {}
    Ok(())
}

/// A connection to Locum, and the socket under it.
pub(super) trait Struck: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
    fn socket_mut(&mut self) -> &mut TcpStream;
    fn slow(&mut self);
}

impl Struck for Slowed {
    fn socket(&self) -> &TcpStream {
        &self.inner
    }

    fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.inner
    }

    fn slow(&mut self) {
        self.is_slow = true;
    }
}

impl Struck for tokio_rustls::server::TlsStream<Slowed> {
    fn socket(&self) -> &TcpStream {
        &self.get_ref().0.inner
    }

    fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.get_mut().0.inner
    }

    fn slow(&mut self) {
        self.get_mut().0.is_slow = true;
    }
}

/// A socket that may write slowly.
pub(super) struct Slowed {
    inner: TcpStream,
    is_slow: bool,
    nap: Pin<Box<Sleep>>,
}

impl Slowed {
    pub(super) fn new(inner: TcpStream) -> Self {
        Self { inner, is_slow: false, nap: Box::pin(sleep(Duration::ZERO)) }
    }
}

impl AsyncRead for Slowed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Slowed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.is_slow {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        std::task::ready!(self.nap.as_mut().poll(cx));
        self.nap.as_mut().reset(tokio::time::Instant::now() + SLOWNESS);
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
