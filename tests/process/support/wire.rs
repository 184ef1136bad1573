//! A mail client of raw lines, in plain text or under TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use super::DEADLINE;

pub(crate) struct Wire(BufReader<Stream>);

#[expect(clippy::large_enum_variant, reason = "there are a few of them")]
enum Stream {
    Plain(TcpStream),
    Tls(StreamOwned<ClientConnection, TcpStream>),
}

impl Wire {
    pub(crate) fn plain(port: u16) -> Self {
        Self::on(TcpStream::connect(("127.0.0.1", port)).unwrap())
    }

    /// On a connection that is there.
    pub(crate) fn on(socket: TcpStream) -> Self {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self::over(Stream::Plain(socket))
    }

    pub(crate) fn tls(port: u16, trust: &Arc<ClientConfig>) -> Self {
        Self::plain(port).start_tls(trust)
    }

    /// TLS from here on.
    pub(crate) fn start_tls(self, trust: &Arc<ClientConfig>) -> Self {
        assert!(self.0.buffer().is_empty(), "bytes ahead of TLS");
        let Stream::Plain(socket) = self.0.into_inner() else { panic!("TLS is on already") };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(trust), name).unwrap();
        Self::over(Stream::Tls(StreamOwned::new(connection, socket)))
    }

    fn over(stream: Stream) -> Self {
        Self(BufReader::with_capacity(64 * 1024, stream))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).unwrap();
    }

    /// The same where the other side may have hung up.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)?;
        self.0.get_mut().flush()
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.write(format!("{line}\r\n").as_bytes());
    }

    /// One line with its line end; empty at the end of the stream.
    pub(crate) fn raw_line(&mut self, line: &mut Vec<u8>) {
        line.clear();
        self.0.read_until(b'\n', line).unwrap();
    }

    /// One line without its line end; empty at the end of the stream.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.raw_line(&mut line);
        String::from_utf8(line).unwrap().trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Lines up to the first that begins so; that one.
    #[track_caller]
    pub(crate) fn expect(&mut self, beginning: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let line = self.line();
            if line.starts_with(beginning) {
                return line;
            }
            assert!(!line.is_empty(), "never came: {beginning}\n{seen:#?}");
            seen.push(line);
        }
    }

    /// Says a line and waits for the answer that begins so.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str, answer: &str) -> String {
        self.say(line);
        self.expect(answer)
    }

    /// What kind of TLS handshake it was. Something must have been read.
    pub(crate) fn handshake(&self) -> HandshakeKind {
        let Stream::Tls(stream) = self.0.get_ref() else { panic!("there is no TLS") };
        stream.conn.handshake_kind().expect("hands are shaken when something is read")
    }

    /// Says that nothing more is sent, if the other side still listens.
    pub(crate) fn end(&mut self) {
        let _ = match self.0.get_mut() {
            Stream::Plain(stream) => stream.shutdown(Shutdown::Write),
            Stream::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush().and_then(|()| stream.sock.shutdown(Shutdown::Write))
            }
        };
    }

    /// Everything up to the end of the stream, whichever way it ends.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest
    }

    /// Exactly so many bytes, given out as they come.
    pub(crate) fn bytes(&mut self, mut count: usize, mut take: impl FnMut(&[u8])) {
        while count > 0 {
            let buffer = self.0.fill_buf().unwrap();
            assert!(!buffer.is_empty(), "{count} bytes too few");
            let taken = count.min(buffer.len());
            take(&buffer[..taken]);
            self.0.consume(taken);
            count -= taken;
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
