//! Wrong passwords, from one address and from many; and right ones for mailboxes at providers that hold the login up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Side, crew};
use crate::load::Key;
use crate::load::clients::{Failure, Way, address, present};

/// Connections at once.
const CREW: usize = 200;
/// A wrong password ends a connection the third time.
const TRIES: usize = 3;
/// Of four logins that are tried there is one.
const UNKNOWN: usize = 4;

/// Logins at once at providers that do not answer.
const WAITING: usize = 300;

const PAUSE: Duration = Duration::from_millis(50);

/// Guesses, each connection from the next address.
pub(super) async fn guess(side: &Side, sources: usize, chosen: bool) {
    let next = Arc::new(AtomicUsize::new(0));
    crew(side.order.share(CREW), |_| {
        let (side, next) = (side.clone(), Arc::clone(&next));
        async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                match guess_some(&side, number, sources, chosen).await {
                    Err(Failure::Refused(_) | Failure::Closed) => {}
                    Err(_) => side.seen.note("broken"),
                    Ok(()) => side.seen.note("LET IN"),
                }
            }
        }
    })
    .await;
}

async fn guess_some(side: &Side, number: usize, sources: usize, chosen: bool) -> Result<(), Failure> {
    let logins = if chosen { &side.order.chosen } else { &side.order.logins };
    let mut line = side.caller(address(1 + number % sources)).greet(Way::Imap).await?;
    let mut outcome = Err(Failure::Closed);
    for turn in 0..TRIES {
        let guess = number * TRIES + turn;
        let login = &logins[guess % logins.len()];
        let login = if !chosen && !guess.is_multiple_of(UNKNOWN) { format!("{login}-{guess}") } else { login.clone() };
        let key = Key { login, secret: format!("lo_abcdefgh_wrong{guess}") };
        outcome = present(&mut line, Way::Imap, &key).await;
        side.seen.note("guesses answered");
        match &outcome {
            Err(Failure::Refused(_)) => {}
            _ => break,
        }
    }
    outcome
}

/// Logs in where no answer comes, or too much of one.
pub(super) async fn wait_for_providers(side: &Side) {
    crew(side.order.share(WAITING), |number| {
        let (side, key) = (side.clone(), side.order.stuck[number % side.order.stuck.len()].clone());
        async move {
            loop {
                let outcome = side.caller(address(1 + number % 20)).log_in(Way::Imap, &key).await;
                side.seen.note(if outcome.is_ok() { "LET IN" } else { "logins answered" });
                tokio::time::sleep(PAUSE).await;
            }
        }
    })
    .await;
}
