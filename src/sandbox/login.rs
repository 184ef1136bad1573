//! The SASL exchange as all three protocols frame it: base64 lines behind a prompt, `*` to cancel (RFC 4422 section 3).

use std::io;

use data_encoding::BASE64;

use super::connection::Connection;
use crate::model::{Attempt, Mechanism, Secret};
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
    Password(Mechanism),
    /// XOAUTH2. No token is good here: the sandbox has no authority that issues any.
    Token,
    Unknown,
}

impl Asked {
    pub(super) fn from_name(name: &[u8]) -> Self {
        match Mechanism::with_password_from_name(name) {
            Some(mechanism) => Self::Password(mechanism),
            None if name.eq_ignore_ascii_case(b"XOAUTH2") => Self::Token,
            None => Self::Unknown,
        }
    }

    /// As it stands in the list of logins, behind the protocol's own word for it.
    pub(super) fn method(self, imap: bool) -> &'static str {
        match (self, imap) {
            (Self::Password(Mechanism::Xoauth2 | Mechanism::Oauthbearer), _) => "a token as a password",
            (Self::Password(Mechanism::Plain), true) => "AUTHENTICATE PLAIN",
            (Self::Password(Mechanism::Login), true) => "AUTHENTICATE LOGIN",
            (Self::Password(Mechanism::Plain), false) => "AUTH PLAIN",
            (Self::Password(Mechanism::Login), false) => "AUTH LOGIN",
            (Self::Token, true) => "AUTHENTICATE XOAUTH2",
            (Self::Token, false) => "AUTH XOAUTH2",
            (Self::Unknown, _) => "unknown mechanism",
        }
    }
}

/// Runs an exchange. `prompt` is what stands before a challenge: `"+ "` or `"334 "`.
pub(super) async fn exchange(
    connection: &mut Connection,
    asked: Asked,
    imap: bool,
    prompt: &str,
    initial: Option<&[u8]>,
) -> io::Result<Exchanged> {
    let method = asked.method(imap);
    let Asked::Password(mechanism) = asked else { return bearer(connection, method, prompt, initial).await };
    let mut server = ServerExchange::new(mechanism, method);
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
    let response = decode(initial?)?;
    match asked {
        Asked::Password(mechanism) => {
            match ServerExchange::new(mechanism, asked.method(imap)).step(Some(response)).ok()? {
                ServerStep::Done(attempt) => Some(attempt),
                ServerStep::Challenge(_) => None,
            }
        }
        Asked::Token => Some(token_attempt(&response, asked.method(imap))),
        Asked::Unknown => None,
    }
}

async fn bearer(
    connection: &mut Connection,
    method: &'static str,
    prompt: &str,
    initial: Option<&[u8]>,
) -> io::Result<Exchanged> {
    let response = match initial {
        Some(initial) => decode(initial),
        None => {
            connection.send_line(prompt).await?;
            let line = connection.read_line().await?;
            if line.trim_ascii() == b"*" {
                return Ok(Exchanged::Cancelled);
            }
            decode(&line)
        }
    };
    Ok(response.map_or(Exchanged::Malformed, |response| Exchanged::Attempt(token_attempt(&response, method))))
}

/// `user=` name ^A `auth=Bearer ` token ^A ^A, read as far as it goes.
fn token_attempt(response: &Secret, method: &'static str) -> Attempt {
    let field = |name: &[u8]| {
        let found = response.expose().split(|&byte| byte == 1).find_map(|field| field.strip_prefix(name));
        found.unwrap_or_default()
    };
    let (authcid, proof) = (field(b"user=").to_vec(), Secret::new(field(b"auth=Bearer ")));
    Attempt { authcid, authzid: None, proof, method }
}

/// A response; `=` stands for an empty one (RFC 4954 section 4, RFC 4959 section 3).
fn decode(line: &[u8]) -> Option<Secret> {
    match line.trim_ascii_end() {
        b"=" => Some(Secret::new(b"")),
        text => BASE64.decode(text).ok().map(Secret::new),
    }
}
