//! Connections that are there and nothing else: half open, as long as they are let. One that is closed comes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::{CROWD, Side, crew};
use crate::load::clients::{Line, address};

/// Connections that are begun at once: the kernel has a queue for so many and forgets the others for a second.
const AT_ONCE: usize = 256;

/// All have come within this time.
const RAMP: Duration = Duration::from_secs(8);

/// Before one comes again that was turned away, or has lost its place. It is about connections that are held: who comes again
/// at once is a storm.
const PAUSE: Duration = Duration::from_secs(10);

/// Holds ten thousand, from so many addresses, at the door of implicit TLS.
pub(super) async fn hold(side: &Side, sources: usize, say_hello: bool) {
    let (open, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Semaphore::new(AT_ONCE)));
    let hello: Arc<[u8]> = if say_hello { client_hello(&side.trust).into() } else { Arc::default() };
    let crowd = side.order.share(CROWD);
    crew(crowd, |number| {
        let (side, open, begun, hello) = (side.clone(), Arc::clone(&open), Arc::clone(&begun), Arc::clone(&hello));
        async move {
            let source = address(1 + number % sources);
            tokio::time::sleep(RAMP * number as u32 / crowd as u32).await;
            loop {
                let turn = begun.acquire().await;
                let line = Line::connect(source, side.order.doors.imaps).await;
                drop(turn);
                let Ok(mut line) = line else {
                    side.seen.note("not let in");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                side.seen.note_most("open at once", open.fetch_add(1, Ordering::Relaxed) + 1);
                let _ = line.say(&hello).await; // what becomes of it is seen below
                while let Ok(Some(_)) = line.some().await {}
                open.fetch_sub(1, Ordering::Relaxed);
                side.seen.note("closed by Locum");
                tokio::time::sleep(PAUSE).await;
            }
        }
    })
    .await;
}

/// The first flight of a handshake, good for any number of connections.
pub(super) fn client_hello(trust: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("it is a name");
    let mut hello = Vec::new();
    ClientConnection::new(Arc::clone(trust), name).unwrap().write_tls(&mut hello).unwrap();
    hello
}
