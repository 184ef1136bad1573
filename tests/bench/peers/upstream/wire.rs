//! One connection of the upstream: lines, and bytes that nobody looks at.

use std::io;

use data_encoding::BASE64;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// What is read at once.
const BUFFER_BYTES: usize = 32 * 1024;

/// What is written at once of what it gives.
static PIECE: [u8; 64 * 1024] = piece();

pub(super) struct Wire<S> {
    io: BufReader<S>,
    line: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn over(io: S) -> Self {
        Self { io: BufReader::with_capacity(BUFFER_BYTES, io), line: Vec::new() }
    }

    /// The next line without its end; an error at the end of the connection.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        self.line.clear();
        if self.io.read_until(b'\n', &mut self.line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(self.line.trim_ascii_end()).into_owned())
    }

    /// Exactly so many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.io.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Takes exactly so many bytes and forgets them.
    pub(super) async fn swallow(&mut self, mut count: usize) -> io::Result<()> {
        while count > 0 {
            let read = self.io.fill_buf().await?.len().min(count);
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.io.consume(read);
            count -= read;
        }
        Ok(())
    }

    /// Gives so many bytes, which are lines.
    pub(super) async fn give(&mut self, mut count: usize) -> io::Result<()> {
        while count > 0 {
            let length = count.min(PIECE.len());
            self.io.write_all(&PIECE[..length]).await?;
            count -= length;
        }
        Ok(())
    }

    pub(super) async fn say(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        self.io.write_all(text.as_ref()).await?;
        self.io.flush().await
    }

    /// Says that it is done, and waits until the other side is.
    pub(super) async fn close(mut self) -> io::Result<()> {
        self.io.shutdown().await?;
        while !self.io.fill_buf().await?.is_empty() {
            let length = self.io.buffer().len();
            self.io.consume(length);
        }
        Ok(())
    }
}

/// Login and password of a PLAIN response (RFC 4616).
pub(super) fn plain(response: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let decoded = BASE64.decode(response.as_bytes()).ok()?;
    let mut parts = decoded.split(|byte| *byte == 0).skip(1);
    Some((parts.next()?.to_vec(), parts.next()?.to_vec()))
}

const fn piece() -> [u8; 64 * 1024] {
    let mut bytes = [b'x'; 64 * 1024];
    let mut at = 63;
    while at < bytes.len() {
        bytes[at - 1] = b'\r';
        bytes[at] = b'\n';
        at += 64;
    }
    bytes
}
