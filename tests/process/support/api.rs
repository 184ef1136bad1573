//! The API of a node, over its Unix socket: who asks is the user of the test, and may everything.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::Home;

/// A part of a path: all but what has no meaning anywhere is escaped.
pub(crate) fn escaped(name: &str) -> String {
    let one = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    name.bytes().map(one).collect()
}

/// One request to the API, in the name of the user of this test: the status and the answer.
pub(crate) fn ask(home: &Home, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut socket = UnixStream::connect(home.path("admin.sock")).unwrap();
    let body = body.map(ToString::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let length = body.len();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{kind}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}
