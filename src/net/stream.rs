//! One connection, plain or under TLS. It upgrades in one direction only and never falls back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::secured::Secured;
use crate::model::{DeviceCertificate, Fingerprint};

/// What [`Stream::handshake`] says.
pub const HANDSHAKES: [&str; 2] = ["full", "resumed"];

/// A connection to a client or to an upstream.
#[derive(Debug)]
pub enum Stream {
    /// As TCP carries it.
    Plain(TcpStream),
    /// Under TLS. Boxed: its state is a kilobyte, and most of what handles a stream only moves it.
    Tls(Box<Secured>),
    /// Under TLS by OpenSSL, for a client that may know none of today's versions.
    #[cfg(feature = "legacy-tls")]
    Legacy(Box<tokio_openssl::SslStream<TcpStream>>),
}

impl Stream {
    /// Whether TLS protects it.
    pub fn is_tls(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }

    /// The connection below TLS, for its options.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.socket(),
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => stream.get_ref(),
        }
    }

    /// Shakes TLS hands as a server.
    ///
    /// # Errors
    /// If the handshake fails, or TLS is on already.
    pub async fn accept_tls(self, config: Arc<ServerConfig>) -> io::Result<Self> {
        let accepting = Box::pin(Secured::accept(self.into_plain()?, config));
        Ok(Self::Tls(Box::new(accepting.await?)))
    }

    /// Shakes TLS hands as a client and verifies that the peer is `name`.
    ///
    /// # Errors
    /// If the handshake fails, the certificate is not trusted or not for that name, or TLS is on already.
    pub async fn connect_tls(self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let connecting = Box::pin(Secured::connect(self.into_plain()?, config, name));
        Ok(Self::Tls(Box::new(connecting.await?)))
    }

    /// The version of TLS that protects it, as operators know it; `None` if none does.
    pub fn tls_version(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(match stream.agreed().protocol_version()? {
                ProtocolVersion::TLSv1_2 => "TLSv1.2",
                ProtocolVersion::TLSv1_3 => "TLSv1.3",
                _ => "unknown", // there is no other that rustls speaks
            }),
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => Some(stream.ssl().version_str()),
        }
    }

    /// What kind of TLS handshake it was, for what is counted: `full` or `resumed`; `None` where nothing is known of it.
    pub fn handshake(&self) -> Option<&'static str> {
        let Self::Tls(stream) = self else { return None };
        Some(match stream.agreed().handshake_kind()? {
            HandshakeKind::Resumed => HANDSHAKES[1],
            HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest => HANDSHAKES[0],
        })
    }

    /// The TLS version and cipher suite, for the log.
    pub fn tls_description(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => {
                let agreed = stream.agreed();
                let (version, suite) = (agreed.protocol_version()?, agreed.negotiated_cipher_suite()?);
                Some(format!("{version:?} {:?}", suite.suite()))
            }
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => {
                let suite = stream.ssl().current_cipher()?.name();
                Some(format!("{} {suite}", stream.ssl().version_str()))
            }
        }
    }

    /// The certificate that the peer showed in the handshake and proved to have the key of, where it was asked for one and
    /// has one that can be read.
    pub fn device_certificate(&self) -> Option<DeviceCertificate> {
        let read = |certificate: &[u8]| {
            let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
            let (valid_from, valid_until) = super::tls::validity(&parsed);
            Some(DeviceCertificate { fingerprint: Fingerprint::of(certificate), valid_from, valid_until })
        };
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => read(stream.agreed().peer_certificates()?.first()?),
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => read(&stream.ssl().peer_certificate()?.to_der().ok()?),
        }
    }

    pub(super) fn into_plain(self) -> io::Result<TcpStream> {
        match self {
            Self::Plain(stream) => Ok(stream),
            _ => Err(io::Error::other("TLS is on already")),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "legacy-tls")]
            Self::Legacy(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
