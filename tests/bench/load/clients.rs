//! Mail clients that mean well: each logs in, does a little, and leaves. What goes wrong is a result, never a panic: it is
//! what is counted.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use locum::net::{Stream, TlsOptions, tls};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::Key;

/// A person has given up by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Where Locum listens.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Doors {
    pub(crate) imaps: u16,
    pub(crate) imap: u16,
    pub(crate) pop3s: u16,
    pub(crate) pop3: u16,
    pub(crate) submission: u16,
    pub(crate) submissions: u16,
}

/// Why a client did not get in.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was told so.
    Refused(String),
    /// The connection ended.
    Closed,
    Broke(io::Error),
    /// Nothing came for [`PATIENCE`].
    TimedOut,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broke(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(answer) => write!(f, "refused with {answer:?}"),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Broke(error) => write!(f, "the connection broke ({:?})", error.kind()),
            Self::TimedOut => write!(f, "no answer in {} s", PATIENCE.as_secs()),
        }
    }
}

/// One connection.
pub(crate) struct Line(BufReader<Stream>);

impl Line {
    /// From that address of this machine.
    pub(crate) async fn connect(source: Ipv4Addr, port: u16) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        let socket = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        socket.set_nodelay(true)?;
        Ok(Self(BufReader::new(Stream::Plain(socket))))
    }

    pub(crate) async fn start_tls(self, trust: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").expect("it is a name");
        let stream = self.0.into_inner().connect_tls(Arc::clone(trust), name).await?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await?;
        self.0.flush().await
    }

    /// Lines up to the first that begins so, or that says no.
    pub(crate) async fn expect(&mut self, beginning: &str) -> Result<(), Failure> {
        loop {
            let mut line = Vec::new();
            if self.0.read_until(b'\n', &mut line).await? == 0 {
                return Err(Failure::Closed);
            }
            let line = String::from_utf8_lossy(&line);
            if line.starts_with(beginning) {
                return Ok(());
            }
            let tag = beginning.split(' ').next().unwrap_or_default();
            let is_no = match tag {
                "+OK" => line.starts_with("-ERR"),
                _ if tag.parse::<u16>().is_ok() => line.starts_with(['4', '5']),
                _ => line.starts_with(&format!("{tag} ")) || line.starts_with("* BYE"),
            };
            if is_no {
                return Err(Failure::Refused(line.trim_end().to_owned()));
            }
        }
    }

    pub(crate) async fn ask(&mut self, line: &str, answer: &str) -> Result<(), Failure> {
        self.say(format!("{line}\r\n")).await?;
        self.expect(answer).await
    }

    /// What comes, whatever it is; `None` at the end.
    pub(crate) async fn some(&mut self) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.0.fill_buf().await?.to_vec();
        self.0.consume(bytes.len());
        Ok(Some(bytes).filter(|it| !it.is_empty()))
    }

    /// Exactly so many bytes, which nobody looks at. `scratch` is what they pass through.
    pub(crate) async fn swallow(&mut self, mut count: usize, scratch: &mut [u8]) -> Result<(), Failure> {
        while count > 0 {
            let room = count.min(scratch.len());
            match self.0.read(&mut scratch[..room]).await? {
                0 => return Err(Failure::Closed),
                read => count -= read,
            }
        }
        Ok(())
    }

    /// Whether its TLS handshake took up an earlier one.
    pub(crate) fn is_resumed(&self) -> bool {
        self.0.get_ref().handshake() == Some("resumed")
    }

    /// Until the other side closes.
    pub(crate) async fn end(mut self) -> Result<(), Failure> {
        while self.some().await?.is_some() {}
        Ok(())
    }

    /// Ends it as no friend would: the other side reads an error.
    pub(crate) fn abort(self) {
        let _ = SockRef::from(self.0.get_ref().socket()).set_linger(Some(Duration::ZERO)); // else it ends as others do
    }
}

/// The ways in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Imap,
    Pop3,
    /// With STARTTLS.
    Submission,
    /// With TLS from the first byte.
    Submissions,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Imap, Self::Pop3, Self::Submission];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Imap => "IMAP",
            Self::Pop3 => "POP3",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
        }
    }
}

