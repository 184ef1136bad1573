//! Runs a dialogue with a provider over its connection, and begins TLS.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::classify::classify;
use super::{Attempt, Cause, UpstreamError, Upstreams};
use crate::net::Stream;
use crate::proto::{Client, ClientAction, ClientFailure, UpstreamReady};

/// One read from the provider; its replies before login are short.
const READ_BYTES: usize = 4096;

impl Upstreams {
    pub(super) async fn start_tls(
        &self,
        attempt: &Attempt<'_>,
        state: &'static str,
        stream: Stream,
        name: &ServerName<'static>,
    ) -> Result<Stream, UpstreamError> {
        let limit = self.options.tls_handshake_timeout;
        match timeout(limit, stream.connect_tls(self.tls.clone(), name.clone())).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(attempt.failed(state, tls_cause(&error), error.to_string())),
            Err(_) => Err(attempt.failed(state, Cause::Unavailable, format!("no answer within {limit:?}"))),
        }
    }

    /// Carries out what the dialogue asks for until it is over, within the time for a login.
    pub(super) async fn converse(
        &self,
        attempt: &Attempt<'_>,
        dialogue: &mut dyn Client,
        mut stream: Stream,
        name: &ServerName<'static>,
    ) -> Result<(Stream, UpstreamReady), UpstreamError> {
        let limit = self.options.login_timeout;
        let deadline = Instant::now() + limit;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let action = dialogue.next_action();
            let state = dialogue.state();
            let done = match action {
                ClientAction::Wait => timeout_at(deadline, receive(dialogue, &mut stream, &mut buffer)).await,
                ClientAction::Send(bytes) => timeout_at(deadline, send(&mut stream, bytes.as_bytes())).await,
                ClientAction::StartTls => {
                    stream = self.start_tls(attempt, state, stream, name).await?;
                    dialogue.tls_started();
                    continue;
                }
                ClientAction::Ready(ready) => return Ok((stream, ready)),
                ClientAction::Fail(failure) => return Err(give_up(attempt, state, failure)),
            };
            match done {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(attempt.failed(state, Cause::Unavailable, error.to_string())),
                Err(_) => return Err(attempt.failed(state, Cause::Unavailable, silence(limit))),
            }
        }
    }
}

async fn receive(dialogue: &mut dyn Client, stream: &mut Stream, buffer: &mut [u8]) -> io::Result<()> {
    match stream.read(buffer).await? {
        0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up")),
        count => {
            dialogue.receive(&buffer[..count]);
            Ok(())
        }
    }
}

async fn send(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn silence(limit: Duration) -> String {
    format!("timed out: no end of the login within {limit:?}")
}

fn give_up(attempt: &Attempt<'_>, state: &'static str, failure: ClientFailure) -> UpstreamError {
    let cause = match &failure {
        ClientFailure::Refused(reply) => classify(reply),
        // Hanging up is no verdict on the credential, whatever is said with it.
        ClientFailure::TurnedAway(reply) => match classify(reply) {
            Cause::AuthBad | Cause::Refused => Cause::Unavailable,
            other => other,
        },
        ClientFailure::NoMechanism(_) => Cause::AuthPolicy,
        ClientFailure::NoTls(_) => Cause::Untrusted,
        ClientFailure::Protocol(_) => Cause::Unavailable,
    };
    attempt.failed(state, cause, failure.to_string())
}

/// A certificate that does not verify is for an operator; anything else may be a passing fault.
fn tls_cause(error: &io::Error) -> Cause {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => Cause::Untrusted,
        _ => Cause::Unavailable,
    }
}
