//! Submission (RFC 6409), as much of it as is measured; and where nginx asks where to go, which is HTTP with the same kind of lines.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{Wire, plain};
use super::{CLIENT_PASSWORD, Ports, Tally, add};
use crate::stage::APP_PASSWORD;

const KEYWORDS: &str = "250-upstream\r\n250-AUTH PLAIN\r\n250-8BITMIME\r\n250-PIPELINING\r\n\
                        250-SIZE 104857600\r\n250 ENHANCEDSTATUSCODES\r\n";

/// Until the client leaves.
pub(super) async fn converse<S>(wire: &mut Wire<S>, tally: &Tally) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.say("220 upstream ESMTP ready\r\n").await?;
    loop {
        let line = wire.line().await?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => KEYWORDS,
            "AUTH" => {
                let response = match rest.split_once(' ') {
                    Some((_, response)) => response.to_owned(),
                    None => {
                        wire.say("334 \r\n").await?;
                        wire.line().await?
                    }
                };
                match plain(&response).is_some_and(|(login, password)| tally.admits(&login, &password)) {
                    true => "235 2.7.0 in\r\n",
                    false => "535 5.7.8 no\r\n",
                }
            }
            "DATA" => {
                wire.say("354 go ahead\r\n").await?;
                take_message(wire, tally).await?;
                "250 2.0.0 taken\r\n"
            }
            "QUIT" => return wire.say("221 2.0.0 bye\r\n").await,
            _ => "250 2.0.0 ok\r\n",
        };
        wire.say(answer).await?;
    }
}

async fn take_message<S>(wire: &mut Wire<S>, tally: &Tally) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let line = wire.line().await?;
        if line == "." {
            add(&tally.messages, 1);
            return Ok(());
        }
        add(&tally.taken, line.len() as u64 + 2);
    }
}

/// Tells nginx, for one login, where it is to go and with which password.
pub(super) async fn direct<S>(wire: &mut Wire<S>, ports: Ports) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut password, mut protocol) = (String::new(), String::new());
    loop {
        let line = wire.line().await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name {
            "Auth-Pass" => password = value.to_owned(),
            "Auth-Protocol" => protocol = value.to_owned(),
            _ => {}
        }
    }
    let port = match protocol.as_str() {
        "imap" => ports.imap,
        "pop3" => ports.pop3,
        _ => ports.submission,
    };
    wire.say(match password == CLIENT_PASSWORD {
        true => format!(
            "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: {port}\r\n\
             Auth-Pass: {APP_PASSWORD}\r\n\r\n"
        ),
        false => "HTTP/1.0 200 OK\r\nAuth-Status: Invalid login\r\n\r\n".to_owned(),
    })
    .await
}
