//! What a node says of itself over HTTP.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::openbao::eventually;
use crate::support::Doors;

/// What `/readyz` answers.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) status: u16,
    pub(crate) said: Value,
}

impl Look {
    pub(crate) async fn at(node: &Doors) -> Self {
        let (status, body) = get(node, "/readyz").await;
        Self { status, said: serde_json::from_str(&body).unwrap() }
    }

    /// Until a node says that of its store, for a reason with these words if there are any.
    pub(crate) async fn until(node: &Doors, state: &str, reason: &str) -> Self {
        let what = format!("a store that is {state} ({reason:?}) in /readyz");
        eventually(&what, async || {
            let look = Self::at(node).await;
            (look.store()["state"] == state && look.reason().contains(reason)).then_some(look)
        })
        .await
    }

    fn store(&self) -> &Value {
        let checks = self.said["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "store").unwrap()
    }

    pub(crate) fn reason(&self) -> &str {
        self.store()["reason"].as_str().unwrap_or_default()
    }

    /// Whether clients can log in, and whether that is so for some of them only.
    pub(crate) fn verdict(&self) -> (u16, bool, bool) {
        (self.status, self.said["ready"] == true, self.said["degraded"] == true)
    }
}

/// A figure of `/metrics`; 0 where nothing was counted yet.
pub(crate) async fn figure(node: &Doors, name: &str) -> f64 {
    let (status, body) = get(node, "/metrics").await;
    assert_eq!(status, 200, "{body}");
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

async fn get(node: &Doors, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(node.address("admin")).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
