//! The audit: who logged in, from where, with which secret, which credential went upstream, and how it ended. One JSON
//! object a line, appended. It must never hold a secret; ids name them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::Serialize;

use crate::model::Protocol;

/// The most characters of a name from the wire that a line holds.
const NAME_CHARS_MAX: usize = 256;

/// Where the audit goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The file that events are appended to, one JSON object a line. `None`: to the log alone.
    pub path: Option<PathBuf>,
}

/// The audit's file does not open.
#[derive(Debug, thiserror::Error)]
#[error("cannot append to the audit file {path}: {source}", path = path.display())]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// A handle on the audit; clones write to the same file.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    sink: Arc<Mutex<Option<Sink>>>,
}

#[derive(Debug)]
struct Sink {
    file: File,
    /// Whether half a line may stand at the end: after a failed write, or left by a process before us.
    is_doubtful: bool,
    /// Whether the last write failed; said once.
    is_broken: bool,
}

/// Who is at the other end of a session: the same in all its events.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// The session's number in this process.
    pub session: u64,
    /// The listener it came through.
    pub listener: Arc<str>,
    /// What it speaks.
    pub protocol: Protocol,
    /// The client's address.
    pub peer: IpAddr,
    /// The front ends that speak for it, and are believed to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<IpAddr>,
    /// Whether TLS protects it.
    pub tls: bool,
    /// Which version of TLS: `"TLSv1.2"`, `"TLSv1.3"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<&'static str>,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The broker decided about a login attempt.
    Decision {
        /// `"allow"`, `"deny"`, or `"try"`: what comes of it is told by an [`Event::Enrolment`].
        outcome: &'static str,
        /// Why not, in words for the operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The login name presented.
        login: String,
        /// The mechanism or command.
        method: &'static str,
        /// How it is believed, where that is not by a secret of its own: `"learn"`, `"passthrough"` …
        #[serde(skip_serializing_if = "Option::is_none")]
        way: Option<&'static str>,
        /// The id of the client secret that proved it.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_secret: Option<String>,
        /// The account it may act as.
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Whether it may act so by a delegation.
        #[serde(skip_serializing_if = "is_false")]
        delegated: bool,
        /// As whom it asked to act and may not, if it was proven.
        #[serde(skip_serializing_if = "Option::is_none")]
        asked: Option<String>,
    },
    /// A login that no client had was made a client's, or not.
    Enrolment {
        /// `"enrolled"`; `"let-in"`, for this time, as it could not be written down; `"refused"`, where the provider or who
        /// came first says that it is wrong; `"failed"`, where nobody said so.
        outcome: &'static str,
        /// `"learn"` or `"first-login"`.
        mode: &'static str,
        /// Why not, in words for the operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The login name presented.
        login: String,
        /// The account.
        account: String,
        /// Whether the account was made as well.
        new_account: bool,
        /// The id of the client secret that it has now.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_secret: Option<String>,
    },
    /// An upstream was logged in to, or refused.
    Upstream {
        /// `"accepted"` or `"failed"`.
        outcome: &'static str,
        /// Why not, in words for the operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The client's login name.
        login: String,
        /// The account.
        account: String,
        /// The upstream profile.
        upstream: String,
        /// The id of the credential version presented.
        credential: String,
        /// Its kind.
        kind: &'static str,
        /// The place that it has in its record, unless it is the current one: `"next"` or `"previous"`.
        #[serde(skip_serializing_if = "Option::is_none")]
        slot: Option<&'static str>,
        /// Why no better credential was presented, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        fell_back: Option<String>,
        /// Time since the attempt, milliseconds.
        duration_ms: u64,
    },
    /// A credential was rotated by a step, or that was refused.
    Rotation {
        /// The step: `"staged"`, `"promoted"` …
        step: &'static str,
        /// `"done"` or `"failed"`.
        outcome: &'static str,
        /// Why not, or why, in words for the operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who took it: `user@host`, or `locum` for a node.
        actor: String,
        /// Whose credential: an account, or the domain of a tenant.
        subject: String,
        /// Its kind.
        kind: &'static str,
        /// The id of the credential.
        #[serde(skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
    },
    /// The configuration was read again.
    Reload {
        /// `"done"` or `"refused"`: then all is as it was.
        outcome: &'static str,
        /// Who wished it: an operator, or `SIGHUP`.
        actor: String,
        /// What holds from now on.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
        /// What does from the next start on.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        needs_restart: Vec<String>,
        /// Why not.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        problems: Vec<String>,
    },
    /// Something that somebody has to know.
    Alert {
        /// What kind of thing: `"refused"`, `"rolled-back"` …
        kind: &'static str,
        /// An account, or `@` and a domain.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The id of the credential.
        #[serde(skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
        /// What happened, in words for the operator.
        cause: String,
        /// What to do.
        remedy: String,
        /// Since when.
        since: Timestamp,
    },
    /// An operator did something, or tried to.
    Operator {
        /// What: `"sign-in"`, `"operator-add"`, or a method and a path of the API.
        action: String,
        /// `"done"`, `"failed"` or `"refused"`.
        outcome: &'static str,
        /// Why not, in words for the operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who: the operator's name, or `user@host`. `None` where nobody signed in.
        #[serde(skip_serializing_if = "Option::is_none")]
        actor: Option<String>,
        /// The id of the token that they signed in with.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// From where, if over the network.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<IpAddr>,
        /// What it was done to.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
    },
    /// A session that was logged in ended.
    End {
        /// The client's login name.
        login: String,
        /// The account.
        account: String,
        /// How it ended.
        reason: String,
        /// Bytes from the client.
        bytes_up: u64,
        /// Bytes to the client.
        bytes_down: u64,
        /// Messages that the upstream took, where they were counted: only where a policy or a pace had submission looked
        /// at.
        #[serde(skip_serializing_if = "Option::is_none")]
        messages: Option<u64>,
        /// Time since the login, milliseconds.
        duration_ms: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    #[serde(flatten)]
    origin: Option<&'a Origin>,
    #[serde(flatten)]
    event: &'a Event,
}

