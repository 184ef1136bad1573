//! One connection as lines and counted bytes, plain or under TLS. It must never hand bytes that came before a TLS
//! handshake to whoever reads after it.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// The longest line, its line end included.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;
/// Replies are gathered up to this size before they are written.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// How long a peer may be silent, or refuse to read. RFC 3501 section 5.4 asks for 30 minutes at least.
const SILENCE_MAX: Duration = Duration::from_secs(31 * 60);
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const CLOSE_MAX: Duration = Duration::from_secs(1);

pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

pub(super) struct Connection {
    stream: Box<dyn Duplex>,
    /// Never grows beyond its first capacity, so no copy of a password stays behind in freed memory.
    input: Zeroizing<Vec<u8>>,
    start: usize,
    output: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: impl Duplex + 'static) -> Self {
        let input = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX));
        Self { stream: Box::new(stream), input, start: 0, output: Vec::new() }
    }

    /// Writes what is pending, then shakes hands. Bytes that the peer sent ahead of the handshake end the connection
    /// (CVE-2011-0411).
    pub(super) async fn start_tls(&mut self, config: Arc<rustls::ServerConfig>) -> io::Result<()> {
        if !self.unread().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes ahead of the TLS handshake"));
        }
        self.flush().await?;
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let tls = timeout(HANDSHAKE_MAX, TlsAcceptor::from(config).accept(stream)).await??;
        self.stream = Box::new(tls);
        Ok(())
    }

    /// The next line without its line end (CR LF or LF). Nothing is lost if the future is dropped.
    pub(super) async fn read_line(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut searched = 0;
        loop {
            if let Some(length) = line_length(&self.unread()[searched..]) {
                let line = &self.unread()[..searched + length - 1];
                let line = Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
                self.start += searched + length;
                return Ok(line);
            }
            searched = self.unread().len();
            self.fill().await?;
        }
    }

    /// Appends exactly `count` bytes.
    pub(super) async fn read_exactly(&mut self, mut count: usize, into: &mut Vec<u8>) -> io::Result<()> {
        while count > 0 {
            if self.unread().is_empty() {
                self.fill().await?;
            }
            let taken = count.min(self.unread().len());
            into.extend_from_slice(&self.unread()[..taken]);
            self.start += taken;
            count -= taken;
        }
        Ok(())
    }

    /// Drops exactly `count` bytes.
    pub(super) async fn skip(&mut self, mut count: usize) -> io::Result<()> {
        while count > 0 {
            if self.unread().is_empty() {
                self.fill().await?;
            }
            let skipped = count.min(self.unread().len());
            self.start += skipped;
            count -= skipped;
        }
        Ok(())
    }

    /// A dot-stuffed message (RFC 5321 section 4.5.2); only CR LF . CR LF ends it, so that nothing can be smuggled
    /// behind a bare line feed. `None` if it had more than `bytes_max` bytes: it is then read to its end and dropped.
    pub(super) async fn read_dotted(&mut self, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        let mut line_start = 0;
        let mut after_crlf = true;
        let mut too_long = false;
        loop {
            let complete = self.read_segment(&mut message).await?;
            too_long |= line_start > bytes_max || message.len() > bytes_max.saturating_add(LINE_BYTES_MAX);
            if complete {
                let line = &message[line_start..];
                if after_crlf && line == b".\r\n" {
                    message.truncate(line_start);
                    return Ok((!too_long && message.len() <= bytes_max).then_some(message));
                }
                let ends_in_crlf = line.ends_with(b"\r\n");
                if after_crlf && line.starts_with(b".") {
                    message.remove(line_start);
                }
                after_crlf = ends_in_crlf;
                line_start = message.len();
            }
            if too_long {
                message.drain(..line_start);
                line_start = 0;
                if let [first, .., last] = message[..]
                    && message.len() > LINE_BYTES_MAX
                {
                    // Of a line without end only its two ends matter any more.
                    message = vec![first, b' ', last];
                }
            }
        }
    }

    /// Appends bytes up to and including a line feed; says whether it came.
    async fn read_segment(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        if self.unread().is_empty() {
            self.fill().await?;
        }
        let unread = self.unread();
        let length = line_length(unread);
        let taken = length.unwrap_or(unread.len());
        into.extend_from_slice(&unread[..taken]);
        self.start += taken;
        Ok(length.is_some())
    }

    /// Sends bytes, at the latest when the peer is next waited for.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.output.len() + bytes.len() <= OUTPUT_BYTES_MAX {
            self.output.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush().await?;
        timeout(SILENCE_MAX, self.stream.write_all(bytes)).await?
    }

    /// Sends a line.
    pub(super) async fn send_line(&mut self, line: &str) -> io::Result<()> {
        self.send(line.as_bytes()).await?;
        self.send(b"\r\n").await
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        let write = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        timeout(SILENCE_MAX, write).await?
    }

    /// Says what is left to say and closes. A peer that is gone already is no error.
    pub(super) async fn close(&mut self) {
        let closed = timeout(CLOSE_MAX, async {
            self.flush().await?;
            self.stream.shutdown().await
        });
        if let Ok(Err(error)) = closed.await {
            tracing::trace!(%error, "sandbox could not say goodbye");
        }
    }

    fn unread(&self) -> &[u8] {
        &self.input[self.start..]
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.input.drain(..self.start);
        self.start = 0;
        if self.input.len() == self.input.capacity() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "line too long"));
        }
        match timeout(SILENCE_MAX, self.stream.read_buf(&mut *self.input)).await?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The length of the first line, its line feed included.
