//! A server that is no Vault, or one that misbehaves: it answers every request as it is told, and keeps what it was sent.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it answers to a request: status line and further headers, and the body. `None`: nothing, ever.
type Answer = Arc<dyn Fn(&str) -> Option<(String, String)> + Send + Sync>;

/// The server, until it is dropped.
pub(crate) struct Impostor {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Impostor {
    pub(crate) async fn start(answer: impl Fn(&str) -> Option<(String, String)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept): (Answer, _) = (Arc::new(answer), Arc::clone(&requests));
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, Arc::clone(&answer), Arc::clone(&kept)));
            }
        });
        Self { address, requests, serving }
    }

    /// One that answers as a Vault does to what comes before the first record, and to the rest as it is told.
    pub(crate) async fn behind_proof(
        answer: impl Fn(&str) -> Option<(String, String)> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |request| {
            if request.contains("/sys/internal/ui/mounts/") {
                Some(found(r#"{"type":"kv","options":{"version":"2"}}"#))
            } else if request.contains("/auth/token/lookup-self") {
                Some(found(r#"{"ttl":0,"creation_ttl":0,"renewable":false}"#))
            } else {
                answer(request)
            }
        })
        .await
    }

    /// The same with one answer to all the rest.
    pub(crate) async fn with(status: &'static str, body: &'static str) -> Self {
        Self::behind_proof(move |_| Some((status.into(), body.into()))).await
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// All that it was sent, a text for each request.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The answer of a Vault that has it.
pub(crate) fn found(data: &str) -> (String, String) {
    let head = r#"{"request_id":"r","lease_id":"","lease_duration":0,"renewable":false,"data":"#;
    ("200 OK".into(), format!("{head}{data}}}"))
}

/// The answer of a Vault that has an entry with these fields in that version.
pub(crate) fn entry(version: u64, fields: &serde_json::Value) -> (String, String) {
    found(&format!(r#"{{"data":{fields},"metadata":{}}}"#, metadata(version)))
}

/// The answer of a Vault that has written that version.
pub(crate) fn written(version: u64) -> (String, String) {
    found(&metadata(version))
}

/// The answer of a Vault that has nothing there.
pub(crate) fn absent() -> (String, String) {
    ("404 Not Found".into(), r#"{"errors":[]}"#.into())
}

/// The answer of a Vault where another version is there than was expected.
pub(crate) fn conflict() -> (String, String) {
    let said = "check-and-set parameter did not match the current version";
    ("400 Bad Request".into(), format!(r#"{{"errors":["{said}"]}}"#))
}

fn metadata(version: u64) -> String {
    format!(r#"{{"created_time":"","deletion_time":"","custom_metadata":null,"destroyed":false,"version":{version}}}"#)
}

async fn converse(mut stream: TcpStream, answer: Answer, kept: Arc<Mutex<Vec<String>>>) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Some(request) = take_request(&mut seen) else {
            match stream.read(&mut buffer).await {
                Ok(count) if count > 0 => seen.extend(&buffer[..count]),
                _ => return,
            }
            continue;
        };
        kept.lock().unwrap().push(request.clone());
        let Some((head, body)) = answer(&request) else { return std::future::pending().await };
        let reply = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A whole request from what has come in, if there is one.
fn take_request(seen: &mut Vec<u8>) -> Option<String> {
    let head = seen.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&seen[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    let end = head + length.unwrap_or_default();
    (seen.len() >= end).then(|| String::from_utf8_lossy(&seen.drain(..end).collect::<Vec<_>>()).into_owned())
}