impl Audit {
    /// Opens the file of `options` for appending, readable by its owner and group only.
    ///
    /// # Errors
    /// If it does not open.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        Ok(Self { sink: Arc::new(Mutex::new(Sink::open(options)?)) })
    }

    /// Goes on where `other` is, in all clones.
    pub fn go_on_in(&self, other: &Self) {
        let other = other.sink.lock().expect("no holder of this lock panics").take();
        *self.sink.lock().expect("no holder of this lock panics") = other;
    }

    /// Records an event of a session, in the file and in the log.
    pub fn record(&self, origin: &Origin, event: &Event) {
        self.append(Some(origin), event);
    }

    /// Records what is no session's: an operator's step, or a node's own.
    pub fn record_step(&self, event: &Event) {
        self.append(None, event);
    }

    fn append(&self, origin: Option<&Origin>, event: &Event) {
        let line = Line { time: Timestamp::now(), origin, event };
        let Ok(mut text) = serde_json::to_string(&line) else { return }; // no field can fail to serialize
        tracing::info!(target: "locum::audit", "{text}");
        text.push('\n');
        // The lock is held for no await.
        if let Some(sink) = self.sink.lock().expect("no holder of this lock panics").as_mut() {
            sink.append(&text);
        }
    }
}

impl Sink {
    fn open(options: &Options) -> Result<Option<Self>, OpenError> {
        let Some(path) = &options.path else { return Ok(None) };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o640)
            .open(path)
            .map_err(|source| OpenError { path: path.clone(), source })?;
        Ok(Some(Self { file, is_doubtful: true, is_broken: false }))
    }

    /// One write call a line: whole lines also where several processes append.
    fn append(&mut self, line: &str) {
        let begun_anew = if self.is_doubtful && self.ends_within_a_line() { "\n" } else { "" };
        let written = self.file.write_all(format!("{begun_anew}{line}").as_bytes());
        match (&written, self.is_broken) {
            (Err(error), false) => {
                tracing::error!(%error, "the audit file cannot be written; until it can, events are in the log alone")
            }
            (Ok(()), true) => tracing::warn!("the audit file is written again"),
            _ => {}
        }
        self.is_broken = written.is_err();
        self.is_doubtful = self.is_broken;
    }

    /// What is no file to read back (a pipe) has no half lines.
    fn ends_within_a_line(&self) -> bool {
        let mut last = [0];
        let end = self.file.metadata().map_or(0, |metadata| metadata.len());
        end > 0 && self.file.read_exact_at(&mut last, end - 1).is_ok() && last != *b"\n"
    }
}

/// A name from the wire, fit for a line: bounded, and readable where it is text.
pub fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin {
            session: 7,
            listener: "imaps".into(),
            protocol: Protocol::Imap,
            peer: IpAddr::from([192, 0, 2, 1]),
            via: Vec::new(),
            tls: true,
            tls_version: Some("TLSv1.3"),
        }
    }

    #[test]
    fn each_event_is_one_line_whatever_a_name_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let audit = Audit::open(&Options { path: Some(path.clone()) }).unwrap();
        for _ in 0..2 {
            audit.record(
                &origin(),
                &Event::Decision {
                    outcome: "deny",
                    reason: Some("unknown login".into()),
                    login: name(b"x\r\n{\"event\":\"forged\"}\xff"),
                    method: "LOGIN command",
                    way: None,
                    client_secret: None,
                    account: None,
                    delegated: false,
                    asked: None,
                },
            );
        }
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["event"], "decision");
        assert_eq!(lines[0]["peer"], "192.0.2.1");
    }

    #[test]
    fn half_a_line_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        std::fs::write(&path, "{\"half\":").unwrap();
        let audit = Audit::open(&Options { path: Some(path.clone()) }).unwrap();
        let end = Event::End {
            login: "a".into(),
            account: "b".into(),
            reason: "c".into(),
            bytes_up: 0,
            bytes_down: 0,
            messages: None,
            duration_ms: 0,
        };
        (0..2).for_each(|_| audit.record(&origin(), &end));
        let text = std::fs::read_to_string(path).unwrap();
        let whole = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
        assert_eq!((text.lines().count(), whole), (3, 2));
    }

    #[test]
    fn a_file_that_does_not_open_is_named() {
        let error = Audit::open(&Options { path: Some("/nonexistent/audit.jsonl".into()) }).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/audit.jsonl"), "{error}");
    }
}
