//! A client of raw lines. It waits for events, each for a time that only a fault can use up.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use locum::net::Stream;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// What is to come comes long before.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection to Locum.
pub(crate) struct Wire(BufReader<Stream>);

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self(BufReader::new(Stream::Plain(socket)))
    }

    /// The same from that address of this machine.
    pub(crate) async fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        let socket = socket.connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self(BufReader::new(Stream::Plain(socket)))
    }

    /// Whether the other side takes the TLS handshake.
    pub(crate) async fn try_tls(self, config: &Arc<ClientConfig>) -> Option<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = timeout(PATIENCE, self.0.into_inner().connect_tls(Arc::clone(config), name)).await.unwrap();
        stream.ok().map(|stream| Self(BufReader::new(stream)))
    }

    pub(crate) async fn start_tls(self, config: &Arc<ClientConfig>) -> Self {
        assert!(self.0.buffer().is_empty(), "bytes ahead of the TLS handshake");
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.0.into_inner().connect_tls(Arc::clone(config), name).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// Writes bytes, in one piece.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next line without its line end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let mut line = Vec::new();
            let read = timeout(PATIENCE, self.0.read_until(b'\n', &mut line)).await;
            match read {
                Ok(Ok(1..)) => {}
                other => panic!("{caller}: no line came: {other:?}"),
            }
            String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()
        }
    }

    /// The next line without its line end; `None` if the other side closes instead.
    pub(crate) async fn try_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = timeout(PATIENCE, self.0.read_until(b'\n', &mut line)).await.unwrap();
        matches!(read, Ok(1..)).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Sends a line and gives the next one back.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            self.write(format!("{line}\r\n")).await;
            let mut answer = Vec::new();
            let read = timeout(PATIENCE, self.0.read_until(b'\n', &mut answer)).await;
            assert!(matches!(read, Ok(Ok(1..))), "{caller}: no answer to {line:?}: {read:?}");
            String::from_utf8_lossy(&answer).trim_end_matches(['\r', '\n']).to_owned()
        }
    }

    /// Lines up to and including the first that begins so.
    pub(crate) async fn until(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = timeout(PATIENCE, self.0.read_until(b'\n', &mut line)).await;
            assert!(matches!(read, Ok(Ok(1..))), "no line begins with {start:?}: {read:?} after {lines:?}");
            lines.push(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            if lines.last().is_some_and(|line| line.starts_with(start)) {
                return lines;
            }
        }
    }

    /// Says EHLO and gives the keywords back.
    pub(crate) async fn ehlo(&mut self) -> Vec<String> {
        self.write("EHLO scanner-3f\r\n").await;
        let lines = self.until("250 ").await;
        lines[1..].iter().map(|line| line[4..].to_owned()).collect()
    }

    /// All that is still said before the other side closes. A reset is an end too.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "the connection stays open, after {:?}", String::from_utf8_lossy(&rest));
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Says that no more will be said.
    pub(crate) async fn finish(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Whether nothing comes within a moment: to see that something waits.
    pub(crate) async fn is_silent_for(&mut self, moment: Duration) -> bool {
        timeout(moment, self.0.fill_buf()).await.is_err()
    }
}

pub(crate) fn base64(text: impl AsRef<[u8]>) -> String {
    BASE64.encode(text.as_ref())
}

/// The one message of PLAIN, in base64.
pub(crate) fn plain(authzid: &str, authcid: &str, password: &str) -> String {
    base64(format!("{authzid}\0{authcid}\0{password}"))
}
