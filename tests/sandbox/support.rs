//! A sandbox with an account on loopback, and a client that speaks raw lines to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use locum::model::{Protocol, Secret};
use locum::sandbox::{Account, Behaviour, Face, Options, Sandbox, Start};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::http::Authority;

pub(crate) const ALICE: &str = "alice@contoso.test";
pub(crate) const PASSWORD: &str = "abcdefghijklmnop";
/// What a [`Wire`] reads where the server has closed.
pub(crate) const END: &str = "(end of stream)";
pub(crate) const HOST: &str = "XX0P000CA0000.sandbox.test";

/// A provider with the accounts of Alice and Bob, served until it is dropped.
pub(crate) struct Provider {
    pub(crate) sandbox: Sandbox,
    pub(crate) certificate_pem: String,
    certificate: CertificateDer<'static>,
    stop: CancellationToken,
}

impl Provider {
    pub(crate) fn new(face: Face) -> Self {
        Self::with_delay(face, Duration::ZERO)
    }

    pub(crate) fn with_delay(face: Face, junk_delay: Duration) -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let sandbox = Sandbox::new(Options { face, host: HOST.to_owned(), tls: Arc::new(tls), junk_delay });
        for address in [ALICE, "bob@contoso.test"] {
            let password = Secret::new(PASSWORD);
            sandbox.add_account(Account { address: address.to_owned(), password, behaviour: Behaviour::Normal });
        }
        Self { sandbox, certificate_pem: made.cert.pem(), certificate, stop: CancellationToken::new() }
    }

    /// Opens a port.
    pub(crate) async fn listen(&self, protocol: Protocol, start: Start) -> SocketAddr {
        self.listen_until(protocol, start, self.stop.clone()).await.0
    }

    pub(crate) async fn listen_until(
        &self,
        protocol: Protocol,
        start: Start,
        until: CancellationToken,
    ) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sandbox = self.sandbox.clone();
        (address, tokio::spawn(async move { sandbox.serve(protocol, start, listener, until).await }))
    }

    /// Opens a port for the authority.
    pub(crate) async fn authority(&self) -> Authority {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sandbox, stop) = (self.sandbox.clone(), self.stop.clone());
        tokio::spawn(async move { sandbox.serve_authority(listener, stop).await });
        Authority::new(port, self.client_config())
    }

    fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::new(self.client_config()))
    }

    fn client_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    pub(crate) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> TlsStream<S> {
        self.connector().connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    /// A connection under TLS to a new port.
    pub(crate) async fn tls_stream(&self, protocol: Protocol) -> TlsStream<TcpStream> {
        let address = self.listen(protocol, Start::Implicit).await;
        self.shake_hands(TcpStream::connect(address).await.unwrap()).await
    }

    /// The same for raw lines, with the greeting.
    pub(crate) async fn wire(&self, protocol: Protocol) -> (Wire<TlsStream<TcpStream>>, String) {
        let mut wire = Wire::new(self.tls_stream(protocol).await);
        let greeting = wire.line().await;
        (wire, greeting)
    }

    /// Raw lines without TLS, with the greeting.
    pub(crate) async fn plain_wire(&self, protocol: Protocol) -> (Wire<TcpStream>, String) {
        let address = self.listen(protocol, Start::StartTls).await;
        let mut wire = Wire::new(TcpStream::connect(address).await.unwrap());
        let greeting = wire.line().await;
        (wire, greeting)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A client of raw lines.
pub(crate) struct Wire<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn into_inner(self) -> S {
        self.0.into_inner()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// One line of the server, without its line end; [`END`] at the end of the stream.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await.unwrap();
        let ended = line.is_empty();
        if ended { END.to_owned() } else { String::from_utf8(line).unwrap().trim_end_matches(['\r', '\n']).to_owned() }
    }

    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Sends a line and gives the next one back.
    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.line().await
    }

    /// Sends an IMAP command; gives all lines up to its tagged answer, which is the last one.
    pub(crate) async fn imap(&mut self, command: &str) -> Vec<String> {
        self.write(format!("T {command}\r\n").as_bytes()).await;
        self.until(|line| line.starts_with("T ")).await
    }

    /// Sends a submission command; gives all lines of the reply.
    pub(crate) async fn smtp(&mut self, command: &str) -> Vec<String> {
        self.write(format!("{command}\r\n").as_bytes()).await;
        self.until(|line| line.as_bytes().get(3) != Some(&b'-')).await
    }

    /// Lines up to and including the first that pleases.
    pub(crate) async fn until(&mut self, last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let done = last(&line) || line == END;
            lines.push(line);
            if done {
                return lines;
            }
        }
    }

    /// Whether the server has ended the connection, with nothing more to say. A reset is an end too.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.0.read_to_end(&mut rest)).await;
        ended.is_ok() && rest.is_empty()
    }
}

/// A message of that many bytes whose lines differ and some of which begin with a dot.
pub(crate) fn message(bytes: usize) -> Vec<u8> {
    let mut message = b"From: alice@contoso.test\r\nTo: bob@contoso.test\r\nSubject: large\r\n\r\n".to_vec();
    for number in 0_u64.. {
        if message.len() + 80 > bytes {
            break;
        }
        let dot = if number % 7 == 0 { "." } else { "" };
        message
            .extend_from_slice(format!("{dot}line {number} {:032x}\r\n", number.wrapping_mul(0x9E37_79B9)).as_bytes());
    }
    while message.len() + 2 < bytes {
        message.push(b'x');
    }
    message.extend_from_slice(b"\r\n");
    message
}
