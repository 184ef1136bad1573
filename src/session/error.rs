//! How a session can end before its time, and whose fault it was.

use std::io;

use crate::broker::Withdrawal;
use crate::net::{End, Side, Stream};

/// Why a session ended before login.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("the client hung up in state={state:?}")]
    Gone { state: &'static str },
    #[error("the connection broke in state={state:?}: {source}")]
    Broken { state: &'static str, source: io::Error },
    #[error("timed out in state={state:?}")]
    TimedOut { state: &'static str },
    #[error("the TLS handshake failed: {}", describe_handshake(.source))]
    Tls { source: io::Error },
    #[error("the client began TLS on a port that begins in plain text")]
    TlsOnPlain,
    #[error("its place was needed for another client in state={state:?}")]
    Displaced { state: &'static str },
    #[error("the dialogue asked for TLS where there is none")]
    NoTlsHere,
    #[error("the dialogue asked for a relay without a login")]
    RelayWithoutLogin,
}

/// Whose fault an ended session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Client,
    Ours,
}

impl SessionError {
    /// A word for it, in metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "gone",
            Self::Broken { .. } => "broken",
            Self::TimedOut { .. } => "timed-out",
            Self::Tls { .. } => "tls",
            Self::TlsOnPlain => "tls-on-plain",
            Self::Displaced { .. } => "displaced",
            Self::NoTlsHere | Self::RelayWithoutLogin => "ours",
        }
    }

    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Gone { .. } | Self::Broken { .. } | Self::TimedOut { .. } | Self::Tls { .. } | Self::TlsOnPlain => {
                Fault::Client
            }
            Self::Displaced { .. } | Self::NoTlsHere | Self::RelayWithoutLogin => Fault::Ours,
        }
    }
}

/// A client that is set to TLS and comes to a plain port: its first bytes are a TLS handshake record (RFC 8446 section
/// 5.1). There is nothing to answer that it would understand.
pub(super) fn reject_tls_on_plain(stream: &Stream, bytes: &[u8]) -> Result<(), SessionError> {
    if !stream.is_tls() && bytes.starts_with(&[0x16, 0x03]) { Err(SessionError::TlsOnPlain) } else { Ok(()) }
}

fn describe_handshake(source: &io::Error) -> String {
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
            "the client speaks plain text on a TLS port".to_owned()
        }
        _ => source.to_string(),
    }
}

/// How a relay ended: for the audit, and in a word for the metrics.
pub(super) fn describe(end: &End, withdrawn: Option<&Withdrawal>) -> (String, &'static str) {
    let (text, word) = match end {
        End::Closed(Side::Downstream) => ("the client closed", "client-closed"),
        End::Closed(Side::Upstream) => ("the upstream closed", "upstream-closed"),
        End::Idle => ("nothing moved for too long", "idle"),
        End::Stalled(Side::Downstream) => ("the client took no byte for too long", "client-stalled"),
        End::Stalled(Side::Upstream) => ("the upstream took no byte for too long", "upstream-stalled"),
        End::Expired => ("it was open for as long as a session may be (session-max-time)", "expired"),
        End::Cut(reason) if *reason == super::parting::REASON => (*reason, "drained"),
        End::Cut(reason) => (*reason, "cut"),
        End::Stopped => match withdrawn {
            Some(withdrawn) => return (withdrawn.to_string(), withdrawn.name()),
            None => ("the process stopped", "stopped"),
        },
        End::Broken(Side::Downstream, error) => {
            return (format!("the client's connection broke: {error}"), "client-broke");
        }
        End::Broken(Side::Upstream, error) => {
            return (format!("the upstream's connection broke: {error}"), "upstream-broke");
        }
    };
    (text.to_owned(), word)
}
