//! POP3 (RFC 1939, RFC 5034), as much of it as is measured.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Tally;
use super::wire::{Wire, plain};

/// Until the client leaves.
pub(super) async fn converse<S>(wire: &mut Wire<S>, tally: &Tally) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.say("+OK ready\r\n").await?;
    let mut login = String::new();
    loop {
        let line = wire.line().await?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let is_in = match verb.to_ascii_uppercase().as_str() {
            "CAPA" => {
                wire.say("+OK\r\nUSER\r\nSASL PLAIN\r\nUIDL\r\nTOP\r\n.\r\n").await?;
                continue;
            }
            "PASS" => tally.admits(login.as_bytes(), rest.as_bytes()),
            "AUTH" => {
                let response = match rest.split_once(' ') {
                    Some((_, response)) => response.to_owned(),
                    None => {
                        wire.say("+ \r\n").await?;
                        wire.line().await?
                    }
                };
                plain(&response).is_some_and(|(login, password)| tally.admits(&login, &password))
            }
            "USER" => {
                login = rest.to_owned();
                true
            }
            "QUIT" => return wire.say("+OK\r\n").await,
            _ => true,
        };
        wire.say(if is_in { "+OK 0 0\r\n" } else { "-ERR [AUTH] no\r\n" }).await?;
    }
}
