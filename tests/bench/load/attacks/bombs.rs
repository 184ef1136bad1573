//! What is too early or too much: commands behind STARTTLS, and literals, lines and parentheses without end.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Side, crew};
use crate::load::clients::{Failure, Line, Way, address};

/// Attackers at once, each from an address of its own.
const CREW: usize = 64;

/// Longer than any bound, and sent over and over again.
const BLOCK: usize = 64 << 10;
/// As much is sent to who still takes it; then it is a breach.
const ENOUGH: usize = 16 << 20;

/// Between two of one attacker.
const PAUSE: Duration = Duration::from_millis(20);

/// STARTTLS and, in the same packet, what must not be done behind the handshake.
pub(super) async fn inject(side: &Side) {
    crew(side.order.share(CREW), |number| {
        let side = side.clone();
        async move {
            let source = address(1 + number);
            for round in number.. {
                let outcome = inject_once(&side, source, round).await;
                side.seen.note(match outcome {
                    Ok(true) => "done behind the handshake",
                    Ok(false) | Err(_) => "closed by Locum",
                });
                tokio::time::sleep(PAUSE).await;
            }
        }
    })
    .await;
}

/// Whether what was said in clear was answered under TLS.
async fn inject_once(side: &Side, source: Ipv4Addr, round: usize) -> Result<bool, Failure> {
    let doors = side.order.doors;
    let (port, before, said) = match round % 3 {
        0 => (doors.imap, "", "a STARTTLS\r\nb CAPABILITY\r\nc NOOP\r\n"),
        1 => (doors.pop3, "", "STLS\r\nCAPA\r\n"),
        _ => (doors.submission, "EHLO attacker\r\n", "STARTTLS\r\nEHLO attacker\r\nNOOP\r\n"),
    };
    let mut line = Line::connect(source, port).await?;
    line.some().await?;
    if !before.is_empty() {
        line.say(before).await?;
        line.some().await?;
    }
    line.say(said).await?;
    line.some().await?;
    let mut line = line.start_tls(&side.trust).await?;
    Ok(line.some().await?.is_some())
}

/// One kind after the other, each until Locum has enough.
pub(super) async fn throw(side: &Side) {
    crew(side.order.share(CREW), |number| {
        let side = side.clone();
        async move {
            for round in number.. {
                let outcome = throw_once(&side, address(1 + number), round).await;
                side.seen.note(match outcome {
                    Ok(true) => "all taken",
                    Ok(false) | Err(_) => "closed by Locum",
                });
                tokio::time::sleep(PAUSE).await;
            }
        }
    })
    .await;
}

/// Whether all of it was taken.
async fn throw_once(side: &Side, source: Ipv4Addr, round: usize) -> Result<bool, Failure> {
    let caller = side.caller(source);
    let (way, beginning, filling): (_, &str, &[u8]) = match round % 8 {
        0 => (Way::Imap, "a LOGIN {100000000}\r\n", b"x"),
        1 => (Way::Imap, "a LOGIN {100000000+}\r\n", b"x"),
        2 => (Way::Imap, "a LOGIN ", b"x"),
        3 => (Way::Imap, "a ID ", b"("),
        4 => (Way::Imap, "", b"a ID {8+}\r\nxxxxxxxx\r\n"),
        5 => (Way::Pop3, "USER ", b"x"),
        6 => (Way::Submission, "AUTH PLAIN ", b"QUFB"),
        _ => (Way::Submission, "", b"\r\n"),
    };
    let mut line = caller.greet(way).await?;
    line.say(beginning).await?;
    let block = filling.repeat(BLOCK / filling.len());
    for _ in 0..ENOUGH / BLOCK {
        line.say(&block).await?;
    }
    Ok(true)
}
