//! Runs a dialogue with a provider over its connection, and begins TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use super::classify::{Verdict, classify, classify_farewell};
use super::{Attempt, Cause, UpstreamError, Upstreams, meters};
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
        let means = self.means();
        let limit = means.options.tls_handshake_timeout;
        let began = Instant::now();
        let shaking = stream.connect_tls(Arc::clone(&means.tls), name.clone());
        let shaken = timeout(limit, shaking.instrument(tracing::debug_span!("upstream-tls"))).await;
        attempt.passed("upstream-tls", began);
        match shaken {
            Ok(Ok(stream)) => {
                if let Some(handshake) = stream.handshake() {
                    meters::count_handshake(attempt.upstream, attempt.protocol, handshake);
                }
                Ok(stream)
            }
            Ok(Err(error)) => Err(attempt.failed(state, tls_cause(&error).into(), error.to_string())),
            Err(_) => Err(attempt.failed(state, Cause::Unavailable.into(), format!("no answer within {limit:?}"))),
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
        let limit = self.means().options.login_timeout;
        let deadline = Instant::now() + limit;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            // Before the action: a dialogue that fails is over, and what matters is where it stood.
            let state = dialogue.state();
            let action = dialogue.next_action();
            match &action {
                ClientAction::Send(_) => attempt.say(|| format!("is sent what belongs to {}", dialogue.state())),
                ClientAction::StartTls => attempt.say(|| "TLS begins".to_owned()),
                ClientAction::Ready(_) => attempt.say(|| "has let us in".to_owned()),
                ClientAction::Wait | ClientAction::Fail(_) => {} // the one is no news, and of the other more is told
            }
            let waits = matches!(action, ClientAction::Wait);
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
                Ok(Ok(())) => {
                    if waits {
                        attempt.say(|| format!("answers in {state}"));
                    }
                }
                Ok(Err(error)) => {
                    return Err(attempt.failed(state, Cause::Unavailable.into(), error.to_string()).unanswered());
                }
                Err(_) => return Err(attempt.failed(state, Cause::Unavailable.into(), silence(limit))),
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

pub(super) async fn send(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn silence(limit: Duration) -> String {
    format!("timed out: no end of the login within {limit:?}")
}

fn give_up(attempt: &Attempt<'_>, state: &'static str, failure: ClientFailure) -> UpstreamError {
    let Attempt { protocol, kind, .. } = *attempt;
    let verdict: Verdict = match &failure {
        ClientFailure::Refused(reply) => classify(reply, protocol, kind),
        ClientFailure::TurnedAway(reply) => classify_farewell(reply, protocol, kind),
        ClientFailure::NoMechanism(_) => Cause::AuthPolicy.into(),
        ClientFailure::NoTls(_) => Cause::Untrusted.into(),
        ClientFailure::Protocol(_) => Cause::Unavailable.into(),
    };
    attempt.failed(state, verdict, failure.to_string())
}

/// A certificate that does not verify is for an operator; anything else may be a passing fault.
fn tls_cause(error: &io::Error) -> Cause {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => Cause::Untrusted,
        _ => Cause::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::model::{CredentialKind, Mechanism, Protocol, Secret};
    use crate::proto::{self, ClientLimits, ClientOptions, Goal};
    use crate::sasl::Credentials;
    use crate::upstream::Options;

    /// What comes of a login by POP3 at a provider that says these lines, one for each line it is sent.
    async fn log_in(lines: &'static [&'static str]) -> UpstreamError {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut provider, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            for line in lines {
                provider.write_all(line.as_bytes()).await.unwrap();
                let _ = provider.read(&mut [0; 512]).await.unwrap();
            }
        });

        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let upstreams = Upstreams::new(Arc::new(tls), Options::default());
        let (identity, secret) = ("a@x.test".to_owned(), Secret::new("app-password"));
        let credentials = Credentials { identity, secret, kind: CredentialKind::AppPassword };
        let goal = Goal::LogIn { credentials, mechanisms: vec![Mechanism::Plain] };
        let options = ClientOptions { starttls: false, name: "localhost".into(), limits: ClientLimits::default() };
        let mut dialogue = proto::client(Protocol::Pop3, goal, options);
        let kind = CredentialKind::AppPassword;
        let attempt = Attempt {
            upstream: "x",
            protocol: Protocol::Pop3,
            kind,
            started: Instant::now(),
            is_login: true,
            tap: None,
        };
        let name = ServerName::try_from("localhost").unwrap();
        upstreams.converse(&attempt, dialogue.as_mut(), Stream::Plain(socket), &name).await.unwrap_err()
    }

    #[tokio::test]
    async fn an_error_names_the_state_in_which_it_happened() {
        for (lines, state) in [
            (&["-ERR go away\r\n"][..], "greeting"),
            (&["+OK\r\n", "+OK\r\nSASL XOAUTH2\r\n.\r\n"][..], "CAPA"),
            (&["+OK\r\n", "+OK\r\nSASL PLAIN\r\n.\r\n", "+ \r\n", "-ERR [AUTH] no\r\n"][..], "AUTH PLAIN"),
        ] {
            let error = log_in(lines).await;
            assert!(error.to_string().contains(&format!("state={state:?}")), "{error}");
        }
    }
}
