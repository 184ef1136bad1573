//! IMAP (RFC 9051), as much of it as is measured. `FETCH 1 BODY[]<0.n>` gives n bytes, whatever n is.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::{Wire, plain};
use super::{Tally, add};

const CAPABILITIES: &str = "IMAP4rev1 SASL-IR AUTH=PLAIN IDLE LITERAL+";

/// Until the client logs out.
pub(super) async fn converse<S>(wire: &mut Wire<S>, tally: &Tally) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.say(format!("* OK [CAPABILITY {CAPABILITIES}] ready\r\n")).await?;
    loop {
        let line = wire.line().await?;
        let (tag, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb.to_ascii_uppercase().as_str() {
            "CAPABILITY" => wire.say(format!("* CAPABILITY {CAPABILITIES}\r\n{tag} OK done\r\n")).await?,
            "LOGIN" => {
                let words = words(wire, rest).await?;
                let is_in = words.len() == 2 && tally.admits(&words[0], &words[1]);
                answer(wire, tag, is_in).await?;
            }
            "AUTHENTICATE" => {
                let response = match rest.split_once(' ') {
                    Some((_, response)) => response.to_owned(),
                    None => {
                        wire.say("+ \r\n").await?;
                        wire.line().await?
                    }
                };
                let is_in = plain(&response).is_some_and(|(login, password)| tally.admits(&login, &password));
                answer(wire, tag, is_in).await?;
            }
            "FETCH" => {
                let size = rest.rsplit_once("<0.").and_then(|(_, size)| size.trim_end_matches('>').parse().ok());
                let size: usize = size.unwrap_or_default();
                wire.say(format!("* 1 FETCH (BODY[]<0> {{{size}}}\r\n")).await?;
                wire.give(size).await?;
                add(&tally.given, size as u64);
                wire.say(format!(")\r\n{tag} OK done\r\n")).await?;
            }
            "APPEND" => {
                let (_, size, waits) = literal(rest).unwrap_or(("", 0, true));
                if waits {
                    wire.say("+ go ahead\r\n").await?;
                }
                wire.swallow(size).await?;
                wire.line().await?;
                add(&tally.taken, size as u64);
                wire.say(format!("{tag} OK done\r\n")).await?;
            }
            "IDLE" => {
                wire.say("+ idling\r\n").await?;
                wire.line().await?;
                wire.say(format!("{tag} OK done\r\n")).await?;
            }
            "SELECT" => wire.say(format!("* 1 EXISTS\r\n* 0 RECENT\r\n{tag} OK [READ-WRITE] done\r\n")).await?,
            "LOGOUT" => return wire.say(format!("* BYE\r\n{tag} OK done\r\n")).await,
            _ => wire.say(format!("{tag} OK done\r\n")).await?,
        }
    }
}

async fn answer<S>(wire: &mut Wire<S>, tag: &str, is_in: bool) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    wire.say(match is_in {
        true => format!("{tag} OK [CAPABILITY {CAPABILITIES}] done\r\n"),
        false => format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n"),
    })
    .await
}

/// The arguments of a command, as atoms, in quotes (without a backslash), or as literals.
async fn words<S>(wire: &mut Wire<S>, rest: &str) -> io::Result<Vec<Vec<u8>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut words = Vec::new();
    let mut line = rest.to_owned();
    loop {
        let (text, literal) = match literal(&line) {
            Some((before, size, waits)) => (before, Some((size, waits))),
            None => (line.as_str(), None),
        };
        words.extend(text.split_ascii_whitespace().map(|word| word.trim_matches('"').as_bytes().to_vec()));
        let Some((size, waits)) = literal else { return Ok(words) };
        if waits {
            wire.say("+ go ahead\r\n").await?;
        }
        words.push(wire.bytes(size).await?);
        line = wire.line().await?;
    }
}

/// What stands before a literal's mark at the end of the line, its size, and whether the client waits for a word.
fn literal(line: &str) -> Option<(&str, usize, bool)> {
    let (before, mark) = line.strip_suffix('}')?.rsplit_once('{')?;
    let digits = mark.trim_end_matches('+');
    Some((before, digits.parse().ok()?, digits == mark))
}