/// Who calls: from where, and whom it trusts.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) doors: Doors,
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) source: Ipv4Addr,
}

impl Caller {
    /// A connection, under TLS and ready for a login.
    pub(crate) async fn greet(&self, way: Way) -> Result<Line, Failure> {
        let port = match way {
            Way::Imap => self.doors.imaps,
            Way::Pop3 => self.doors.pop3s,
            Way::Submission => self.doors.submission,
            Way::Submissions => self.doors.submissions,
        };
        let line = Line::connect(self.source, port).await?;
        match way {
            Way::Imap | Way::Pop3 => {
                let mut line = line.start_tls(&self.trust).await?;
                line.expect(if way == Way::Imap { "* OK" } else { "+OK" }).await?;
                Ok(line)
            }
            Way::Submissions => {
                let mut line = line.start_tls(&self.trust).await?;
                line.expect("220 ").await?;
                line.ask("EHLO client", "250 ").await?;
                Ok(line)
            }
            Way::Submission => {
                let mut line = line;
                line.expect("220 ").await?;
                line.ask("EHLO client", "250 ").await?;
                line.ask("STARTTLS", "220 ").await?;
                let mut line = line.start_tls(&self.trust).await?;
                line.ask("EHLO client", "250 ").await?;
                Ok(line)
            }
        }
    }

    /// A session that is logged in.
    pub(crate) async fn log_in(&self, way: Way, key: &Key) -> Result<Line, Failure> {
        let mut line = self.greet(way).await?;
        present(&mut line, way, key).await?;
        Ok(line)
    }

    /// A whole session; when it was in.
    pub(crate) async fn visit(&self, way: Way, key: &Key) -> Result<Instant, Failure> {
        bounded(async {
            let mut line = self.log_in(way, key).await?;
            let at = Instant::now();
            match way {
                Way::Imap => {
                    line.ask("b SELECT INBOX", "b OK").await?;
                    line.ask("c LOGOUT", "* BYE").await?;
                }
                Way::Pop3 => {
                    line.ask("STAT", "+OK").await?;
                    line.ask("QUIT", "+OK").await?;
                }
                Way::Submission | Way::Submissions => {
                    line.ask("NOOP", "250").await?;
                    line.ask("QUIT", "221").await?;
                }
            }
            line.end().await?;
            Ok(at)
        })
        .await
    }
}

/// One login on a connection that is ready for it.
pub(crate) async fn present(line: &mut Line, way: Way, key: &Key) -> Result<(), Failure> {
    let Key { login, secret } = key;
    match way {
        Way::Imap => line.ask(&format!("a LOGIN {login} {secret}"), "a OK").await,
        Way::Pop3 => {
            line.ask(&format!("USER {login}"), "+OK").await?;
            line.ask(&format!("PASS {secret}"), "+OK").await
        }
        Way::Submission | Way::Submissions => {
            let response = BASE64.encode(format!("\0{login}\0{secret}").as_bytes());
            line.ask(&format!("AUTH PLAIN {response}"), "235").await
        }
    }
}

/// As long as a person waits.
pub(crate) async fn bounded<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(PATIENCE, work).await.unwrap_or(Err(Failure::TimedOut))
}

/// Trust in the certificates of that file, without a memory of earlier handshakes: each is a whole one.
pub(crate) fn trusting(file: &Path) -> Arc<ClientConfig> {
    let options = TlsOptions { upstream_ca_files: vec![file.to_owned()], ..TlsOptions::default() };
    let mut trust = (*tls::client_config(&options).unwrap()).clone();
    trust.resumption = Resumption::disabled();
    Arc::new(trust)
}

/// One of the addresses that this machine has for itself, by its number. The first 65,536 are where attackers come from.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    let [.., high, middle, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 10 + high, middle, low)
}

/// The one that clients come from that mean well.
pub(crate) const HONEST: Ipv4Addr = Ipv4Addr::LOCALHOST;