pub(super) fn line_length(bytes: &[u8]) -> Option<usize> {
    // The standard library's search is many times faster than a loop of ours in a debug build.
    let mut rest = bytes;
    let length = rest.skip_until(b'\n').ok()?;
    bytes[..length].ends_with(b"\n").then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn dotted(wire: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
        let (mut peer, ours) = tokio::io::duplex(7);
        let mut connection = Connection::new(ours);
        let write = async {
            peer.write_all(wire).await.unwrap();
            peer.write_all(b"NEXT\r\n").await.unwrap();
        };
        let read = async {
            let message = connection.read_dotted(bytes_max).await.unwrap();
            assert_eq!(connection.read_line().await.unwrap().as_slice(), b"NEXT", "the end was found");
            message
        };
        tokio::join!(write, read).1
    }

    #[tokio::test]
    async fn dots_are_taken_out_and_only_the_strict_end_ends() {
        assert_eq!(dotted(b".\r\n", 100).await.unwrap(), b"");
        assert_eq!(dotted(b"..a\r\nb.\r\n...\r\n.\r\n", 100).await.unwrap(), b".a\r\nb.\r\n..\r\n");
        let smuggled = b"a\n.\nMAIL FROM:<x>\r\nb\n.\r\nc\r\n.\nd\r\n.\r\n";
        assert_eq!(dotted(smuggled, 100).await.unwrap(), b"a\n.\nMAIL FROM:<x>\r\nb\n.\r\nc\r\n\nd\r\n");
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_read_to_its_end_and_dropped() {
        let line = [&[b'x'; 98], b"\r\n".as_slice()].concat();
        assert_eq!(dotted(&[line.as_slice(), b".\r\n"].concat(), 100).await.unwrap().len(), 100);
        assert_eq!(dotted(&[line.as_slice(), b"y\r\n.\r\n"].concat(), 100).await, None);
        let endless = vec![b'x'; 3 * LINE_BYTES_MAX];
        assert_eq!(dotted(&[endless.as_slice(), b"\r\n.\r\n"].concat(), 100).await, None);
    }

    #[tokio::test]
    async fn bytes_ahead_of_the_handshake_end_the_connection() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut connection = Connection::new(ours);
        peer.write_all(b"STARTTLS\r\nMAIL FROM:<x>\r\n").await.unwrap();
        assert_eq!(connection.read_line().await.unwrap().as_slice(), b"STARTTLS");
        let error = connection.start_tls(Arc::new(config)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_line_without_end_is_an_error() {
        let (mut peer, ours) = tokio::io::duplex(2 * LINE_BYTES_MAX);
        let mut connection = Connection::new(ours);
        peer.write_all(&vec![b'x'; LINE_BYTES_MAX]).await.unwrap();
        assert_eq!(connection.read_line().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
