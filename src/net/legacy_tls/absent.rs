//! In place of TLS 1.0 and 1.1 in a build without them: nobody can have one.

use std::io;

use super::{Stream, TlsError, TlsOptions};

/// TLS 1.0 and 1.1, which this build does not have.
#[derive(Debug, Clone)]
pub enum LegacyTls {}

impl LegacyTls {
    /// Whether this build has it.
    pub const IS_BUILT_IN: bool = false;

    /// Never anything.
    ///
    /// # Errors
    /// Always.
    pub fn open(_: &TlsOptions, _: &'static str, _: bool) -> Result<Self, TlsError> {
        Err(TlsError::NoLegacyTls)
    }
}

impl Stream {
    /// Shakes TLS hands as a server, by OpenSSL.
    ///
    /// # Errors
    /// Nobody can call this.
    #[expect(clippy::unused_async, reason = "a build with the feature waits here")]
    pub async fn accept_legacy_tls(self, tls: &LegacyTls) -> io::Result<Self> {
        match *tls {}
    }
}
