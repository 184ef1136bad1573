//! What never ends: a byte a second wherever Locum waits for one, and readers that read nothing.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::crowds::client_hello;
use super::{Side, crew};
use crate::load::Key;
use crate::load::clients::{Failure, Line, Way, address};

/// So many from forty addresses are more than half of all places.
const SLOW: usize = 2_400;
const SOURCES: usize = 60;

const BYTE_INTERVAL: Duration = Duration::from_secs(1);

/// Sessions that one mailbox may have open, as shipped for a provider without a preset.
const PER_MAILBOX: usize = 8;
/// What one of them asks for and never reads.
const FETCHES: usize = 64;

/// One that was closed comes again after this.
const PAUSE: Duration = Duration::from_millis(500);

/// All kinds at once.
pub(super) async fn drip(side: &Side) {
    crew(side.order.share(SLOW), |number| {
        let side = side.clone();
        async move {
            // Not all in one moment: it is about what they hold, not about how they come.
            tokio::time::sleep(Duration::from_millis((number % 1000) as u64)).await;
            loop {
                let _ = drip_once(&side, address(1 + number % SOURCES), number).await; // it ends by being closed
                side.seen.note("closed by Locum");
                tokio::time::sleep(PAUSE).await;
            }
        }
    })
    .await;
}

async fn drip_once(side: &Side, source: Ipv4Addr, number: usize) -> Result<(), Failure> {
    let doors = side.order.doors;
    match number % 8 {
        0..3 => bytewise(Line::connect(source, doors.imaps).await?, &client_hello(&side.trust)).await,
        3 | 4 => bytewise(Line::connect(source, doors.imap).await?, &b"a CAPABILITY".repeat(100)).await,
        5 => bytewise(Line::connect(source, doors.submission).await?, &b"EHLO x".repeat(100)).await,
        6 => {
            // The one that costs a handshake, in the midst of its login.
            let mut line = side.caller(source).greet(Way::Imap).await?;
            line.ask("a AUTHENTICATE PLAIN", "+").await?;
            bytewise(line, &b"QUFB".repeat(100)).await
        }
        _ => {
            let mut line = Line::connect(source, doors.imap).await?;
            loop {
                line.say("a CAPABILITY\r\n").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn bytewise(mut line: Line, bytes: &[u8]) -> Result<(), Failure> {
    for byte in bytes {
        line.say([*byte]).await?;
        tokio::time::sleep(BYTE_INTERVAL).await;
    }
    Ok(())
}

/// Logs in, orders more than any buffer holds, and waits.
pub(super) async fn stall(side: &Side) {
    let keys = side.order.keys.clone();
    let count = side.order.share(keys.len() * PER_MAILBOX);
    crew(count, |number| {
        let (side, key) = (side.clone(), keys[number % keys.len()].clone());
        async move {
            loop {
                let _ = stall_once(&side, address(1 + number), &key).await; // it ends by being closed
                side.seen.note("ended");
                tokio::time::sleep(PAUSE).await;
            }
        }
    })
    .await;
}

async fn stall_once(side: &Side, source: Ipv4Addr, key: &Key) -> Result<(), Failure> {
    let mut line = side.caller(source).log_in(Way::Imap, key).await?;
    side.seen.note("logged in");
    line.ask("b SELECT INBOX", "b OK").await?;
    line.say("c FETCH 1 BODY[]\r\n".repeat(FETCHES)).await?;
    // Held, and not read.
    loop {
        tokio::time::sleep(PAUSE * 20).await;
        line.say("d NOOP\r\n").await?;
    }
}
