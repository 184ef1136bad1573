//! Turns at a provider: so many rotations at once log in there, and one that only waits gives its turn to another. It must
//! never hold a turn through a wait: a thousand refusals that are looked at twice would stop all the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// The turns at all providers.
#[derive(Debug)]
pub struct Turns {
    at_once: usize,
    upstreams: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

impl Turns {
    /// So many at once at each provider; one at least.
    pub fn new(at_once: usize) -> Self {
        Self { at_once: at_once.max(1), upstreams: Mutex::default() }
    }

    /// Waits for a turn at that provider, first come first served.
    pub async fn take(&self, upstream: &str) -> Turn {
        let turns = {
            let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || Arc::new(Semaphore::new(self.at_once));
            Arc::clone(upstreams.entry(upstream.to_owned()).or_insert_with(fresh))
        };
        let held = Mutex::new(Some(acquire(&turns).await));
        Turn { turns, held }
    }
}

/// A turn at a provider, given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Semaphore>,
    /// Nothing while it rests.
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Turn {
    /// Lets others pass for so long, and then waits for a turn again. To wait for nothing gives nothing up.
    pub(super) async fn rest(&self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        self.hold(None);
        sleep(wait).await;
        let again = acquire(&self.turns).await;
        self.hold(Some(again));
    }

    fn hold(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }
}

async fn acquire(turns: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(turns).acquire_owned().await.expect("nobody closes the turns")
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    const MOMENT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn one_too_many_waits_and_another_provider_does_not() {
        let turns = Turns::new(2);
        let first = turns.take("gmail").await;
        let _second = turns.take("gmail").await;
        assert!(timeout(MOMENT, turns.take("gmail")).await.is_err());
        let _other = turns.take("exchange-online").await;
        drop(first);
        assert!(timeout(MOMENT, turns.take("gmail")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_rests_lets_another_pass_and_then_waits_for_it() {
        let turns = Turns::new(1);
        let resting = turns.take("gmail").await;
        let began = Instant::now();
        let other = async {
            let turn = turns.take("gmail").await;
            assert_eq!(began.elapsed(), Duration::ZERO);
            sleep(MOMENT * 5).await;
            drop(turn);
        };
        tokio::join!(resting.rest(MOMENT * 2), other);
        assert_eq!(began.elapsed(), MOMENT * 5);
        assert!(timeout(MOMENT, turns.take("gmail")).await.is_err(), "the turn is held again");
        drop(resting);
        assert!(timeout(MOMENT, turns.take("gmail")).await.is_ok());
    }
}
