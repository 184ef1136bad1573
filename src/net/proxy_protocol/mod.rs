//! The PROXY protocol, versions 1 and 2 (HAProxy, "The PROXY protocol", 2020), as a receiver: what a front end says about
//! the connection that it passes on. It must never read one byte past the header, for a TLS handshake follows, nor be used
//! for a peer that the listener does not name.
//!
//! - [`read_proxy_header`]: takes the header off a connection. `header`: what the bytes mean, without I/O.

mod header;

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt};

pub use header::HeaderError;
use header::{Parsed, parse};

/// There is no header, or it did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ProxyHeaderError {
    /// The connection ended before the header did.
    #[error("the connection ended within the header")]
    Ended,
    /// It broke.
    #[error("the connection broke within the header: {0}")]
    Broken(#[from] io::Error),
    /// What came is no header.
    #[error(transparent)]
    Wrong(#[from] HeaderError),
}

/// Takes the header off a connection: the client's address, or `None` where the front end speaks for itself or does not
/// know for whom. The caller bounds the time.
///
/// # Errors
/// If anything else comes than one whole header.
pub async fn read_proxy_header<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Option<IpAddr>, ProxyHeaderError> {
    // As long as it has to be: `parse` asks for no more than surely belongs to the header, nor past its own bound.
    let mut bytes = Vec::new();
    loop {
        let need = match parse(&bytes)? {
            Parsed::Header(client) => return Ok(client),
            Parsed::Need(need) => need,
        };
        let length = bytes.len();
        bytes.resize(length + need, 0);
        match stream.read(&mut bytes[length..]).await? {
            0 => return Err(ProxyHeaderError::Ended),
            read => bytes.truncate(length + read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_follows_the_header_is_left_where_it_is() {
        let v1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 50000 993\r\n".as_slice();
        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xc3\x50\x03\xe1".as_slice();
        for header in [v1, v2] {
            let mut stream = header.chain(b"\x16\x03\x01".as_slice());
            assert_eq!(read_proxy_header(&mut stream).await.unwrap(), Some(IpAddr::from([192, 0, 2, 7])));
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"\x16\x03\x01");
        }
    }

    #[tokio::test]
    async fn half_a_header_is_none() {
        let error = read_proxy_header(&mut b"PROXY TCP4 192.0.2.7".as_slice()).await.unwrap_err();
        assert!(matches!(error, ProxyHeaderError::Ended), "{error}");
        let error = read_proxy_header(&mut b"\x16\x03\x01".as_slice()).await.unwrap_err();
        assert!(matches!(error, ProxyHeaderError::Wrong(_)), "{error}");
    }
}
