//! TLS 1.0 and 1.1, by OpenSSL, for clients that know nothing newer: rustls has neither, for good reasons. It must never
//! serve a client that the listener's `legacy-tls-networks` do not name, nor reach an upstream.
//!
//! The island speaks today's versions, too: a device that learnt them is not held back.

use std::io;

use openssl::pkey::PKey;
use openssl::ssl::{
    AlpnError, Ssl, SslAcceptor, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use tokio_openssl::SslStream;

use super::tls::{self, TlsError};
use super::{Stream, TlsOptions};

/// Level 0 takes what TLS 1.0 and 1.1 need: their handshakes are signed over MD5 and SHA-1. `DEFAULT` leaves out what has no
/// encryption, no authentication, or was made weak on purpose.
const CIPHERS: &str = "DEFAULT:@SECLEVEL=0";

/// TLS 1.0 and newer with one certificate. Clones are one.
#[derive(Clone)]
pub struct LegacyTls(SslAcceptor);

impl std::fmt::Debug for LegacyTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LegacyTls")
    }
}

impl LegacyTls {
    /// Whether this build has it.
    pub const IS_BUILT_IN: bool = true;

    /// With the certificate and the key of `options`, which have been looked at already ([`tls::server_config`]). A client
    /// that asks by ALPN for anything but `application_protocol` is refused, as elsewhere. Where it `asks`, each client is
    /// asked for a certificate that it need not have: see `tls::with_device_certificates`.
    ///
    /// # Errors
    /// If a file cannot be read, or OpenSSL cannot use it.
    pub fn open(options: &TlsOptions, application_protocol: &'static str, asks: bool) -> Result<Self, TlsError> {
        let (Some(certificate), Some(key)) = (&options.certificate, &options.key) else {
            return Err(TlsError::NoLegacyCertificate);
        };
        let text =
            std::fs::read(certificate).map_err(|source| TlsError::Unreadable { path: certificate.clone(), source })?;
        let key_text = tls::read_key_text(key)?;
        let build = || {
            let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
            acceptor.clear_options(SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1);
            // Renegotiation costs a server more than a client. A peer that closes without a word is no attack here:
            // each protocol frames its own messages.
            acceptor.set_options(SslOptions::NO_RENEGOTIATION | SslOptions::IGNORE_UNEXPECTED_EOF);
            acceptor.set_min_proto_version(Some(SslVersion::TLS1))?;
            acceptor.set_cipher_list(CIPHERS)?;
            let mut chain = X509::stack_from_pem(&text)?.into_iter();
            if let Some(leaf) = chain.next() {
                acceptor.set_certificate(&leaf)?;
            }
            chain.try_for_each(|more| acceptor.add_extra_chain_cert(more))?;
            acceptor.set_private_key(PKey::private_key_from_pem(&key_text)?.as_ref())?;
            acceptor.check_private_key()?;
            acceptor.set_alpn_select_callback(move |_, offered| select(offered, application_protocol.as_bytes()));
            if asks {
                // Any whose key signed the handshake; and no session is resumed, so that each one is.
                acceptor.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
                acceptor.set_session_cache_mode(SslSessionCacheMode::OFF);
                acceptor.set_options(SslOptions::NO_TICKET);
                acceptor.set_num_tickets(0)?;
            }
            Ok(acceptor.build())
        };
        build().map(Self).map_err(|error: openssl::error::ErrorStack| TlsError::Unusable {
            path: certificate.clone(),
            why: error.to_string(),
        })
    }
}

/// The protocol, if it is among those offered (RFC 7301 section 3.1: each with its length in front).
fn select<'a>(mut offered: &'a [u8], wanted: &[u8]) -> Result<&'a [u8], AlpnError> {
    while let Some((&length, rest)) = offered.split_first() {
        let (name, others) = rest.split_at_checked(length.into()).ok_or(AlpnError::ALERT_FATAL)?;
        if name == wanted {
            return Ok(name);
        }
        offered = others;
    }
    Err(AlpnError::ALERT_FATAL)
}

impl Stream {
    /// Shakes TLS hands as a server, by OpenSSL.
    ///
    /// # Errors
    /// If the handshake fails, or TLS is on already.
    pub async fn accept_legacy_tls(self, tls: &LegacyTls) -> io::Result<Self> {
        let ssl = Ssl::new(tls.0.context())?;
        let mut stream = Box::new(SslStream::new(ssl, self.into_plain()?)?);
        std::pin::Pin::new(&mut *stream).accept().await.map_err(io::Error::other)?;
        Ok(Self::Legacy(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_protocol_is_selected() {
        assert_eq!(select(b"\x02h2\x04imap", b"imap").unwrap(), b"imap");
        for offered in [b"".as_slice(), b"\x02h2", b"\x09imap", b"\x04imapx"] {
            assert!(matches!(select(offered, b"pop3"), Err(AlpnError::ALERT_FATAL)), "{offered:?}");
        }
    }
}
