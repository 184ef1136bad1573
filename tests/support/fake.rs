//! A provider that follows a script: friendly where the look-alike is too well behaved to show something, or hostile. It
//! keeps every byte that it was told.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use locum::model::Protocol;
use locum::net::Stream;
use locum::sandbox::Start;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What it does next. Behind the last step it hangs up.
#[derive(Clone)]
pub(crate) enum Step {
    /// Says this, in one piece.
    Say(&'static str),
    /// Says this and, behind it, the line that was heard last, as servers do that quote what they do not understand.
    Quote(&'static str),
    /// Listens until a line has come that contains this.
    Hear(&'static str),
    /// Shakes TLS hands.
    Tls(Arc<ServerConfig>),
    /// Says this for ever, one byte at a time.
    Drip(&'static str),
    /// Says this for ever, as fast as it is taken.
    Flood(&'static str),
    /// Is silent, for ever.
    Silence,
    /// Tells the test that it is here.
    Tell(Arc<Notify>),
    /// Waits for the test.
    Await(Arc<Notify>),
}

/// The provider, until it is dropped.
pub(crate) struct Fake {
    pub(crate) name: String,
    protocol: Protocol,
    start: Start,
    port: u16,
    seen: Arc<Seen>,
    _stop: DropGuard,
}

struct Seen {
    heard: Mutex<Vec<u8>>,
    connections: AtomicUsize,
    open: watch::Sender<usize>,
}

impl Fake {
    /// One that does the same in every connection. `start` is what `locum.toml` says of it.
    pub(crate) async fn play(name: &str, protocol: Protocol, start: Start, script: &[Step]) -> Self {
        Self::play_all(name, protocol, start, vec![script.to_vec()]).await
    }

    /// One that has a script for each connection; the last one serves all that come after.
    pub(crate) async fn play_all(name: &str, protocol: Protocol, start: Start, scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, connections) = (Mutex::default(), AtomicUsize::new(0));
        let seen = Arc::new(Seen { heard, connections, open: watch::channel(0).0 });
        let stop = CancellationToken::new();
        let (witness, token) = (Arc::clone(&seen), stop.clone());
        tokio::spawn(token.run_until_cancelled_owned(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let number = witness.connections.fetch_add(1, Ordering::SeqCst);
                let script = scripts[number.min(scripts.len() - 1)].clone();
                let seen = Arc::clone(&witness);
                seen.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    // It ends when Locum hangs up in the middle of it: that is what most scripts are for.
                    let _ = follow(&script, Stream::Plain(socket), &seen).await;
                    seen.open.send_modify(|open| *open -= 1);
                });
            }
        }));
        Self { name: name.to_owned(), protocol, start, port, seen, _stop: stop.drop_guard() }
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Waits until no connection is open any more.
    pub(crate) async fn all_closed(&self) {
        let mut open = self.seen.open.subscribe();
        let closed = tokio::time::timeout(Duration::from_secs(20), open.wait_for(|open| *open == 0)).await;
        assert!(closed.is_ok(), "{}: a connection stays open", self.name);
    }

    /// Whether any connection brought this, as it is or within base64.
    pub(crate) fn has_heard(&self, what: &str) -> bool {
        reveals(&self.seen.heard.lock().unwrap(), what)
    }

    /// Its table in `locum.toml`.
    pub(super) fn toml(&self) -> String {
        let Self { name, protocol, port, start, .. } = self;
        let tls = match start {
            Start::Implicit => "implicit",
            Start::StartTls => "starttls",
        };
        format!("[upstream.{name}.{protocol}]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\n\n")
    }
}

/// Whether that text, as it is or within base64, is among the bytes.
pub(crate) fn reveals(bytes: &[u8], text: &str) -> bool {
    forms(text).iter().any(|form| bytes.windows(form.len()).any(|window| window.eq_ignore_ascii_case(form)))
}

/// The text, and what every base64 of a message that contains it must contain: the groups of six bits that hold bits of
/// the text alone, at each of the three places where it may begin within a group of three bytes.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let encoded = (0..3).map(|before| {
        let message = [&vec![0; before], text.as_bytes()].concat();
        let whole = BASE64.encode(&message).into_bytes();
        let (begin, end) = ((before * 8).div_ceil(6), message.len() * 8 / 6);
        whole[begin..end].to_vec()
    });
    encoded.chain([text.as_bytes().to_vec()]).collect()
}

async fn follow(script: &[Step], mut stream: Stream, seen: &Seen) -> io::Result<()> {
    let mut unread = Vec::new();
    let mut last = String::new();
    for step in script {
        match step {
            Step::Say(text) => write(&mut stream, text).await?,
            Step::Hear(word) => last = hear(&mut stream, word, &mut unread, seen).await?,
            Step::Quote(text) => write(&mut stream, &format!("{text}{last}\r\n")).await?,
            Step::Tls(config) => stream = stream.accept_tls(Arc::clone(config)).await?,
            Step::Silence => listen(&mut stream, seen).await?,
            Step::Tell(test) => test.notify_one(),
            Step::Await(test) => test.notified().await,
            Step::Drip(text) => {
                let (mut reader, mut writer) = tokio::io::split(&mut stream);
                // Both, to the end: what it was told last counts as well.
                let (ended, _) = tokio::join!(drip(&mut writer, text), listen(&mut reader, seen));
                ended?;
            }
            Step::Flood(text) => {
                let (mut reader, mut writer) = tokio::io::split(&mut stream);
                // Both, to the end: what it was told last counts as well.
                let (ended, _) = tokio::join!(flood(&mut writer, text), listen(&mut reader, seen));
                ended?;
            }
        }
    }
    stream.shutdown().await
}

async fn write(stream: &mut Stream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

async fn hear(stream: &mut Stream, word: &str, unread: &mut Vec<u8>, seen: &Seen) -> io::Result<String> {
    loop {
        while let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if line.contains(word) {
                return Ok(line.trim_end().to_owned());
            }
        }
        let before = unread.len();
        if stream.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        seen.heard.lock().unwrap().extend_from_slice(&unread[before..]);
    }
}

async fn drip(stream: &mut (impl AsyncWriteExt + Unpin), text: &str) -> io::Result<()> {
    for byte in text.bytes().cycle() {
        stream.write_all(&[byte]).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_millis(20)).await; // slowness is all that this step is
    }
    Ok(())
}

async fn flood(stream: &mut (impl AsyncWriteExt + Unpin), text: &str) -> io::Result<()> {
    loop {
        stream.write_all(text.as_bytes()).await?;
    }
}

/// Until the other side hangs up.
async fn listen(stream: &mut (impl AsyncReadExt + Unpin), seen: &Seen) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => seen.heard.lock().unwrap().extend_from_slice(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::forms;

    #[test]
    fn a_text_is_found_in_any_base64_of_it() {
        for message in ["\0scan\0geheim12", "scan\0geheim12x", "xgeheim12", "geheim12"] {
            let wire = super::super::base64(message);
            let found =
                forms("geheim12").iter().filter(|form| wire.contains(std::str::from_utf8(form).unwrap())).count();
            assert_eq!(found, 1, "{message}");
        }
    }
}
