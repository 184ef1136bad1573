//! Where a browser comes back to after consent (RFC 8252 section 7.3): one port on this machine, open until the one request
//! is there that belongs to the consent. It answers nothing of what others send, and keeps none of it.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How long a person has.
pub(super) const WAIT: Duration = Duration::from_secs(5 * 60);

/// Time for one request, and for its answer: browsers open connections ahead and leave them silent.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The head of a request; a code has some kilobytes at most.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Connections at once: a browser's, and some of a program that looks for open ports.
const CONNECTIONS_MAX: usize = 32;

/// Before the next attempt when no connection can be taken.
const BREATH: Duration = Duration::from_millis(100);

const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Locum</title>\
    <style>body{font:1.2em system-ui,sans-serif;margin:4em auto;max-width:30em;text-align:center}</style>\
    <p>You can close this window and go back to the terminal.</html>\n";

const SORRY: &str =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Locum</title><p>Not found.</html>\n";

/// The open port.
#[derive(Debug)]
pub(super) struct Loopback {
    listener: TcpListener,
    pub(super) port: u16,
}

impl Loopback {
    pub(super) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// What the authority is told. By name: Microsoft's portal takes no other loopback address, and ignores the port of it.
    pub(super) fn redirect_uri(&self) -> String {
        format!("http://localhost:{}/", self.port)
    }

    /// Waits for the request whose query `take` takes; `None` if it does not come.
    pub(super) async fn wait<T>(&self, take: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = async {
            let mut open = FuturesUnordered::new();
            loop {
                tokio::select! {
                    accepted = self.listener.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                        Ok((stream, _)) => open.push(converse(stream, &take)),
                        Err(_) => sleep(BREATH).await,
                    },
                    Some(done) = open.next() => if let Some(found) = done { return found },
                }
            }
        };
        timeout(WAIT, found).await.ok()
    }
}

/// Answers one request; what was taken of it.
async fn converse<T>(mut stream: TcpStream, take: impl Fn(&str) -> Option<T>) -> Option<T> {
    let head = timeout(REQUEST_TIMEOUT, read_head(&mut stream)).await.ok()?.ok()?;
    let found = query(&head).and_then(take);
    let (status, page) = if found.is_some() { ("200 OK", PAGE) } else { ("404 Not Found", SORRY) };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\r\n{page}",
        page.len()
    );
    // The page is a courtesy: what was taken counts whether it arrives or not.
    let answered = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = timeout(REQUEST_TIMEOUT, answered).await;
    found
}

/// Everything up to the blank line: an answer to a request that is read in part may be lost.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let room = HEAD_BYTES_MAX - head.len();
        if room == 0 || (&mut *stream).take(room as u64).read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The query of a GET of `/`.
fn query(head: &str) -> Option<&str> {
    let line = head.lines().next()?;
    let target = line.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    target.strip_prefix("/?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_of_the_root_has_a_query() {
        assert_eq!(query("GET /?code=c&state=s HTTP/1.1\r\nHost: localhost\r\n\r\n"), Some("code=c&state=s"));
        for line in [
            "",
            "GET / HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "GET /x?code=c HTTP/1.1",
            "POST /?code=c HTTP/1.1",
            "HEAD /?code=c HTTP/1.1",
            "GET http://localhost/?code=c HTTP/1.1",
            "GET /?code=c",
        ] {
            assert_eq!(query(line), None, "{line}");
        }
    }

    async fn ask(port: u16, request: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let mut answer = Vec::new();
        // One that asks too much is cut off.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn junk_does_not_keep_the_right_request_out() {
        let loopback = Loopback::bind().await.unwrap();
        let port = loopback.port;
        let right = |query: &str| (query == "state=right").then_some(query.len());
        let browser = async {
            // Silent ones, and one that breaks off: as many as a port scan.
            let mut silent = Vec::new();
            for _ in 0..8 {
                silent.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap());
            }
            drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap());
            for junk in
                ["GET /favicon.ico HTTP/1.1\r\n\r\n", "GET /?state=wrong HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n\r\n"]
            {
                assert!(ask(port, junk).await.starts_with("HTTP/1.1 404 "), "{junk}");
            }
            assert_eq!(ask(port, &format!("GET /?{} HTTP/1.1", "x".repeat(HEAD_BYTES_MAX))).await, "");
            let answer = ask(port, "GET /?state=right HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("You can close this window"), "{answer}");
            drop(silent);
        };
        let (found, ()) = tokio::join!(loopback.wait(right), browser);
        assert_eq!(found, Some("state=right".len()));
    }
}
