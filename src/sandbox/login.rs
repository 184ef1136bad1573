//! The SASL exchange as all three protocols frame it: base64 lines behind a prompt, `*` to cancel (RFC 4422 section 3).

use std::io;

use data_encoding::BASE64;

use super::connection::Connection;
use super::texts::Refusal;
use crate::model::{Attempt, CredentialKind, Mechanism, Secret};
use crate::sasl::{ServerExchange, ServerStep};

/// How an exchange ended.
pub(super) enum Exchanged {
    Attempt(Attempt),
    Cancelled,
    Malformed,
}

/// What a client asked for by name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Known(Mechanism),
    Unknown,
}

impl Asked {
    pub(super) fn from_name(name: &[u8]) -> Self {
        Mechanism::from_name(name).map_or(Self::Unknown, Self::Known)
    }

    pub(super) fn kind(self) -> Option<CredentialKind> {
        match self {
            Self::Known(mechanism) => Some(mechanism.presents()),
            Self::Unknown => None,
        }
    }

    /// As it stands in the list of logins, behind the protocol's own word for it.
    pub(super) fn method(self, imap: bool) -> &'static str {
        match (self, imap) {
            (Self::Known(Mechanism::Plain), true) => "AUTHENTICATE PLAIN",
            (Self::Known(Mechanism::Login), true) => "AUTHENTICATE LOGIN",
            (Self::Known(Mechanism::Xoauth2), true) => "AUTHENTICATE XOAUTH2",
            (Self::Known(Mechanism::Oauthbearer), true) => "AUTHENTICATE OAUTHBEARER",
            (Self::Known(Mechanism::Plain), false) => "AUTH PLAIN",
            (Self::Known(Mechanism::Login), false) => "AUTH LOGIN",
            (Self::Known(Mechanism::Xoauth2), false) => "AUTH XOAUTH2",
            (Self::Known(Mechanism::Oauthbearer), false) => "AUTH OAUTHBEARER",
            (Self::Unknown, _) => "unknown mechanism",
        }
    }
}

/// The mechanism at the end of a [`method`](Asked::method); none where the protocol's own command logs in.
pub(super) fn mechanism_of(method: &str) -> Option<Mechanism> {
    method.strip_prefix("AUTH").and_then(|rest| Mechanism::from_name(rest.split_once(' ')?.1.as_bytes()))
}

/// What a login by that method presents.
pub(super) fn kind_of(method: &str) -> CredentialKind {
    mechanism_of(method).map_or(CredentialKind::AppPassword, Mechanism::presents)
}

/// Runs an exchange. `prompt` is what stands before a challenge: `"+ "` or `"334 "`.
pub(super) async fn exchange(
    connection: &mut Connection,
    asked: Asked,
    imap: bool,
    prompt: &str,
    initial: Option<&[u8]>,
) -> io::Result<Exchanged> {
    let Asked::Known(mechanism) = asked else { return Ok(Exchanged::Malformed) };
    let mut server = ServerExchange::new(mechanism, asked.method(imap));
    let mut response = match initial {
        None => None,
        Some(initial) => match decode(initial) {
            Some(response) => Some(response),
            None => return Ok(Exchanged::Malformed),
        },
    };
    loop {
        match server.step(response) {
            Ok(ServerStep::Done(attempt)) => return Ok(Exchanged::Attempt(attempt)),
            Ok(ServerStep::Challenge(challenge)) => {
                connection.send_line(&format!("{prompt}{}", BASE64.encode(challenge))).await?;
            }
            Err(_) => return Ok(Exchanged::Malformed),
        }
        let line = connection.read_line().await?;
        if line.trim_ascii() == b"*" {
            return Ok(Exchanged::Cancelled);
        }
        response = match decode(&line) {
            Some(response) => Some(response),
            None => return Ok(Exchanged::Malformed),
        };
    }
}

/// The attempt in a command line that carries all of it, where there is one: so that a password is known to have been
/// presented even where the command is refused unread.
pub(super) fn inline_attempt(asked: Asked, imap: bool, initial: Option<&[u8]>) -> Option<Attempt> {
    let Asked::Known(mechanism) = asked else { return None };
    match ServerExchange::new(mechanism, asked.method(imap)).step(Some(decode(initial?)?)).ok()? {
        ServerStep::Done(attempt) => Some(attempt),
        ServerStep::Challenge(_) => None,
    }
}

/// Explains a refusal where it is to be explained; says whether the client took note of it as its mechanism wants: with an
/// empty line, or with ^A (RFC 7628 section 3.2.3) or a cancellation.
pub(super) async fn explain(
    connection: &mut Connection,
    refusal: &Refusal,
    method: &str,
    prompt: &str,
) -> io::Result<bool> {
    let Some(challenge) = refusal.challenge else { return Ok(true) };
    connection.send_line(&format!("{prompt}{challenge}")).await?;
    let line = connection.read_line().await?;
    Ok(match mechanism_of(method) {
        Some(Mechanism::Oauthbearer) => matches!(line.as_slice(), b"AQ==" | b"*"),
        _ => line.is_empty(),
    })
}

/// A response; `=` stands for an empty one (RFC 4954 section 4, RFC 4959 section 3).
fn decode(line: &[u8]) -> Option<Secret> {
    match line.trim_ascii_end() {
        b"=" => Some(Secret::new(b"")),
        text => BASE64.decode(text).ok().map(Secret::new),
    }
}
