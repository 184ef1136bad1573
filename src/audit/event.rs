//! What is recorded. No field may ever hold a secret; ids name them.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::Protocol;

/// The most characters of a name from the wire that a line holds.
const NAME_CHARS_MAX: usize = 256;

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
        /// Time that the decision took, milliseconds.
        duration_ms: u64,
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
    /// An operator did something about sessions: closed them, or had a trace made of what is said before login.
    Session {
        /// `"closed"`, `"traced"`, `"trace-read"` or `"trace-ended"`.
        step: &'static str,
        /// Who did it.
        actor: String,
        /// The session's number, where it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        /// How many sessions, where a login or an account was named.
        #[serde(skip_serializing_if = "Option::is_none")]
        sessions: Option<usize>,
        /// The login that was named.
        #[serde(skip_serializing_if = "Option::is_none")]
        login: Option<String>,
        /// The account that was named.
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// The client's address that was named.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<IpAddr>,
        /// The listener that was named.
        #[serde(skip_serializing_if = "Option::is_none")]
        listener: Option<String>,
        /// The trace's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        trace: Option<String>,
    },
    /// Events that could not be put into the file; the log has them.
    Lost {
        /// How many.
        count: u64,
        /// Why.
        reason: String,
    },
    /// Something stood behind the last line that was no line of the audit: half a line, after a crash.
    Mended {
        /// Its length.
        bytes: u64,
        /// The SHA-256 of it.
        sha256: String,
    },
    /// A session that was logged in ended.
    End {
        /// The client's login name.
        login: String,
        /// The account.
        account: String,
        /// The id of the client secret that proved it.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_secret: Option<String>,
        /// The id of the credential version that was presented upstream.
        #[serde(skip_serializing_if = "Option::is_none")]
        credential: Option<String>,
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

/// A name from the wire, fit for a line: bounded, and readable where it is text. What JSON does not escape and a terminal or a
/// reader could take for more than text is replaced.
pub fn name(bytes: &[u8]) -> String {
    let shown = |c: char| if is_deceptive(c) { char::REPLACEMENT_CHARACTER } else { c };
    String::from_utf8_lossy(bytes).chars().take(NAME_CHARS_MAX).map(shown).collect()
}

/// DEL and C1, among them the CSI that some terminals obey; the separators that some readers take for the end of a line; and
/// what turns the direction of writing, so that a name looks like another.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
