//! What is over at once and comes again at once: connections that are reset, and handshakes.

use std::time::Duration;

use super::crowds::client_hello;
use super::{Side, crew};
use crate::load::clients::{Failure, Line, Way, address};

/// At once, each from an address of its own.
const CREW: usize = 64;

/// Of so many handshakes one is whole. The others cost the attacker a few bytes that it has ready, and Locum the same.
const WHOLE: usize = 8;

/// An address rests for so long when it was turned away.
const PAUSE: Duration = Duration::from_millis(10);

/// Connects and resets.
pub(super) async fn reset(side: &Side) {
    crew(side.order.share(CREW), |number| {
        let side = side.clone();
        async move {
            let doors = side.order.doors;
            let ports = [doors.imaps, doors.imap, doors.pop3s, doors.pop3, doors.submission];
            for round in number.. {
                match Line::connect(address(1 + number), ports[round % ports.len()]).await {
                    Ok(line) => {
                        line.abort();
                        side.seen.note("connections reset");
                    }
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
                tokio::task::yield_now().await; // a connection over loopback is there at once
            }
        }
    })
    .await;
}

/// Has Locum make keys and sign, and goes.
pub(super) async fn shake(side: &Side) {
    let hello = client_hello(&side.trust);
    crew(side.order.share(CREW), |number| {
        let (side, hello) = (side.clone(), hello.clone());
        async move {
            for round in number.. {
                let once = async {
                    if round % WHOLE == 0 {
                        side.caller(address(1 + number)).greet(Way::Imap).await?.abort();
                        side.seen.note("whole handshakes");
                        return Ok::<_, Failure>(());
                    }
                    let mut line = Line::connect(address(1 + number), side.order.doors.imaps).await?;
                    line.say(&hello).await?;
                    if line.some().await?.is_some() {
                        side.seen.note("handshakes cut short");
                    }
                    line.abort();
                    Ok(())
                };
                if once.await.is_err() {
                    side.seen.note("closed by Locum");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    })
    .await;
}
