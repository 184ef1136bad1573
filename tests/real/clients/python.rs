//! Python's imaplib, poplib and smtplib, each in a small script of its own that reads its job, the password included, as
//! JSON from standard input and answers with JSON.

use std::process::Command;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Outgoing;
use crate::child;
use crate::endpoint::Endpoint;
use crate::programs;

const IMAP: &str = include_str!("imap.py");
const POP3: &str = include_str!("pop3.py");
const SMTP: &str = include_str!("smtp.py");

/// What imaplib saw: the folder names, and the messages of the folder that it was told to read.
pub(crate) struct ImapView {
    pub(crate) folders: Vec<String>,
    pub(crate) messages: Vec<(Vec<u8>, Vec<String>)>,
    /// How many messages a search for the subject found.
    pub(crate) found: Vec<u32>,
}

/// Lists the folders, reads `folder`, marks its first message as flagged, looks for `subject`, and appends `message`.
pub(crate) fn imap(endpoint: &Endpoint, folder: &str, subject: &str, message: &[u8]) -> ImapView {
    let job = json!({ "folder": folder, "subject": subject, "message": BASE64.encode(message) });
    let answer = run(IMAP, endpoint, job);
    let message = |value: &Value| (bytes(&value["content"]), strings(&value["flags"]));
    ImapView {
        folders: strings(&answer["folders"]),
        messages: answer["messages"].as_array().unwrap().iter().map(message).collect(),
        found: answer["found"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as u32).collect(),
    }
}

/// What poplib saw before it deleted the last message.
pub(crate) struct Pop3View {
    pub(crate) sizes: Vec<usize>,
    /// Unique ids by UIDL, one for each message.
    pub(crate) ids: Vec<String>,
    pub(crate) messages: Vec<Vec<u8>>,
}

/// Logs in (by `USER` and `PASS`), reads everything, and deletes the last message.
pub(crate) fn pop3(endpoint: &Endpoint) -> Pop3View {
    let answer = run(POP3, endpoint, json!({}));
    Pop3View {
        sizes: answer["sizes"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect(),
        ids: strings(&answer["ids"]),
        messages: answer["messages"].as_array().unwrap().iter().map(bytes).collect(),
    }
}

/// Submits a message; smtplib chooses the mechanism.
pub(crate) fn submit(endpoint: &Endpoint, mail: &Outgoing<'_>) {
    let job = json!({ "from": mail.from, "to": mail.to, "message": BASE64.encode(mail.message) });
    run(SMTP, endpoint, job);
}

fn run(script: &str, endpoint: &Endpoint, mut job: Value) -> Value {
    job["host"] = json!(endpoint.host);
    job["port"] = json!(endpoint.port);
    job["tls"] = json!(endpoint.tls.word());
    job["user"] = json!(endpoint.user);
    job["password"] = json!(endpoint.password);
    job["authority"] = json!(endpoint.authority);
    // `-I`: neither the environment nor the user's own packages change what runs.
    let output =
        child::run_well(Command::new(programs::find("python3")).args(["-I", "-c", script]), job.to_string().as_bytes());
    serde_json::from_slice(&output).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}
